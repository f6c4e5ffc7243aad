"""How far calibrating is, in a line of the terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from fwd_core.events import Event, Listener


class ProgressLine:
    """Listens to events, and writes a line anew for every batch that calibrates.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if event.phase != "calibrate":
            return
        if event.state == "step":
            total = "" if event.total is None else f" of {event.total}"
            self._stream.write(f"\rcalibrate: batch {event.step}{total}")
        elif event.state == "end" and event.step:
            self._stream.write("\n")
        self._stream.flush()


def shown_in_terminal() -> Listener | None:
    """A listener that shows progress on standard error, if that is a terminal."""
    stream = sys.stderr
    return ProgressLine(stream) if stream is not None and stream.isatty() else None
