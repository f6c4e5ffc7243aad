"""Processes that answer one request at a time, and may die of one without ending the others."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from typing_extensions import Self

Request = TypeVar("Request")


@dataclass(frozen=True)
class Lost:
    """What is known of a request whose process did not answer: it died, or took too long."""

    outcome: str
    seconds: float
    reason: str


#: Seconds that a process may take until it is ready: a library may load gigabytes of kernels.
START_SECONDS = 300.0


class Workers(Generic[Request]):
    """A number of processes that replay cases.

    Messages are JSON. Processes are spawned, not forked: backends' libraries hold threads.

    Args:
        settings: Sent to each process when it starts.
        count: How many.
        limit: Seconds that one request may take. A process that starts has
            :data:`START_SECONDS` until it is ready.
    """

    def __init__(self, settings: Mapping[str, Any], count: int, limit: float) -> None:
        self._settings = settings
        self._limit = limit
        self._count = max(1, count)
        self._idle: list[_Worker] = []
        self._busy: dict[Connection, tuple[_Worker, Any, float]] = {}

    def run(
        self, requests: Sequence[Request], spell: Callable[[Request], Any], end: float | None
    ) -> Iterator[tuple[Request, Any]]:
        """Answers in the order in which they come, each with its request.

        Args:
            requests: What to ask.
            spell: A request as JSON can hold it.
            end: Time (``time.monotonic``) after which nothing new is asked.
        """
        waiting = list(reversed(requests))
        while waiting or self._busy:
            while waiting and len(self._busy) < self._count:
                if end is not None and time.monotonic() >= end:
                    waiting.clear()
                    break
                request = waiting.pop()
                worker = self._idle.pop() if self._idle else _Worker(self._settings)
                worker.connection.send_bytes(json.dumps(spell(request)).encode())
                self._busy[worker.connection] = (worker, request, time.monotonic())
            yield from self._answers()

    def _answers(self) -> Iterator[tuple[Any, Any]]:
        ends = [start + self._patience(worker) for worker, _, start in self._busy.values()]
        patience = max(0.0, min(ends, default=0.0) - time.monotonic())
        ready = wait(list(self._busy), patience) if self._busy else []
        for connection in list(self._busy):
            worker, request, start = self._busy[connection]
            seconds = time.monotonic() - start
            if connection in ready:
                del self._busy[connection]
                try:
                    answer = json.loads(connection.recv_bytes())
                    if not worker.ready:  # the answer will be the next
                        worker.ready = True
                        self._busy[connection] = (worker, request, time.monotonic())
                        continue
                except (EOFError, OSError):
                    yield request, Lost("crashed", seconds, f"the process ended: {worker.close()}")
                    continue
                self._idle.append(worker)
                yield request, answer
            elif seconds >= self._patience(worker):
                del self._busy[connection]
                worker.close()
                yield (
                    request,
                    Lost("timeout", seconds, f"no answer in {self._patience(worker):g} s"),
                )

    def _patience(self, worker: _Worker) -> float:
        return self._limit if worker.ready else START_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for worker in [*self._idle, *(busy[0] for busy in self._busy.values())]:
            worker.close()


class _Worker:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.ready = False
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=serve, args=(other, json.dumps(settings)), daemon=True
        )
        self._process.start()
        other.close()

    def close(self) -> str:
        """End the process, and tell how it ended."""
        self.connection.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def serve(connection: Connection, settings: str) -> None:
    """What a process does: answer requests until there are no more."""
    from fwd_core.testing.corpus import Entry
    from fwd_core.testing.replay import Replay, Settings

    given = json.loads(settings)
    options = tuple((name, value) for name, value in given.pop("options"))
    player = Replay(Settings(**given, options=options))
    player.warm()
    connection.send_bytes(b"{}")
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        result = player.run(Entry(**request))
        connection.send_bytes(json.dumps(result.__dict__).encode())
