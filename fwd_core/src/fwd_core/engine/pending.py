"""Runs that may not be over, with outputs by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

from fwd_core.backends.base import Pending


class Named(Pending):
    """A run of a backend, whose outputs get their names.

    Args:
        run: The run, whose result is a list.
        names: Names of the outputs.
    """

    def __init__(self, run: Pending, names: Sequence[str]) -> None:
        self._run = run
        self._names = names

    def done(self) -> bool:
        """Whether the run is over. See :meth:`Pending.done`."""
        return self._run.done()

    def result(self) -> dict[str, Any]:
        """Wait, and give the outputs by name. See :meth:`Pending.result`."""
        return dict(zip(self._names, self._run.result(), strict=True))


class InThread(Pending):
    """A run in a thread.

    Args:
        threads: Where.
        names: Names of the outputs.
        run: Runs, and gives the outputs in order.
    """

    def __init__(
        self, threads: Executor, names: Sequence[str], run: Callable[[], list[Any]]
    ) -> None:
        self._names = names
        self._future = threads.submit(run)

    def done(self) -> bool:
        """Whether the run is over. See :meth:`Pending.done`."""
        return self._future.done()

    def result(self) -> dict[str, Any]:
        """Wait, and give the outputs by name. See :meth:`Pending.result`."""
        return dict(zip(self._names, self._future.result(), strict=True))
