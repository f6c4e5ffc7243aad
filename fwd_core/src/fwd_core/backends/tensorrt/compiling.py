"""From a finished network to the bytes of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwd_core.backends.base import Mode
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.backends.tensorrt.profiles import add_profile
from fwd_core.backends.tensorrt.progress import monitor
from fwd_core.errors import BuildError
from fwd_core.events import Events
from fwd_core.ir.types import TensorType


def configure(
    library: Library,
    builder: Any,
    options: TensorRTOptions,
    mode: Mode,
    inputs: Mapping[str, TensorType],
    record: Record,
) -> Any:
    """An ``IBuilderConfig`` for a build.

    Args:
        library: The flavour.
        builder: Its ``IBuilder``.
        options: Checked against the flavour.
        mode: Numeric mode.
        inputs: Input types by binding name.
        record: Where the flavour reports errors.

    Raises:
        BuildError: TensorRT refuses a setting.
    """
    trt, features = library.trt, library.features
    config = builder.create_builder_config()
    add_profile(builder, config, inputs)
    if not options.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    if options.layers:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.gpus and features.ahead_of_time:
        config.num_compute_capabilities = len(options.gpus)
        for index, name in enumerate(options.gpus):
            capability = getattr(trt.ComputeCapability, name.replace("_", "").upper())
            config.set_compute_capability(capability, index)
    if features.half_flag and mode == "float16":
        config.set_flag(trt.BuilderFlag.FP16)
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    if features.cudnn:
        # A process that has no cuDNN beside TensorRT is aborted when such a kernel is tried.
        without = config.get_tactic_sources() & ~(1 << int(trt.TacticSource.CUDNN))
        config.set_tactic_sources(without)
    if record.failed:
        raise BuildError(f"{library.flavour} refuses the settings", details=record.problems())
    return config


def serialize(
    library: Library, builder: Any, network: Any, config: Any, record: Record, events: Events
) -> Any:
    """Compile the network; the result is an ``IHostMemory``.

    Raises:
        BuildError: It failed, with TensorRT's own words.
    """
    with events.phase("compile", detail=f"{library.flavour} {library.version}") as phase:
        watch = monitor(library.trt, phase) if library.features.progress_monitor else None
        if watch is not None:
            config.progress_monitor = watch
        plan = builder.build_serialized_network(network, config)
        if watch is not None and watch.error is not None:
            raise watch.error
    if plan is None:
        raise BuildError(
            f"{library.flavour} could not compile the network", details=record.problems()
        )
    return plan
