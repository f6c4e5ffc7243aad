"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings

from fwd_core.errors import ForwardWarning

_OURS = frozenset({"fwd_core", "fwd_ops_torch", "forward"})


def warn(text: str) -> None:
    """Warn at the innermost line that is not of Forward, or else at the outermost one."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, ForwardWarning, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in _OURS
