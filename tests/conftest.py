"""Hypothesis profiles: CI draws few and always the same, a developer more, the nightly run many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_STARTS = [HealthCheck.too_slow]  # the first example imports what the others use

settings.register_profile(
    "ci",
    max_examples=25,
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
