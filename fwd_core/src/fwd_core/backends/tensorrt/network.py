"""From a graph to a TensorRT network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwd_core.backends.lowering import LoweringContext, legalize, lower, unlowered
from fwd_core.backends.tensorrt.context import MAX_RANK, TensorRTLowering
from fwd_core.backends.tensorrt.features import Features
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record
from fwd_core.errors import BuildError, Problem
from fwd_core.events import Events
from fwd_core.ir.graph import Graph
from fwd_core.plugins.registers import Lowering


def make_network(
    graph: Graph,
    library: Library,
    builder: Any,
    lowerings: Mapping[str, Lowering],
    record: Record,
    events: Events,
    *,
    narrows: bool = False,
    exact_padding: bool = True,
) -> TensorRTLowering:
    """A network of the graph, held by the context that made it.

    Args:
        graph: What to lower; operators without a lowering are decomposed in it.
        library: The flavour.
        builder: Its ``IBuilder``.
        lowerings: By registry key.
        record: Where the flavour reports errors.
        events: Where progress is told.
        narrows: Whether half is left to the builder, which layers ask for it.
        exact_padding: Whether attention gives zeros to a sequence without any key, wherever that
            is chosen.

    Raises:
        BuildError: An operator has no lowering, or TensorRT refuses a layer.
    """
    flag = getattr(library.trt.NetworkDefinitionCreationFlag, library.features.network_flag)
    network = builder.create_network(1 << int(flag))
    if network is None:
        raise BuildError(f"{library.flavour} makes no network", details=record.problems())
    network.error_recorder = record.recorder
    network.name = graph.name
    context = TensorRTLowering(
        graph, library, network, record, narrows=narrows, exact_padding=exact_padding
    )
    legalize(context, lowerings)
    _check_ranks(graph)
    context.add_inputs()
    lower(context, lowerings, events)
    context.mark_outputs()
    return context


def unsupported(graph: Graph, library: Library, lowerings: Mapping[str, Lowering]) -> list[Problem]:
    """Operators that :func:`make_network` would refuse, without a network.

    Raises:
        BuildError: A tensor has more axes than TensorRT takes.
    """
    problems = unlowered(_Question(graph, library.features), lowerings)
    if not problems:
        _check_ranks(graph)
    return problems


class _Question(LoweringContext[Any]):
    """What the lowerings' ``unless`` ask: what the flavour can do."""

    def __init__(self, graph: Graph, features: Features) -> None:
        super().__init__("tensorrt", graph)
        self.features = features


def _check_ranks(graph: Graph) -> None:
    for node in graph:
        for inner in node.op.graphs():
            _check_ranks(inner)
    for value in graph.values():
        if value.type.rank > MAX_RANK:
            place = (
                value.name if value.producer is None else f"{value.name} {value.producer.location}"
            )
            raise BuildError(
                f"TensorRT has tensors of {MAX_RANK} axes at most",
                where=place.strip(),
                got=value.type,
                hint="merge axes in the model, for example with reshape",
            )
