"""A backend whose engines give their inputs back: the runtime without TensorRT.

TensorRT 8.6 and PyTorch do not fit into one process, so what an engine does on torch's streams is
tested with this one. All but the program is the runtime's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from fwd_core.backends.base import Availability, Backend, BuildConfig, Options, Plan, Port
from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_core.backends.tensorrt.runtime.executable import Binding, DeviceExecutable
from fwd_core.backends.tensorrt.runtime.program import Program, Shape
from fwd_core.engine import Engine
from fwd_core.ir import DType, Graph, TensorType, symbol


class LoopbackPlan(Plan):
    """Nothing to compile."""

    manifest: Mapping[str, Any] = {}

    def payload(self) -> bytes:
        return b""


class LoopbackProgram(Program):
    """Copies every input to the output of its place.

    Args:
        sizes: Bytes of an element of each input.
        waits: Whether it waits for the stream too, which cannot be recorded.
    """

    def __init__(self, sizes: Sequence[int], *, waits: bool) -> None:
        self._sizes = sizes
        self._waits = waits
        self._copies: list[tuple[int, int, int]] = []

    def prepare(self, shapes: Sequence[Shape], addresses: Sequence[int], stream: int) -> None:
        del stream
        self._copies = []
        count = len(shapes)
        for index, (shape, size) in enumerate(zip(shapes, self._sizes, strict=True)):
            length = size
            for extent in shape:
                length *= extent
            self._copies.append((addresses[count + index], addresses[index], length))

    def enqueue(self, stream: int) -> None:
        if self._waits:
            cuda.call("cudaStreamSynchronize", stream)
        for target, source, length in self._copies:
            if length:
                cuda.within(target, source, length, stream)


class LoopbackExecutable(DeviceExecutable):
    """Inputs are outputs."""

    def __init__(
        self, ports: tuple[Sequence[Port], Sequence[Port]], bound: DType | None, *, waits: bool
    ) -> None:
        gpu, reason = device.find()
        assert gpu is not None, reason
        inputs, outputs = (
            [Binding(port, port.name, bound or port.type.dtype) for port in side] for side in ports
        )
        super().__init__(gpu, inputs, outputs)
        self._waits = waits

    def program(self, profile: int, memory: int, stream: int) -> Program:
        del profile, memory, stream
        return LoopbackProgram([b.itemsize for b in self.inputs], waits=self._waits)


class LoopbackBackend(Backend):
    """See the module."""

    name: ClassVar[str] = "loopback"
    priority: ClassVar[int] = 0
    precision: ClassVar[Literal["typed", "hint"]] = "typed"
    options = Options

    def __init__(self, bound: DType | None = None, *, waits: bool = False) -> None:
        self.bound, self.waits = bound, waits

    def availability(self) -> Availability:
        return Availability(build=False, run=device.find()[0] is not None)

    def build(self, graph: Graph, config: BuildConfig) -> Plan:
        del graph, config
        return LoopbackPlan()

    def read_plan(self, manifest: Mapping[str, Any], payload: memoryview) -> Plan:
        del manifest, payload
        return LoopbackPlan()

    def load(self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]) -> LoopbackExecutable:
        del plan
        return LoopbackExecutable(ports, self.bound, waits=self.waits)


def loopback(
    *dtypes: DType, bound: DType | None = None, waits: bool = False, contexts: int | None = None
) -> Engine:
    """An engine of inputs ``x0``, ``x1`` … ``[n, 64]`` and outputs ``y0``, ``y1`` …, n ≤ 4096."""
    rows = symbol("n", 0, 4, 4096)
    kinds = [TensorType(dtype, (rows, 64)) for dtype in dtypes or (DType.FLOAT32,)]
    inputs = [Port(f"x{i}", kind) for i, kind in enumerate(kinds)]
    outputs = [Port(f"y{i}", kind) for i, kind in enumerate(kinds)]
    backend = LoopbackBackend(bound, waits=waits)
    return Engine(backend, LoopbackPlan(), inputs, outputs, {"mode": "float32"}, contexts=contexts)
