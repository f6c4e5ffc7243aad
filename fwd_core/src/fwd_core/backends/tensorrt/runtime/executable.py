"""A plan loaded on a GPU."""

from __future__ import annotations

import threading
import weakref
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fwd_core.backends.base import Executable, Port
from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.tensorrt import profiles
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import aside, logger, new_recorder
from fwd_core.backends.tensorrt.plan import TensorRTPlan
from fwd_core.backends.tensorrt.runtime import blocks, cuda, device
from fwd_core.backends.tensorrt.runtime.context import DeviceContext
from fwd_core.backends.tensorrt.runtime.graphs import Policy
from fwd_core.backends.tensorrt.runtime.program import (
    Program,
    Shape,
    TensorRTProgram,
    activation_bytes,
    execution_context,
)
from fwd_core.backends.tensorrt.types import HELD
from fwd_core.errors import BuildError
from fwd_core.ir.dtypes import DType

#: Sizes of inputs whose profile is remembered; after as many others all are forgotten.
_CHOICES = 1024


@dataclass(frozen=True)
class Binding:
    """An input or output as the engine has it.

    Attributes:
        port: The input or output of the source model.
        name: Its name inside TensorRT.
        dtype: The type that it is bound in.
        itemsize: Bytes of one element.
    """

    port: Port
    name: str
    dtype: DType
    itemsize: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "itemsize", self.dtype.itemsize)


class DeviceExecutable(Executable):
    """Something that runs on a GPU: buffers, streams and graphs, but not what is computed.

    Attributes:
        parallel: Two contexts, so that one run copies while another computes.
        gpu: Where it runs.
        inputs: Bindings in port order.
        outputs: Bindings in port order.
        ranges: Optimization profiles, as a plan's manifest has them; none for fixed sizes.
        profiles: How many there are, at least one.
        activation_bytes: Memory that programs of one context share.
        policy: Whether runs are recorded as CUDA graphs.
        blocks: Memory of outputs on the device.
        pinned: Memory of outputs on the host.
        only: Number of the GPU where there are others, else ``None``.
        device_of: Tells the GPU of an address, ``None`` where there is no other.
    """

    parallel = 2

    def __init__(
        self,
        gpu: device.Gpu,
        inputs: Sequence[Binding],
        outputs: Sequence[Binding],
        *,
        ranges: Sequence[Mapping[str, Sequence[int]]] = (),
        activation_bytes: int = 0,
        record: bool = True,
    ) -> None:
        self.gpu = gpu
        self.device = gpu.ordinal
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.bound = ([b.dtype for b in inputs], [b.dtype for b in outputs])
        self.ranges = ranges
        self.profiles = max(len(ranges), 1)
        self.activation_bytes = activation_bytes
        self.policy = Policy(record)
        several = cuda.call("cudaGetDeviceCount") > 1
        self.only = gpu.ordinal if several else None
        self.device_of = cuda.device_of if several else None
        self.blocks = blocks.on_device(self.only)
        self.pinned = blocks.pinned(self.only)
        self._chosen: dict[tuple[Shape, ...], int] = {}
        self._contexts: weakref.WeakSet[DeviceContext] = weakref.WeakSet()

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """Inputs, then outputs."""
        return self.inputs + self.outputs

    @abstractmethod
    def program(self, profile: int, memory: int, stream: int) -> Program:
        """A new program.

        Args:
            profile: Which optimization profile to run with.
            memory: Address of :attr:`activation_bytes` bytes that programs share in turns.
            stream: Handle of a stream to prepare it on.
        """

    def profile(self, sizes: tuple[Shape, ...]) -> int:
        """The optimization profile for inputs of these sizes: the closest that holds them.

        Raises:
            InputError: None holds them.
        """
        if self.profiles == 1:
            return 0
        found = self._chosen.get(sizes)
        if found is None:
            if len(self._chosen) >= _CHOICES:
                self._chosen.clear()
            ports = [binding.port for binding in self.inputs]
            found = self._chosen[sizes] = profiles.required(self.ranges, ports, sizes)
        return found

    def context(self) -> DeviceContext:
        """A new context. See :meth:`Executable.context`."""
        with cuda.on(self.only):
            context = DeviceContext(self)
        self._contexts.add(context)
        return context

    def close(self) -> None:
        """Free what is held on the device, and pinned memory."""
        with cuda.on(self.only):
            for context in list(self._contexts):
                context.close()
            self._contexts.clear()
            self.blocks.close()
            self.pinned.close()


class TensorRTExecutable(DeviceExecutable):
    """A deserialized engine. Contexts share its weights.

    Args:
        library: The flavour.
        plan: What to load.
        ports: Inputs and outputs of the source model.

    Raises:
        BuildError: There is no GPU, or TensorRT refuses the plan.
    """

    def __init__(
        self,
        library: Library,
        plan: TensorRTPlan,
        ports: tuple[Sequence[Port], Sequence[Port]],
    ) -> None:
        gpu, reason = device.find()
        if gpu is None:
            raise BuildError(
                "a TensorRT engine runs on a GPU",
                details=[reason],
                hint="save it and load it on a machine with a GPU, "
                "or build with backend='openvino'",
            )
        self.library = library
        # Before the recorder, so that they go before it: TensorRT keeps bare pointers to it.
        self.engine: Any = None
        self._runtime: Any = None
        self._recorder = new_recorder(library.trt)
        self._making = threading.Lock()
        with aside(library.trt, self._recorder) as record:  # a load waits for no build
            self._runtime = library.trt.Runtime(logger(library.trt))
            self._runtime.error_recorder = self._recorder
            if plan.manifest.get("version_compatible"):
                self._runtime.engine_host_code_allowed = True
            self.engine = self._runtime.deserialize_cuda_engine(plan.payload())
            if self.engine is None:
                raise BuildError(f"{library.flavour} refuses the plan", details=record.problems())
            self.engine.error_recorder = self._recorder
        self.manifest = plan.manifest
        names = plan.manifest["bindings"]
        super().__init__(
            gpu,
            self._bindings(ports[0], names["inputs"]),
            self._bindings(ports[1], names["outputs"]),
            ranges=plan.manifest.get("profiles", ()),
            activation_bytes=activation_bytes(self.engine),
            record=plan.manifest.get("cuda_graph") != "off",
        )

    def program(self, profile: int, memory: int, stream: int) -> TensorRTProgram:
        """An execution context of TensorRT. See :meth:`DeviceExecutable.program`."""
        names = [binding.name for binding in self.bindings]
        ports = [binding.port for binding in self.inputs]
        chosen = profile if self.ranges else None
        trt = self.library.trt
        context = execution_context(trt, self.engine, self._recorder, self._making)
        return TensorRTProgram(trt, context, names, ports, memory, chosen, stream)

    def close(self) -> None:
        """Free the engine too. See :meth:`DeviceExecutable.close`."""
        super().close()
        with cuda.on(self.only):
            self.engine = self._runtime = None

    def layer_times(self, inputs: Sequence[object], runs: int) -> list[LayerTime]:
        """Mean times of the compiled layers. See :meth:`Executable.layer_times`."""
        from fwd_core.backends.tensorrt.runtime.profiling import measure

        return measure(self, inputs, runs)

    def _bindings(self, ports: Sequence[Port], names: Sequence[str]) -> list[Binding]:
        return [
            Binding(port, name, HELD[self.engine.get_tensor_dtype(name).name])
            for port, name in zip(ports, names, strict=True)
        ]
