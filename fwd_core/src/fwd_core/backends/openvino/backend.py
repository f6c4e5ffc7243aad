"""The OpenVINO backend."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np

from fwd_core.backends.base import (
    Availability,
    Backend,
    BuildConfig,
    Executable,
    Mode,
    Options,
    Plan,
    Port,
)
from fwd_core.backends.openvino.attentions import attentions_meet
from fwd_core.backends.openvino.model import lower_graph
from fwd_core.backends.openvino.options import OpenVINOOptions
from fwd_core.backends.openvino.plan import OpenVINOPlan, require_machine
from fwd_core.backends.openvino.runtime import OpenVINOExecutable
from fwd_core.backends.openvino.types import shared
from fwd_core.errors import BuildError, EngineFileError, OptionError
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.plugins.advice import pip_install
from fwd_core.rewrite.precision import narrow_float64

if TYPE_CHECKING:
    from openvino import CompiledModel, Core, Model

_DEVICE = "CPU"
_PRECISIONS = {DType.FLOAT32: "f32", DType.FLOAT16: "f16", DType.BFLOAT16: "bf16"}


class OpenVINOBackend(Backend):
    """Compiles for the CPU and runs there.

    Mode ``float32`` computes in float32, ``float16`` in the half type that the CPU has, which
    the manifest names: ``compute`` is ``float16`` or ``bfloat16``. Mode ``int8`` computes in
    float32 what the graph does not quantize: all of it, if ``compute`` names no ``int8``.
    """

    name: ClassVar[str] = "openvino"
    priority: ClassVar[int] = 10
    precision: ClassVar[Literal["typed", "hint"]] = "hint"
    unsigned: ClassVar[bool] = True
    options: ClassVar[type[Options]] = OpenVINOOptions

    def availability(self) -> Availability:
        """OpenVINO's version and the CPU's name, or how to install it."""
        try:
            machine = self._machine()
        except ImportError as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == "openvino"
            reason = "openvino is not installed" if missing else f"openvino cannot load: {error}"
            return Availability(False, False, reason, advice=pip_install("openvino"))
        except Exception as error:  # noqa: BLE001 - a broken installation may raise anything
            return Availability(False, False, f"OpenVINO does not start: {error}")
        return Availability(
            True, True, versions={"openvino": machine["openvino"]}, devices=[machine["device"]]
        )

    def require(self, mode: Mode, options: Options) -> None:
        """Refuse half precision on a CPU without a half type. See :meth:`Backend.require`."""
        del options
        self._compute_type(mode, self._machine())

    def build(self, graph: Graph, config: BuildConfig) -> Plan:
        """Lower the graph to OpenVINO's operators and compile them. See :meth:`Backend.build`."""
        options = cast("OpenVINOOptions", config.options)
        machine = self._machine()
        compute = self._compute_type(config.mode, machine)
        integers = config.mode == "int8" and any(
            isinstance(x.op, ops.Quantize) for x in graph.walk()
        )
        narrow_float64(graph)
        meet = attentions_meet(graph)
        lowered = lower_graph(graph, config.plugins.lowerings, config.events, compute)
        properties = properties_of(options, compute)
        if meet:
            properties["SNIPPETS_MODE"] = "DISABLE"
        with config.events.phase("compile"):
            try:
                compiled = self._core.compile_model(lowered.model, _DEVICE, properties)
            except RuntimeError as error:
                raise BuildError(
                    "OpenVINO cannot compile the model",
                    where=blamed(graph, str(error)),
                    details=[str(error)],
                ) from None
        require_honoured(options, compiled)
        manifest = {
            **machine,
            "compute": f"int8, {compute}" if integers else str(compute),
            "properties": properties,
            "ports": {
                "outputs": [list(source) for source in lowered.outputs],
                "passed": passed_through(lowered.model, compiled),
                "narrowed": list(lowered.narrowed),
            },
        }
        return OpenVINOPlan(manifest, compiled)

    def read_plan(self, manifest: Mapping[str, Any], payload: memoryview) -> Plan:
        """Import what OpenVINO exported. See :meth:`Backend.read_plan`."""
        try:
            import openvino
        except ImportError as error:
            raise EngineFileError(
                f"the engine needs openvino {manifest['openvino']}, which is not installed",
                details=[str(error)],
                hint=pip_install("openvino"),
            ) from None

        require_machine(manifest, self._machine())
        blob = shared(np.frombuffer(payload, np.uint8), DType.UINT8)
        try:
            compiled = self._core.import_model(blob, _DEVICE, dict(manifest["properties"]))
        except RuntimeError as error:
            raise EngineFileError(
                "OpenVINO cannot read its own export from the engine",
                got=f"{len(payload)} bytes of OpenVINO {openvino.get_version()}",
                details=[str(error)],
                hint="build the engine again",
            ) from None
        return OpenVINOPlan(manifest, compiled, payload)

    def load(self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]) -> Executable:
        """Make requests of the compiled model. See :meth:`Backend.load`."""
        return OpenVINOExecutable(cast("OpenVINOPlan", plan), ports)

    @cached_property
    def _core(self) -> Core:
        import openvino

        return openvino.Core()

    def _compute_type(self, mode: Mode, machine: Mapping[str, Any]) -> DType:
        preferred = self._core.get_property(_DEVICE, "INFERENCE_PRECISION_HINT").get_type_name()
        return compute_type(mode, machine["capabilities"], preferred)

    def _machine(self) -> dict[str, Any]:
        """What an export depends on."""
        import openvino

        return {
            "openvino": openvino.get_version(),
            "device": self._core.get_property(_DEVICE, "FULL_DEVICE_NAME").strip(),
            "capabilities": sorted(self._core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")),
        }


def compute_type(mode: Mode, capabilities: Sequence[str], preferred: str) -> DType:
    """The type that floats are computed in; in mode ``int8``, what is left of them.

    Args:
        mode: The engine's mode.
        capabilities: OpenVINO's words for what the device has.
        preferred: Its word for the type that the device computes in by default, which is the
            faster one where there are several half types: CPUs with AMX for bfloat16 compute
            float16 too, slower than float32.

    Raises:
        OptionError: The CPU has no half type, and the mode is ``float16``.
    """
    if mode not in ("float16", "int8"):
        return DType.FLOAT32
    halves = {"FP16": DType.FLOAT16, "BF16": DType.BFLOAT16}
    found = [dtype for capability, dtype in halves.items() if capability in capabilities]
    for dtype in found:
        if _PRECISIONS[dtype] == preferred:
            return dtype
    if found:
        return found[0]
    if mode == "int8":
        return DType.FLOAT32
    raise OptionError(
        "this CPU has no instructions for half precision: mode 'float16' would be no faster here",
        expected="a CPU whose capabilities, as OpenVINO tells them, hold FP16 or BF16",
        got=", ".join(capabilities),
        hint="build mode 'float32', or build on the CPU that the engine will run on",
    )


def properties_of(options: OpenVINOOptions, compute: DType) -> dict[str, Any]:
    """OpenVINO's properties for these options. Its default precision is not float32 everywhere."""
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[compute],
        "PERFORMANCE_HINT": options.hint.upper(),
    }
    if options.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = options.threads
    if options.streams is not None:
        properties["NUM_STREAMS"] = options.streams
    return properties


def require_honoured(options: OpenVINOOptions, compiled: CompiledModel) -> None:
    """Check that OpenVINO took the numbers it was given: it lowers what the machine has not.

    Raises:
        OptionError: It uses fewer threads or streams.
    """
    for option, key in (("threads", "INFERENCE_NUM_THREADS"), ("streams", "NUM_STREAMS")):
        asked, used = getattr(options, option), int(compiled.get_property(key))
        if asked is not None and asked != used:
            raise OptionError(
                f"option {option!r} of backend 'openvino' is more than this machine can use",
                expected=f"at most {used}",
                got=asked,
            )


def passed_through(model: Model, compiled: CompiledModel) -> list[int]:
    """Results that OpenVINO simplified to one of the model's inputs.

    It does not write them where it is told to: nothing computes them.
    """
    found = set()
    for result in compiled.get_runtime_model().get_results():
        source = result.input_value(0).get_node()
        if source.get_rt_info()["layerType"].astype(str) == "Input":
            found.add(result.get_friendly_name())
    names = [result.get_friendly_name() for result in model.get_results()]
    return [index for index, name in enumerate(names) if name in found]


def blamed(graph: Graph, message: str) -> str | None:
    """Name and location of the node that OpenVINO's message is about, if it names one."""
    words = set(re.findall(r"[^\s'\"(),:\[\]]+", message))
    named = [node for node in graph.walk() if node.name in words]
    if not named:
        return None
    node = max(named, key=lambda one: len(one.name))
    return f"{node.name} {node.location}".strip()
