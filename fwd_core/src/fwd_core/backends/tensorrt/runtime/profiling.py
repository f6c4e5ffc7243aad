"""Times of the compiled layers of an engine, from TensorRT's profiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.tensorrt import inspector
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.backends.tensorrt.logger import aside
from fwd_core.backends.tensorrt.runtime import conversion, cuda
from fwd_core.backends.tensorrt.runtime.buffers import DeviceBuffer
from fwd_core.engine.shapes import OutputShapes

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.runtime.executable import TensorRTExecutable


@lru_cache(maxsize=None)
def _profiler_class(trt: ModuleType) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[name-defined, misc]
        """Adds up the times that each layer took."""

        def __init__(self) -> None:
            super().__init__()
            self.milliseconds: dict[str, float] = {}

        def report_layer_time(self, name: str, milliseconds: float) -> None:
            """Take the time of one layer in one run."""
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + milliseconds

    return Profiler


def profiler(trt: ModuleType) -> Any:
    """An ``IProfiler`` whose ``milliseconds`` are sums by the names of layers, in order."""
    return _profiler_class(trt)()


def measure(owner: TensorRTExecutable, inputs: Sequence[Any], runs: int) -> list[LayerTime]:
    """Run an engine in a context of its own and take the mean of what each layer takes.

    Not run in CI, which has no GPU.

    Args:
        owner: The loaded engine.
        inputs: Arrays in port order.
        runs: How many runs to take the mean of.

    Raises:
        BuildError: TensorRT makes no execution context.
        InputError: It refuses a shape.
        DeviceError: A CUDA call failed, or TensorRT could not run.
    """
    with cuda.on(owner.only):
        stream = int(cuda.call("cudaStreamCreate"))
        buffers = [DeviceBuffer(owner.blocks.trim) for _ in range(1 + len(owner.bindings))]
        try:
            return _measured(owner, inputs, runs, buffers, stream)
        finally:
            for buffer in buffers:
                buffer.free()
            cuda.call("cudaStreamDestroy", stream)


def _measured(
    owner: TensorRTExecutable,
    inputs: Sequence[Any],
    runs: int,
    buffers: Sequence[DeviceBuffer],
    stream: int,
) -> list[LayerTime]:
    scratch, *places = buffers
    sizes = tuple([array.shape for array in inputs])
    sides = ([binding.port for binding in side] for side in (owner.inputs, owner.outputs))
    shapes = OutputShapes(*sides)(sizes)
    addresses, kept = [], []  # what copies read until the stream has done them
    for binding, shape, place in zip(owner.bindings, (*sizes, *shapes), places, strict=True):
        staged = np.empty(shape, binding.dtype.storage)
        addresses.append(place.reserve(staged.nbytes))
        kept.append(staged)
    for binding, array, staged, address in zip(owner.inputs, inputs, kept, addresses, strict=False):
        conversion.fill(staged, array, binding.port, binding.dtype)
        cuda.to_device(address, staged.ctypes.data, staged.nbytes, stream)
    memory = scratch.reserve(owner.activation_bytes)
    program = owner.program(owner.profile(sizes), memory, stream)
    program.prepare(sizes, addresses, stream)
    watch = profiler(owner.library.trt)
    for run in range(runs + 1):
        if run == 1:  # the first is a warm-up, and tells nothing
            program.context.profiler = watch
        program.enqueue(stream)
        cuda.call("cudaStreamSynchronize", stream)
    return layer_times(watch.milliseconds, _layers(owner, program.context), runs)


def layer_times(
    milliseconds: Mapping[str, float], layers: Sequence[CompiledLayer], runs: int
) -> list[LayerTime]:
    """Sums of times by the profiler's names, as means of layers with what they compute.

    Args:
        milliseconds: Sums over the runs.
        layers: What the engine tells of its layers, by the same names.
        runs: How many runs there were.
    """
    known: dict[str, CompiledLayer] = {}
    for layer in layers:
        known.setdefault(inspector.without_profile(layer.name), layer)
    times = []
    for name, total in milliseconds.items():
        found = known.get(inspector.without_profile(name))
        if found is None:
            nodes = inspector.nodes_in(name)
            times.append(LayerTime(name, "", "", nodes, total / runs))
            continue
        times.append(LayerTime(name, found.kind, found.dtype, found.nodes, total / runs))
    return times


def _layers(owner: TensorRTExecutable, context: Any) -> list[CompiledLayer]:
    if "layers" in owner.manifest:
        return [CompiledLayer.from_json(entry) for entry in owner.manifest["layers"]]
    with aside(owner.library.trt) as record:
        return inspector.inspect(owner.library, owner.engine, context, record)
