"""Results as text: tables, facts, sizes and times."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from fwd_core.errors import EngineFileError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: int) -> str:
    """A number of bytes, as ``97.8 MB``."""
    amount, unit = float(count), 0
    while amount >= 999.95 and unit + 1 < len(_UNITS):
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def seconds(time: float) -> str:
    """A time, as ``2.41 s``."""
    return f"{time:.2f} s"


def milliseconds(time: float) -> str:
    """A short time, given in seconds, as ``5.813 ms``."""
    return f"{time * 1000:.3f} ms"


def plural(count: int, noun: str) -> str:
    """A count and its noun, as ``1 operator`` and ``2 operators``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """A percentage that is 100 only where nothing is missing, as ``99.9 %``."""
    percent = 100.0 if part == whole else min(100 * part / whole, 99.9)
    return f"{percent:.3g} %"


def print_table(
    console: Console,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    indent: int = 0,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print aligned columns. In a terminal, cells that do not fit are folded.

    Args:
        console: Where.
        header: Titles of the columns; none for a table without them.
        rows: Cells as text.
        indent: Spaces before each row.
        styles: Styles of cells by their text.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(
        *header,
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        show_header=bool(header),
        header_style="bold",
    )
    for row in rows:
        table.add_row(*[Text(cell, (styles or {}).get(cell, ""), overflow="fold") for cell in row])
    _print(console, table, indent)


def print_names(console: Console, rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
    """Print aligned columns, none folded, so that names can be copied from a narrow terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.file.write(" " * indent + "  ".join(cells).rstrip() + "\n")


def print_facts(console: Console, facts: Mapping[str, str], *, indent: int = 2) -> None:
    """Print names and what is to be said of each."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, text in facts.items():
        grid.add_row(Text(name, style="cyan", no_wrap=True), Text(text, overflow="fold"))
    _print(console, grid, indent)


def print_text(console: Console, text: str, *, style: str = "") -> None:
    """Print text as it is; in a terminal, lines that do not fit go on at a word, indented."""
    console.print(wrapped(console, text), markup=False, style=style or None, soft_wrap=True)


def wrapped(console: Console, text: str, start: int = 0) -> str:
    """Text with line breaks between words where a terminal is too narrow for it.

    Args:
        console: Where it will be printed. What is no terminal has no width.
        text: Lines.
        start: Columns that are taken before the first line.
    """
    if not console.is_terminal:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip())
        pieces = textwrap.wrap(
            line,
            console.width,
            initial_indent="" if lines else "\0" * start,
            subsequent_indent=" " * (indent + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += [piece.lstrip("\0") for piece in pieces] or [""]
    return "\n".join(lines)


def _print(console: Console, table: RenderableType, indent: int) -> None:
    from rich.padding import Padding

    with console.capture() as captured:
        console.print(Padding(table, (0, 0, 0, indent), expand=False), soft_wrap=False)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    console.file.write("".join(f"{line}\n" for line in lines))


def require_engine(path: str, model: str) -> None:
    """Check before long work that an engine may be written to a path.

    Raises:
        EngineFileError: It cannot be written there, is the model itself, or would take the place
            of another kind of file.
    """
    require_writable(path)
    require_other(path, [model], "the model itself")
    require_replaceable(path)


def require_writable(path: str) -> None:
    """See :func:`fwd_core.files.require_writable`."""
    from fwd_core import files

    files.require_writable(path)


def require_other(path: str, sources: Iterable[str], what: str) -> None:
    """Check that a result does not take the place of what it is made from.

    Args:
        path: File to write.
        sources: Files to read.
        what: What those are, as in ``the model itself``.

    Raises:
        EngineFileError: It is one of them.
    """
    for source in sources:
        if os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
            raise EngineFileError(
                f"cannot write {path}: it is {what}", hint="choose another name for --output"
            )


def require_replaceable(path: str) -> None:
    """Check that an engine may be written to a path: it is free, empty, or an engine file.

    Raises:
        EngineFileError: Another kind of file is there, which would be lost.
    """
    from fwd_core import files
    from fwd_core.engine.file import FORMAT

    if not os.path.isfile(path) or not os.path.getsize(path):
        return
    try:
        kind = files.format_of(path)
    except EngineFileError:
        kind = None
    if kind != FORMAT:
        raise EngineFileError(
            f"cannot write {path}: the file that is there is no engine, and it would be lost",
            hint="choose another name for --output, or delete that file first",
        )
