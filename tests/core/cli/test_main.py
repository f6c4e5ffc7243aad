"""The program itself: help, failures, exit codes, and commands of other packs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from toy_program import Broken, fwd, model, plugins

from fwd_core import __version__, hookimpl
from fwd_core.cli.codes import MEANINGS, ExitCode
from fwd_core.errors import InputError

COMMANDS = ["build", "check", "run", "bench", "quantize", "inspect", "plugins", "doctor"]


class Swirls:
    """A pack of a stranger, with commands that do and that fail."""

    @hookimpl
    def fwd_register_commands(self, register: Any) -> None:
        def swirl(
            count: Annotated[int, typer.Argument()],
            loud: Annotated[bool, typer.Option("--loud")] = False,
        ) -> None:
            """Swirl some times."""
            print("SWIRL" * count if loud else "swirl" * count)

        def careless() -> None:
            raise ZeroDivisionError("by a pack")

        def refuses() -> None:
            raise InputError("too much of it", expected="less", got="more", hint="take less")

        def stopped() -> None:
            raise KeyboardInterrupt

        def warns() -> None:
            warnings.warn("this is [odd]", stacklevel=2)

        for function in (swirl, careless, refuses, stopped, warns):
            register.add(function, name=function.__name__)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FORWARD_DEBUG", raising=False)


def _program(*arguments: str, **settings: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fwd_core.cli", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings
    )


def test_version() -> None:
    result = fwd("--version")
    assert (result.code, result.out, result.err) == (ExitCode.OK, f"fwd {__version__}\n", "")


def test_help_names_commands_and_exit_codes() -> None:
    result = fwd("--help")
    assert result.code == ExitCode.OK
    for name in COMMANDS:
        assert f" {name} " in result.out
    for code, meaning in MEANINGS.items():
        assert f"{int(code)} {meaning}" in " ".join(result.out.split())
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str) -> None:
    result = fwd(command, "--help")
    assert (result.code, result.err) == (ExitCode.OK, "")
    assert f"fwd {command} [OPTIONS]" in result.out
    assert "{" not in result.out
    assert "--json" in result.out
    for leftover in ("<class", "Optional", "typing"):
        assert leftover not in result.out


def test_without_a_command() -> None:
    result = fwd()
    assert result.code in (ExitCode.OK, ExitCode.USAGE), "versions of typer differ"
    assert "Usage: fwd" in result.out + result.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["biuld"], "No such command 'biuld'."),
        (["build"], "Missing argument 'MODEL'"),
        (["build", "m.layers"], "Missing option '--output'"),
        (["build", "m.layers", "-o", "e", "--opt-batch", "0"], "Invalid value for '--opt-batch'"),
        (["run", "e", "--inptu", "x"], "No such option"),
        (["build", "m.layers", "-o", "e", "-i", "3xq"], "'3xq' is malformed: no size at 'q'."),
        (
            ["build", "m.layers", "-o", "e", "--mode", "fp16"],
            "there is no mode 'fp16'. It is float32, float16, int8_calib, int8; did you mean "
            "'float16'?",
        ),
        (["check", "m.layers", "--mode", "int8"], "int8 is written into a model with data"),
    ],
)
def test_usage(arguments: list[str], text: str) -> None:
    result = fwd(*arguments)
    assert (result.code, result.out) == (ExitCode.USAGE, "")
    assert text in result.err


@pytest.mark.parametrize(
    ("arguments", "what", "program"),
    [
        (["biuld", "--json"], "No such command 'biuld'.", "fwd"),
        (["--json", "build"], "No such option: --json", "fwd"),
        (["build", "--json"], "Missing argument 'MODEL'.", "fwd build"),
        (["build", "m.layers", "--json"], "Missing option '--output' / '-o'.", "fwd build"),
        (["run", "--json", "e", "--inptu", "x"], "No such option: --inptu", "fwd run"),
        (["check", "m.layers", "-i", "3xq", "--json"], "is malformed: no size at 'q'", "fwd check"),
        (
            ["bench", "e", "--seconds", "1", "--iterations", "1", "--json"],
            "Invalid value for --seconds and --iterations: give one of them",
            "fwd bench",
        ),
        (["doctor", "more", "--json"], "Got unexpected extra argument", "fwd doctor"),
        (["plugins", "more", "--json"], "Got unexpected extra argument", "fwd plugins"),
        (["inspect", "--json"], "Missing argument 'FILE'.", "fwd inspect"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_usage_as_json(arguments: list[str], what: str, program: str) -> None:
    result = fwd(*arguments)
    assert result.code == result.json["exit_code"] == ExitCode.USAGE
    error = result.json["error"]
    assert what in error["what"]
    assert error["text"].startswith(error["what"])
    hint = f"`{program} --help` says what it takes"
    assert error == {
        "kind": "UsageError",
        "text": f"{error['what']}\n  Hint: {hint}",
        "what": error["what"],
        "where": None,
        "expected": None,
        "got": None,
        "details": [],
        "hint": hint,
    }
    assert "Usage: fwd" in result.err


def test_what_is_no_option_asks_for_no_json() -> None:
    result = fwd("check", "--", "m.layers", "--json")
    assert (result.code, result.out) == (ExitCode.USAGE, "")


def test_a_command_may_be_missing_because_its_pack_failed() -> None:
    class Failing(Broken):
        @hookimpl
        def fwd_register_commands(self, register: Any) -> None:
            raise OSError("no swirls today")

    result = fwd("swirl", packs=plugins(failing=Failing()))
    assert result.code == ExitCode.USAGE
    failure = "pack 'failing': fwd_register_commands: OSError: no swirls today ("
    assert failure in result.err
    result = fwd("swirl", "--json", packs=plugins(failing=Failing()))
    assert result.json["error"]["details"][0].startswith(failure)


class TestCommandsOfOtherPacks:
    def test_they_run(self) -> None:
        packs = plugins(swirls=Swirls())
        result = fwd("swirl", 2, "--loud", packs=packs)
        assert (result.code, result.out, result.err) == (ExitCode.OK, "SWIRLSWIRL\n", "")
        assert packs.packs["swirls"].hooks == ["fwd_register_commands"]

    def test_they_are_listed(self) -> None:
        result = fwd("--help", packs=plugins(swirls=Swirls()))
        assert " swirl " in result.out
        assert "Swirl some times." in result.out

    def test_their_errors_are_told_in_the_one_form(self) -> None:
        result = fwd("refuses", packs=plugins(swirls=Swirls()))
        assert (result.code, result.out) == (ExitCode.FAILED, "")
        assert result.err == (
            "error: too much of it\n  expected: less\n  got:      more\n  Hint: take less\n"
        )

    def test_one_that_typer_cannot_take_does_not_break_the_others(self) -> None:
        class Odd:
            @hookimpl
            def fwd_register_commands(self, register: Any) -> None:
                def odd(thing: Annotated[int, typer.Option(), typer.Option()]) -> None: ...

                register.add(odd, name="odd")

        packs = plugins(odd=Odd())
        result = fwd("plugins", packs=packs)
        assert result.code == ExitCode.OK
        assert "  failed    command 'odd': " in result.out
        assert fwd("odd", packs=plugins(odd=Odd())).code == ExitCode.USAGE

    def test_one_of_a_name_that_is_taken(self) -> None:
        class Taken:
            @hookimpl
            def fwd_register_commands(self, register: Any) -> None:
                register.add(lambda: None, name="run")

        result = fwd("doctor", packs=plugins(taken=Taken()))
        assert (result.code, result.out) == (ExitCode.FAILED, "")
        assert result.err.startswith("error: both register command 'run': packs 'core' and 'taken'")

    def test_one_that_replaces_a_command_of_the_core(self) -> None:
        class Better:
            @hookimpl
            def fwd_register_commands(self, register: Any) -> None:
                register.add(lambda: print("better"), name="run", override=True)

        assert fwd("run", packs=plugins(better=Better())).out == "better\n"


class TestFailures:
    def test_bugs_say_so_without_a_traceback(self) -> None:
        result = fwd("careless", packs=plugins(swirls=Swirls()))
        assert (result.code, result.out) == (ExitCode.BUG, "")
        first, place, hint = result.err.splitlines()
        expected = "error: this is a bug in Forward or in a pack: ZeroDivisionError: by a pack"
        assert first == expected
        assert place.startswith(f"  at {__file__}:")
        assert hint == (
            "  Hint: report it to whoever made the file above, with what `fwd doctor` and "
            "`fwd --debug …` (or FORWARD_DEBUG=1) print"
        )

    def test_bugs_in_the_road_of_a_model(self, tmp_path: Path) -> None:
        path = model(tmp_path, [["crash"]])
        result = fwd("build", path, "-i", "2x4", "-o", tmp_path / "m.engine", "--json")
        assert result.code == ExitCode.BUG
        assert result.json["error"]["kind"] == "RuntimeError"
        assert result.json["exit_code"] == 4

    @pytest.mark.parametrize("way", ["option", "variable"])
    def test_tracebacks_when_asked_for(self, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
        packs = plugins(swirls=Swirls())
        if way == "variable":
            monkeypatch.setenv("FORWARD_DEBUG", "1")
        result = fwd(*(["--debug"] if way == "option" else []), "refuses", packs=packs)
        assert result.code == ExitCode.FAILED
        assert result.err.startswith("Traceback (most recent call last):\n")
        assert "error: too much of it\n" in result.err

    def test_interruption(self) -> None:
        result = fwd("stopped", packs=plugins(swirls=Swirls()))
        assert (result.code, result.out) == (ExitCode.INTERRUPTED, "")
        assert result.err.endswith("interrupted\n")
        assert "Traceback" not in result.err

    def test_warnings_are_told_in_one_line(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            result = fwd("warns", packs=plugins(swirls=Swirls()))
        assert (result.code, result.out) == (ExitCode.OK, "")
        assert result.err == "warning: this is [odd]\n"


class TestProcess:
    """The installed program, with the packs of the environment."""

    def test_help_imports_little(self) -> None:
        code = (
            "import sys; from fwd_core.cli.main import run; code = run(['--help']);"
            "heavy = {'numpy', 'torch', 'openvino', 'tensorrt_rtx', 'safetensors', 'sympy'};"
            "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
        )
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        spent = time.perf_counter() - start
        assert done.stderr == "[]\n"
        assert "Usage: fwd" in done.stdout
        # 0.3 s on an idle machine; the limit only catches an import that costs seconds.
        assert spent < 5

    def test_variables_that_name_no_pack(self) -> None:
        program = _program("doctor", env={**os.environ, "FWD_PACKS": "nonsense"})
        out, err = program.communicate(timeout=60)
        assert (program.returncode, out) == (ExitCode.FAILED, "")
        assert err.startswith("error: FWD_PACKS names packs that are not installed: nonsense\n")
        assert "Traceback" not in err
        program = _program("doctor", "--json", env={**os.environ, "FWD_PACKS": "nonsense"})
        out, _ = program.communicate(timeout=60)
        assert json.loads(out)["error"]["kind"] == "PluginError"

    def test_a_reader_that_has_enough(self) -> None:
        program = _program("plugins", "--verbose", env={**os.environ, "FWD_PACKS": "core"})
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        with program:
            err = program.stderr.read()
        assert program.returncode == ExitCode.FAILED
        assert err == "load: packs\n"

    def test_characters_that_the_terminal_lacks(self) -> None:
        environ = {**os.environ, "PYTHONIOENCODING": "ascii", "FWD_PACKS": "core"}
        program = _program("bench", "--help", env=environ)
        out, err = program.communicate(timeout=60)
        assert (program.returncode, err) == (ExitCode.OK, "")
        assert "floats in 0 ? 1" in " ".join(out.split()).replace("| ", "")

    @pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
    def test_interruption_of_long_work(self, tmp_path: Path) -> None:
        code = (
            "import sys; sys.path.insert(0, sys.argv[1]); import toy_program as t;"
            "from fwd_core.cli.main import run; from fwd_core.cli.session import Session;"
            "arguments = sys.argv[2:];"
            "sys.exit(run(arguments, Session(t.plugins())))"
        )
        helpers = str(Path(__file__).parents[2] / "helpers")
        path = model(tmp_path, [["relu"]])
        assert fwd("build", path, "-i", "1x4", "-o", tmp_path / "m.engine").code == ExitCode.OK
        arguments = ["bench", str(tmp_path / "m.engine"), "--seconds", "60", "--threads", "2"]
        program = subprocess.Popen(
            [sys.executable, "-c", code, helpers, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What runs in the background of a shell ignores the signal, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
        assert program.stderr is not None
        while program.stderr.readline() != "measure\n":
            pass
        time.sleep(0.2)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=30)
        assert (program.returncode, out) == (ExitCode.INTERRUPTED, "")
        assert err == "interrupted\n"

    def test_a_pack_that_raises_on_import(self, tmp_path: Path) -> None:
        (tmp_path / "acme_swirls.py").write_text("print('loading')\nraise OSError('no swirls')\n")
        info = tmp_path / "acme_swirls-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-swirls\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[fwd]\nswirls = acme_swirls\n")
        environ = {**os.environ, "PYTHONPATH": str(tmp_path), "FWD_PACKS": "core,swirls"}
        program = _program("plugins", env=environ)
        out, err = program.communicate(timeout=60)
        assert (program.returncode, err) == (ExitCode.OK, "loading\nload: packs\n")
        reason = f"OSError: no swirls ({tmp_path / 'acme_swirls.py'}:2)"
        assert f"swirls (acme-swirls 1.2)\n  failed  {reason}\n  hooks   none\n" in out
        assert "  lowerings  " in out, "the others work"
