"""Ranges that TensorRT's own calibrators find in Forward's network: a program, and a comparison.

``python tests/helpers/tensorrt_ranges.py GRAPH ARRAYS ALGORITHM CACHE`` makes the network of a
graph as Forward lowers it, without a pair that quantizes, and lets TensorRT calibrate it before
fusions, so that the cache it writes has the names of the graph's values. A program, because it
ends as soon as the cache is written: the build that would follow takes minutes and tells nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu import build, calibrators
from benchmarks.gpu.packs import plugins
from fwd_core.backends.tensorrt.context import TensorRTLowering
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record, listen, logger
from fwd_core.backends.tensorrt.network import make_network
from fwd_core.errors import BuildError
from fwd_core.events import Events
from fwd_core.ir.serialize import load
from fwd_core.quantize import CalibrationCache, Histogram
from fwd_core.rewrite.precision import narrow_float64

#: MiB of scratch memory.
_WORKSPACE = 2048
#: Ranges that differ by less are the same.
CLOSE = 0.05


def network_of(library: Library, builder: Any, record: Record, file: Path) -> TensorRTLowering:
    """Forward's network of a graph file, as it is before a build fuses anything."""
    packs = plugins()
    graph = load(file, packs.operators)
    narrow_float64(graph)
    return make_network(graph, library, builder, packs.lowerings, record, Events())


def calibrate(file: Path, arrays: Path, algorithm: str, cache: Path) -> None:
    """Let TensorRT calibrate; the process ends when it has.

    Raises:
        BuildError: It has not, with TensorRT's words.
    """
    library = build.library()
    trt = library.trt
    with np.load(arrays) as found:
        whole = {name: found[name] for name in found.files}
    count = len(next(iter(whole.values())))
    batches = [{name: one[i : i + 1] for name, one in whole.items()} for i in range(count)]
    with listen(trt) as record:
        builder = trt.Builder(logger(trt))
        builder.error_recorder = record.recorder
        context = network_of(library, builder, record, file)
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE << 20)
        config.clear_flag(trt.BuilderFlag.TF32)
        config.builder_optimization_level = 0
        if library.features.cudnn:
            sources = config.get_tactic_sources() & ~(1 << int(trt.TacticSource.CUDNN))
            config.set_tactic_sources(sources)
        made = calibrators.attach(
            trt,
            config,
            context.network,
            batches,
            cache,
            algorithm=algorithm,
            written=lambda: os._exit(0),
        )
        plan = builder.build_serialized_network(context.network, config)
        made.check()
        raise BuildError(
            f"TensorRT wrote no calibration cache after {made.given} of {len(batches)} batches, "
            f"and {'no' if plan is None else 'an'} engine",
            details=record.problems(),
        )


@dataclass(frozen=True)
class Calibrating:
    """A process that calibrates, and the files that it writes."""

    process: subprocess.Popen[bytes]
    cache: Path
    log: Path

    @classmethod
    def started(cls, file: Path, arrays: Path, algorithm: str, folder: Path) -> Calibrating:
        """Start one. Several may run at once: most of their time goes by on the host."""
        cache = folder / f"theirs-{algorithm}.cache"
        log = folder / f"theirs-{algorithm}.log"
        command = [sys.executable, __file__, str(file), str(arrays), algorithm, str(cache)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment)
        return cls(process, cache, log)

    def found(self, seconds: float) -> CalibrationCache:
        """What it has found, when it has ended.

        Raises:
            AssertionError: It failed or took too long, with the end of what it said.
        """
        try:
            code: int | str = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = f"none after {seconds:.0f} s"
        told = self.log.read_text(encoding="utf-8", errors="replace")[-3000:]
        assert code == 0, f"exit code {code}:\n{told}"
        assert self.cache.exists(), f"it wrote nothing:\n{told}"
        return CalibrationCache.load(self.cache)


@dataclass(frozen=True)
class Compared:
    """A tensor's range as both found it; ``theirs`` is ``None`` if TensorRT's cache lacks it."""

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    quantized: bool

    @property
    def close(self) -> bool:
        """Whether both are the same."""
        return self.ratio is not None and abs(self.ratio - 1) <= CLOSE


def table(
    ours: Mapping[str, float], theirs: Mapping[str, float], quantized: Sequence[str]
) -> list[Compared]:
    """All tensors in our order. ``quantized`` names those whose ranges int8 needs."""
    needed, rows = set(quantized), []
    for name, amax in ours.items():
        other = theirs.get(name)
        ratio = None if not other else amax / other
        rows.append(Compared(name, amax, other, ratio, name in needed))
    return rows


def told(algorithm: str, rows: Sequence[Compared]) -> dict[str, Any]:
    """What the table comes to, and the table."""
    needed = [row for row in rows if row.quantized]
    return {
        "algorithm": algorithm,
        "close of quantized": share(needed),
        "close of all": share([row for row in rows if row.ratio is not None]),
        "missing": [row.name for row in needed if row.ratio is None],
        "tensors": [asdict(row) for row in rows],
    }


def share(rows: Sequence[Compared]) -> float:
    """Which part of the tensors has the same range."""
    return sum(row.close for row in rows) / len(rows) if rows else 0.0


def keep(histograms: Mapping[str, Histogram], file: Path) -> None:
    """Write histograms, so that algorithms can be tried on them elsewhere."""
    listed = list(histograms.values())
    np.savez_compressed(
        file,
        names=np.array(list(histograms)),
        counts=np.stack([one.counts for one in listed]).astype(np.uint32),
        zeros=np.array([one.zeros for one in listed]),
        width=np.array([one.width for one in listed]),
        maximum=np.array([one.maximum for one in listed]),
    )


if __name__ == "__main__":
    _file, _arrays, _algorithm, _cache = sys.argv[1:]
    calibrate(Path(_file), Path(_arrays), _algorithm, Path(_cache))
