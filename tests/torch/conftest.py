"""Fixtures for tests of the torch pack. All of them need torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from fwd_core import Plugins


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    """All installed packs; tests only read them."""
    return Plugins.discover()
