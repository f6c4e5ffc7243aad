"""Hypothesis profiles: CI draws few and always the same, a developer more, the nightly run many."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

_SLOW_STARTS = [HealthCheck.too_slow]  # the first example imports what the others use

settings.register_profile(
    "ci",
    max_examples=20,
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW_STARTS,
)
settings.register_profile(
    "dev", max_examples=100, deadline=None, suppress_health_check=_SLOW_STARTS
)
settings.register_profile(
    "nightly",
    max_examples=2000,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW_STARTS,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names with addresses: they differ from run to run, and between xdist's processes."""
    if nameless := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"give these tests names (ids=...): {nameless[:3]}")
