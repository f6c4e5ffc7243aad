"""Hypothesis profiles: CI draws few and always the same, a developer more, the nightly run many.

``corpus`` draws what is kept for other machines: too few examples to see every argument in them.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Each of pytest-xdist's processes takes its share of the cores, and so do processes that it starts.
# Threads of OpenMP wait by spinning: with more of them than cores a model of PyTorch takes up to
# fifty times as long. Read when torch is imported, which is later.
if _WORKERS := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))

_SLOW_STARTS = [HealthCheck.too_slow]  # the first example imports what the others use

settings.register_profile(
    "ci",
    max_examples=13,
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
#: What they proved: by operator, ``dtypes`` and ``backends``.
_PROVED: dict[str, dict[str, set[str]]] = {}


def _gather(totals: Mapping[str, int], proved: Mapping[str, Mapping[str, Any]]) -> None:
    _TOTALS.update(totals)
    for key, kinds in proved.items():
        for kind, names in kinds.items():
            _PROVED.setdefault(key, {}).setdefault(kind, set()).update(names)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand on what the parity tests of this process drew."""
    cases = sys.modules.get("parity_cases")
    if cases is None:
        return
    output = getattr(session.config, "workeroutput", None)
    if output is None:
        _gather(cases.TOTALS, cases.PROVED)
    else:
        output["totals"], output["proved"] = dict(cases.TOTALS), _listed(cases.PROVED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what one process of pytest-xdist drew."""
    output = getattr(node, "workeroutput", {})
    _gather(output.get("totals", {}), output.get("proved", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much was drawn: a profile is a promise of numbers."""
    if _TOTALS:
        listed = ", ".join(f"{count} {name}" for name, count in _TOTALS.most_common())
        terminalreporter.write_line(f"parity with torch: {listed}")
    if name := os.environ.get("FORWARD_OPERATOR_TABLE"):
        file = Path(name)
        if file.exists():
            _gather({}, json.loads(file.read_text()))
        rows = [f"{json.dumps(key)}: {json.dumps(row)}" for key, row in _listed(_PROVED).items()]
        file.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def _listed(proved: Mapping[str, Mapping[str, set[str]]]) -> dict[str, dict[str, list[str]]]:
    return {
        key: {kind: sorted(names) for kind, names in sorted(proved[key].items())}
        for key in sorted(proved)
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names with addresses: they differ from run to run, and between xdist's processes."""
    if nameless := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"give these tests names (ids=...): {nameless[:3]}")
