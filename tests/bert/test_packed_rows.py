"""What surrounds attention between rows of tokens: what it computes, where it is recognised."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from encoder_graphs import encoder, feeds
from on_openvino import run
from packed_graphs import packed, quantized
from refusals import EIGHT, Operands, why

import fwd_plugins_bert.pack
from fwd_core import Builder, core_pack, rewrite
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.errors import GraphError
from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.plugins import Plugins
from fwd_plugins_bert import fusions
from fwd_plugins_bert.ops import PackedLinear, PackedSelfAttention, PackedSkipNorm
from fwd_plugins_bert.packing.attention import FusePackedSelfAttention
from fwd_plugins_bert.packing.rows import FusePackedLinear, FusePackedSkipNorm
from fwd_plugins_bert.tensorrt import (
    common,
    packed_attention,
    packed_linear,
    packed_skip_norm,
)

HALF, SINGLE = DType.FLOAT16, DType.FLOAT32
RNG = np.random.default_rng(5)
ALL = [FusePackedSelfAttention(), FusePackedSkipNorm(), FusePackedLinear()]
PACKS = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("activation", ["identity", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("biased", [True, False])
def test_a_product_and_its_activation(activation: Any, biased: bool) -> None:
    x, weight, bias = normal(9, 6), normal(8, 6), normal(8)

    def make(graph: Graph, x: Value, w: Value, *b: Value) -> Value:
        return graph.add(PackedLinear(x, w, b[0] if b else None, activation))

    (found,) = run(make, x, weight, *([bias] if biased else []))
    y = x.astype(np.float64) @ weight.T + (bias if biased else 0)
    if activation == "gelu":
        y = y / 2 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))
    elif activation == "gelu_tanh":
        y = y / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y**3)))
    np.testing.assert_allclose(found, y, atol=1e-5)


def test_a_norm_of_a_sum() -> None:
    x, skip, scale, shift = normal(9, 6), normal(9, 6), normal(6), normal(6)

    def make(graph: Graph, *v: Value) -> Value:
        return graph.add(PackedSkipNorm(v[0], v[1], None, v[2], v[3], 1e-3))

    (found,) = run(make, x, skip, scale, shift)
    total = (x + skip).astype(np.float64)
    centred = total - total.mean(-1, keepdims=True)
    wanted = centred / np.sqrt(total.var(-1, keepdims=True) + 1e-3) * scale + shift
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_rows_have_two_axes() -> None:
    of = Operands(SINGLE)
    wide = of.input(2, 3, 4)
    with pytest.raises(GraphError, match=r"bert.PackedLinear: x is \[tokens, in\]"):
        PackedLinear(wide, of.constant(5, 4), None).infer()
    with pytest.raises(GraphError, match=r"bert.PackedSkipNorm: x is \[tokens, C\]"):
        PackedSkipNorm(wide, wide, None, None, None, 1e-5).infer()


def count(graph: Graph, kind: type) -> int:
    return sum(type(node.op) is kind for node in graph)


def test_all_that_surrounds_attention() -> None:
    graph = packed()
    rewrite.run(graph, ALL, verify=True)
    # In each layer the product behind attention and two more, the first with GELU, and two norms.
    assert count(graph, PackedSelfAttention) == 2
    assert (count(graph, PackedLinear), count(graph, PackedSkipNorm)) == (6, 4)
    kinds = [node.op.activation for node in graph if isinstance(node.op, PackedLinear)]
    assert kinds == ["identity", "gelu", "identity"] * 2
    left = {type(node.op) for node in graph}
    assert not left & {ops.Linear, ops.Gelu, ops.Attention}
    assert count(graph, ops.LayerNorm) == 1  # that of embeddings


def test_it_computes_what_it_replaces() -> None:
    def outputs(graph: Graph) -> Any:
        return Builder(backend="openvino", plugins=PACKS).compile(graph).run(given)["y"]

    given = feeds(True, 3)
    wanted, graph = outputs(packed()), packed()
    rewrite.run(graph, ALL, verify=True)
    assert count(graph, PackedLinear) == 6
    np.testing.assert_allclose(outputs(graph), wanted, rtol=1e-4, atol=1e-5)


ELSEWHERE = "not all attention is between rows of tokens"
CONSTANT = "the weight or the bias is no constant, as where it is quantized"


@pytest.mark.parametrize(
    ("spoil", "first", "told"),
    [
        (lambda graph: None, [], {ELSEWHERE}),
        (quantized, [FusePackedSelfAttention()], {CONSTANT, ELSEWHERE}),
    ],
)
def test_what_is_left(spoil: Callable[[Graph], None], first: list[Any], told: set[str]) -> None:
    graph = packed()
    spoil(graph)
    rewrite.run(graph, first)
    found = fusions.refusals(graph, [FusePackedLinear(), FusePackedSkipNorm()])
    assert {one.reason for one in found} == told
    rewrite.run(graph, [FusePackedLinear(), FusePackedSkipNorm()])
    assert count(graph, PackedLinear) == count(graph, PackedSkipNorm) == 0


def test_gelu_of_what_others_read() -> None:
    graph = packed()
    rewrite.run(graph, [FusePackedSelfAttention()])
    whole = [node.op.x for node in graph if isinstance(node.op, ops.Gelu)]
    names = [*graph.output_names, "more0", "more1"]
    graph.set_outputs([*graph.outputs, *whole], names)
    rewrite.run(graph, [FusePackedLinear()])
    assert count(graph, PackedLinear) == 6
    assert count(graph, ops.Gelu) == 2
    told = [one.reason for one in fusions.refusals(graph, [FusePackedLinear()])]
    assert told == ["others read what GELU is taken of"] * 2


def test_operators_of_several_results_are_none_of_it() -> None:
    graph = packed()
    (y,) = graph.outputs
    found = graph.add_all(ops.TopK(y, 3, 2))
    graph.set_outputs([y, *found], ["y", "values", "places"])
    rewrite.run(graph, ALL, verify=True)
    assert (count(graph, PackedLinear), count(graph, ops.TopK)) == (6, 1)


def test_a_graph_with_padding_is_left() -> None:
    graph = encoder(3, True)
    assert fusions.refusals(graph, [FusePackedLinear(), FusePackedSkipNorm()]) == []
    assert not any(rewrite.run(graph, ALL).values())


def rows(dtype: DType = HALF, length: Any = 128, epsilon: float = 1e-12) -> list[Any]:
    of = Operands(dtype)
    tokens = of.input(2, length, dtype=DType.BOOL)
    mask = of.graph.add(ops.Unsqueeze(tokens, (1, 2)))
    places, x = of.input(2, length, dtype=DType.INT32), of.input(100, 16)
    picked = of.input(100, dtype=DType.INT32)
    weight = of.constant(3 * 2 * 64, 16)
    of.graph.add(PackedSelfAttention(x, weight, None, mask, picked, places, 2, 0.125))
    linear = PackedLinear(x, of.constant(8, 16), None, "gelu")
    return [linear, PackedSkipNorm(x, x, None, None, None, epsilon)]


EPSILON = "plugins have no epsilon, and one above 1e-05 counts in float16"
LOWERINGS = (packed_linear.packed_linear, packed_skip_norm.packed_skip_norm)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, [None, None]),
        ({"dtype": SINGLE}, ["attention in float32 is not left to a plugin"] * 2),
        ({"length": 600}, ["not all attention is left to a plugin"] * 2),
        (
            {"epsilon": 1e-3},
            [None, EPSILON],
        ),
    ],
)
def test_what_is_left_to_tensorrt_8(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], told: list[str | None]
) -> None:
    monkeypatch.setattr(common, "capability", lambda: 90)
    made = rows(**changed)
    assert [why(lower, op, EIGHT) for lower, op in zip(LOWERINGS, made, strict=True)] == told


def test_nothing_is_beside_attention_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "capability", lambda: 90)
    made = rows()
    x = made[0].x.graph.add_input("heads", TensorType(HALF, (2, 2, 5, 4)))
    x.graph.add(ops.Attention(x, x, x))
    told = "not all attention is left to a plugin"
    assert [why(lower, op) for lower, op in zip(LOWERINGS, made, strict=True)] == [told] * 2


def test_nothing_is_beside_tensors_of_8_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "capability", lambda: 90)
    made, bytewise = rows(), SimpleNamespace(features=EIGHT.features, bytewise=True)
    (attention,) = (one.op for one in made[0].x.graph if isinstance(one.op, PackedSelfAttention))
    told = why(packed_attention.packed_self_attention, attention, bytewise)
    assert told == "beside tensors of 8 bits it has not been run"
    for lower, op in zip(LOWERINGS, made, strict=True):
        assert why(lower, op, bytewise) == "not all attention is left to a plugin"


def test_later_versions_keep_their_layers() -> None:
    ten = SimpleNamespace(features=ROWS["tensorrt_rtx", "1.7.1.116"], bytewise=False)
    for lower, op in zip(LOWERINGS, rows(), strict=True):
        assert why(lower, op, ten) == "it was quicker on TensorRT 8 and measured nowhere else"
