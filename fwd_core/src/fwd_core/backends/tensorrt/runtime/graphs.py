"""CUDA graphs: runs that repeat are recorded once and replayed with one call."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.backends.tensorrt.runtime.program import Program, Shape
from fwd_core.errors import ForwardError, GraphWarning

#: Graphs that a context keeps; each has an execution state of its own.
CAPACITY = 8
#: Runs of other shapes or addresses after which one is forgotten that was seen once.
_REMEMBERED = 64
#: Recordings that may fail one after the other before no more are tried.
_ATTEMPTS = 5
#: What is recorded: shapes of the inputs, addresses of inputs and outputs.
Key = tuple[tuple[Shape, ...], tuple[int, ...]]


class Recorded:
    """A recorded run, and the program whose memory it uses."""

    def __init__(self, program: Program, graph: Any) -> None:
        self._program = program
        self.launch = graph
        self._release = weakref.finalize(self, cuda.call, "cudaGraphExecDestroy", graph)
        self._release.atexit = False  # the driver may be gone by then, and frees all itself

    def close(self) -> None:
        """Free it; it must not be running."""
        self._release()


@dataclass
class Policy:
    """Whether runs are recorded; shared by all contexts of an engine, so that one warning is given.

    Attributes:
        wanted: Whether to record.
        failures: Recordings that failed since the last that did not. One may be spoilt from
            outside: CUDA ends it when any thread of the process waits for the whole device
            meanwhile.
    """

    wanted: bool = True
    failures: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def succeeded(self) -> None:
        """A recording was made."""
        with self._lock:
            self.failures = 0

    def failed(self) -> bool:
        """A recording failed; whether that was the last one that is tried."""
        with self._lock:
            self.failures += 1
            if self.failures < _ATTEMPTS or not self.wanted:
                return False
            self.wanted = False
            return True


class Graphs:
    """The runs of one context: recorded when they come the second time, replayed after that.

    The first run of a key warms up; the second runs on a program of its own, because TensorRT
    allows no other use of a state that a graph was recorded from, and is recorded; the third is
    replayed. The least recently used graph goes when there are too many.

    Args:
        create: Makes a program.
        policy: Whether to record at all.
        capacity: How many graphs to keep.
    """

    def __init__(
        self, create: Callable[[], Program], policy: Policy, capacity: int = CAPACITY
    ) -> None:
        self._policy = policy
        self._create = create
        self._capacity = capacity
        self._eager: Program | None = None
        self._recorded: OrderedDict[Key, Recorded] = OrderedDict()
        self._seen: OrderedDict[Key, None] = OrderedDict()
        #: The one that was used last, which is at the end already.
        self._last: Recorded | None = None
        self._launch = cuda.quick("cudaGraphLaunch")
        #: How many runs were replayed, of all.
        self.replays = 0

    def run(self, key: Key, stream: int) -> None:
        """Put one run on a stream, by replay if it was recorded.

        Raises:
            InputError: A shape is refused.
            DeviceError: CUDA or TensorRT failed.
        """
        if self.replayed(key, stream):
            return
        if self._policy.wanted and key in self._seen:
            self._record(key, stream)
        else:
            if self._policy.wanted:
                self._remember(key)
            if self._eager is None:
                self._eager = self._create()
            shapes, addresses = key
            self._eager.prepare(shapes, addresses, stream)
            self._eager.enqueue(stream)

    def replayed(self, key: Key, stream: int) -> bool:
        """Put a run on a stream if it was recorded; whether it was.

        Raises:
            CudaError: The launch failed.
        """
        recorded = self._recorded.get(key)
        if recorded is None:
            return False
        if self._last is not recorded:
            self._recorded.move_to_end(key)
            self._last = recorded
        self._launch(recorded.launch, stream)
        self.replays += 1
        return True

    def knows(self, key: Key) -> bool:
        """Whether such a run has come before, and is not forgotten."""
        return key in self._recorded or key in self._seen

    @property
    def count(self) -> int:
        """How many graphs there are."""
        return len(self._recorded)

    def forget(self) -> None:
        """Drop all graphs, because addresses that they use are gone; no run is under way."""
        for recorded in self._recorded.values():
            recorded.close()
        self._last = None
        self._recorded.clear()
        self._seen.clear()

    def close(self) -> None:
        """Drop everything; no run is under way."""
        self.forget()
        self._eager = None

    def _remember(self, key: Key) -> None:
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _record(self, key: Key, stream: int) -> None:
        shapes, addresses = key
        program = self._create()
        program.prepare(shapes, addresses, stream)
        program.enqueue(stream)  # this run's own work, and what warms the program up
        cuda.call("cudaStreamSynchronize", stream)
        del self._seen[key]
        try:
            graph = _capture(program)
        except (ForwardError, RuntimeError) as error:
            if self._policy.failed():
                warnings.warn(
                    f"runs of this engine are not replayed as CUDA graphs: {error}; build with "
                    "cuda_graph='off' if that is as expected",
                    GraphWarning,
                    stacklevel=2,
                )
            return
        self._policy.succeeded()
        while len(self._recorded) >= self._capacity:
            _, oldest = self._recorded.popitem(last=False)
            oldest.close()
        self._recorded[key] = self._last = Recorded(program, graph)


def _capture(program: Program) -> Any:
    """A graph of what a program enqueues, ready to launch.

    Raises:
        ForwardError: The work cannot be recorded.
    """
    library = cuda.runtime()
    stream = cuda.call("cudaStreamCreateWithFlags", library.cudaStreamNonBlocking)
    try:
        with cuda.capturing:
            mode = library.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
            cuda.call("cudaStreamBeginCapture", stream, mode)
            failure: Exception | None = None
            try:
                program.enqueue(int(stream))
            except ForwardError as error:
                failure = error
            try:  # also after a failure: else the stream stays in its state
                graph = cuda.call("cudaStreamEndCapture", stream)
            except cuda.CudaError as error:
                raise failure or error from None
            try:
                if failure is not None:
                    raise failure
                return cuda.call("cudaGraphInstantiate", graph, 0)
            finally:
                cuda.call("cudaGraphDestroy", graph)
    finally:
        cuda.call("cudaStreamDestroy", stream)
