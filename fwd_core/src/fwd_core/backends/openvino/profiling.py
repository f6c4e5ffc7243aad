"""Times of the compiled layers of a model, from OpenVINO's counters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fwd_core.backends.base import Port
from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.openvino.types import shared
from fwd_core.ir.dims import evaluate
from fwd_core.ir.dtypes import DType

if TYPE_CHECKING:
    from openvino import CompiledModel

    from fwd_core.backends.openvino.plan import OpenVINOPlan

#: Names that OpenVINO gives to what it makes itself, as ``Multiply_4012``.
_MADE = re.compile(r"[A-Z]\w*_\d+")


def measure(
    plan: OpenVINOPlan,
    ports: tuple[Sequence[Port], Sequence[Port]],
    inputs: Sequence[Any],
    runs: int,
) -> list[LayerTime]:
    """Run a model that counts, and take the mean of what each layer takes.

    Counting costs time, so it is a second model, imported from the first one's export.

    Args:
        plan: The compiled model.
        ports: Inputs and outputs of the engine.
        inputs: Arrays in port order.
        runs: How many runs to take the mean of, after one that is not counted.
    """
    import openvino

    from fwd_core.backends.openvino.runtime import OpenVINOContext
    from fwd_core.engine.inputs import bind

    values = bind(ports[0], [array.shape for array in inputs])
    shapes = [tuple(evaluate(dim, values) for dim in port.type.shape) for port in ports[1]]
    payload = plan.payload()
    blob = shared(np.frombuffer(payload, np.uint8), DType.UINT8)
    counted = {**plan.manifest["properties"], "PERF_COUNT": True}
    model = openvino.Core().import_model(blob, "CPU", counted)
    context = OpenVINOContext(model.create_infer_request(), ports, plan.manifest["ports"])
    layers = _layers(model)
    times: dict[str, tuple[str, float]] = {}
    for run in range(runs + 1):
        context.run(inputs, shapes)
        if run == 0:
            continue
        for entry in context.request.get_profiling_info():
            if entry.status.name == "EXECUTED":
                _kind, before = times.get(entry.node_name, ("", 0.0))
                spent = entry.real_time.total_seconds() * 1e3
                times[entry.node_name] = (entry.node_type, before + spent)
    return [
        LayerTime(name, kind, *layers.get(name, ("", ())), total / runs)
        for name, (kind, total) in times.items()
    ]


def _layers(model: CompiledModel) -> dict[str, tuple[str, tuple[str, ...]]]:
    """By the name of each compiled layer: its type, and the nodes of the graph that it computes."""
    found = {}
    for node in model.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()
        names = facts["originalLayersNames"].astype(str).split(",")
        ours = [name for name in names if name and not _MADE.fullmatch(name)]
        dtype = facts["runtimePrecision"].astype(str)
        found[node.get_friendly_name()] = (dtype, tuple(ours or filter(None, names)))
    return found
