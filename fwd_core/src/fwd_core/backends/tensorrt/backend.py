"""The backend for NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

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
from fwd_core.backends.tensorrt import inspector, layers, network, plan, profiles
from fwd_core.backends.tensorrt.compiling import cache_of, configure, serialize
from fwd_core.backends.tensorrt.library import (
    EXTRAS,
    FLAVOURS,
    Library,
    NotInstalledError,
    load,
)
from fwd_core.backends.tensorrt.logger import Record, listen, logger
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.backends.tensorrt.plan import TensorRTPlan
from fwd_core.backends.tensorrt.runtime import device
from fwd_core.errors import BuildError, OptionError, Problem
from fwd_core.ir.graph import Graph
from fwd_core.plugins.advice import pip_install

#: Options that say nothing of how pieces of a model are run to calibrate with: names of sizes that
#: a piece may lack, other GPUs, what the plan can be used for, and another precision.
_OF_THE_ENGINE = frozenset(
    {"profiles", "gpu", "layers", "version_compatible", "hardware_compatible", "tf32"}
)


class TensorRTBackend(Backend):
    """TensorRT 8.6, 10 and 11, and TensorRT-RTX, from one lowering.

    The full library builds on the GPU that it runs on. TensorRT-RTX also builds without one, for
    the compute capabilities that it knows; kernels are finished where the engine is loaded.
    """

    name: ClassVar[str] = "tensorrt"
    priority: ClassVar[int] = 20
    precision: ClassVar[Literal["typed", "hint"]] = "typed"
    #: TensorRT 8.6 has no kernel for it, and kernels for the two apart move tensors of float32.
    adds_floats: ClassVar[bool] = False
    options = TensorRTOptions

    def availability(self) -> Availability:
        """What this machine can build and run, and why not more."""
        gpu, no_gpu = device.find()
        versions: dict[str, str] = {}
        reasons: list[str] = []
        targets: list[str] = []
        build = run = False
        for flavour in FLAVOURS:
            try:
                library = load(flavour)
            except NotInstalledError:
                continue
            except BuildError as error:
                reasons.append("; ".join((error.what, *error.details)))
                continue
            versions[flavour] = library.version
            targets += library.features.compute_capabilities
            usable = gpu is not None and _knows(library, gpu.capability)
            build = build or usable or library.features.ahead_of_time
            run = run or usable
            if gpu is not None and not usable:
                reasons.append(f"{flavour} knows no {gpu.capability}")
        if no_gpu and versions:  # without a library, a GPU would not help
            reasons.append(no_gpu)
        if not reasons:
            reasons.append(f"neither {' nor '.join(FLAVOURS)} is installed")
        devices = () if gpu is None else (str(gpu),)
        reason, advice = "" if run else "; ".join(reasons), "" if versions else _advice()
        return Availability(build, run, reason, versions, devices, targets, advice)

    def require(self, mode: Mode, options: Options) -> None:
        """Refuse GPUs that nothing here builds for. See :meth:`Backend.require`."""
        del mode
        assert isinstance(options, TensorRTOptions)
        _library(options)

    def calibration_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Quick builds in float32 for the GPU at hand. See :meth:`Backend.calibration_options`."""
        kept = {name: value for name, value in given.items() if name not in _OF_THE_ENGINE}
        return {**kept, "optimization_level": 0}

    def build(self, graph: Graph, config: BuildConfig) -> Plan:
        """Compile a graph. See :meth:`Backend.build`."""
        from fwd_core.rewrite.precision import narrow_float64

        options = config.options
        assert isinstance(options, TensorRTOptions)
        library, _here = _library(options)
        gpu, _no_gpu = device.find()
        narrow_float64(graph)
        # The full library logs far more than its layers, which its inspector tells.
        verbose = options.layers and library.features.ahead_of_time
        with listen(library.trt, verbose=verbose) as record:
            return _build(graph, config, options, library, record, gpu)

    def unsupported(self, graph: Graph, config: BuildConfig) -> list[Problem]:
        """Operators that TensorRT here cannot compute. See :meth:`Backend.unsupported`."""
        from fwd_core.rewrite.precision import narrow_float64

        options = config.options
        assert isinstance(options, TensorRTOptions)
        library, _ = _library(options)
        narrow_float64(graph)
        return network.unsupported(graph, library, config.plugins.lowerings)

    def read_plan(self, manifest: Mapping[str, Any], payload: memoryview) -> Plan:
        """A plan from a file. See :meth:`Backend.read_plan`."""
        gpu, _ = device.find()
        plan.check(manifest, None if gpu is None else gpu.capability)
        return TensorRTPlan(manifest, payload)

    def load(self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]) -> Executable:
        """Make a plan ready to run. See :meth:`Backend.load`."""
        from fwd_core.backends.tensorrt.runtime.executable import TensorRTExecutable

        assert isinstance(plan, TensorRTPlan)
        return TensorRTExecutable(load(plan.manifest["flavour"]), plan, ports)


def _build(
    graph: Graph,
    config: BuildConfig,
    options: TensorRTOptions,
    library: Library,
    record: Record,
    gpu: device.Gpu | None,
) -> TensorRTPlan:
    trt, features = library.trt, library.features
    ranges = profiles.resolve(options.ranges, {x.name: x.type for x in graph.inputs})
    try:
        builder = trt.Builder(logger(trt))
    except TypeError as error:  # how the bindings say that the library made nothing
        told = [*record.problems(), str(error)]
        raise BuildError(f"{library.flavour} cannot build here", details=told) from None
    builder.error_recorder = record.recorder
    lowerings, events = config.plugins.lowerings, config.events
    context = network.make_network(
        *(graph, library, builder, lowerings, record, events),
        narrows=features.narrows(config.mode),
        exact_padding=options.empty_sequences == "zeros",
    )
    inputs, outputs = context.names
    types = {name: value.type for name, value in zip(inputs, graph.inputs, strict=True)}
    settings = configure(
        library,
        builder,
        options,
        config.mode,
        types,
        ranges,
        gpu,
        record,
        quantized=context.quantized,
    )
    cache = cache_of(library, options, gpu)
    memory = serialize(library, builder, context.network, settings, record, events, cache)
    here = None if gpu is None else gpu.capability
    manifest: dict[str, Any] = {
        "flavour": library.flavour,
        "version": library.version,
        "gpus": list(options.gpus or features.portable or (here,)),
        "compute": _compute(config, options),
        "mode": config.mode,
        "cuda_graph": options.cuda_graph,
        "bindings": {"inputs": inputs, "outputs": outputs},
        "profiles": [{name: list(sizes) for name, sizes in one.items()} for one in ranges],
        "plugins": sorted(context.plugins),  # engines of older versions may lack it
    }
    for name in ("version_compatible", "hardware_compatible"):
        if getattr(options, name):
            manifest[name] = True
    if options.layers:
        manifest["layers"] = [one.to_json() for one in _layers(library, memory, record)]
    return TensorRTPlan(manifest, memory)


def _layers(library: Library, memory: Any, record: Record) -> list[layers.CompiledLayer]:
    """The compiled layers: from the log where a build tells them, else from the loaded plan."""
    found = layers.find(line.text for line in record.lines)
    if found is not None:
        return found
    if library.features.ahead_of_time:
        raise BuildError(f"{library.flavour} did not tell the compiled layers")
    return inspector.of_plan(library, memory, record)


def _library(options: TensorRTOptions) -> tuple[Library, str | None]:
    """The flavour to build with, and the compute capability of the GPU at hand if there is one."""
    gpu, no_gpu = device.find()
    here = None if gpu is None else gpu.capability
    wanted = FLAVOURS if options.flavour == "auto" else (options.flavour,)
    reasons: list[str] = []
    refusal: OptionError | None = None
    hint = None
    for flavour in wanted:
        try:
            library = load(flavour)
        except BuildError as error:
            reasons.append("; ".join((error.what, *error.details)))
            hint = error.hint if options.flavour != "auto" else _advice()
            continue
        if not library.features.ahead_of_time and here is None:
            reasons.append(f"{flavour} {library.version} builds on a GPU: {no_gpu}")
            continue
        try:
            options.check(library.features, here, library.version)
        except OptionError as error:
            refusal = refusal or error  # of the flavour that comes first
            continue
        return library, here
    if refusal is not None:
        raise refusal
    raise BuildError("no flavour of TensorRT can build here", details=reasons, hint=hint)


def _advice() -> str:
    full, rtx = (pip_install(EXTRAS[flavour]) for flavour in FLAVOURS)
    return f"{rtx} (TensorRT-RTX, which builds without a GPU too), or {full}"


def _knows(library: Library, capability: str) -> bool:
    known = library.features.compute_capabilities
    return not known or capability in known


def _compute(config: BuildConfig, options: TensorRTOptions) -> str:
    if config.mode in ("float16", "int8"):
        return "int8, float16" if config.mode == "int8" else "float16"
    return "float32 (tf32 products)" if options.tf32 else "float32"
