"""A run on a GPU that may not be over."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from fwd_core.backends.base import Pending
from fwd_core.backends.tensorrt.runtime import cuda

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.runtime.context import DeviceContext, Queued


class DevicePending(Pending):
    """A queued run, and an event behind it. Any number of threads may ask and wait.

    Args:
        context: What it was queued on.
        queued: The run.
    """

    def __init__(self, context: DeviceContext, queued: Queued) -> None:
        self._context = context
        self._queued: Queued | None = queued
        self._outputs: list[Any] = []
        self._lock = threading.Lock()
        self._event = cuda.call("cudaEventCreateWithFlags", cuda.runtime().cudaEventDisableTiming)
        # What the run reads has to outlive it, also when nobody asks for the result.
        self._release: weakref.finalize[..., DevicePending] = weakref.finalize(
            self, _let_go, self._event, queued
        )
        self._release.atexit = False
        cuda.call("cudaEventRecord", self._event, queued.stream)

    def done(self) -> bool:
        """Whether the run is over. See :meth:`Pending.done`."""
        return self._queued is None or cuda.is_over(self._event)

    def result(self) -> list[Any]:
        """Wait, and give the outputs. See :meth:`Pending.result`."""
        if self._queued is not None:
            cuda.call("cudaEventSynchronize", self._event)
            with self._lock:
                if self._queued is not None:
                    self._finish(self._queued)
        return self._outputs

    def _finish(self, queued: Queued) -> None:
        for block in queued.blocks:
            block.stream = None
        self._outputs = self._context.outputs(queued)
        self._queued = None
        # The inputs may go now; the event stays, for threads that ask about it at this moment.
        self._release.detach()
        self._release = weakref.finalize(self, cuda.call, "cudaEventDestroy", self._event)
        self._release.atexit = False


def _let_go(event: Any, _queued: Queued) -> None:
    cuda.call("cudaEventSynchronize", event)
    cuda.call("cudaEventDestroy", event)
