"""Timing caches: what a build measured of kernels, kept on disk for the next build.

A cache is bound to a flavour, its version and a GPU. It is one of Forward's own files
(:mod:`fwd_core.files`), whose checksum keeps damaged bytes away from TensorRT. Builds that run at
the same time each write what the others found too: under a lock, a cache is merged with the file
as it is by then.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fwd_core import files
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import WARNING, Record
from fwd_core.backends.tensorrt.runtime.device import Gpu
from fwd_core.errors import EngineFileError, ForwardWarning

FORMAT, VERSION = "forward-timing-cache", 1
_TENSOR = "cache"


def path_of(library: Library, gpu: Gpu) -> Path:
    """Where the cache of a library and a GPU is kept by default: in the user's cache folder."""
    from platformdirs import user_cache_path

    name = f"{library.flavour}-{library.version}-{gpu.name}-{gpu.capability}"
    file = re.sub(r"[^\w.+-]+", "_", name) + ".timing"
    return user_cache_path("forward") / "tensorrt" / file


def owner_of(library: Library, gpu: Gpu) -> dict[str, str]:
    """What a cache is bound to."""
    return {
        "flavour": library.flavour,
        "version": library.version,
        "gpu": gpu.name,
        "capability": gpu.capability,
    }


def read(path: Path, owner: Mapping[str, str]) -> bytes:
    """The contents of a cache's file, nothing if it is missing.

    Raises:
        EngineFileError: It is damaged, or of another owner.
    """
    if not path.exists():
        return b""
    header, tensors = files.read(path, format=FORMAT, version=VERSION)
    if header.get("owner") != owner or _TENSOR not in tensors:
        raise EngineFileError(
            "it is of another library or GPU",
            expected=", ".join(owner.values()),
            got=", ".join(map(str, dict(header.get("owner") or {}).values())),
        )
    return tensors[_TENSOR].tobytes()


def write(path: Path, owner: Mapping[str, str], data: Any) -> None:
    """Replace a cache's file.

    Raises:
        EngineFileError: The folder cannot be written, or the disk is full.
    """
    tensors = {_TENSOR: np.frombuffer(data, np.uint8)}
    files.write(path, {"owner": dict(owner)}, tensors, format=FORMAT, version=VERSION)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; where there are no such locks, the last of several writers wins."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.with_name(f".{path.name}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class TimingCache:
    """The cache of one build.

    Args:
        library: The flavour.
        gpu: The GPU to build on.
        path: The file; missing until the first build.
    """

    def __init__(self, library: Library, gpu: Gpu, path: Path) -> None:
        self.path = path
        self._owner = owner_of(library, gpu)
        self._config: Any = None
        self._cache: Any = None
        self._read = b""

    def attach(self, config: Any, record: Record) -> None:
        """Give a build what earlier ones measured. A file that does not fit is told and ignored."""
        self._config = config
        self._read = self._contents()
        self._cache = self._made(self._read, record)
        if not config.set_timing_cache(self._cache, False):
            told = record.problems()
            self._cache = self._made(b"", record)
            if config.set_timing_cache(self._cache, False):
                self._warn("TensorRT does not take it", told)
            else:
                self._cache = None  # so that the file keeps what it holds
                self._tell("TensorRT takes none", [*told, *record.problems()])

    def save(self, record: Record) -> None:
        """Write what this build measured, with what others wrote meanwhile. Failures are told."""
        if self._cache is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path):
                self._merge(record)
                write(self.path, self._owner, self._cache.serialize())
        except (EngineFileError, OSError) as error:
            self._tell(str(error))

    def _merge(self, record: Record) -> None:
        """Add what other builds wrote since this one read the file."""
        try:
            found = read(self.path, self._owner)
        except EngineFileError:  # it has been told, and is replaced
            return
        if found in (b"", self._read):
            return
        if not self._cache.combine(self._made(found, record), False):
            self._warn("TensorRT does not merge it", record.problems())

    def _contents(self) -> bytes:
        try:
            return read(self.path, self._owner)
        except EngineFileError as error:
            self._warn(str(error))
            return b""

    def _made(self, data: bytes, record: Record) -> Any:
        """An ``ITimingCache`` of such contents; an empty one if TensorRT cannot read them."""
        before = len(record.lines)
        cache = self._config.create_timing_cache(data)
        said = [line for line in record.lines[before:] if line.severity <= WARNING]
        # An empty cache may stand for a refusal, which is then only logged.
        if cache is None or (data and (said or record.failed)):
            self._warn("TensorRT cannot read it", record.problems())
        return cache if cache is not None else self._config.create_timing_cache(b"")

    def _warn(self, why: str, told: Sequence[str] = ()) -> None:
        text = "; ".join([why, *told])
        warnings.warn(
            f"the timing cache {self.path} is not used and will be written anew: {text}",
            ForwardWarning,
            stacklevel=2,
        )

    def _tell(self, why: str, told: Sequence[str] = ()) -> None:
        text = "; ".join([why, *told])
        warnings.warn(
            f"the timing cache is not kept, so the next build measures again: {text}",
            ForwardWarning,
            stacklevel=3,
        )
