"""The pool of blocks, over memory of the host. What waits for streams is left to a GPU."""

from __future__ import annotations

import gc
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from host_memory import Store
from values import kind

from fwd_core.backends import Port
from fwd_core.backends.tensorrt.runtime import blocks
from fwd_core.backends.tensorrt.runtime.blocks import ALIGNMENT, Block, BlockPool
from fwd_core.backends.tensorrt.runtime.cuda import CudaError
from fwd_core.engine import DeviceArray, dlpack
from fwd_core.engine.device_arrays import as_given
from fwd_core.ir import DType

A, B = 1000, 2000


def _full() -> CudaError:
    return CudaError("cudaMalloc", "cudaErrorMemoryAllocation", "out of memory")


def _pool(room: int = 1 << 40) -> tuple[BlockPool, Store]:
    store = Store(room, _full)
    return BlockPool(store.take, store.give), store


def _idle(pool: BlockPool) -> dict[tuple[int, int, int], list[int]]:
    """Addresses that are used again, by stream, size and place."""
    return {key: list(one.addresses) for key, one in pool._idle.items() if one.addresses}


@pytest.mark.parametrize(
    ("asked", "got"), [(0, 256), (1, 256), (256, 256), (257, 512), (1000, 1024)]
)
def test_sizes_are_rounded_up(asked: int, got: int) -> None:
    pool, store = _pool()
    block = pool.lend(asked, A)
    assert (block.size, pool.held, store.used) == (got, got, got)
    assert block.stream == A
    assert not block.lent
    assert block.address in store.out


def test_a_block_is_used_again_on_its_stream_alone() -> None:
    pool, store = _pool()
    first = pool.lend(300, A)
    address = first.address
    del first
    assert pool.lend(300, B).address != address
    assert pool.lend(600, A).address != address
    again = pool.lend(500, A)  # rounded to the same size
    assert again.address == address
    assert (again.stream, again.lent) == (A, False)
    assert len(store.out) == 3


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_place_finds_its_block_again_in_whatever_order_they_come_back(
    order: tuple[int, ...],
) -> None:
    pool, store = _pool()
    blocks = {place: pool.lend(100, A, place) for place in range(3)}
    wanted = [blocks[place].address for place in range(3)]
    for _ in range(4):
        for place in order:
            del blocks[place]
        blocks = {place: pool.lend(100, A, place) for place in range(3)}
        assert [blocks[place].address for place in range(3)] == wanted
    assert len(store.out) == 3


def test_blocks_that_are_used_are_apart() -> None:
    pool, _ = _pool()
    kept = [pool.lend(256, A) for _ in range(50)]
    assert len({block.address for block in kept}) == 50


def test_a_block_that_another_stream_used_goes_back_to_the_device() -> None:
    pool, store = _pool()
    block = pool.lend(256, A)
    block.stream = None  # finished: nobody has to wait
    address = block.address
    block.lend(B)
    assert block.lent
    del block
    assert pool.held == 0
    assert list(store.out) == [address], "the device is asked with the next block"
    before = store.taken
    kept = pool.lend(256, A)
    assert store.taken == before + 1
    assert (pool.held, store.used, list(store.out)) == (256, 256, [kept.address])


@pytest.mark.parametrize(
    ("stream", "own", "lent"),
    [
        (A, False, False),  # its own
        (0, True, False),  # streams of contexts and the default stream wait for each other
        (0, False, True),
        (B, True, True),
        (None, True, True),  # one that is not known
    ],
)
def test_whom_a_block_may_be_lent_to(stream: int | None, own: bool, lent: bool) -> None:
    pool, _ = _pool()
    if own:
        pool.own.add(A)
    block = pool.lend(256, A)
    block.stream = None
    block.lend(stream)
    assert block.lent is lent
    block.lend(A)
    assert block.lent is lent, "what was lent stays so"


def test_an_output_that_a_caller_drops_is_not_written_while_its_stream_reads() -> None:
    pool, _ = _pool()
    pool.own.add(A)
    block = pool.lend(24, A)
    block.stream = None  # as after a run that was waited for
    address = block.address
    given = as_given(
        Port("x", kind(2, 3)), DType.FLOAT32, DeviceArray(block, (2, 3), DType.FLOAT32), 0, B, A
    )
    del block, given  # the caller let go, and B may still read
    assert _idle(pool) == {}
    assert list(pool._retired) == [address]


def test_a_capsule_keeps_the_block() -> None:
    pool, _ = _pool()
    block = pool.lend(24, A)
    block.stream = None
    array = DeviceArray(block, (2, 3), DType.FLOAT32)
    address = block.address
    taken = dlpack.take(array.__dlpack__(stream=A))
    del block, array
    assert (pool.held, _idle(pool)) == (256, {})
    del taken
    assert _idle(pool) == {(A, 256, 0): [address]}


def test_trimming_gives_back_what_no_one_uses() -> None:
    pool, store = _pool()
    kept = pool.lend(256, A)
    for stream in (A, B):
        many = [pool.lend(1024, stream) for _ in range(3)]
        del many
    assert (pool.held, store.used) == (256 + 6 * 1024, 256 + 6 * 1024)
    pool.trim()
    assert (pool.held, store.used) == (256, 256)
    assert list(store.out) == [kept.address]
    pool.trim()  # again changes nothing
    assert pool.held == 256


def test_what_lies_idle_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "IDLE_LIMIT", 4096)
    pool, store = _pool()
    for size in range(1, 200):
        pool.lend(size * ALIGNMENT, A)
        most = 4096 + 2 * size * ALIGNMENT
        assert store.used <= most
    assert pool._idle_bytes <= 4096 + 199 * ALIGNMENT


def test_memory_that_runs_out_is_looked_for_among_what_is_idle() -> None:
    pool, store = _pool(room=4096)
    one = pool.lend(2048, A)
    idle = pool.lend(2048, B)
    del idle
    other = pool.lend(2048, A)  # there is no room but that of the idle one
    assert store.used == 4096
    with pytest.raises(
        CudaError, match="cudaMalloc failed: cudaErrorMemoryAllocation\n  out of memory"
    ):
        pool.lend(256, A)
    assert pool.held == 4096
    del one, other
    assert pool.lend(4096, B).size == 4096, "a pool that ran out goes on"


def test_closing_gives_back_the_rest_when_it_comes() -> None:
    pool, store = _pool()
    kept = pool.lend(256, A)
    pool.lend(512, A)
    pool.close()
    assert (pool.held, store.used) == (256, 256)
    del kept
    assert (pool.held, store.used) == (0, 256)
    assert _idle(pool) == {}
    pool.close()
    assert store.used == 0


def test_memory_goes_back_with_the_last_block_of_a_pool_that_nobody_has() -> None:
    pool, store = _pool()
    kept, other = pool.lend(256, A), pool.lend(512, A)
    pool.lend(512, B)
    other.stream = None
    other.lend(B)
    del pool, other
    gc.collect()
    assert store.used == 256 + 512 + 512
    del kept
    assert store.used == 0


def test_blocks_of_a_cycle_come_back_in_the_middle_of_a_trim() -> None:
    pool, store = _pool()
    for number in range(300):
        pair: list[Any] = [pool.lend(256 * (1 + number % 40), number % 7)]
        pair.append(pair)
        del pair
        if number % 3 == 0:
            pool.trim()
    gc.collect()
    pool.trim()
    assert (pool.held, store.used, pool._idle_bytes) == (0, 0, 0)


def test_many_threads() -> None:
    pool, store = _pool(room=1 << 22)
    writing: set[int] = set()
    lock = threading.Lock()

    def work(seed: int) -> int:
        numbers = random.Random(seed)
        kept: list[Block] = []
        for _ in range(500):
            block = pool.lend(numbers.choice([100, 300, 5000]), numbers.choice([A, B, seed]))
            with lock:
                assert block.address not in writing, "lent twice"
                writing.add(block.address)
            kept.append(block)
            if len(kept) > 8:
                gone = kept.pop(numbers.randrange(8))
                if numbers.random() < 0.2:
                    gone.stream = None
                    gone.lend(None)
                with lock:
                    writing.remove(gone.address)
                del gone
        with lock:
            writing.difference_update(block.address for block in kept)
        return len(kept)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(work, range(8)))
    gc.collect()
    pool.trim()
    assert (pool.held, store.used, pool._idle_bytes) == (0, 0, 0)
