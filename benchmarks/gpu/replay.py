"""A TensorRT engine with buffers that stay where they are and one recorded CUDA graph.

Both routes on TensorRT are run by this class, so that they differ in their engines alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.memory import DeviceBuffer
from fwd_core.backends.tensorrt import creators
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.backends.tensorrt.types import HELD
from fwd_core.errors import BuildError

_WARM_UP = 5


class Recorded:
    """A recorded graph and the stream that it is launched on.

    Every status is looked at: a GPU that has failed returns at once and would look fast.

    Args:
        graph: An executable graph.
        stream: The stream.

    Raises:
        CudaError: By each call: it failed, or work before it did.
    """

    def __init__(self, graph: Any, stream: Any) -> None:
        self._graph, self._stream = graph, stream
        # Looked up once: a launch is a few microseconds.
        self._launch = cuda.quick("cudaGraphLaunch")
        self._wait = cuda.quick("cudaStreamSynchronize")

    def launch(self) -> None:
        """Launch the graph, and do not wait."""
        self._launch(self._graph, self._stream)

    def wait(self) -> None:
        """Wait for the end of what was launched."""
        self._wait(self._stream)

    def once(self) -> None:
        """Launch and wait."""
        self._launch(self._graph, self._stream)
        self._wait(self._stream)

    def burst(self, count: int) -> float:
        """Seconds that some launches in a row take, waiting for the last alone."""
        start = time.perf_counter()
        for _ in range(count):
            self._launch(self._graph, self._stream)
        self._wait(self._stream)
        return time.perf_counter() - start


class Replay:
    """An engine, ready to be launched.

    Attributes:
        engine: TensorRT's.
        stream: The stream that it runs on.
        recorded: The graph of one run: launches it.

    Args:
        library: The flavour of TensorRT.
        plan: Bytes of the engine.
        inputs: Names and arrays, in any type that the engine's own can be made from.
        outputs: Names.

    Raises:
        BuildError: TensorRT refuses the engine, a shape or an address.
        CudaError: A CUDA call failed.
    """

    def __init__(
        self,
        library: Library,
        plan: Any,
        inputs: Sequence[tuple[str, NDArray[Any]]],
        outputs: Sequence[str],
    ) -> None:
        trt = library.trt
        with listen(trt) as record:
            if library.features.plugin_creators:
                creators.initialize(trt)  # the engine may hold plugins
            self._runtime = trt.Runtime(logger(trt))
            self.engine = self._runtime.deserialize_cuda_engine(plan)
            if self.engine is None:
                raise BuildError("TensorRT refuses the engine", details=record.problems())
            self._context = self.engine.create_execution_context()
            if self._context is None:
                raise BuildError("TensorRT makes no context", details=record.problems())
            self.stream = cuda.call("cudaStreamCreate")
            self._inputs = {name: self._give(name, array) for name, array in inputs}
            self._outputs = {name: self._place(name) for name in outputs}
            for _ in range(_WARM_UP):
                self._enqueue(record)
            graph = self._capture(record)
        self.recorded = Recorded(graph, self.stream)
        self._events = [cuda.call("cudaEventCreate") for _ in range(2)]

    def _give(self, name: str, array: NDArray[Any]) -> DeviceBuffer:
        buffer = DeviceBuffer.of(array, self._type(name))
        if not self._context.set_input_shape(name, buffer.shape):
            raise BuildError(f"TensorRT refuses {list(buffer.shape)} for input {name!r}")
        return self._bind(name, buffer)

    def _place(self, name: str) -> DeviceBuffer:
        shape = tuple(self._context.get_tensor_shape(name))
        return self._bind(name, DeviceBuffer(shape, self._type(name)))

    def _bind(self, name: str, buffer: DeviceBuffer) -> DeviceBuffer:
        if not self._context.set_tensor_address(name, buffer.address):
            raise BuildError(f"TensorRT refuses the address of {name!r}")
        return buffer

    def _type(self, name: str) -> Any:
        return HELD[self.engine.get_tensor_dtype(name).name].storage

    def _enqueue(self, record: Any) -> None:
        if not self._context.execute_async_v3(int(self.stream)):
            raise BuildError("TensorRT could not run", details=record.problems())
        cuda.call("cudaStreamSynchronize", self.stream)

    def _capture(self, record: Any) -> Any:
        modes = cuda.runtime().cudaStreamCaptureMode
        cuda.call("cudaStreamBeginCapture", self.stream, modes.cudaStreamCaptureModeThreadLocal)
        queued = self._context.execute_async_v3(int(self.stream))
        graph = cuda.call("cudaStreamEndCapture", self.stream)
        if not queued:
            raise BuildError("TensorRT could not be recorded", details=record.problems())
        executable = cuda.call("cudaGraphInstantiate", graph, 0)
        cuda.call("cudaGraphDestroy", graph)
        return executable

    def device_seconds(self) -> float:
        """Time between two events around one launch, on the device's own clock."""
        first, last = self._events
        cuda.call("cudaEventRecord", first, self.stream)
        self.recorded.launch()
        cuda.call("cudaEventRecord", last, self.stream)
        cuda.call("cudaStreamSynchronize", self.stream)
        return float(cuda.call("cudaEventElapsedTime", first, last)) / 1e3

    def results(self) -> list[NDArray[Any]]:
        """What the last launch computed."""
        return [np.asarray(buffer.numpy()) for buffer in self._outputs.values()]
