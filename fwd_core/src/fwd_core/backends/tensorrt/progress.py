"""Progress of a build, from TensorRT's callbacks to our events."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType
from typing import Any

from fwd_core.events import Phase


@lru_cache(maxsize=None)
def _monitor_class(trt: ModuleType) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[name-defined, misc]
        """Tells a phase of every step; there is no total, because phases nest as they come.

        TensorRT swallows what its callbacks raise, an interrupt by the user too. It is kept in
        ``error`` and the build is told to stop.
        """

        def __init__(self, phase: Phase) -> None:
            super().__init__()
            self.error: BaseException | None = None
            self._phase = phase

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            """Nothing: the first step says what is going on."""

        def step_complete(self, name: str, step: int) -> bool:
            """Pass the step on; whether the build goes on."""
            try:
                self._phase.step(name)
            except BaseException as error:  # noqa: BLE001 - raised again when the build returns
                self.error = error
            return self.error is None

        def phase_finish(self, name: str) -> None:
            """Nothing."""

    return Monitor


def monitor(trt: ModuleType, phase: Phase) -> Any:
    """An ``IProgressMonitor`` that steps a phase; its ``error`` is what a listener raised."""
    return _monitor_class(trt)(phase)
