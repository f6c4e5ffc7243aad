"""What backends are told, and how."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from values import B, kind

from fwd_core.backends import Availability, Options, Port
from fwd_core.errors import OptionError


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


def test_ports_print_name_and_type() -> None:
    assert str(Port("x", kind(B, 3))) == "x: float32[batch, 3]"


def test_availability_needs_no_reason_when_all_is_well() -> None:
    state = Availability(True, True)
    assert (state.reason, state.versions, state.devices) == ("", {}, ())
