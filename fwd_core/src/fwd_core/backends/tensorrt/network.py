"""From a graph to a TensorRT network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwd_core.backends.lowering import legalize, lower
from fwd_core.backends.tensorrt.context import MAX_RANK, TensorRTLowering
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record
from fwd_core.errors import BuildError
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
) -> TensorRTLowering:
    """A network of the graph, held by the context that made it.

    Args:
        graph: What to lower; operators without a lowering are decomposed in it.
        library: The flavour.
        builder: Its ``IBuilder``.
        lowerings: By registry key.
        record: Where the flavour reports errors.
        events: Where progress is told.

    Raises:
        BuildError: An operator has no lowering, or TensorRT refuses a layer.
    """
    flag = getattr(library.trt.NetworkDefinitionCreationFlag, library.features.network_flag)
    network = builder.create_network(1 << int(flag))
    if network is None:
        raise BuildError(f"{library.flavour} makes no network", details=record.problems())
    network.error_recorder = record.recorder
    network.name = graph.name
    context = TensorRTLowering(graph, library, network, record)
    legalize(context, lowerings)
    _check_ranks(graph)
    context.add_inputs()
    lower(context, lowerings, events)
    context.mark_outputs()
    return context


def _check_ranks(graph: Graph) -> None:
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
