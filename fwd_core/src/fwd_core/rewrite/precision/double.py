"""Float64 in float32."""

from __future__ import annotations

import dataclasses
import warnings

from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.operator import Operator
from fwd_core.rewrite.cleanup.dead_code import RemoveDeadCode
from fwd_core.rewrite.precision.versions import Versions

DOUBLE, SINGLE = DType.FLOAT64, DType.FLOAT32


class PrecisionWarning(UserWarning):
    """A graph computes in less precision than its types say."""


def narrow_float64(graph: Graph) -> int:
    """Compute in float32 what is float64, for backends without float64; one warning says so.

    Inputs and outputs of the graph, and of graphs inside it, keep their types: casts stand
    beside them. Constants beyond float32's range are clamped to it.

    Args:
        graph: Changed in place; unchanged if nothing in it computes in float64.

    Returns:
        How many operators were changed.
    """
    count = _narrow(graph)
    if count:
        warnings.warn(
            f"{count} operators of graph {graph.name!r} are float64 and compute in float32",
            PrecisionWarning,
            stacklevel=2,
        )
    return count


def _narrow(graph: Graph) -> int:
    inside = sum(_narrow(inner) for node in graph for inner in node.op.graphs())
    doubles = [node for node in graph if _is_double(node) and not _is_edge(graph, node)]
    computing = [node for node in doubles if not _holds_graphs(node)]
    if not computing:
        return inside
    versions = Versions(graph)
    for node in doubles:
        if versions.is_material(node.outputs[0]):
            continue  # made in float32 where it is read
        dtype = DOUBLE if _holds_graphs(node) else SINGLE

        def change(value: Value, node: Node = node, dtype: DType = dtype) -> Value:
            return versions.get(value, dtype, node) if value.type.dtype is DOUBLE else value

        op = _narrowed(node.op.map_operands(change))
        if isinstance(op, ops.Cast) and op.x.type.dtype is op.dtype:
            if node.output.type.dtype is DOUBLE:
                graph.change_operator(node, ops.Cast(op.x, DOUBLE))
                versions.stand(node.output, op.x)
            else:
                graph.replace_uses(node.output, op.x, keep_name=False)
                graph.remove(node)
            continue
        versions.retype(node, op)
    versions.finish()
    RemoveDeadCode().apply(graph)
    graph.collect_constants()
    return inside + len(computing)


def _is_double(node: Node) -> bool:
    values = (*node.op.operands(), *node.outputs)
    return any(value.type.dtype is DOUBLE for value in values)


def _holds_graphs(node: Node) -> bool:
    return any(True for _ in node.op.graphs())


def _is_edge(graph: Graph, node: Node) -> bool:
    """Whether the node computes nothing, at an edge of the graph or of a graph inside it."""
    op = node.op
    if isinstance(op, ops.Cast) and op.x.type.dtype is DOUBLE:
        return op.x.producer is None or _holds_graphs(op.x.producer)
    if not isinstance(op, (ops.Cast, ops.Constant, ops.Full)):
        return False
    readers = node.output.users
    return all(_holds_graphs(user) for user in readers) and (
        bool(readers) or node.output in graph.outputs
    )


def _narrowed(op: Operator) -> Operator:
    if isinstance(op, (ops.Cast, ops.Full, ops.Arange, ops.Dequantize)) and op.dtype is DOUBLE:
        return dataclasses.replace(op, dtype=SINGLE)
    return op
