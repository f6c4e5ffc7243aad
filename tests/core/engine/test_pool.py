"""The pool of contexts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fwd_core.engine.pool import Pool, check_limit
from fwd_core.errors import ForwardError, OptionError


def test_the_one_used_last_is_lent_first() -> None:
    pool = Pool(iter(range(10)).__next__, 3)
    a, b = pool.acquire(), pool.acquire()
    assert (a, b, pool.peak) == (0, 1, 2)
    pool.release(a)
    pool.release(b)
    assert pool.acquire() == b
    assert pool.acquire() == a
    assert pool.acquire() == 2
    assert pool.peak == 3


@pytest.mark.parametrize("limit", [0, -1])
def test_a_pool_has_room(limit: int) -> None:
    with pytest.raises(OptionError, match=f"room for one context or more\n  got:      {limit}"):
        Pool(object, limit)


@pytest.mark.parametrize("contexts", [0, -1, True, 2.0, "4"])
def test_numbers_of_contexts_that_are_none(contexts: object) -> None:
    with pytest.raises(
        OptionError,
        match=r"^argument 'contexts'\n  expected: how many runs may be under way at once, 1 or "
        rf"more; None for the backend's own number\n  got:      {contexts!r}$",
    ):
        check_limit(contexts)


@pytest.mark.parametrize("contexts", [None, 1, 100])
def test_numbers_of_contexts(contexts: object) -> None:
    check_limit(contexts)


def test_a_thread_waits_when_all_are_lent() -> None:
    pool = Pool(object, 1)
    item = pool.acquire()
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(pool.acquire()))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert not got
    pool.release(item)
    thread.join(10)
    assert got == [item]


def test_a_failed_creation_gives_its_place_back() -> None:
    attempts: list[OSError | str] = ["item", OSError("no memory")]

    def create() -> str:
        made = attempts.pop()
        if isinstance(made, OSError):
            raise made
        return made

    pool = Pool(create, 1)
    with pytest.raises(OSError, match="no memory"):
        pool.acquire()
    assert pool.acquire() == "item"
    assert pool.peak == 1


def test_no_object_is_lent_twice() -> None:
    pool = Pool(iter(range(100)).__next__, 4)
    held: set[int] = set()
    lock = threading.Lock()

    def work(_: int) -> None:
        item = pool.acquire()
        with lock:
            assert item not in held
            held.add(item)
        with lock:
            held.remove(item)
        pool.release(item)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(2000)))
    assert pool.peak <= 4


def test_closing_waits_for_what_is_lent() -> None:
    pool = Pool(object, 2)
    item = pool.acquire()
    thread = threading.Thread(target=pool.close)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    pool.release(item)
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(ForwardError, match="the engine is closed\n  Hint: build or load it again"):
        pool.acquire()
    pool.close()  # again changes nothing


class Worker:
    """Works on after it was given back, until it is told to rest; on one thing, more fits in."""

    def __init__(self) -> None:
        self.busy = False
        self.on: str | None = None


def _workers(limit: int) -> Pool[Worker]:
    return Pool(Worker, limit, lambda worker, asked: not worker.busy or worker.on == (asked or "-"))


def test_an_idle_one_is_preferred() -> None:
    pool = _workers(3)
    workers = [pool.acquire() for _ in range(3)]
    for worker in workers:
        pool.release(worker)
    workers[2].busy = True
    assert pool.acquire() is workers[1], "of the idle ones, that which was used last"
    assert pool.acquire() is workers[0]


def test_a_new_one_is_made_while_there_is_room() -> None:
    pool = _workers(2)
    first = pool.acquire()
    first.busy = True
    pool.release(first)
    second = pool.acquire()
    assert second is not first
    second.busy = True
    pool.release(second)
    assert pool.acquire() is first, "all are busy: the oldest is done first"
    assert pool.acquire() is second


def test_what_works_on_the_same_is_idle_for_it() -> None:
    pool = _workers(3)
    workers = [pool.acquire() for _ in range(2)]
    for worker, stream in zip(workers, "ab", strict=True):
        worker.busy, worker.on = True, stream
        pool.release(worker)
    assert pool.acquire("a") is workers[0]
    assert pool.acquire("b") is workers[1]
    assert pool.acquire("c") not in workers


def test_the_oldest_is_the_one_given_back_first() -> None:
    pool = _workers(3)
    workers = [pool.acquire() for _ in range(3)]
    for worker in (workers[1], workers[0], workers[2]):
        worker.busy = True
        pool.release(worker)
    assert [pool.acquire() for _ in range(3)] == [workers[1], workers[0], workers[2]]


def test_a_failed_question_gives_the_place_back() -> None:
    def ask(_worker: object, _asked: object) -> bool:
        raise OSError("the device failed")

    pool = Pool(object, 2, ask)
    item = pool.acquire()
    pool.release(item)
    for _ in range(5):  # more often than there are places
        with pytest.raises(OSError, match="the device failed"):
            pool.acquire()
    pool.close()  # waits for nobody
    with pytest.raises(ForwardError, match="the engine is closed"):
        pool.acquire()
