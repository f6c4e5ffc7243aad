"""Marks on functions change nothing but what can be read from them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from toy_ops import Halves, Twice

from fwd_core import lowering
from fwd_core.plugins.markers import LoweringMark, lowering_mark, marked_in


def _reason(_ctx: Any, _op: Any) -> str | None:
    return "no"


@lowering("toy", Halves, Twice, override=True, unless=_reason)
def marked(_ctx: Any, _op: Any) -> int:
    """A lowering of two operators."""
    return 3


def unmarked() -> None:
    """No lowering."""


def test_marks_can_be_read() -> None:
    assert marked(None, None) == 3
    assert lowering_mark(marked) == LoweringMark("toy", (Halves, Twice), True, _reason)
    assert lowering_mark(unmarked) is None


def test_only_functions_of_the_module_itself_are_found() -> None:
    module = ModuleType("somewhere")
    module.borrowed = marked  # type: ignore[attr-defined]

    @lowering("toy", Halves)
    def own(_ctx: Any, _op: Any) -> None: ...

    own.__module__ = "somewhere"
    module.own, module.number = own, 3  # type: ignore[attr-defined]
    assert list(marked_in(module, "__fwd_lowering__")) == [own]
