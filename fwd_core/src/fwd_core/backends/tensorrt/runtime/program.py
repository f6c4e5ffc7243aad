"""What a context enqueues: an execution state of TensorRT, or another that works like one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from threading import Lock
from typing import Any

from fwd_core.backends.base import Port
from fwd_core.backends.tensorrt.logger import Record, aside, new_recorder
from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.errors import BuildError, DeviceError, InputError

Shape = tuple[int, ...]


class Program(ABC):
    """Work that is put on a stream, once shapes and addresses are set."""

    @abstractmethod
    def prepare(self, shapes: Sequence[Shape], addresses: Sequence[int], stream: int) -> None:
        """Say what the next :meth:`enqueue` works on.

        Args:
            shapes: Of the inputs.
            addresses: Of inputs, then outputs.
            stream: Where the work will be put.

        Raises:
            InputError: A shape is refused.
            DeviceError: An address is refused.
        """

    @abstractmethod
    def enqueue(self, stream: int) -> None:
        """Put the work on a stream.

        Raises:
            DeviceError: It was refused.
        """


class TensorRTProgram(Program):
    """One ``IExecutionContext``, whose activations lie in memory that its owner shares out.

    It waits for no build: errors are told to a recorder of its own, and what TensorRT logs
    meanwhile is taken from this thread alone.

    Attributes:
        context: The ``IExecutionContext``.

    Args:
        trt: The library.
        context: From :func:`execution_context`.
        names: Bindings: inputs, then outputs.
        ports: Inputs of the source model, for messages.
        memory: Address of the memory of activations; programs that share it run in turns.
        profile: Which optimization profile to run with, ``None`` where all sizes are fixed.
        stream: Handle of a stream to choose the profile on.

    Raises:
        BuildError: TensorRT refuses the profile.
    """

    def __init__(
        self,
        trt: Any,
        context: Any,
        names: Sequence[str],
        ports: Sequence[Port],
        memory: int,
        profile: int | None,
        stream: int,
    ) -> None:
        # Before the recorder, so that it goes before it: TensorRT keeps a bare pointer to it.
        self.context = context
        self._recorder = new_recorder(trt)
        self._names = names
        self._inputs = names[: len(ports)]
        self._ports = ports
        self._shapes: Sequence[Shape] | None = None
        context.error_recorder = self._recorder
        context.device_memory = memory
        if profile is not None:
            with aside(trt, self._recorder) as record:
                self._choose(profile, stream, record)

    def _choose(self, profile: int, stream: int, record: Record) -> None:
        if not self.context.set_optimization_profile_async(profile, stream):
            raise BuildError(
                f"TensorRT refuses optimization profile {profile}", details=record.problems()
            )
        cuda.call("cudaStreamSynchronize", stream)

    def prepare(self, shapes: Sequence[Shape], addresses: Sequence[int], stream: int) -> None:
        """Set shapes where they changed, and addresses. See :meth:`Program.prepare`."""
        del stream
        context = self.context
        if shapes != self._shapes:
            self._shapes = None
            for name, port, shape in zip(self._inputs, self._ports, shapes, strict=True):
                if not context.set_input_shape(name, shape):
                    raise InputError(
                        f"TensorRT refuses the shape of input {port.name!r}",
                        expected=port,
                        got=list(shape),
                        details=self._recorder.told(),
                    )
            self._shapes = shapes
        for name, address in zip(self._names, addresses, strict=True):
            if not context.set_tensor_address(name, address):
                raise DeviceError(
                    f"TensorRT refuses the address of tensor {name!r}",
                    got=hex(address),
                    details=self._recorder.told(),
                )

    def enqueue(self, stream: int) -> None:
        """``execute_async_v3``. See :meth:`Program.enqueue`."""
        if not self.context.execute_async_v3(stream):
            shapes = ", ".join(str(list(shape)) for shape in self._shapes or ())
            raise DeviceError("TensorRT could not run", got=shapes, details=self._recorder.told())


def activation_bytes(engine: Any) -> int:
    """How much memory the activations of one run take, whatever its profile and shapes."""
    for name in ("device_memory_size_v2", "device_memory_size"):
        if hasattr(engine, name):
            return int(getattr(engine, name))
    raise AssertionError("every flavour tells the size of its activations")


def execution_context(trt: Any, engine: Any, recorder: Any, lock: Lock) -> Any:
    """A new ``IExecutionContext`` that has no memory for its activations. Waits for no build.

    Args:
        trt: The library.
        engine: The ``ICudaEngine``.
        recorder: The engine's error recorder.
        lock: The engine's, held so that what the recorder hears is of this context.

    Raises:
        BuildError: TensorRT makes none: usually memory is short.
    """
    with lock, aside(trt, recorder) as record:
        context = _without_memory(trt, engine)
        if context is None:
            raise BuildError("TensorRT makes no execution context", details=record.problems())
    return context


def _without_memory(trt: Any, engine: Any) -> Any:
    if hasattr(trt, "ExecutionContextAllocationStrategy"):
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        return engine.create_execution_context(strategy)
    return engine.create_execution_context_without_device_memory()
