"""Which layers lose most in int8.

A layer's loss is measured at its own output: what it computes in int8 from exact operands, beside
what it computes in float. All layers are measured in one run of the model, while measuring at
the model's output takes a build and a run for each. The ranks are nearly the same, since noise
passes through what follows in much the same way, wherever it arises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fwd_core.ir import ops
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.serialize import copied
from fwd_core.quantize import rules
from fwd_core.quantize.collect import watch
from fwd_core.quantize.fidelity import decibels
from fwd_core.quantize.patterns import matching
from fwd_core.quantize.placement import place
from fwd_core.rewrite.batch_norm import FoldBatchNorm, folded_product

if TYPE_CHECKING:
    from fwd_core.builder import Builder


@dataclass(frozen=True)
class LayerLoss:
    """What one product loses in int8.

    Attributes:
        name: Of its node in the imported model: a pattern for ``skip``.
        module: Path of the module that it is in, ``""`` for the model itself.
        operator: Its kind.
        signal: Sum of the squares of its exact outputs.
        noise: Sum of the squares of what int8 changes.
    """

    name: str
    module: str
    operator: str
    signal: float
    noise: float

    @property
    def sqnr(self) -> float:
        """Signal to noise in dB; the lower, the more is lost."""
        return decibels(self.signal, self.noise)


def sensitivity(
    graph: Graph,
    ranges: Mapping[str, float],
    batches: Iterable[Any],
    builder: Builder,
    *,
    skip: Sequence[str] = (),
    attention: bool = False,
) -> list[LayerLoss]:
    """What each product that int8 would compute loses, the worst first.

    Args:
        graph: Of floats, as imported; it is not changed.
        ranges: As for :func:`fwd_core.quantize.placement.place`.
        batches: Data to measure with, as for calibrating. A few batches tell enough.
        builder: Runs the model in float32; told of progress.
        skip: As for :func:`fwd_core.quantize.placement.place`.
        attention: Likewise.

    Raises:
        CalibrationError: There are no batches.
        InputError: One does not fit the model.
    """
    exact, pairs = _with_twins(graph, ranges, builder, skip, attention)
    if not pairs:
        return []
    sums = {name: 0.0 for names in pairs.values() for name in names}

    def look(name: str, array: NDArray[Any]) -> None:
        sums[name] += float(array)

    detail, to = f"{len(pairs)} products", "to measure sensitivity with"
    watch(exact, sums, batches, builder, look, phase="sensitivity", detail=detail, to=to)
    found = []
    for node, (signal, noise) in pairs.items():
        kind = type(node.op).__name__
        found.append(LayerLoss(node.name, node.location.module, kind, sums[signal], sums[noise]))
    return sorted(found, key=lambda one: one.sqnr)


def _with_twins(
    graph: Graph,
    ranges: Mapping[str, float],
    builder: Builder,
    skip: Sequence[str],
    attention: bool,
) -> tuple[Graph, dict[Node, tuple[str, str]]]:
    """A float graph where each product has a twin in int8, and sums that compare the two.

    Returns:
        The graph, and names of the sums of signal and noise by node of the graph that was given.
    """
    exact, placed = (copied(graph, builder.plugins.operators) for _ in range(2))
    FoldBatchNorm(frozenset(matching(graph, skip))).apply(exact)
    kernels = builder.backend()
    quantized = place(
        *(placed, ranges),
        skip=skip,
        attention=attention,
        unsigned=kernels.unsigned,
        adds_floats=kernels.adds_floats,
    ).quantized
    twins = {node.name: node for node in placed}
    imported = {node.name: folded_product(node) or node for node in graph}
    nodes = list(exact)
    found = {}
    for node, after in zip(nodes, [*nodes[1:], None], strict=True):
        if node.name not in quantized or not isinstance(node.op, (*rules.PRODUCTS, ops.Attention)):
            continue
        changed = {}
        for name, value in _operands(twins[node.name].op):
            if (pair := _pair_before(value, exact)) is not None:
                changed[name] = _again(exact, pair, getattr(node.op, name), after)
        if changed:
            op = dataclasses.replace(node.op, **changed)  # type: ignore[type-var]
            twin = exact.add(op, name=f"{node.name}/int8", location=node.location, before=after)
            found[imported[node.name]] = _sums(exact, node, twin, after)
    return exact.verify(), found


def _operands(op: Any) -> list[tuple[str, Value]]:
    fields = dataclasses.fields(op)
    return [
        (one.name, value) for one in fields if isinstance(value := getattr(op, one.name), Value)
    ]


def _pair_before(value: Value, exact: Graph) -> ops.Dequantize | None:
    """The pair that an operand comes out of, perhaps moved over what only moves numbers.

    One that the model has itself is in the float graph too, and is none of int8's doing.
    """
    while (made := value.producer) is not None:
        if isinstance(made.op, ops.Dequantize):
            return made.op if exact.find(value.name) is None else None
        if not (sources := rules.passed_on(made.op)):
            return None
        value = sources[0]
    return None


def _again(graph: Graph, pair: ops.Dequantize, value: Value, before: Node | None) -> Value:
    made = pair.x.producer
    assert made is not None
    assert isinstance(made.op, ops.Quantize)

    def constant(one: Value, name: str) -> Value:
        assert one.constant is not None, "steps are constants"
        return graph.constant(one.constant, name=f"{value.name}/{name}", before=before)

    scale = constant(pair.scale, "scale")
    zero = None if pair.zero_point is None else constant(pair.zero_point, "zero")
    quantize = dataclasses.replace(made.op, x=value, scale=scale, zero_point=zero)
    small = graph.add(quantize, before=before)
    return graph.add(ops.Dequantize(small, scale, zero, pair.axis), before=before)


def _sums(graph: Graph, node: Node, twin: Value, before: Node | None) -> tuple[str, str]:
    def squares(value: Value, name: str) -> str:
        power = graph.add(ops.Mul(value, value), before=before)
        axes = tuple(range(value.type.rank))
        return graph.add(ops.ReduceSum(power, axes), name=name, before=before).name

    noise = graph.add(ops.Sub(twin, node.output), before=before)
    return (
        squares(node.output, f"{node.name}/signal"),
        squares(noise, f"{node.name}/noise"),
    )
