"""One execution context: its stream, its buffers, and a run on arrays of the host."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.base import Context
from fwd_core.backends.tensorrt.logger import listen, new_recorder
from fwd_core.backends.tensorrt.runtime import conversion, cuda
from fwd_core.backends.tensorrt.runtime.buffers import DeviceBuffer, PinnedBuffer
from fwd_core.errors import BuildError, InputError

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.runtime.executable import Binding, TensorRTExecutable


class TensorRTContext(Context):
    """Runs an engine on a stream of its own; one run at a time.

    Not run in CI, which has no GPU.

    Raises:
        BuildError: TensorRT makes no execution context: usually memory is short.
        CudaError: A CUDA call failed.
    """

    def __init__(self, owner: TensorRTExecutable) -> None:
        self._owner = owner
        cuda.call("cudaSetDevice", owner.gpu.ordinal)
        with listen(owner.library.trt) as record:
            self._context = owner.engine.create_execution_context()
            if self._context is None:
                raise BuildError("TensorRT makes no execution context", details=record.problems())
        self._context.error_recorder = self._recorder = new_recorder(owner.library.trt)
        self._stream = cuda.call("cudaStreamCreate")
        self._release = weakref.finalize(self, cuda.call, "cudaStreamDestroy", self._stream)
        self._release.atexit = False  # the driver may be gone by then, and frees all itself
        self._device = {binding.name: DeviceBuffer() for binding in owner.bindings}
        self._pinned = {binding.name: PinnedBuffer() for binding in owner.bindings}

    def run(self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Run once. See :meth:`Context.run`.

        Raises:
            InputError: An integer does not fit the engine's type, or TensorRT refuses a shape.
            DeviceError: A CUDA call failed, or TensorRT could not run.
        """
        cuda.call("cudaSetDevice", self._owner.gpu.ordinal)
        for binding, array in zip(self._owner.inputs, inputs, strict=True):
            self._send(binding, array)
        staged = [
            self._place(binding, shape)
            for binding, shape in zip(self._owner.outputs, shapes, strict=True)
        ]
        if not self._context.execute_async_v3(int(self._stream)):
            raise cuda.DeviceError(
                "TensorRT could not run", got=_shown(inputs), details=self._recorder.told()
            )
        for binding, array in zip(self._owner.outputs, staged, strict=True):
            source = self._device[binding.name].address
            target = self._pinned[binding.name].address
            cuda.copy(target, source, array.nbytes, to_device=False, stream=self._stream)
        cuda.call("cudaStreamSynchronize", self._stream)
        return [
            conversion.result(array, binding.port, binding.dtype)
            for binding, array in zip(self._owner.outputs, staged, strict=True)
        ]

    def _send(self, binding: Binding, array: NDArray[np.generic]) -> None:
        pinned = self._pinned[binding.name]
        staged = pinned.array(array.shape, binding.dtype.storage)
        conversion.fill(staged, array, binding.port, binding.dtype)
        address = self._device[binding.name].reserve(staged.nbytes)
        cuda.copy(address, pinned.address, staged.nbytes, to_device=True, stream=self._stream)
        if not self._context.set_input_shape(binding.name, array.shape):
            raise InputError(
                f"TensorRT refuses the shape of input {binding.port.name!r}",
                expected=binding.port,
                got=list(array.shape),
                details=self._recorder.told(),
            )
        self._context.set_tensor_address(binding.name, address)

    def _place(self, binding: Binding, shape: tuple[int, ...]) -> NDArray[np.generic]:
        staged = self._pinned[binding.name].array(shape, binding.dtype.storage)
        address = self._device[binding.name].reserve(staged.nbytes)
        self._context.set_tensor_address(binding.name, address)
        return staged

    def close(self) -> None:
        """Free the buffers and the stream; it must not be running."""
        for name in self._device:
            self._device[name].free()
            self._pinned[name].free()
        self._release()


def _shown(inputs: Sequence[NDArray[np.generic]]) -> str:
    return ", ".join(f"{array.dtype}{list(array.shape)}" for array in inputs)
