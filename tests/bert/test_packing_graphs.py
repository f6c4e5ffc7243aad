"""Operators one by one: which are computed for tokens alone, beside a padded run of the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from encoder_graphs import encoder

import fwd_plugins_bert.pack
from fwd_core import Builder, core_pack
from fwd_core.errors import OptionError
from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.plugins import Plugins
from fwd_plugins_bert.packing import Removal, remove_padding

PACKS = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
RNG = np.random.default_rng(7)
B, L, F = 3, 5, 4
MASK = (np.arange(L) < np.array([5, 2, 3])[:, None]).astype(np.int64)
Make = Callable[[Graph, Value, Value], Value]


def _constant(graph: Graph, *shape: int) -> Value:
    return graph.constant(np.random.default_rng(sum(shape)).standard_normal(shape, np.float32))


def _linear(graph: Graph, x: Value, wide: int = F) -> Value:
    weight = _constant(graph, wide, F)
    return graph.add(ops.Linear(x, weight, _constant(graph, wide)))


def _graph(make: Make, shape: tuple[int, ...] = (B, L, F)) -> Graph:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, shape))
    mask = graph.add_input("mask", TensorType(DType.INT64, (B, L)))
    kept = graph.add(ops.Cast(graph.add(ops.Unsqueeze(mask, (2,))), DType.FLOAT32))
    graph.set_outputs([make(graph, x, kept)], ["y"])
    return graph.verify()


def _compared(make: Make) -> tuple[Graph, Removal]:
    """A graph without padding, that gives what the same with padding gives."""
    graph, given, whole = (_graph(make) for _ in range(3))
    removal = remove_padding(graph, "mask")
    remove_padding(given, "mask")
    feeds = {"x": RNG.standard_normal((B, L, F), np.float32), "mask": MASK}
    builder = Builder(backend="openvino", plugins=PACKS)
    found, wanted = (builder.compile(one).run(feeds)["y"] for one in (given, whole))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    return graph.verify(), removal


def _kinds(graph: Graph, kind: type[Any]) -> list[bool]:
    """Of operators of a kind, whether each is of tokens alone."""
    return [node.output.type.rank == 2 for node in graph if isinstance(node.op, kind)]


@pytest.mark.parametrize("shape", [(1, 1, F), (F,), (1, F), ()])
def test_what_is_the_same_for_all_tokens_keeps_them_packed(shape: tuple[int, ...]) -> None:
    def make(graph: Graph, x: Value, kept: Value) -> Value:
        h = graph.add(ops.Add(_linear(graph, x), _constant(graph, *shape)))
        return graph.add(ops.Mul(_linear(graph, h), kept))

    graph, removal = _compared(make)
    assert _kinds(graph, ops.Add) == [True]
    assert removal.products == 2


def test_what_is_not_the_same_for_all_tokens_is_taken_by_rows() -> None:
    def make(graph: Graph, x: Value, kept: Value) -> Value:
        h = graph.add(ops.Add(_linear(graph, x), _constant(graph, 1, L, F)))
        return graph.add(ops.Mul(_linear(graph, h), kept))

    graph, removal = _compared(make)
    assert _kinds(graph, ops.Add) == [False]
    assert removal.products == 2


@pytest.mark.parametrize("axis", [None, 2])
def test_numbers_of_their_own_for_each_feature_are_applied_in_places(axis: int | None) -> None:
    def make(graph: Graph, x: Value, kept: Value) -> Value:
        scale = graph.constant(np.full((F,) if axis else (), 0.05, np.float32))
        narrow = graph.add(ops.Quantize(_linear(graph, x), scale, None, axis))
        h = graph.add(ops.Dequantize(narrow, scale, None, axis))
        return graph.add(ops.Mul(_linear(graph, h), kept))

    graph, removal = _compared(make)
    assert _kinds(graph, ops.Quantize) == [axis is None]
    assert _kinds(graph, ops.Dequantize) == [axis is None]
    assert removal.products == 2


def _weighed(point: int | None, low: int = -128) -> Make:
    """Tokens weighed by what a softmax made, in 8 bits, as attention that is written out has it."""

    def make(graph: Graph, x: Value, kept: Value) -> Value:
        scale = graph.constant(np.array(1 / 127, np.float32))
        zero = None if point is None else graph.constant(np.array(point, np.int32))
        keep = graph.add(ops.Cast(graph.add(ops.Transpose(kept, (0, 2, 1))), DType.BOOL))
        least = graph.constant(np.array(-1e9, np.float32))
        scores = graph.add(ops.MatMul(x, x, transpose_b=True))
        weights = graph.add(ops.Softmax(graph.add(ops.Where(keep, scores, least)), 2))
        narrow = graph.add(ops.Quantize(weights, scale, zero, low=low))
        weights = graph.add(ops.Dequantize(narrow, scale, zero))
        found = graph.add(ops.MatMul(weights, _linear(graph, x)))
        return graph.add(ops.Mul(_linear(graph, found), kept))

    return make


@pytest.mark.parametrize("point", [None, 0])
def test_weights_of_padding_are_nothing_in_8_bits_either(point: int | None) -> None:
    assert _compared(_weighed(point))[1].products == 2


@pytest.mark.parametrize(("point", "low"), [(-128, -128), (None, 1)])
def test_weights_that_8_bits_may_move_from_0_are_refused(point: int | None, low: int) -> None:
    with pytest.raises(OptionError, match=r"variable_length: fwd\.MatMul .* mixes tokens and pad"):
        remove_padding(_graph(_weighed(point, low)), "mask")


def test_a_mask_between_layers_costs_no_places() -> None:
    """Its product is of tokens alone, and only what others read of it is in places."""

    def make(graph: Graph, x: Value, kept: Value) -> Value:
        for _ in range(2):
            x = graph.add(ops.Mul(_linear(graph, x), kept))
        return graph.add(ops.ReduceSum(x, (1,)))

    graph, removal = _compared(make)
    assert _kinds(graph, ops.Mul) == [True, False]
    places = [node for node in graph if isinstance(node.op, ops.Gather)]
    assert [node.output.type.rank for node in places].count(3) == 1
    assert removal.products == 2


def test_products_of_weights_that_are_not_transposed_are_packed() -> None:
    def make(graph: Graph, x: Value, kept: Value) -> Value:
        h = graph.add(ops.MatMul(x, _constant(graph, F, F)))
        return graph.add(ops.Mul(h, kept))

    assert _compared(make)[1].products == 1


def test_a_weight_that_is_made_of_tokens_is_refused() -> None:
    def make(graph: Graph, x: Value, kept: Value) -> Value:
        row = graph.add(ops.Slice(_linear(graph, x, L * F), 0, 0, 1))
        weight = graph.add(ops.Reshape(row, (F, L * L)))
        return graph.add(
            ops.Linear(
                graph.add(ops.Mul(_linear(graph, x), kept)),
                graph.add(ops.Transpose(weight, (1, 0))),
            )
        )

    with pytest.raises(OptionError, match=r"variable_length: fwd\.Slice .* mixes tokens and padd"):
        remove_padding(_graph(make), "mask")


def test_operators_that_are_not_followed_are_refused() -> None:
    def make(graph: Graph, x: Value, kept: Value) -> Value:
        h = graph.add(ops.Mul(_linear(graph, x), kept))
        return graph.add(ops.Reshape(_linear(graph, h), (B, F, L)))

    with pytest.raises(OptionError, match=r"variable_length: fwd\.Reshape .* mixes tokens and p"):
        remove_padding(_graph(make), "mask")


def test_a_mask_that_leaves_something_of_padding_is_refused() -> None:
    with pytest.raises(OptionError, match="tokens would see padding in attention") as told:
        remove_padding(encoder(B, -1.0, layers=1), "tokens")
    assert "which has a mask that leaves something of it" in str(told.value)


def test_a_length_of_one_has_no_padding_to_remove() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (B, 1, F)))
    graph.add_input("mask", TensorType(DType.INT64, (B, 1)))
    graph.set_outputs([_linear(graph, x)], ["y"])
    with pytest.raises(OptionError, match="no linear layer of this model works on"):
        remove_padding(graph, "mask")


def _causal(follow: bool) -> Graph:
    """Queries that nothing packed is in, and keys and values of tokens alone."""

    def make(graph: Graph, x: Value, kept: Value) -> Value:
        low = graph.add(
            ops.Where(
                graph.add(ops.Cast(graph.add(ops.Transpose(kept, (0, 2, 1))), DType.BOOL)),
                graph.constant(np.array(0, np.float32)),
                graph.constant(np.array(-1e9, np.float32)),
            )
        )
        query = graph.add(ops.Relu(x) if follow else ops.CumSum(x, 1))
        key, value = _linear(graph, x), _linear(graph, x)
        return graph.add(ops.Attention(query, key, value, low, causal=True))

    return _graph(make)


def test_padding_that_sees_padding_alone_is_0() -> None:
    """As the first places of a sequence that is padded on the left, behind a causal mask."""
    graph, whole = _causal(follow=True), _causal(follow=True)
    remove_padding(graph, "mask")
    feeds = {"x": RNG.standard_normal((B, L, F), np.float32), "mask": MASK[:, ::-1].copy()}
    builder = Builder(backend="openvino", plugins=PACKS)
    found, wanted = (builder.compile(one).run(feeds)["y"] for one in (graph, whole))
    real = feeds["mask"] == 1
    np.testing.assert_allclose(found[real], wanted[real], rtol=1e-4, atol=1e-5)
    assert not found[~real].any()


def test_causal_attention_of_other_queries_is_refused() -> None:
    with pytest.raises(OptionError, match="tokens would see padding in attention") as told:
        remove_padding(_causal(follow=False), "mask")
    assert "which is causal, of queries that are not known to be tokens" in str(told.value)
