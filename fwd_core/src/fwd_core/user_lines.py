"""Where functions and modules that users hand in fail."""

from __future__ import annotations

import traceback


def line_of(error: Exception, calls: int = 1) -> str | None:
    """The last line of the user's own file that an error came through, as ``file.py:12``.

    Args:
        error: As it was caught.
        calls: How many calls of ours come first: one where the function is called itself.

    Returns:
        ``None`` if it came through no line of the user's, as from a call with wrong arguments.
    """
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)[calls:]
    theirs = [frame for frame in frames if not frame.filename.startswith("<frozen ")]
    own = [frame for frame in theirs if frame.filename == theirs[0].filename]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None
