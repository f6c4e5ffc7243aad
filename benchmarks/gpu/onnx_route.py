"""The peer on TensorRT: its own ONNX parser, with the settings that Forward's builds have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu import calibrators
from benchmarks.gpu.case import Case
from benchmarks.gpu.host import MIB
from fwd_core.backends.tensorrt import tactics
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record, listen, logger
from fwd_core.errors import BuildError


@dataclass(frozen=True)
class Settings:
    """What both routes are built with.

    Attributes:
        mode: ``float32``, ``float16`` or ``int8``.
        workspace: MiB of scratch memory on the GPU that a layer may use.
        level: Optimization level; ``None`` for the library's own.
        timing_cache: File that times of kernels are kept in; ``None`` for none.
        timings: How often each kernel is timed; ``None`` for the library's own.
        sources: Where kernels may come from; ``None`` for what is said there.
    """

    mode: str
    workspace: int
    level: int | None = None
    timing_cache: Path | None = None
    timings: int | None = None
    sources: tuple[str, ...] | None = None

    @property
    def half(self) -> bool:
        """Whether floats may be half."""
        return self.mode != "float32"

    @property
    def detailed(self) -> bool:
        """Whether plans tell the types of their layers: where not all are float32."""
        return self.half


def narrows(library: Library) -> bool:
    """Whether a flag lets a build compute in half; without it the ONNX file itself must be half."""
    return hasattr(library.trt.BuilderFlag, "FP16")


def names(case: Case) -> dict[str, list[str]]:
    """Names of the inputs and outputs of a case's ONNX file, as it was exported."""
    inputs, outputs = case.read()
    return {
        "inputs": [f"input_{i}" for i in range(len(inputs))],
        "outputs": [f"output_{i}" for i in range(len(outputs))],
    }


def build(library: Library, path: Path, settings: Settings, case: Case | None = None) -> Any:
    """The engine's bytes, as an ``IHostMemory``.

    Args:
        library: The flavour of TensorRT.
        path: The ONNX file; in half precision where :func:`narrows` says so.
        settings: How to build.
        case: For mode ``int8``, where the data for TensorRT's own calibrator is.

    Raises:
        BuildError: The file is not parsed or the network not compiled, with TensorRT's words.
    """
    trt = library.trt
    with listen(trt) as record:
        builder = trt.Builder(logger(trt))
        network = builder.create_network(_network_flags(trt))
        parser = trt.OnnxParser(network, logger(trt))
        if not parser.parse_from_file(str(path)):
            told = [parser.get_error(i).desc() for i in range(parser.num_errors)]
            raise BuildError(f"TensorRT does not parse {path.name}", details=told)
        config = _configure(library, builder, settings, record)
        calibrator = _calibrate(trt, config, network, case) if settings.mode == "int8" else None
        plan = builder.build_serialized_network(network, config)
        if calibrator is not None:
            calibrator.check()
        if plan is None:
            raise BuildError("TensorRT does not compile the ONNX file", details=record.problems())
        if settings.timing_cache is not None:
            _keep(config, settings.timing_cache)
        return plan


def _calibrate(trt: Any, config: Any, network: Any, case: Case | None) -> Any:
    assert case is not None, "int8 is calibrated with a case's data"
    batches = [
        {f"input_{index}": array for index, array in enumerate(arrays)}
        for arrays in case.calibration(case.batch)
    ]
    return calibrators.attach(trt, config, network, batches, case.cache("onnx"))


def _network_flags(trt: Any) -> int:
    known = trt.NetworkDefinitionCreationFlag.__members__
    if hasattr(trt.BuilderFlag, "FP16"):  # types are chosen by the builder
        return 1 << int(known["EXPLICIT_BATCH"])
    return 1 << int(known["STRONGLY_TYPED"])


def _configure(library: Library, builder: Any, settings: Settings, record: Record) -> Any:
    trt = library.trt
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace * MIB)
    config.clear_flag(trt.BuilderFlag.TF32)
    if settings.detailed:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if settings.half and narrows(library):
        config.set_flag(trt.BuilderFlag.FP16)
    if settings.level is not None:
        config.builder_optimization_level = settings.level
    if settings.timings is not None:
        config.avg_timing_iterations = settings.timings
    sources = tactics.mask(trt, config, settings.sources)  # as Forward does: without cuDNN
    taken = sources is None or config.set_tactic_sources(sources)
    if not taken or not tactics.show(trt, config, settings.sources, library.features):
        raise BuildError("TensorRT refuses the sources of kernels", details=record.problems())
    file = settings.timing_cache
    if file is not None:
        cache = config.create_timing_cache(file.read_bytes() if file.exists() else b"")
        if not config.set_timing_cache(cache, ignore_mismatch=False):
            # One of another GPU or version: begin anew.
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
            record.problems()
    return config


def _keep(config: Any, file: Path) -> None:
    from fwd_core.files import atomic_path

    cache = config.get_timing_cache()
    if cache is None:  # TensorRT-RTX keeps none
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as path:
        path.write_bytes(memoryview(cache.serialize()))
