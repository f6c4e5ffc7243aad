"""Attention between rows of tokens: what it computes, where it is recognised, and where not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from encoder_graphs import Mask, encoder, feeds
from on_openvino import run
from packed_graphs import change, cleaned, packed, quantized

import fwd_plugins_bert.pack
from fwd_core import Builder, core_pack, rewrite
from fwd_core.errors import GraphError
from fwd_core.ir import Derived, DType, Emitter, Graph, Node, Tensor, TensorType, Value, ops
from fwd_core.ir.operator import Operator
from fwd_core.plugins import Plugins
from fwd_plugins_bert import fusions
from fwd_plugins_bert.ops import PackedSelfAttention
from fwd_plugins_bert.packing import packed_rows
from fwd_plugins_bert.packing.attention import FusePackedSelfAttention
from fwd_plugins_bert.packing.maker import NAME

F32, I32, I64, BOOL = DType.FLOAT32, DType.INT32, DType.INT64, DType.BOOL
RNG = np.random.default_rng(8)
H, D = 2, 4
C = H * D
KEPT = np.array([[1, 0, 1, 1, 0], [0] * 5, [1, 1, 0, 0, 0], [1] * 5], bool)


def normal(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def attended(x: Any, weight: Any, bias: Any, scale: float) -> Any:
    """Sequence after sequence, as the operator's documentation says it, by NumPy."""
    made, first = [], 0
    for count in KEPT.sum(1):
        rows = x[first : first + count].astype(np.float64) @ weight.T + bias
        query, key, value = rows.reshape(count, 3, H, D).transpose(1, 2, 0, 3)
        scores = query @ key.swapaxes(1, 2) * scale
        weights = np.exp(scores - scores.max(-1, keepdims=True, initial=-np.inf))
        context = weights / weights.sum(-1, keepdims=True) @ value
        made.append(context.transpose(1, 0, 2).reshape(count, C))
        first += count
    return np.concatenate(made)


@pytest.mark.parametrize("kind", ["bool", "added"])
@pytest.mark.parametrize("constant", [True, False])
def test_each_token_attends_to_those_of_its_sequence(kind: str, constant: bool) -> None:
    rows, places = packed_rows(KEPT)
    count = int(KEPT.sum())
    keep = KEPT[:, None, None]
    mask = keep if kind == "bool" else np.where(keep, 0, -1e4).astype(np.float32)
    x, weight, bias = normal(len(rows), 6), normal(3 * C, 6), normal(3 * C)

    def make(graph: Graph, x: Value, m: Value, r: Value, p: Value, *given: Value) -> Value:
        w, b = given or (graph.constant(weight), graph.constant(bias))
        return graph.add(PackedSelfAttention(x, w, b, m, r, p, H, 0.3))

    (found,) = run(make, x, mask, rows, places, *(() if constant else (weight, bias)))
    assert found.shape == (len(rows), C)
    np.testing.assert_allclose(found[:count], attended(x, weight, bias, 0.3), atol=1e-5)


def given(graph: Graph, name: str, *shape: int, dtype: DType = F32) -> Value:
    return graph.add_input(name, TensorType(dtype, shape))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"x": (1, 12, 6)}, "x, weight and places of rank 2, rows of rank 1"),
        ({"places": (20,)}, "x, weight and places of rank 2, rows of rank 1"),
        ({"rows": (12,), "index": I64}, "rows and places are int32"),
        ({"rows": (11,)}, "one of rows for each row of x"),
        ({"weight": (3 * C + 1, 6)}, "three times the heads divide the rows of the weight"),
        ({"bias": (C,)}, "bias"),
        ({"mask": (4, 1, 1, 6)}, "the mask"),
        ({"mask": (4, 1, 1, 5), "masks": I64}, "mask is bool or float32"),
    ],
)
def test_operands_that_do_not_fit(changed: dict[str, Any], told: str) -> None:
    graph = Graph()
    x, weight = changed.get("x", (12, 6)), changed.get("weight", (3 * C, 6))
    index = changed.get("index", I32)
    op = PackedSelfAttention(
        given(graph, "x", *x),
        given(graph, "weight", *weight),
        given(graph, "bias", *changed.get("bias", (3 * C,))),
        given(graph, "mask", *changed.get("mask", (4, 1, 1, 5)), dtype=changed.get("masks", BOOL)),
        given(graph, "rows", *changed.get("rows", (12,)), dtype=index),
        given(graph, "places", *changed.get("places", (4, 5)), dtype=index),
        H,
        0.3,
    )
    with pytest.raises(GraphError) as error:
        graph.add(op)
    assert told in str(error.value)


def fused(graph: Graph) -> int:
    count = rewrite.run(graph, [FusePackedSelfAttention()], verify=True)
    cleaned(graph)
    return sum(count.values())


def kinds(graph: Graph) -> Counter[type[Operator]]:
    return Counter(type(node.op) for node in graph)


@pytest.mark.parametrize("mask", [True, -10000.0])
def test_no_tokens_are_moved_between_layers(mask: Mask) -> None:
    graph = packed(mask)
    # In each layer three before attention and one behind it, and three around the encoder.
    assert kinds(graph)[ops.Gather] == 2 * 4 + 3
    assert fused(graph) == 2
    left = kinds(graph)
    assert (left[PackedSelfAttention], left[ops.Attention]) == (2, 0)
    assert left[ops.Gather] == 3
    for node in graph:
        if isinstance(node.op, PackedSelfAttention):
            assert node.op.weight.type.shape == (3 * 128, 128)
            assert (node.op.heads, node.op.scale) == (2, 0.2)


PACKS = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})


def outputs(graph: Graph, batch: int) -> Any:
    builder = Builder(backend="openvino", plugins=PACKS)
    given = feeds(True, batch)
    given["tokens"][-1] = 0
    return given["tokens"].astype(bool), builder.compile(graph).run(given)["y"]


@pytest.mark.parametrize("batch", [2, 4])
def test_it_computes_what_it_replaces(batch: int) -> None:
    real, wanted = outputs(encoder(batch, True), batch)
    graph = packed()
    _, before = outputs(packed(), batch)
    assert fused(graph) == 2
    _, found = outputs(graph, batch)
    np.testing.assert_allclose(found[real], wanted[real], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found, before, rtol=1e-4, atol=1e-5)


def _poison(graph: Graph, node: Node) -> None:
    """NaN behind the last token, for all that read the context."""
    size, context = node.output.type.shape[0], node.output
    readers = [one for one in graph if context in one.op.operands()]
    emit = Emitter.before(readers[0])
    count = emit(ops.ReduceSum(emit(ops.Cast(graph.value("tokens"), I32)), (0, 1), False))
    written = emit(ops.Less(emit(ops.Arange(size, dtype=I32)), count))
    nan = emit.constant(Tensor(np.array(np.nan, np.float32)), "nan")
    poisoned = emit(ops.Where(emit(ops.Unsqueeze(written, (1,))), context, nan))
    for reader in readers:
        changed = reader.op.map_operands(lambda value: poisoned if value is context else value)
        graph.change_operator(reader, changed)


def test_nothing_is_read_of_rows_that_repeat_another() -> None:
    """Kernels leave them unwritten: they may be anything."""
    real, wanted = outputs(packed(), 3)
    assert len(packed_rows(real)[0]) > real.sum()
    graph = packed()
    assert fused(graph) == 2
    for node in list(graph):
        if isinstance(node.op, PackedSelfAttention):
            _poison(graph, node)
    _, found = outputs(graph, 3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def _causal(graph: Graph) -> None:
    change(graph, ops.Attention, lambda op, _: replace(op, causal=True))


def _whole(graph: Graph) -> None:
    change(graph, ops.Attention, lambda op, _: replace(op, mask=None))


def _other_mask(graph: Graph) -> None:
    shape = (*graph.value("tokens").type.shape, 1, 1)
    other = graph.add_input("other", TensorType(I64, shape[:2]))
    change(
        graph,
        ops.Attention,
        lambda op, emit: replace(op, mask=emit(ops.Unsqueeze(emit(ops.Cast(other, BOOL)), (1, 2)))),
    )


def _padding_kept(graph: Graph) -> None:
    change(graph, ops.Attention, lambda op, emit: replace(op, mask=emit(ops.Not(op.mask))))


def _read_twice(graph: Graph) -> None:
    contexts = [node.output for node in graph if isinstance(node.op, ops.Attention)]
    names = [*graph.output_names, *(f"context{i}" for i in range(len(contexts)))]
    graph.set_outputs([*graph.outputs, *contexts], names)


def _doubled(graph: Graph) -> None:
    def twice(op: ops.Gather, emit: Emitter) -> ops.Gather:
        if op.indices.name != "packed.rows" or op.x.type.shape[-1] != 128:
            return op
        two = emit.constant(Tensor(np.array(2, np.float32)), "two")
        return replace(op, x=emit(ops.Mul(op.x, two)))

    change(graph, ops.Gather, twice)


def _of_all_places(graph: Graph) -> None:
    def around(op: ops.Attention, emit: Emitter) -> ops.Attention:
        return replace(op, key=emit(ops.Relu(op.key)))

    change(graph, ops.Attention, around)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_causal, "attention is causal"),
        (_whole, "the mask is not that of the padding that was removed"),
        (_other_mask, "the mask is not that of the padding that was removed"),
        (_padding_kept, "the mask is not that of the padding that was removed"),
        (_read_twice, "others read the context"),
        (_doubled, "heads are not put side by side, token by token"),
        (quantized, "a projection is quantized"),
        (_of_all_places, "a query, key or value is not of tokens alone"),
    ],
)
def test_what_is_not_the_same_is_left(spoil: Callable[[Graph], None], told: str) -> None:
    graph = packed()
    spoil(graph)
    graph.verify()
    fusion = FusePackedSelfAttention()
    assert [one.reason for one in fusions.refusals(graph, [fusion])] == [told] * 2
    assert fused(graph) == 0


def test_a_mask_that_leaves_something_is_left() -> None:
    graph = packed(-10000.0)
    leaves = graph.constant(np.array(-1, np.float32), before=next(iter(graph)))
    change(
        graph, ops.Where, lambda op, _: replace(op, b=leaves) if op.condition.type.rank == 4 else op
    )
    reasons = [one.reason for one in fusions.refusals(graph, [FusePackedSelfAttention()])]
    assert reasons == ["the mask leaves something of what it takes away"] * 2


def test_attention_between_sequences_is_left() -> None:
    """As many sequences as tokens in each: shapes do not tell that batch and length are swapped."""
    graph = Graph()
    mask = graph.add_input("mask", TensorType(BOOL, (3, 3)))
    x, rows, places = (
        given(graph, "x", 9, 8),
        given(graph, "rows", 9, dtype=I32),
        given(graph, "places", 3, 3, dtype=I32),
    )
    graph.derived = (Derived(NAME, ("mask",), ("rows", "places")),)
    heads = []
    for _ in range(3):
        product = graph.add(ops.Linear(x, graph.constant(normal(C, 8)), None))
        apart = graph.add(ops.Gather(product, places, 0))
        cut = graph.add(ops.Reshape(apart, (3, 3, H, D)))
        heads.append(graph.add(ops.Transpose(cut, (1, 2, 0, 3))))
    keep = graph.add(ops.Unsqueeze(mask, (1, 2)))
    turned = graph.add(
        ops.Transpose(graph.add(ops.Attention(heads[0], heads[1], heads[2], keep)), (0, 2, 1, 3))
    )
    flat = graph.add(ops.Reshape(turned, (9, C)))
    graph.set_outputs([graph.add(ops.Gather(flat, rows, 0))], ["y"])
    reasons = [one.reason for one in fusions.refusals(graph, [FusePackedSelfAttention()])]
    assert reasons == ["attention is between sequences, not within them"]
