"""Places in the user's source, from TorchScript's source ranges and export's stack traces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from fwd_core.ir import Frame, Location

#: Packages whose frames are not the user's own.
_LIBRARIES = re.compile(
    r"(^|[\\/])(site-packages|dist-packages|lib)[\\/]+(.*[\\/])?(torch|transformers)[\\/]"
)
_TRACED = re.compile(r"^(?P<file>[^\n]+?)\((?P<line>\d+)\): (?P<function>\S+)$", re.MULTILINE)
_SCRIPTED = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>\S+))?')


@lru_cache(maxsize=8192)
def frames_of_range(text: str) -> tuple[Frame, ...]:
    """Frames of a TorchScript source range, innermost first.

    A traced node has one line per frame; a scripted one has a ``File`` line, and a loaded one
    the line in the serialized code too, which stands in when nothing else is known.
    """
    own, _, serialized = text.partition("Serialized ")
    frames = [_frame(match) for match in _TRACED.finditer(own)]
    if not frames:
        frames = [_frame(match) for match in _SCRIPTED.finditer(own)]
    if not frames:
        frames = [_frame(match) for match in _SCRIPTED.finditer(serialized)]
    return tuple(frames)


@lru_cache(maxsize=8192)
def frames_of_trace(text: str) -> tuple[Frame, ...]:
    """Frames of a Python stack trace, innermost first."""
    return tuple(_frame(match) for match in reversed(list(_SCRIPTED.finditer(text))))


def locate(module: str, operator: str, frames: Sequence[Frame]) -> Location:
    """A location from frames, innermost first."""
    user = next((frame for frame in frames if is_users(frame)), None)
    return Location(module, operator, user, frames[0] if frames else None)


def is_users(frame: Frame) -> bool:
    """Whether a frame is outside torch and transformers."""
    return not (frame.file.startswith(("<", "code/")) or is_librarys(frame))


def is_librarys(frame: Frame) -> bool:
    """Whether a frame is for certain inside torch or transformers."""
    return frame.file.startswith("torch/") or _LIBRARIES.search(frame.file) is not None


def _frame(match: re.Match[str]) -> Frame:
    function = match.group("function") or ""
    return Frame(match.group("file"), int(match.group("line")), function)
