"""One run of the program: its packs, where it writes, and how it tells of failures."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fwd_core.cli.codes import ExitCode
from fwd_core.errors import ForwardError, UnsupportedModelError
from fwd_core.plugins import Plugins

if TYPE_CHECKING:
    import typer
    from rich.console import Console

DEBUG = "FORWARD_DEBUG"
#: Wider than any line: what is no terminal has no width to wrap at.
_ENDLESS = 100_000


class Session:
    """State of one run, which commands find in their context (:func:`session_of`).

    Results go to standard output, everything else (progress, warnings, errors) to standard
    error.

    Args:
        plugins: Packs to use; by default all that are installed, found when first needed.

    Attributes:
        json: Whether the command writes JSON.
        usage_error: What typer says is wrong with the command line, if it is.
        debug: Whether failures show a traceback.
    """

    def __init__(self, plugins: Plugins | None = None) -> None:
        if plugins is not None:
            self.plugins = plugins
        self.json = False
        self.usage_error: Exception | None = None
        self.debug = os.environ.get(DEBUG, "0") not in ("", "0")
        self.stdout = sys.stdout
        self.stderr = sys.stderr

    @cached_property
    def plugins(self) -> Plugins:
        """Packs of this run.

        Raises:
            PluginError: A variable names a pack that is not installed.
        """
        return Plugins.discover()

    @cached_property
    def out(self) -> Console:
        """Where results go."""
        return _console(self.stdout)

    @cached_property
    def err(self) -> Console:
        """Where everything else goes."""
        return _console(self.stderr)

    def emit(self, document: Mapping[str, Any]) -> None:
        """Write the command's one JSON document. Numbers that JSON lacks become null."""
        text = json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False)
        self.stdout.write(text + "\n")

    def note(self, text: str) -> None:
        """Tell something beside the result."""
        self.err.print(text, markup=False)

    def warn(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        """Show a Python warning in short (see :func:`warnings.showwarning`)."""
        del category, filename, lineno, file, line
        self.err.print("[yellow]warning:[/]", end=" ")
        self.err.print(str(message), markup=False)

    def fail(self, error: Exception) -> ExitCode:
        """Tell of a failure, with a traceback if debugging; the code to exit with."""
        if self.debug:
            traceback.print_exception(error, file=self.stderr)
        if isinstance(error, ForwardError):
            code, text = ExitCode.FAILED, str(error)
        else:
            code, text = ExitCode.BUG, _bug_report(error)
        if self.json:
            self.emit({"error": error_document(error, text), "exit_code": int(code)})
        self.err.print("[bold red]error:[/]", end=" ")
        from fwd_core.cli.output import wrapped

        self.err.print(wrapped(self.err, text, len("error: ")), markup=False)
        return code

    def tell_usage(self) -> None:
        """Add to what typer has said of a malformed command line."""
        # A command may be missing because its pack failed.
        failures = self.plugins.failures()
        for failure in failures:
            self.note(failure)
        if not self.json:
            return
        said: Any = self.usage_error
        program = getattr(getattr(said, "ctx", None), "command_path", "fwd")
        error = ForwardError(
            "the command line is malformed" if said is None else said.format_message(),
            details=failures,
            hint=f"`{program} --help` says what it takes",
        )
        document = error_document(error, str(error)) | {"kind": "UsageError"}
        self.emit({"error": document, "exit_code": int(ExitCode.USAGE)})


def session_of(ctx: typer.Context, *, json: bool = False) -> Session:
    """The session that a command runs in.

    Args:
        ctx: The command's context.
        json: The command's own option of that name.
    """
    session = ctx.find_root().obj
    assert isinstance(session, Session)
    session.json = json
    return session


def error_document(error: Exception, text: str) -> dict[str, Any]:
    """An error as JSON: its kind, its whole text, and its parts."""
    document: dict[str, Any] = {"kind": type(error).__name__, "text": text}
    if isinstance(error, ForwardError):
        document |= {
            "what": error.what,
            "where": None if error.where is None else str(error.where),
            "expected": None if error.expected is None else str(error.expected),
            "got": None if error.got is None else str(error.got),
            "details": list(error.details),
            "hint": error.hint,
        }
    if isinstance(error, UnsupportedModelError) and error.problems:
        document["problems"] = [asdict(problem) for problem in error.problems]
    return document


def _bug_report(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    return str(
        ForwardError(
            f"this is a bug in Forward or in a pack: {type(error).__name__}: {error}",
            where=place,
            hint="report it to whoever made the file above, with what `fwd doctor` and "
            f"`fwd --debug …` (or {DEBUG}=1) print",
        )
    )


def _console(file: Any) -> Console:
    from rich.console import Console

    wide = None if file.isatty() else _ENDLESS
    return Console(file=file, width=wide, highlight=False, emoji=False, soft_wrap=True)


def _plain(value: Any) -> Any:
    """The same with lists for tuples, and null for numbers that JSON lacks."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None  # NaN compares false too
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
