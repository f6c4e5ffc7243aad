"""Keys, what stands behind them, and whose it is."""

from __future__ import annotations

import itertools

import pytest

from fwd_core.errors import PluginError
from fwd_core.plugins import Entry, Registry


def _registry(*entries: Entry[int]) -> Registry[int]:
    registry: Registry[int] = Registry("number")
    for entry in entries:
        registry.claim(entry)
    return registry


def test_a_registry_is_a_mapping_in_order() -> None:
    entries = [Entry("b", 1, "p"), Entry("a", 2, "q")]
    registry = _registry(*entries)
    assert dict(registry) == {"b": 1, "a": 2}
    assert list(registry) == ["b", "a"]
    assert len(registry) == 2
    assert list(registry.entries()) == entries
    assert registry.owner("a") == "q"
    assert registry.get("c") is None


def test_two_claims_name_both_owners() -> None:
    with pytest.raises(
        PluginError,
        match=r"both register number 'a': packs 'p' and 'q'\n"
        r"  Hint: disable one with FWD_DISABLE_PACKS=q, or let one register with override=True",
    ):
        _registry(Entry("a", 1, "p"), Entry("a", 2, "q"))


def test_two_overrides_name_both_owners() -> None:
    with pytest.raises(PluginError, match="both override number 'a': packs 'q' and 'r'"):
        _registry(Entry("a", 1, "q", override=True), Entry("a", 2, "r", override=True))


def test_an_override_wins_in_any_order() -> None:
    entries = [Entry("a", 1, "p"), Entry("a", 2, "q", override=True)]
    for order in itertools.permutations(entries):
        registry = _registry(*order)
        assert (registry["a"], registry.owner("a")) == (2, "q")
