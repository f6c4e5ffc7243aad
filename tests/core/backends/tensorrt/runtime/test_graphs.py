"""What is remembered of runs before any is recorded; recording itself needs a GPU."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("cuda.bindings")

from host_cuda import host_cuda

from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_core.backends.tensorrt.runtime.graphs import Graphs, Key, Policy
from fwd_core.backends.tensorrt.runtime.program import Program, Shape
from fwd_core.errors import DeviceError, ForwardWarning, GraphWarning

STREAM = 5


class Written(Program):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def prepare(self, shapes: Sequence[Shape], addresses: Sequence[int], stream: int) -> None:
        self.told.append((shapes, addresses, stream))

    def enqueue(self, stream: int) -> None:
        self.told.append(stream)


def _graphs(policy: Policy) -> tuple[Graphs, list[Written]]:
    made: list[Written] = []

    def create() -> Program:
        made.append(Written())
        return made[-1]

    return Graphs(create, policy), made


def _key(number: int) -> Key:
    return (((number, 3),), (256 * number, 512))


def test_first_runs_are_queued_by_one_program() -> None:
    graphs, made = _graphs(Policy())
    for number in (1, 2, 3):
        assert not graphs.knows(_key(number))
        graphs.run(_key(number), STREAM)
        assert graphs.knows(_key(number))
    (program,) = made
    assert program.told[:2] == [(((1, 3),), (256, 512), STREAM), STREAM]
    assert len(program.told) == 6
    assert (graphs.count, graphs.replays) == (0, 0)


def test_nothing_is_remembered_where_nothing_is_recorded() -> None:
    graphs, made = _graphs(Policy(wanted=False))
    for _ in range(3):
        graphs.run(_key(1), STREAM)
    assert not graphs.knows(_key(1))
    assert len(made) == 1
    assert len(made[0].told) == 6


def test_what_came_once_is_forgotten_after_many_others() -> None:
    graphs, _ = _graphs(Policy())
    for number in range(65):
        graphs.run(_key(number), STREAM)
    assert not graphs.knows(_key(0))
    assert graphs.knows(_key(1))
    graphs.forget()
    assert not graphs.knows(_key(64))


def test_a_closed_one_begins_anew() -> None:
    graphs, made = _graphs(Policy())
    graphs.run(_key(1), STREAM)
    graphs.close()
    graphs.run(_key(1), STREAM)
    assert len(made) == 2


@pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")
def test_the_second_run_waits_for_its_stream() -> None:
    pytest.importorskip("cuda.bindings")
    graphs, made = _graphs(Policy())
    graphs.run(_key(1), STREAM)
    with pytest.raises(cuda.CudaError, match=r"^cudaStreamSynchronize failed: cudaError\w+\n"):
        graphs.run(_key(1), 0)
    assert len(made) == 2, "a program of its own"
    assert made[1].told == [(((1, 3),), (256, 512), 0), 0]


def test_recordings_are_given_up_after_five_failures_one_after_the_other() -> None:
    policy = Policy()
    for _ in range(3):
        assert [policy.failed() for _ in range(4)] == [False] * 4
        policy.succeeded()
    assert policy.wanted
    assert [policy.failed() for _ in range(6)] == [False] * 4 + [True, False]
    assert not policy.wanted


def test_one_of_many_threads_is_told_that_it_was_the_last() -> None:
    policy = Policy()
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda _: policy.failed(), range(64)))
    assert told.count(True) == 1


def test_the_graph_that_was_used_least_recently_goes() -> None:
    with host_cuda():
        graphs = Graphs(Written, Policy(), capacity=2)
        for number in (1, 2):
            for _ in range(2):  # seen, then recorded
                graphs.run(_key(number), 0)
        graphs.run(_key(1), 0)
        for _ in range(2):
            graphs.run(_key(3), 0)
        assert graphs.count == 2
        assert [graphs.knows(_key(number)) for number in (1, 2, 3)] == [True, False, True]
        assert graphs.replays == 1
        graphs.close()


class Refusing(Written):
    """Cannot be recorded, but for the captures that are let through."""

    def __init__(self, let: list[bool]) -> None:
        super().__init__()
        self._let = let
        self._runs = 0

    def enqueue(self, stream: int) -> None:
        self._runs += 1
        if self._runs == 2 and not self._let.pop(0):
            raise DeviceError("not now")


def test_a_recording_that_succeeds_begins_the_count_anew() -> None:
    let = [False] * 4 + [True] + [False] * 5
    policy = Policy()
    graphs = Graphs(lambda: Refusing(let), policy)
    with host_cuda(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for number in range(10):
            for _ in range(2):
                graphs._eager = Written()
                graphs.run(_key(number), 0)
            assert policy.wanted is (number < 9)
        assert graphs.count == 1
        graphs.close()
    assert [(one.category, str(one.message).split(";")[0]) for one in told] == [
        (GraphWarning, "runs of this engine are not replayed as CUDA graphs: not now")
    ]
    assert issubclass(GraphWarning, ForwardWarning)
