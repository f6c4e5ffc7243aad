"""What pytest gets from an installed Forward: fixtures for authors of packs, and corpus export.

pytest loads this module in every project where Forward is installed, so it imports nothing until
a fixture or option is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins

MARK = "forward_corpus"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--forward-corpus``."""
    group = parser.getgroup("forward", "Forward")
    group.addoption(
        "--forward-corpus",
        metavar="DIR",
        help="keep every case that assert_parity checks, for python -m fwd_core.testing.replay",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line(
        "markers",
        f"{MARK}(keep): with keep=False the cases of a test are left out of --forward-corpus",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep the cases of a test, if that was asked for."""
    folder = item.config.getoption("--forward-corpus")
    mark = item.get_closest_marker(MARK)
    keep = mark is None or mark.kwargs.get("keep", True)
    if not folder or not keep:
        return (yield)
    from fwd_core.testing.corpus import Corpus, keeping

    with keeping(Corpus(folder)):
        return (yield)


@pytest.fixture
def fwd_plugins() -> Plugins:
    """All installed packs, loaded anew for this test."""
    from fwd_core.plugins import Plugins

    return Plugins.discover()


@pytest.fixture
def fwd_pack(fwd_plugins: Plugins) -> Callable[..., Plugins]:
    """A function that registers a pack for this test, and returns the packs.

    A pack is a module or object with hook implementations. The packs are those of the fixture
    ``fwd_plugins``, which ``fwd_parity`` and ``fwd_cli`` use too.
    """

    def register(pack: object, name: str = "pack-under-test") -> Plugins:
        fwd_plugins.register(name, pack)
        return fwd_plugins

    return register


@pytest.fixture
def fwd_parity(fwd_plugins: Plugins) -> Callable[..., Any]:
    """:func:`fwd_core.testing.assert_parity` with the packs of this test."""
    from functools import partial

    from fwd_core.testing.parity import assert_parity

    return partial(assert_parity, plugins=fwd_plugins)


class Ran(NamedTuple):
    """What ``fwd`` did: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def fwd_cli(fwd_plugins: Plugins) -> Callable[..., Ran]:
    """Run ``fwd`` in this process, with the packs of this test: ``fwd_cli("plugins", "--json")``.

    Arguments may be anything that has a text, such as paths.
    """
    import io

    from fwd_core.cli.main import run
    from fwd_core.cli.session import Session

    def call(*arguments: object) -> Ran:
        session = Session(fwd_plugins)
        session.stdout, session.stderr = io.StringIO(), io.StringIO()
        code = run([str(argument) for argument in arguments], session)
        return Ran(int(code), session.stdout.getvalue(), session.stderr.getvalue())

    return call
