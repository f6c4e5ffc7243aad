"""The program ``fwd``: all registered subcommands, and what becomes of their failures."""

from __future__ import annotations

import functools
import io
import itertools
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from fwd_core import __version__
from fwd_core.cli.codes import MEANINGS, ExitCode
from fwd_core.cli.session import DEBUG, Session
from fwd_core.errors import ForwardError
from fwd_core.plugins import Entry

_SETTINGS = {"help_option_names": ["-h", "--help"]}


def main() -> None:
    """Run the program on the command line's arguments, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows "?"
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run the program once.

    Args:
        arguments: Without the program's name.
        session: What it works with; by default all installed packs.

    Returns:
        The exit code, see :class:`~fwd_core.cli.codes.ExitCode`.
    """
    session = session if session is not None else Session()
    session.json = _asks_for_json(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = session.warn
        try:
            code = _invoke(arguments, session)
            if code == ExitCode.USAGE:
                session.tell_usage()
            session.stdout.flush()
        except BrokenPipeError:  # `fwd inspect … | head` has read enough
            _discard_output()
            return ExitCode.FAILED
        except ForwardError as error:
            return session.fail(error)
        except Exception as error:  # noqa: BLE001 - no traceback for users, whatever happened
            return session.fail(error)
    if code == ExitCode.INTERRUPTED:
        session.note("interrupted")
    return code


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options, also where they cannot be parsed."""
    return "--json" in itertools.takewhile(lambda one: one != "--", arguments)


def _invoke(arguments: Sequence[str], session: Session) -> int:
    with redirect_stdout(session.stderr):  # what packs print while they load is no result
        command = typer.main.get_command(application(session))
    try:
        command.main(args=list(arguments), prog_name="fwd", obj=session)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.OK
    return ExitCode.OK


def application(session: Session) -> typer.Typer:
    """The program with a subcommand for each that packs registered.

    Raises:
        PluginError: Two packs register a command of one name, or a variable names a pack that
            is not installed.
    """
    codes = "; ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items())
    app = typer.Typer(
        name="fwd",
        cls=_Program,
        help="PyTorch models to fast engines: TensorRT on NVIDIA GPUs, OpenVINO on CPUs.",
        epilog=f"Exit codes: {codes}.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=_SETTINGS,
    )
    app.callback()(_options)
    for entry in session.plugins.commands.entries():
        if (reason := _unusable(entry)) is None:
            app.command(entry.key, cls=_Command)(_interruptible(entry.item))
        else:
            session.plugins.packs[entry.owner].failure = reason
    return app


class _Program(TyperGroup):
    """Notes usage errors for the session: typer prints them and leaves only an exit code."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _noting(extra["obj"]):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _noting(ctx.obj):
            return super().invoke(ctx)


class _Command(TyperCommand):
    """Usage as ``fwd run [OPTIONS] ENGINE``: some versions of typer put braces around names."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


@contextmanager
def _noting(session: Session) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Versions of typer have classes of their own for it, or click's.
        if getattr(error, "exit_code", None) == ExitCode.USAGE and hasattr(error, "format_message"):
            session.usage_error = error
        raise


def _print_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        session: Session = ctx.obj
        session.out.print(f"fwd {__version__}")
        raise typer.Exit


def _options(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and stop.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help=f"Show tracebacks of failures, as {DEBUG}=1 does.")
    ] = False,
) -> None:
    del version
    session: Session = ctx.obj
    session.debug = session.debug or debug


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """End with the one code for Ctrl-C, of which versions of typer have several."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    return wrapper


def _unusable(entry: Entry[Callable[..., Any]]) -> str | None:
    """Why typer can make no command of what a pack registered."""
    if entry.owner == "core":
        return None
    try:
        trial = typer.Typer()
        trial.command(entry.key)(entry.item)
        typer.main.get_command(trial)
    except Exception as error:  # noqa: BLE001 - typer raises many kinds for annotations it lacks
        return f"command {entry.key!r}: {type(error).__name__}: {error}"
    return None


def _discard_output() -> None:
    """Let Python's own flush at exit succeed although nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
