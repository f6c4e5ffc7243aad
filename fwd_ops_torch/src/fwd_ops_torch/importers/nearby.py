"""The user's line for operators of scripted programs that torch gives none, or one of its own.

``x.T``, ``2.5 - x`` and their like are functions that torch wrote itself, in a file that it calls
``<string>``; setting an attribute has no place at all. What stands before and after in the program
has one, and the line is between the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import dropwhile, islice
from typing import Any

from fwd_core.ir import Frame
from fwd_ops_torch.importers.locations import frames_of_range

#: How far back in the program a neighbour may be.
_REACH = 50
#: The head of one of torch's own functions, as the text of its place quotes it.
_FUNCTION = re.compile(r"def (\w+)\(")
_MARKER = re.compile(r"\s*~+( <--- HERE)?\s*")


def frames_of(node: Any) -> tuple[Frame, ...]:
    """Frames of a node, innermost first, with a neighbour's where torch lost its own."""
    text = node.sourceRange()
    own = frames_of_range(text)
    if own and not _is_torchs(own[0]):
        return own
    near = _near(node, text)
    return own if near is None else (*own, near)


def _is_torchs(frame: Frame) -> bool:
    return frame.file.startswith(("<", "code/"))


def _is_lost(node: Any) -> bool:
    frames = frames_of_range(node.sourceRange())
    return bool(frames) and _is_torchs(frames[0])


@dataclass(frozen=True)
class _Neighbour:
    """A node that has a place."""

    node: Any
    frame: Frame

    @property
    def line(self) -> int:
        return self.frame.line

    @property
    def is_number(self) -> bool:
        return bool(self.node.kind() == "prim::Constant")

    def lines(self) -> dict[int, str]:
        """Lines of source around it by their numbers, as torch quotes them."""
        own, _, _ = self.node.sourceRange().partition("Serialized ")
        quoted = own.splitlines()[1:]
        marker = next((i for i, text in enumerate(quoted) if _MARKER.fullmatch(text)), 0)
        plain = [text for text in quoted if not _MARKER.fullmatch(text)]
        return {self.line + i - marker + 1: text for i, text in enumerate(plain)}


def _near(node: Any, text: str) -> Frame | None:
    # Torch's own function may be several operators, the one's result the next one's operand.
    group = [node, *(user for user in _users(node) if _is_lost(user))]
    makers = list(_placed(value.node() for one in group for value in one.inputs()))
    users = list(_placed(user for one in group for user in _users(one)))
    users = users or list(islice(_placed(_after(node)), 1))
    previous = next((one for one in _placed(_before(node)) if not one.is_number), None)
    earlier = [one for one in makers if not one.is_number] + ([previous] if previous else [])
    # Neighbours may be another function's, which torch put in place of its call.
    files = [one.frame.file for one in (previous, *users, *makers) if one is not None]
    makers, users, earlier = (
        [one for one in group if one.frame.file == files[0]] for group in (makers, users, earlier)
    )
    low = max(earlier, key=_line, default=None)
    high = min(users, key=_line, default=None)
    first, last = low.line if low else 0, high.line if high else float("inf")
    known = [*earlier, *users]
    if (pattern := _pattern(node, text)) is not None:
        quoted = {number: line for one in known for number, line in one.lines().items()}
        found = [n for n, line in quoted.items() if first <= n <= last and pattern.search(line)]
        if found:
            return Frame(known[0].frame.file, min(found))
    # A number is placed where it is written first; if that is after what is before, it is here.
    number = max((one for one in makers if one.is_number), key=_line, default=None)
    if number is not None and number.line > first:
        return number.frame
    chosen = high or low
    return None if chosen is None else chosen.frame


def _users(node: Any) -> list[Any]:
    return [use.user for value in node.outputs() for use in value.uses()]


def _line(one: _Neighbour) -> int:
    return one.line


def _placed(nodes: Iterable[Any]) -> Iterator[_Neighbour]:
    for node in nodes:
        frames = frames_of_range(node.sourceRange())
        if frames and not _is_torchs(frames[0]):
            yield _Neighbour(node, frames[0])


def _before(node: Any) -> Iterator[Any]:
    def back() -> Iterator[Any]:
        other = node.prev()
        while other.kind() not in ("prim::Param", "prim::Return"):
            yield other
            other = other.prev()

    return islice(back(), _REACH)


def _after(node: Any) -> Iterator[Any]:
    return islice(dropwhile(lambda other: other != node, node.owningBlock().nodes()), 1, _REACH)


def _pattern(node: Any, text: str) -> re.Pattern[str] | None:
    """What the user's line has in it, if that is known: the attribute that is read or set."""
    kind = node.kind()
    if kind == "prim::SetAttr":
        return re.compile(rf"\.{node.s('name')}\s*[^\s\w=]*=(?!=)")
    before = text.partition("<--- HERE")[0]
    functions = _FUNCTION.findall(before)
    name = functions[-1] if functions else kind.split("::")[1]
    return re.compile(rf"\.{name}\b(?!\()")
