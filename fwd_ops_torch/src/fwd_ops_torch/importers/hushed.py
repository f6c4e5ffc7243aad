"""What torch prints and logs beside an error, kept out of the terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from fwd_ops_torch.importers.surroundings import PROCESS


@contextmanager
def hushed() -> Iterator[list[str]]:
    """Hold back what torch prints and logs, graphs and tracebacks of its own where a call fails.

    Gives the lines that say what torch logged, which a caller that turns the failure into an error
    may use. Where nothing fails, or not by an error, all of it is printed when the call is over.
    One thread does so at a time, since all share the terminal and what torch sets while it exports.
    Whoever sets TORCH_LOGS asks for more, and gets it at once.
    """
    at_once = bool(os.environ.get("TORCH_LOGS"))
    held: list[tuple[logging.Handler, logging.LogRecord]] = []
    heard: list[str] = []
    kept = _kept_by(held, heard, at_once)
    printed = io.StringIO()
    failed = False
    for handler, keep in kept:
        handler.addFilter(keep)
    try:
        with PROCESS, redirect_stderr(sys.stderr if at_once else printed):
            yield heard
    except Exception:
        failed = True
        raise
    finally:
        for handler, keep in kept:
            handler.removeFilter(keep)
        if not failed:
            for handler, record in held:
                handler.handle(record)
            sys.stderr.write(printed.getvalue())


def _kept_by(
    held: list[tuple[logging.Handler, logging.LogRecord]], heard: list[str], at_once: bool
) -> list[tuple[logging.Handler, _Keep]]:
    """A filter for each handler of torch's loggers."""
    named = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "torch"]
    handlers = {handler for name in named for handler in logging.getLogger(name).handlers}
    return [(handler, _Keep(handler, held, heard, at_once)) for handler in handlers]


class _Keep(logging.Filter):
    """Takes the records of the thread that it was made in."""

    def __init__(
        self,
        handler: logging.Handler,
        held: list[tuple[logging.Handler, logging.LogRecord]],
        heard: list[str],
        at_once: bool,
    ) -> None:
        super().__init__()
        self._handler = handler
        self._held = held
        self._heard = heard
        self._at_once = at_once
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        error = record.exc_info[1] if record.exc_info else None
        told = record.getMessage() if error is None else f"{type(error).__name__}: {error}"
        if told not in self._heard:
            self._heard.append(told)
        if not self._at_once:
            self._held.append((self._handler, record))
        return self._at_once
