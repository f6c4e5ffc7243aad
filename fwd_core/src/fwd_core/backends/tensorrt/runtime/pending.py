"""A run on a GPU that may not be over."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from fwd_core.backends.base import Pending
from fwd_core.backends.tensorrt.runtime import cuda

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.runtime.context import DeviceContext, Queued


class DevicePending(Pending):
    """A queued run, and an event behind it.

    Args:
        context: What it was queued on.
        queued: The run.
    """

    def __init__(self, context: DeviceContext, queued: Queued) -> None:
        self._context = context
        self._queued: Queued | None = queued
        self._outputs: list[Any] = []
        self._event = cuda.call("cudaEventCreateWithFlags", cuda.runtime().cudaEventDisableTiming)
        cuda.call("cudaEventRecord", self._event, queued.stream)
        # What the run reads has to outlive it, also when nobody asks for the result.
        self._release = weakref.finalize(self, _let_go, self._event, queued)
        self._release.atexit = False

    def done(self) -> bool:
        """Whether the run is over. See :meth:`Pending.done`."""
        return self._queued is None or cuda.is_over(self._event)

    def result(self) -> list[Any]:
        """Wait, and give the outputs. See :meth:`Pending.result`."""
        if self._queued is not None:
            cuda.call("cudaEventSynchronize", self._event)
            for block in self._queued.blocks:
                block.stream = None
            self._outputs = self._context.outputs(self._queued)
            self._queued = None
            self._release()
        return self._outputs


def _let_go(event: Any, _queued: Queued) -> None:
    cuda.call("cudaEventSynchronize", event)
    cuda.call("cudaEventDestroy", event)
