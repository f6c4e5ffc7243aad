"""Each `fwd` command of the pages is one that the program takes: it is parsed, and not run."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from fwd_core import Plugins
from fwd_core.cli.inputs import parse_all
from fwd_core.cli.main import application
from fwd_core.cli.session import Session

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: In text a command may be a part of one.
IN_TEXT = re.compile(r"`(fwd [a-z]+ [^`]*)`", re.DOTALL)
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES = [page for page in FILES if "fwd " in page.read_text(encoding="utf-8")]


@pytest.fixture(scope="module")
def program() -> Any:
    plugins = Plugins.discover({})
    return typer.main.get_command(application(Session(plugins)))


def commands(text: str) -> Iterator[list[str]]:
    """Arguments of the commands in the shell blocks of a page."""
    for block in SHELL.finditer(text):
        for line in block[1].replace("\\\n", " ").splitlines():
            words = shlex.split(line.strip().removeprefix("$ "), comments=True)
            if words[:1] == ["fwd"]:
                yield words[1:]


def unknown(program: Any, arguments: list[str]) -> list[str]:
    """Options that the program lacks. A command in text need not be whole: none is required."""
    name, *rest = arguments
    assert name in program.commands, f"there is no `fwd {name}`"
    known = {"-h", "--help"}
    for parameter in program.commands[name].params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    return [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]


def parse(program: Any, arguments: list[str]) -> Any:
    """What the program makes of them.

    Raises:
        Exception: A subcommand or option is unknown, or a required one is missing.
    """
    name, *rest = arguments
    assert name in program.commands, f"there is no `fwd {name}`"
    return program.commands[name].make_context(name, rest)


def test_pages_have_commands() -> None:
    assert sum(len(list(commands(page.read_text(encoding="utf-8")))) for page in PAGES) > 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_whole(page: Path, program: Any) -> None:
    text = page.read_text(encoding="utf-8")
    inputs: dict[str, set[int]] = defaultdict(set)
    for arguments in commands(text):
        found = parse(program, arguments).params
        if found.get("input"):
            model = found.get("model") or found.get("engine") or found["file"]
            inputs[model].add(len(parse_all(found["input"])))
    assert all(len(counts) == 1 for counts in inputs.values()), f"inputs of one model: {inputs}"
    for match in IN_TEXT.finditer(text):
        assert not unknown(program, shlex.split(match[1])[1:]), match[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["build", "model.pth", "--input", "1x3"], "Missing parameter: out"),
        (["build", "model.pth", "--inputs", "1x3", "-o", "x"], "(?i)no such option"),
        (["bench"], "Missing parameter: engine"),
    ],
)
def test_what_is_no_command_is_found(program: Any, arguments: list[str], told: str) -> None:
    with pytest.raises(Exception, match=told):
        parse(program, arguments)


def test_an_option_that_is_unknown_in_text_is_found(program: Any) -> None:
    assert unknown(program, ["plugins", "--hooks", "--verbose", "…"]) == ["--hooks"]
    with pytest.raises(AssertionError, match="there is no `fwd compile`"):
        unknown(program, ["compile"])
