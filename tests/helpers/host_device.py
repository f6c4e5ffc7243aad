"""An executable whose device is memory of the host: what an engine does with one, without a GPU.

It adds one to every element. Runs are over when they are queued, unless a test holds them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from host_memory import HostMemory

from fwd_core.backends import Availability, Backend, BuildConfig, Context, Executable, Options
from fwd_core.backends.base import Pending, Plan, Port
from fwd_core.backends.tensorrt.runtime.buffers import view
from fwd_core.engine import DeviceArray, Engine
from fwd_core.engine.device_arrays import Given, as_given, on_device
from fwd_core.engine.inputs import as_array
from fwd_core.ir import DType, Graph, TensorType, symbol

OWN = 77


class NoPlan(Plan):
    """Nothing to compile."""

    manifest: Mapping[str, Any] = {}

    def payload(self) -> bytes:
        return b""


class HeldRun(Pending):
    """Over when its executable lets it go on."""

    def __init__(self, executable: HostDeviceExecutable, outputs: list[Any]) -> None:
        self._executable, self._outputs = executable, outputs

    def done(self) -> bool:
        return self._executable.go_on.is_set()

    def result(self) -> list[Any]:
        assert self._executable.go_on.wait(timeout=30)
        return self._outputs


class HostDeviceContext(Context):
    """Takes and gives arrays by address."""

    def __init__(self, executable: HostDeviceExecutable) -> None:
        self._executable = executable

    def run(self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        return [(array + 1).reshape(shape) for array, shape in zip(inputs, shapes, strict=True)]

    def accept(self, given: Sequence[Any], stream: int | None) -> list[Any]:
        own = self._executable
        return [
            as_given(port, bound, item, 0, stream, OWN) if on_device(item) else as_array(port, item)
            for port, bound, item in zip(own.ports, own.bound[0], given, strict=True)
        ]

    def run_on(
        self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], stream: int | None
    ) -> list[Any]:
        self._executable.streams.append(stream)
        arrays = [
            view(item.address, item.shape, item.dtype.storage) if type(item) is Given else item
            for item in inputs
        ]
        results = self.run(arrays, shapes)
        if not any(type(item) is Given for item in inputs):
            return results
        return [
            DeviceArray(HostMemory(result, stream), shape, bound)
            for result, shape, bound in zip(results, shapes, self._executable.bound[1], strict=True)
        ]

    def submit(
        self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], stream: int | None
    ) -> Pending:
        return HeldRun(self._executable, self.run_on(inputs, shapes, stream))

    def idle(self, stream: int | None) -> bool:
        return self._executable.go_on.is_set()


class HostDeviceExecutable(Executable):
    """Its device is number 0.

    Attributes:
        streams: On which runs were queued.
        made: How many contexts there are.
        go_on: Cleared to hold runs.
    """

    parallel = 2
    device = 0

    def __init__(self, ports: Sequence[Port], bound: DType | None) -> None:
        self.ports = ports
        types = [bound or port.type.dtype for port in ports]
        self.bound = (types, types)
        self.streams: list[int | None] = []
        self.made = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def context(self) -> HostDeviceContext:
        self.made += 1
        return HostDeviceContext(self)


class HostDeviceBackend(Backend):
    """See the module."""

    name: ClassVar[str] = "host-device"
    priority: ClassVar[int] = 0
    precision: ClassVar[Literal["typed", "hint"]] = "typed"
    options = Options

    def __init__(self, bound: DType | None) -> None:
        self._bound = bound

    def availability(self) -> Availability:
        return Availability(build=False, run=True)

    def build(self, graph: Graph, config: BuildConfig) -> Plan:
        del graph, config
        return NoPlan()

    def read_plan(self, manifest: Mapping[str, Any], payload: memoryview) -> Plan:
        del manifest, payload
        return NoPlan()

    def load(
        self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]
    ) -> HostDeviceExecutable:
        del plan
        return HostDeviceExecutable(ports[0], self._bound)


def host_device(*dtypes: DType, bound: DType | None = None, contexts: int | None = None) -> Engine:
    """An engine of inputs ``x0`` … ``[n, 3]`` and outputs ``y0`` …, n ≤ 8."""
    kinds = [TensorType(dtype, (symbol("n", 0, 4, 8), 3)) for dtype in dtypes or (DType.FLOAT32,)]
    inputs = [Port(f"x{i}", kind) for i, kind in enumerate(kinds)]
    outputs = [Port(f"y{i}", kind) for i, kind in enumerate(kinds)]
    backend = HostDeviceBackend(bound)
    return Engine(backend, NoPlan(), inputs, outputs, {"mode": "float32"}, contexts=contexts)


def executable_of(engine: Engine) -> HostDeviceExecutable:
    """The executable of :func:`host_device`."""
    assert isinstance(engine.executable, HostDeviceExecutable)
    return engine.executable
