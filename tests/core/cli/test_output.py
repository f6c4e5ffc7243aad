"""Results as text."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from fwd_core.cli import output
from fwd_core.errors import EngineFileError


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (97_800_000, "97.8 MB"),
        (999_960, "1.0 MB"),
        (10**9, "1.0 GB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert output.size(count) == text


def test_times_and_counts() -> None:
    assert output.seconds(2.414) == "2.41 s"
    assert output.milliseconds(0.0058131) == "5.813 ms"
    assert output.plural(1, "operator") == "1 operator"
    assert output.plural(0, "operator") == "0 operators"
    assert output.plural(12345, "operator") == "12,345 operators"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "100 %"), (3, 3, "100 %"), (1, 3, "33.3 %"), (99999, 100000, "99.9 %"), (0, 3, "0 %")],
)
def test_shares_are_whole_only_where_nothing_is_missing(part: int, whole: int, text: str) -> None:
    assert output.share(part, whole) == text


def _console(width: int = 1000, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    return console, file


def test_tables_have_no_trailing_spaces() -> None:
    console, file = _console()
    rows = [["[red]a", "long text"], ["bb", ""]]
    output.print_table(console, ["name", "what"], rows, indent=2)
    assert file.getvalue() == "  name    what\n  [red]a  long text\n  bb\n"


def test_tables_fold_in_a_narrow_terminal() -> None:
    console, file = _console(20, terminal=True)
    output.print_table(console, [], [["name", "one two three four"]])
    assert file.getvalue() == "name  one two three\n      four\n"


def test_names_that_are_copied_are_not_folded() -> None:
    console, file = _console(20, terminal=True)
    name = "encoder.layer.0.attention.self.query/linear"
    output.print_names(console, [[name, "float32[1, 4]"], ["x", ""]], indent=2)
    output.print_names(console, [])
    assert file.getvalue() == f"  {name}  float32[1, 4]\n  x\n"


def test_facts() -> None:
    console, file = _console()
    output.print_facts(console, {"a": "1\n2", "name": "[b]x[/b]"})
    assert file.getvalue() == "  a     1\n        2\n  name  [b]x[/b]\n"


def test_files_that_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("kept")
    output.require_writable(str(path))
    output.require_writable(str(tmp_path / "new"))
    assert path.read_text() == "kept"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["x"]


def test_files_that_cannot(tmp_path: Path) -> None:
    with pytest.raises(EngineFileError, match=r"nowhere/x: No such file or directory\n  Hint: cr"):
        output.require_writable(str(tmp_path / "nowhere" / "x"))
    with pytest.raises(EngineFileError, match="it is a folder"):
        output.require_writable(str(tmp_path))


def test_lines_go_on_at_words_in_a_narrow_terminal() -> None:
    console, file = _console(20, terminal=True)
    output.print_text(console, "one two three four five six\n  at /a/path/that/is/too/long x")
    assert file.getvalue() == (
        "one two three four\n  five six\n  at\n    /a/path/that/is/too/long\n    x\n"
    )
    assert output.wrapped(console, "one two three four", 5) == "one two three\n  four"
    console, _ = _console(20)
    assert output.wrapped(console, "x " * 50) == "x " * 50
