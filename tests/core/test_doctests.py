"""Examples in docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import fwd_core


def test_examples_run() -> None:
    attempted = 0
    for module in pkgutil.walk_packages(fwd_core.__path__, "fwd_core."):
        if module.name.endswith("__main__"):
            continue
        found = doctest.testmod(importlib.import_module(module.name))
        assert found.failed == 0, module.name
        attempted += found.attempted
    assert attempted > 10
