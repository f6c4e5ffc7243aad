"""Calls of several routes in turns, timed one by one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

Call = Callable[[], Any]
#: Seconds that calls of one route take in a row, in a round.
_ROUND = 0.05
#: Seconds before the first round, in which clocks rise.
_WARM_UP = 0.3
#: Calls at the start of a round that are not timed: another route left the caches to itself.
_UNTIMED = 3
#: Rounds at least, however long they take.
_LEAST = 3


def timed(call: Call, count: int) -> list[float]:
    """Seconds of each of some calls in a row, after a few that are not timed."""
    clock = time.perf_counter
    for _ in range(_UNTIMED):
        call()
    times = []
    for _ in range(count):
        start = clock()
        call()
        times.append(clock() - start)
    return times


def in_turns(calls: Mapping[str, Call], seconds: float) -> dict[str, list[list[float]]]:
    """Seconds of calls by route and round, in an order that is drawn anew for each round.

    Args:
        calls: A call of each route, which returns when its work has ended.
        seconds: How long to go on.
    """
    samples: dict[str, list[list[float]]] = {route: [] for route in calls}
    if not calls:
        return samples
    counts = {route: _count(call) for route, call in calls.items()}
    order = random.Random(0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, samples.values())) < _LEAST:
        for route in order.sample(list(calls), len(calls)):
            samples[route].append(timed(calls[route], counts[route]))
    return samples


def _count(call: Call) -> int:
    """How many calls fill a round."""
    start, done = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < _WARM_UP:
        call()
        done += 1
    return max(1, int(done * _ROUND / spent))
