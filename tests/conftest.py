"""Hypothesis profiles: CI draws few and always the same, a developer more, the nightly run many.

``corpus`` draws what is kept for other machines: too few examples to see every argument in them.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import Any

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
    max_examples=500,
    deadline=None,
    print_blob=True,
    suppress_health_check=_SLOW_STARTS,
)
settings.register_profile(
    "corpus",
    max_examples=5,
    derandomize=True,
    deadline=None,
    suppress_health_check=_SLOW_STARTS,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


#: Totals of the parity tests, of all processes of pytest-xdist together.
_TOTALS: Counter[str] = Counter()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what the parity tests of this process drew."""
    cases = sys.modules.get("parity_cases")
    totals = dict(cases.TOTALS) if cases else {}
    output = getattr(session.config, "workeroutput", None)
    if output is None:
        _TOTALS.update(totals)
    else:
        output["parity"] = totals


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what one process of pytest-xdist drew."""
    _TOTALS.update(getattr(node, "workeroutput", {}).get("parity", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much was drawn: a profile is a promise of numbers."""
    if _TOTALS:
        listed = ", ".join(f"{count} {name}" for name, count in _TOTALS.most_common())
        terminalreporter.write_line(f"parity with torch: {listed}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names with addresses: they differ from run to run, and between xdist's processes."""
    if nameless := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"give these tests names (ids=...): {nameless[:3]}")
