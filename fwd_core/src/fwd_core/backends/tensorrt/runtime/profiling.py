"""Times of the compiled layers of an engine, from TensorRT's profiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.tensorrt import inspector, profiles
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.backends.tensorrt.logger import Record, listen
from fwd_core.backends.tensorrt.runtime import conversion, cuda
from fwd_core.backends.tensorrt.runtime.buffers import DeviceBuffer
from fwd_core.errors import BuildError, InputError

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
    cuda.call("cudaSetDevice", owner.gpu.ordinal)
    buffers = {binding.name: DeviceBuffer() for binding in owner.bindings}
    stream = cuda.call("cudaStreamCreate")
    try:
        with listen(owner.library.trt) as record:
            # In a function of its own, so that the context goes before the recorder that it uses.
            return _measured(owner, inputs, runs, buffers, stream, record)
    finally:
        for buffer in buffers.values():
            buffer.free()
        cuda.call("cudaStreamDestroy", stream)


def _measured(
    owner: TensorRTExecutable,
    inputs: Sequence[Any],
    runs: int,
    buffers: Mapping[str, DeviceBuffer],
    stream: Any,
    record: Record,
) -> list[LayerTime]:
    context = owner.engine.create_execution_context()
    if context is None:
        raise BuildError("TensorRT makes no execution context", details=record.problems())
    context.error_recorder = record.recorder
    if stated := owner.manifest.get("profiles"):
        ports, sizes = [binding.port for binding in owner.inputs], [one.shape for one in inputs]
        index = profiles.required(stated, ports, sizes)
        context.set_optimization_profile_async(index, int(stream))
        cuda.call("cudaStreamSynchronize", stream)
    to_device = cuda.runtime().cudaMemcpyKind.cudaMemcpyHostToDevice
    kept = []  # what copies read until the stream has done them
    for binding, array in zip(owner.inputs, inputs, strict=True):
        staged = np.empty(array.shape, binding.dtype.storage)
        conversion.fill(staged, array, binding.port, binding.dtype)
        kept.append(staged)
        address = buffers[binding.name].reserve(staged.nbytes)
        cuda.call("cudaMemcpyAsync", address, staged.ctypes.data, staged.nbytes, to_device, stream)
        if not context.set_input_shape(binding.name, array.shape):
            raise InputError(
                f"TensorRT refuses the shape of input {binding.port.name!r}",
                expected=binding.port,
                got=list(array.shape),
                details=record.problems(),
            )
        context.set_tensor_address(binding.name, address)
    for binding in owner.outputs:
        size = int(context.get_max_output_size(binding.name))
        context.set_tensor_address(binding.name, buffers[binding.name].reserve(size))
    watch = profiler(owner.library.trt)
    for run in range(runs + 1):
        if run == 1:  # the first is a warm-up, and tells nothing
            context.profiler = watch
        if not context.execute_async_v3(int(stream)):
            raise cuda.DeviceError("TensorRT could not run", details=record.problems())
        cuda.call("cudaStreamSynchronize", stream)
    return layer_times(watch.milliseconds, _layers(owner, context, record), runs)


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


def _layers(owner: TensorRTExecutable, context: Any, record: Record) -> list[CompiledLayer]:
    if "layers" in owner.manifest:
        return [CompiledLayer.from_json(entry) for entry in owner.manifest["layers"]]
    return inspector.inspect(owner.library, owner.engine, context, record)
