"""What TensorRT says: its logger, which is one per process, and its error recorder.

TensorRT does not raise. A layer that cannot be added is ``None``, a setting that is refused keeps
its old value, a build that fails returns ``None``; why, it tells an error recorder or, for some
hints, only the logger. Both are read together here, and lines that mean nothing are left out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

#: Numbers of the severities; TensorRT's own enum does not compare with integers.
ERROR, WARNING, VERBOSE = 1, 2, 4
#: Builds ahead of time look for a GPU and say that there is none, or no driver for it.
_NOISE = re.compile(r"cudaError (35|100)\b|Unable to determine GPU memory usage")


@dataclass(frozen=True)
class Line:
    """One message of the logger."""

    severity: int
    text: str


class Record:
    """What was said while :func:`listen` was open.

    Attributes:
        recorder: The ``IErrorRecorder`` to hang on builders, networks and runtimes.
        lines: The logger's messages; verbose ones only if asked for.
    """

    def __init__(self, recorder: Any, verbose: bool) -> None:
        self.recorder = recorder
        self.verbose = verbose
        self.lines: list[Line] = []

    @property
    def failed(self) -> bool:
        """Whether an error was reported that :meth:`problems` has not told yet."""
        return bool(self.recorder.reported)

    def problems(self) -> list[str]:
        """Errors, then warnings, each once, and forget them."""
        told = self.recorder.told()
        told += [line.text for line in self.lines if line.severity <= WARNING]
        self.lines = [line for line in self.lines if line.severity > WARNING]
        return list(dict.fromkeys(text.strip() for text in told))


class _Log:
    """The logger of one library, and the record that it writes to now."""

    def __init__(self, trt: ModuleType) -> None:
        self.lock = threading.RLock()
        self.record: Record | None = None
        #: Records of threads that listen to themselves alone.
        self.own = threading.local()
        log = self

        class Logger(trt.ILogger):  # type: ignore[name-defined, misc]
            def log(self, severity: Any, message: str) -> None:
                log.take(Line(int(severity), message))

        class Recorder(trt.IErrorRecorder):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__()
                self.reported: list[tuple[Any, str]] = []

            def clear(self) -> None:
                self.reported.clear()

            def get_num_errors(self) -> int:  # what the bindings call; they document num_errors
                return len(self.reported)

            num_errors = get_num_errors

            def get_error_code(self, index: int) -> Any:
                return self.reported[index][0]

            def get_error_desc(self, index: int) -> str:
                return self.reported[index][1]

            def has_overflowed(self) -> bool:
                return False

            def report_error(self, code: Any, description: str) -> bool:
                if not _is_noise(description):
                    self.reported.append((code, description))
                return True

            def told(self) -> list[str]:
                texts = [text for _code, text in self.reported]
                self.reported.clear()
                return texts

        self.logger = Logger()
        self.new_recorder = Recorder

    def take(self, line: Line) -> None:
        """Keep a message if someone listens and it says something."""
        record = getattr(self.own, "record", None) or self.record
        if record is None or _is_noise(line.text):
            return
        if record.verbose or line.severity < VERBOSE:
            record.lines.append(line)


# TensorRT keeps the first logger that it is given for as long as the process lives.
@lru_cache(maxsize=None)
def _log(trt: ModuleType) -> _Log:
    return _Log(trt)


def logger(trt: ModuleType) -> Any:
    """The one ``ILogger`` of this process for a library."""
    return _log(trt).logger


@contextmanager
def listen(trt: ModuleType, *, verbose: bool = False) -> Iterator[Record]:
    """Collect what the library says.

    One thread at a time: a build may speak from threads of its own, and two builds at once would
    disturb each other's timing of kernels.
    """
    log = _log(trt)
    with log.lock:
        outer, record = log.record, Record(log.new_recorder(), verbose)
        log.record = record
        try:
            yield record
        finally:
            log.record = outer


@contextmanager
def aside(trt: ModuleType, recorder: Any = None) -> Iterator[Record]:
    """Collect what the library says in this thread, also while another thread listens.

    For what engines do when they are loaded and run, which must not wait for a build.

    Args:
        trt: The library.
        recorder: Where errors are reported, by default a new one.
    """
    log = _log(trt)
    outer = getattr(log.own, "record", None)
    record = Record(log.new_recorder() if recorder is None else recorder, verbose=False)
    log.own.record = record
    try:
        yield record
    finally:
        log.own.record = outer


def new_recorder(trt: ModuleType) -> Any:
    """An ``IErrorRecorder`` with ``told()``, which lists what was reported and forgets it."""
    return _log(trt).new_recorder()


def _is_noise(text: str) -> bool:
    return _NOISE.search(text) is not None
