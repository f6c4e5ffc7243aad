"""Timing caches: what a build measured of kernels, kept on disk for the next build.

A cache is bound to a flavour, its version and a GPU. It is one of Forward's own files
(:mod:`fwd_core.files`), whose checksum keeps damaged bytes away from TensorRT. Builds that run at
the same time each write what the others found too: under a lock, a cache is merged with the file
as it is by then.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fwd_core import files
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record
from fwd_core.backends.tensorrt.runtime.device import Gpu
from fwd_core.errors import EngineFileError, ForwardWarning

FORMAT, VERSION = "forward-timing-cache", 1
_TENSOR = "cache"


def path_of(library: Library, gpu: Gpu) -> Path:
    """Where the cache of a library and a GPU is kept by default: in the user's cache folder."""
    from platformdirs import user_cache_path

    name = "-".join((library.flavour, library.version, gpu.name, gpu.capability))
    file = re.sub(r"[^\w.+-]+", "_", name) + ".timing"
    return user_cache_path("forward") / "tensorrt" / file


class TimingCache:
    """The cache of one build.

    Args:
        library: The flavour.
        gpu: The GPU to build on.
        path: The file; missing until the first build.
    """

    def __init__(self, library: Library, gpu: Gpu, path: Path) -> None:
        self.path = path
        self._header = {
            "flavour": library.flavour,
            "version": library.version,
            "gpu": gpu.name,
            "capability": gpu.capability,
        }
        self._config: Any = None
        self._cache: Any = None
        self._read: bytes = b""

    def attach(self, config: Any, record: Record) -> None:
        """Give a build what earlier ones measured. A file that does not fit is told and ignored."""
        self._config = config
        self._read = self._contents()
        self._cache = self._made(self._read, record)
        if not config.set_timing_cache(self._cache, False):
            self._warn("TensorRT does not take it", record.problems())
            self._read = b""
            self._cache = self._made(b"", record)
            config.set_timing_cache(self._cache, False)

    def save(self, record: Record) -> None:
        """Write what this build measured, with what others wrote meanwhile. Failures are told."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.path):
                self._merge(record)
                data = np.frombuffer(self._cache.serialize(), np.uint8)
                files.write(
                    self.path, self._header, {_TENSOR: data}, format=FORMAT, version=VERSION
                )
        except (EngineFileError, OSError) as error:
            warnings.warn(
                f"the timing cache is not kept, so the next build measures again: {error}",
                ForwardWarning,
                stacklevel=2,
            )

    def _merge(self, record: Record) -> None:
        found = self._contents(told=False)
        if found and found != self._read:
            other = self._made(found, record)
            self._cache.combine(other, False)
            record.problems()  # a file that does not fit has been told, and is replaced

    def _contents(self, *, told: bool = True) -> bytes:
        """The file's cache; nothing if it is missing, or damaged or of another library or GPU."""
        if not self.path.exists():
            return b""
        try:
            header, tensors = files.read(self.path, format=FORMAT, version=VERSION)
        except EngineFileError as error:
            if told:
                self._warn(str(error))
            return b""
        if any(header.get(name) != value for name, value in self._header.items()):
            if told:
                of = ", ".join(str(header.get(name)) for name in self._header)
                self._warn(f"it is of {of}")
            return b""
        return tensors[_TENSOR].tobytes()

    def _made(self, data: bytes, record: Record) -> Any:
        """An ``ITimingCache`` of such contents; an empty one if TensorRT cannot read them."""
        cache = self._config.create_timing_cache(data)
        if cache is None:
            self._warn("TensorRT cannot read it", record.problems())
            cache = self._config.create_timing_cache(b"")
        elif record.failed:
            self._warn("TensorRT cannot read all of it", record.problems())
        return cache

    def _warn(self, why: str, told: list[str] | None = None) -> None:
        text = "; ".join([why, *(told or ())])
        warnings.warn(
            f"the timing cache {self.path} is not used and will be written anew: {text}",
            ForwardWarning,
            stacklevel=2,
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; where there are no such locks, the last of several writers wins."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with path.with_name(f".{path.name}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
