"""Graphs before and after fusions: how often each changed something, and equal numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from on_openvino import Array, Make, build, graph_of, static_types

from fwd_core import rewrite
from fwd_core.ir import Graph, TensorType, Value, ops
from fwd_core.ir.operator import Operator
from fwd_core.rewrite import cleanup
from fwd_plugins_bert import fusions
from fwd_plugins_bert.fusions import Fusion

RNG = np.random.default_rng(5)


def every() -> list[Fusion[Any]]:
    """All fusions in the order that the pack registers them in."""
    return [*fusions.written_out(), *(fusion for fusion, _ in fusions.fused())]


def normal(*shape: int) -> Array:
    """Drawn numbers."""
    return RNG.standard_normal(shape).astype(np.float32)


def weight(graph: Graph, *shape: int, name: str = "weight") -> Value:
    """A constant of drawn numbers."""
    return graph.constant(normal(*shape) / 2, name=name)


def number(graph: Graph, value: float) -> Value:
    """A number as a constant."""
    return graph.constant(np.array(value, np.float32), name="number")


def fuse(graph: Graph, chosen: Iterable[Fusion[Any]]) -> dict[str, int]:
    """Run fusions, then clean up; what changed, by name without the pack's prefix."""
    counts = rewrite.run(graph, chosen, verify=True)
    rewrite.run(graph, cleanup.all_rewrites(), verify=True)
    return {name.removeprefix("bert-"): count for name, count in counts.items() if count}


def compare(
    make: Make,
    arrays: Sequence[Array],
    chosen: Iterable[Fusion[Any]],
    *,
    types: Sequence[TensorType] | None = None,
    atol: float = 2e-6,
) -> tuple[dict[str, int], list[Operator]]:
    """Build a graph twice, fuse one, and require that both compute the same."""
    kinds = list(types or static_types(arrays))
    state = RNG.bit_generator.state
    before = graph_of(make, kinds)
    RNG.bit_generator.state = state  # the same weights again
    after = graph_of(make, kinds)
    counts = fuse(after, chosen)
    assert [value.type for value in after.outputs] == [value.type for value in before.outputs]
    left = ops_of(after)
    expected = build(before).run_list(list(arrays))
    for have, want in zip(build(after).run_list(list(arrays)), expected, strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-5, atol=atol)
    assert before.output_names == after.output_names
    return counts, left


def ops_of(graph: Graph) -> list[Operator]:
    """Operators of a graph in order, without constants."""
    return [node.op for node in graph if not isinstance(node.op, ops.Constant)]


def only(left: Iterable[Operator], kind: type[Operator]) -> Any:
    """The one operator of a kind."""
    (found,) = [op for op in left if isinstance(op, kind)]
    return found


def reasons(make: Make, kinds: Sequence[TensorType], fusion: Fusion[Any]) -> list[str]:
    """Why a fusion leaves a graph alone, which it must."""
    graph = graph_of(make, kinds)
    told = [one.reason for one in fusions.refusals(graph, [fusion])]
    assert fuse(graph, [fusion]) == {}
    return told


def layer(graph: Graph, x: Value, size: int = 12, heads: int = 3) -> Value:
    """One layer of an encoder, attention written out."""

    def linear(y: Value, out: int) -> Value:
        features = y.type.shape[-1]
        assert isinstance(features, int)
        return graph.add(ops.Linear(y, weight(graph, out, features), weight(graph, out)))

    def cut(y: Value) -> Value:
        batch, length, _ = y.type.shape
        apart = graph.add(ops.Reshape(y, (batch, length, heads, size // heads)))
        return graph.add(ops.Transpose(apart, (0, 2, 1, 3)))

    def norm(y: Value) -> Value:
        return graph.add(ops.LayerNorm(y, weight(graph, size), weight(graph, size), 1, 1e-12))

    query, key, value = (cut(linear(x, size)) for _ in range(3))
    scores = graph.add(ops.MatMul(query, key, transpose_b=True))
    half = graph.constant(np.array(0.5, np.float32))
    weights = graph.add(ops.Softmax(graph.add(ops.Mul(scores, half)), 3))
    context = graph.add(ops.Transpose(graph.add(ops.MatMul(weights, value)), (0, 2, 1, 3)))
    joined = graph.add(ops.Reshape(context, x.type.shape))
    attended = norm(graph.add(ops.Add(linear(joined, size), x)))
    between = graph.add(ops.Gelu(linear(attended, 2 * size)))
    return norm(graph.add(ops.Add(linear(between, size), attended)))
