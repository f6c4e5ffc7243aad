"""A plan loaded on a GPU."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

from fwd_core.backends.base import Executable, Port
from fwd_core.backends.layer_times import LayerTime
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.plan import TensorRTPlan
from fwd_core.backends.tensorrt.runtime import device
from fwd_core.backends.tensorrt.runtime.context import TensorRTContext
from fwd_core.backends.tensorrt.types import HELD
from fwd_core.errors import BuildError
from fwd_core.ir.dtypes import DType


@dataclass(frozen=True)
class Binding:
    """An input or output as the engine has it.

    Attributes:
        port: The input or output of the source model.
        name: Its name inside TensorRT.
        dtype: The type that it is bound in.
    """

    port: Port
    name: str
    dtype: DType


class TensorRTExecutable(Executable):
    """A deserialized engine. Contexts share its weights.

    Not run in CI, which has no GPU; there it ends with the first error below.

    Attributes:
        parallel: Two, so that one run copies while another computes.

    Raises:
        BuildError: There is no GPU, or TensorRT refuses the plan.
    """

    parallel = 2

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
        self.gpu = gpu
        self.library = library
        with listen(library.trt) as record:
            self._runtime = library.trt.Runtime(logger(library.trt))
            self.engine = self._runtime.deserialize_cuda_engine(plan.payload())
            if self.engine is None:
                raise BuildError(f"{library.flavour} refuses the plan", details=record.problems())
        self.manifest = plan.manifest
        names = plan.manifest["bindings"]
        self.inputs = self._bindings(ports[0], names["inputs"])
        self.outputs = self._bindings(ports[1], names["outputs"])
        self._contexts: weakref.WeakSet[TensorRTContext] = weakref.WeakSet()

    @property
    def bindings(self) -> list[Binding]:
        """Inputs, then outputs."""
        return [*self.inputs, *self.outputs]

    def context(self) -> TensorRTContext:
        """A new context. See :meth:`Executable.context`."""
        context = TensorRTContext(self)
        self._contexts.add(context)
        return context

    def close(self) -> None:
        """Free what contexts hold on the device."""
        for context in list(self._contexts):
            context.close()

    def layer_times(self, inputs: Sequence[object], runs: int) -> list[LayerTime]:
        """Mean times of the compiled layers. See :meth:`Executable.layer_times`."""
        from fwd_core.backends.tensorrt.runtime.profiling import measure

        return measure(self, inputs, runs)

    def _bindings(self, ports: Sequence[Port], names: Sequence[str]) -> list[Binding]:
        return [
            Binding(port, name, HELD[self.engine.get_tensor_dtype(name).name])
            for port, name in zip(ports, names, strict=True)
        ]
