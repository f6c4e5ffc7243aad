"""What backends are told, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union

import pytest
from values import B, kind

from fwd_core.backends import Availability, Options, Port
from fwd_core.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path as OnlyForTypeCheckers


@dataclass(frozen=True)
class Two(Options):
    """Two options."""

    threads: int = 1
    hint: str = "latency"


def test_options_are_checked_by_name() -> None:
    assert Two.parse("toy", {}) == Two()
    assert Two.parse("toy", {"threads": 3}) == Two(threads=3)
    with pytest.raises(
        OptionError,
        match="backend 'toy' has no option 'thread'\n  expected: threads, hint\n"
        "  Hint: did you mean 'threads'",
    ):
        Two.parse("toy", {"thread": 3})


def test_a_backend_without_options() -> None:
    assert Options.parse("toy", {}) == Options()
    with pytest.raises(
        OptionError, match="no option 'x'\n  expected: no options\n  Hint: leave it"
    ):
        Options.parse("toy", {"x": 1})


@dataclass(frozen=True)
class Typed(Options):
    """One option of each kind of type."""

    threads: int | None = None
    scale: float = 1.0
    tf32: bool = False
    gpu: Union[str, Sequence[str], None] = None
    hint: Literal["latency", "throughput"] = "latency"
    anything: Any = None
    words: dict[str, int] | None = None


@pytest.mark.parametrize(
    "given",
    [
        {"threads": 1, "scale": 2, "tf32": True, "gpu": "sm_89"},
        {"threads": None, "scale": 0.5, "gpu": ("sm_89",), "hint": "latency", "anything": {}},
        {"gpu": ["sm_89", "sm_90"], "words": {"a": 1}},
    ],
)
def test_values_of_the_declared_types_are_taken(given: dict[str, Any]) -> None:
    parsed = Typed.parse("toy", given)
    assert {name: getattr(parsed, name) for name in given} == given


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("threads", "2", "an integer or None\n  got:      '2'"),
        ("threads", True, "an integer or None\n  got:      True"),
        ("threads", 2.0, "an integer or None\n  got:      2.0"),
        ("scale", "2", "a number\n  got:      '2'"),
        ("scale", True, "a number\n  got:      True"),
        ("tf32", "yes", "True or False\n  got:      'yes'"),
        ("tf32", 1, "True or False\n  got:      1"),
        ("gpu", 89, "text or several of: text or None\n  got:      89"),
        ("gpu", [89], r"text or several of: text or None\n  got:      \[89\]"),
    ],
)
def test_values_of_other_types_are_refused(name: str, value: Any, expected: str) -> None:
    with pytest.raises(
        OptionError, match=f"option '{name}' of backend 'toy'\n  expected: {expected}"
    ):
        Typed.parse("toy", {name: value})


def test_annotations_that_cannot_be_read_check_nothing() -> None:
    @dataclass(frozen=True)
    class Hidden(Options):
        path: OnlyForTypeCheckers | None = None

    assert Hidden.parse("toy", {"path": "here"}) == Hidden("here")  # type: ignore[arg-type]


def test_names_of_options_are_text() -> None:
    with pytest.raises(OptionError, match="backend 'toy' has no option 3"):
        Two.parse("toy", {3: 1})  # type: ignore[dict-item]


def test_ports_print_name_and_type() -> None:
    assert str(Port("x", kind(B, 3))) == "x: float32[batch, 3]"


def test_availability_needs_no_reason_when_all_is_well() -> None:
    state = Availability(True, True)
    assert (state.reason, state.versions, state.devices) == ("", {}, ())
