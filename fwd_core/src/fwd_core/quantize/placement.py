"""Writing int8 into a graph as pairs of :class:`Quantize` and :class:`Dequantize`.

The rules are in :mod:`.rules`, the decisions in :mod:`.plan`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from fwd_core.errors import CalibrationError
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.tensor import Tensor
from fwd_core.quantize import rules
from fwd_core.quantize.least import least
from fwd_core.quantize.patterns import matching
from fwd_core.quantize.plan import Plan, Read, made
from fwd_core.quantize.ranges import Ranges
from fwd_core.quantize.report import Placement
from fwd_core.quantize.steps import Steps
from fwd_core.quantize.weights import weight_scale
from fwd_core.rewrite.batch_norm import FoldBatchNorm


def quantizable(graph: Graph, *, skip: Sequence[str] = (), attention: bool = False) -> list[str]:
    """Names of the tensors whose ranges :func:`place` can use, in the order of the graph.

    With these it can place the graph whatever else is kept in float.

    Args:
        graph: Of floats, before any pack's fusions; it is not changed.
        skip: As for :func:`place`.
        attention: As for :func:`place`.

    Raises:
        CalibrationError: The graph has been placed already.
        OptionError: A pattern matches nothing.
    """
    _refuse_placed(graph)
    plan = made(graph, Ranges(graph, None), matching(graph, skip), attention=attention)
    wanted = {*plan.pairs, *plan.instead}
    for group in plan.groups.shared():
        wanted.update(group)
    return [one.name for one in graph.values() if one in wanted and one.constant is None]


def place(
    graph: Graph,
    ranges: Mapping[str, float],
    *,
    skip: Sequence[str] = (),
    attention: bool = False,
    unsigned: bool = False,
    adds_floats: bool = True,
) -> Placement:
    """Quantize a graph of floats, in place.

    A tensor has one pair, ``<name>/quantized`` and ``<name>/dequantized``, which all its readers
    in int8 share; readers in float read the tensor itself. A product is in int8 only if all that
    it multiplies is. Batch normalization after a product becomes a part of it beforehand.

    A tensor without a range, or with one that is no finite number above 0, stays in float, and
    so does what would multiply it. What only moves or picks numbers needs no range of its own.

    Args:
        graph: As :func:`quantizable` saw it.
        ranges: The greatest magnitude of each tensor by name; others are ignored.
        skip: What stays in float: globs over names of nodes and module paths.
        attention: Quantize the products of attention too: scores, and what softmax weighs.
        unsigned: Use uint8 for tensors that are never, or never much, below 0, in finer steps up
            to the same greatest magnitude. The backend must compute with it.
        adds_floats: Whether convolutions are quantized where floats are added to what they make.

    Raises:
        CalibrationError: The graph has been placed already.
        OptionError: A pattern matches nothing.
    """
    _refuse_placed(graph)
    skipped = matching(graph, skip)
    folded = FoldBatchNorm(frozenset(skipped)).apply(graph)
    known = Ranges(graph, ranges)
    plan = made(graph, known, skipped, attention=attention, adds_floats=adds_floats)
    order = {node: place for place, node in enumerate(graph)}
    bounds = least(graph) if unsigned else {}
    scales: dict[str, float] = {}
    for value in [one for one in graph.values() if one in plan.pairs]:
        steps = _steps(plan, value, known, bounds)
        scales[value.name] = steps.scale
        scale = np.array(steps.scale, np.float32)
        _pair(graph, value, scale, None, plan.pairs[value], order, steps)
    weights: dict[str, int] = {}
    for (value, axis), reads in plan.weights.items():
        constant = value.constant
        assert constant is not None, "only constants are weights"
        of_channels = weight_scale(constant, axis)
        weights[value.name] = int(of_channels.size)
        _pair(graph, value, of_channels, axis, reads, order)
    return dataclasses.replace(
        _described(graph, plan), scales=scales, weights=weights, folded=folded
    )


def _steps(plan: Plan, value: Value, known: Ranges, bounds: Mapping[Value, float]) -> Steps:
    """Those of the group that a tensor shares a scale with."""
    group = plan.groups.of(value)
    amax = known.amax(group)
    if not bounds or not plan.around_zero.isdisjoint(group):
        return Steps.around_zero(amax)
    bound = min(bounds.get(one, -amax) for one in group)
    if bound < 0 and not plan.at_zero.isdisjoint(group):
        return Steps.around_zero(amax)
    return Steps.above(bound, amax)


def _pair(
    graph: Graph,
    value: Value,
    scales: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    axis: int | None,
    reads: list[Read],
    order: dict[Node, int],
    steps: Steps | None = None,
) -> None:
    first = min((read.node for read in reads), key=order.__getitem__)
    made = value.producer
    place = made.location if made is not None else first.location
    scale = graph.constant(Tensor(scales), name=f"{value.name}/scale", location=place, before=first)
    dtype, zero = (DType.INT8, None) if steps is None else (steps.dtype, None)
    if steps is not None and steps.zero:
        number = Tensor(np.array(steps.zero, np.int32))
        zero = graph.constant(number, name=f"{value.name}/zero", location=place, before=first)
    low, high = map(int, dtype.limits)
    small = graph.add(
        ops.Quantize(value, scale, zero, axis, low, high, dtype),
        name=f"{value.name}/quantized",
        location=place,
        before=first,
    )
    back = graph.add(
        ops.Dequantize(small, scale, zero, axis),
        name=f"{value.name}/dequantized",
        location=place,
        before=first,
    )
    for read in reads:
        held = getattr(read.node.op, read.field)
        changed = (
            tuple(back if one is value else one for one in held)
            if isinstance(held, tuple)
            else back
        )
        op = dataclasses.replace(read.node.op, **{read.field: changed})  # type: ignore[type-var]
        graph.change_operator(read.node, op)


def _described(graph: Graph, plan: Plan) -> Placement:
    ordered = [node for node in graph if node.name in plan.quantized]
    places = {value: place for place, value in enumerate(graph.values())}
    shared = sorted(
        (sorted(group, key=places.__getitem__) for group in plan.groups.shared()),
        key=lambda group: places[group[0]],
    )
    return Placement(
        quantized={node.name: plan.quantized[node.name] for node in ordered},
        floats={node.name: plan.floats[node.name] for node in graph if node.name in plan.floats},
        unquantized=dict(plan.unquantized),
        shared=tuple(tuple(value.name for value in group) for group in shared),
        products=tuple(one.name for one in graph if _is_product(one) and not _left(one, plan)),
        attention=sum(
            2 if isinstance(one.op, ops.Attention) else 1
            for one in graph
            if _is_product(one) and _left(one, plan)
        ),
    )


def _is_product(node: Node) -> bool:
    product = isinstance(node.op, (*rules.PRODUCTS, ops.Attention))
    return product and node.output.type.dtype.is_float


def _left(node: Node, plan: Plan) -> bool:
    return plan.floats.get(node.name) == rules.ATTENTION


def _refuse_placed(graph: Graph) -> None:
    for node in graph:
        op = node.op
        if isinstance(op, ops.Quantize) and node.name == f"{op.x.name}/quantized":
            raise CalibrationError(
                f"graph {graph.name!r} has been quantized already",
                got=f"{op.x} has a pair",
                hint="place once, with all ranges; for other ranges import the model again",
            )
