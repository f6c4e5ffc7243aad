"""Exit codes of the program, in one place."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the program ends with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNSUPPORTED = 3
    BUG = 4
    INTERRUPTED = 130


#: What each code means, as the reference page and ``fwd --help`` tell it.
MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "it could not be done: the message says what, where, why and what to do next",
    ExitCode.USAGE: "the command line is malformed",
    ExitCode.UNSUPPORTED: "`fwd check` found operators that cannot be converted or lowered",
    ExitCode.BUG: "a bug in Forward or in a pack",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
}
