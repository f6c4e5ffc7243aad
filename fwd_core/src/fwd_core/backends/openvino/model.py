"""From a graph to OpenVINO's model: lowering, and how the engine's outputs are had from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fwd_core.backends.lowering import legalize, lower
from fwd_core.backends.openvino import constants
from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.backends.openvino.floats import rounded_to_bfloat16
from fwd_core.backends.openvino.types import at_edge, computed, element_type
from fwd_core.events import Events
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Value
from fwd_core.plugins.registers import Lowering

if TYPE_CHECKING:
    from openvino import Model, Output


@dataclass(frozen=True)
class Lowered:
    """OpenVINO's model of a graph.

    Attributes:
        model: The model. Its inputs are the graph's inputs in order.
        outputs: Where each of the graph's outputs comes from: ``("result", i)`` of the model,
            or a copy of ``("input", i)``, or of ``("rounded", i)``, a float64 input whose numbers
            are those of float32. OpenVINO gives ports that are the same tensor one
            buffer, which loses values or overwrites the caller's input, so only distinct
            tensors that are computed become results.
        narrowed: Positions of int64 inputs that are computed with, in 32 bits.
    """

    model: Model
    outputs: tuple[tuple[str, int], ...]
    narrowed: tuple[int, ...]


def lower_graph(
    graph: Graph,
    lowerings: Mapping[str, Lowering],
    events: Events,
    compute: DType = DType.FLOAT32,
) -> Lowered:
    """Build OpenVINO's model of a graph.

    Args:
        graph: The graph. It is changed: what has no lowering is decomposed.
        lowerings: All lowerings, by backend and operator.
        events: Where progress is told.
        compute: The type that OpenVINO will compute floats in.

    Raises:
        BuildError: An operator cannot be lowered; the message says which, why and where.
    """
    import openvino

    context = OpenVINOLowering(graph, compute)
    legalize(context, lowerings)
    lower(context, lowerings, events)
    inputs = {parameter: index for index, parameter in enumerate(context.parameters)}
    results: dict[Output, int] = {}
    outputs: list[tuple[str, int]] = []
    for value in graph.outputs:
        tensor = _in_own_type(context, value, compute)
        if tensor in inputs:
            wide = graph.inputs[inputs[tensor]].type.dtype is DType.FLOAT64
            computes = value.producer is not None
            outputs.append(("rounded" if wide and computes else "input", inputs[tensor]))
        else:
            outputs.append(("result", results.setdefault(tensor, len(results))))
    # OpenVINO refuses a model without results; nobody reads this one.
    tensors = list(results) or [context.constant(np.zeros((), np.float32))]
    parameters = [parameter.get_node() for parameter in context.parameters]
    model = openvino.Model([context.opset.result(one) for one in tensors], parameters, graph.name)
    constants.fold(model)
    narrowed = [
        index
        for index, value in enumerate(graph.inputs)
        if value.type.dtype is DType.INT64 and value.users
    ]
    return Lowered(model, tuple(outputs), tuple(narrowed))


def _in_own_type(context: OpenVINOLowering, value: Value, compute: DType) -> Output:
    """The tensor in the value's type, which the engine's output has."""
    if value.producer is None:
        return context.parameters[context.graph.inputs.index(value)]
    tensor, dtype = context[value], value.type.dtype
    if computed(dtype) is at_edge(dtype):
        return tensor
    key = ("output", tensor, dtype)
    if key not in context.memo:
        if dtype is DType.BFLOAT16 and compute is DType.FLOAT32:
            tensor = rounded_to_bfloat16(context.opset, tensor)
        context.memo[key] = context.opset.convert(tensor, element_type(dtype)).output(0)
    return context.memo[key]
