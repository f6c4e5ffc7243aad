"""From a finished network to the bytes of a plan."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fwd_core.backends.base import Mode
from fwd_core.backends.tensorrt import memory, profiles, tactics, timing
from fwd_core.backends.tensorrt.features import HIDES_SOURCES
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.backends.tensorrt.profiles import Profile
from fwd_core.backends.tensorrt.progress import monitor
from fwd_core.backends.tensorrt.runtime.device import Gpu
from fwd_core.backends.tensorrt.timing import TimingCache
from fwd_core.errors import BuildError, ForwardWarning
from fwd_core.events import Events
from fwd_core.ir.types import TensorType

#: What TensorRT-RTX 1.7 says of float32 products for Turing, and what helps.
_NONE_ON_75 = "FP32 GEMM is not supported"
_HINT_75 = "mode='float16' has products for sm_75; or leave sm_75 out of gpu="


def configure(
    library: Library,
    builder: Any,
    options: TensorRTOptions,
    mode: Mode,
    inputs: Mapping[str, TensorType],
    ranges: Sequence[Profile],
    gpu: Gpu | None,
    record: Record,
    *,
    quantized: bool = False,
) -> Any:
    """An ``IBuilderConfig`` for a build.

    Args:
        library: The flavour.
        builder: Its ``IBuilder``.
        options: Checked against the flavour.
        mode: Numeric mode.
        inputs: Input types by binding name.
        ranges: Ranges of the sizes, a profile each.
        gpu: The GPU at hand.
        record: Where the flavour reports errors.
        quantized: Whether the network holds tensors of 8 bits.

    Raises:
        BuildError: TensorRT refuses a setting.
    """
    trt, features = library.trt, library.features
    config = builder.create_builder_config()
    # What is refused keeps its old value, and is not always told to the recorder.
    kept: list[str] = []
    profiles.add(builder, config, inputs, ranges)
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    workspace = options.workspace
    if workspace is None and gpu is not None:
        workspace = memory.fitting()
    if workspace is not None:
        pool = trt.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, workspace)
        if config.get_memory_pool_limit(pool) != workspace:
            kept.append("workspace")
    asked: dict[str, Any] = {}
    if options.optimization_level is not None:
        asked["builder_optimization_level"] = options.optimization_level
    if options.avg_timing_iterations is not None:
        asked["avg_timing_iterations"] = options.avg_timing_iterations
    if options.layers:
        asked["profiling_verbosity"] = trt.ProfilingVerbosity.DETAILED
    if options.gpus and features.ahead_of_time:
        config.num_compute_capabilities = len(options.gpus)
        for index, name in enumerate(options.gpus):
            capability = getattr(trt.ComputeCapability, name.replace("_", "").upper())
            config.set_compute_capability(capability, index)
    flags: list[Any] = []
    if features.narrows(mode):
        flags += [trt.BuilderFlag.FP16, trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS]
    if features.int8_flag and quantized:
        flags.append(trt.BuilderFlag.INT8)
    sources = tactics.mask(trt, config, options.sources)
    if sources is not None and not config.set_tactic_sources(sources):
        kept.append("tactic_sources")
    if not tactics.show(trt, config, options.sources, features):
        kept.append(HIDES_SOURCES)
    if features.profile_sharing:
        # Without it, contexts that run at once would each need a profile of their own.
        sharing = trt.PreviewFeature.PROFILE_SHARING_0806
        if not config.get_preview_feature(sharing):
            config.set_preview_feature(sharing, True)
            if not config.get_preview_feature(sharing):
                kept.append(sharing.name)
    if options.version_compatible:
        flags.append(trt.BuilderFlag.VERSION_COMPATIBLE)
    for flag in flags:
        config.set_flag(flag)
    kept += [flag.name for flag in flags if not config.get_flag(flag)]
    if options.hardware_compatible:
        asked["hardware_compatibility_level"] = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    for name, value in asked.items():
        setattr(config, name, value)
    kept += [name for name, value in asked.items() if getattr(config, name) != value]
    if record.failed or kept:
        raise BuildError(
            f"{library.flavour} refuses the settings",
            got=", ".join(kept) or None,
            details=record.problems(),
        )
    return config


def cache_of(library: Library, options: TensorRTOptions, gpu: Gpu | None) -> TimingCache | None:
    """The timing cache of a build, ``None`` if there is to be none.

    The options are checked: TensorRT here can keep times if a file is named.
    """
    if not library.features.timing_cache or options.timing_cache == "off" or gpu is None:
        return None
    missing = tactics.missing_for_times() if library.features.cudnn_in_times else None
    if missing is not None:
        warnings.warn(
            f"no times of kernels are kept for the next build: {missing}; {tactics.CUDNN_HINT}",
            ForwardWarning,
            stacklevel=2,
        )
        return None
    path = (
        timing.path_of(library, gpu)
        if options.timing_cache == "auto"
        else Path(options.timing_cache).expanduser()
    )
    return TimingCache(library, gpu, path)


def serialize(
    library: Library,
    builder: Any,
    network: Any,
    config: Any,
    record: Record,
    events: Events,
    cache: TimingCache | None = None,
) -> Any:
    """Compile the network; the result is an ``IHostMemory``. What was measured is kept.

    Raises:
        BuildError: It failed, with TensorRT's own words.
    """
    with events.phase("compile", detail=f"{library.flavour} {library.version}") as phase:
        watch = monitor(library.trt, phase) if library.features.progress_monitor else None
        if watch is not None:
            config.progress_monitor = watch
        if cache is not None:
            cache.attach(config, record)
        plan = builder.build_serialized_network(network, config)
        if watch is not None and watch.error is not None:
            raise watch.error
    if plan is None:
        problems = record.problems()
        raise BuildError(
            f"{library.flavour} could not compile the network",
            details=problems,
            hint=_HINT_75 if any(_NONE_ON_75 in one for one in problems) else None,
        )
    if cache is not None:
        cache.save(record)
    return plan
