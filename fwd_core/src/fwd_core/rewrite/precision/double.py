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

    Inputs and outputs of the graph keep their types: casts stand beside them. Constants beyond
    float32's range are clamped to it.

    Args:
        graph: Changed in place; unchanged if nothing in it computes in float64.

    Returns:
        How many operators were changed.
    """
    doubles = [node for node in graph if _is_double(node) and not _is_edge(graph, node)]
    if not doubles:
        return 0
    warnings.warn(
        f"{len(doubles)} operators of graph {graph.name!r} are float64 and compute in float32",
        PrecisionWarning,
        stacklevel=2,
    )
    versions = Versions(graph)
    for node in doubles:
        if versions.is_material(node.outputs[0]):
            continue  # made in float32 where it is read

        def change(value: Value, node: Node = node) -> Value:
            return versions.get(value, SINGLE, node) if value.type.dtype is DOUBLE else value

        op = _narrowed(node.op.map_operands(change))
        if isinstance(op, ops.Cast) and op.x.type.dtype is op.dtype:
            if node.output.type.dtype is DOUBLE:
                versions.stand(node.output, op.x)
            else:
                graph.replace_uses(node.output, op.x, keep_name=False)
                graph.remove(node)
            continue
        versions.retype(node, op)
    versions.finish()
    RemoveDeadCode().apply(graph)
    graph.collect_constants()
    return len(doubles)


def _is_double(node: Node) -> bool:
    values = (*node.op.operands(), *node.outputs)
    return any(value.type.dtype is DOUBLE for value in values)


def _is_edge(graph: Graph, node: Node) -> bool:
    """Whether the node only converts an input of the graph, or to an output of it."""
    op = node.op
    if not isinstance(op, ops.Cast):
        return False
    if op.x.type.dtype is DOUBLE:
        return op.x.producer is None
    return not node.output.users and node.output in graph.outputs


def _narrowed(op: Operator) -> Operator:
    if isinstance(op, (ops.Cast, ops.Full, ops.Arange)) and op.dtype is DOUBLE:
        return dataclasses.replace(op, dtype=SINGLE)
    return op
