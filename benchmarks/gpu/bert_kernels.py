"""How near the BERT pack's own kernels come to the bandwidth of a copy.

``python -m benchmarks.gpu.bert_kernels`` prints a line of JSON for the machine and one for each
kernel. Sizes are many times the GPU's cache. A round times some launches of a kernel and, at once
before or after, copies within the device that move as many bytes, each between two events; copies
count what they read and what they write. ``share`` is the median over rounds of the kernel's
bandwidth by that of the copy beside it. What stays in the cache (parameters, embeddings of
positions and of kinds of tokens) is not counted, so the share is no greater than it is.

NumPy, ``cuda-bindings`` and NVRTC are needed; TensorRT and PyTorch are not.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.gpu import host
from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_plugins_bert.kernels import driver, norms
from fwd_plugins_bert.kernels.norms import Norm

#: Tokens and positions of the embeddings: as many words as the largest models of the family have.
WORDS, POSITIONS, KINDS = 250_002, 512, 2
#: What is to be reached.
TARGET = 0.8
_TILE = 1 << 20


def cases() -> Iterator[Norm]:
    """The kernels: norms of BERT's widths and of wide ones, in each type, and its embeddings."""
    for half in (False, True):
        for width in (768, 1024, 4096):
            for int8 in (False, True):
                yield Norm(width, half, bias=True, int8=int8)
        yield Norm(768, half)
        yield Norm(768, half, tables=2, added=1)


def moved(norm: Norm, rows: int) -> int:
    """Bytes that a launch reads and writes, without what stays in the cache."""
    out = 1 if norm.int8 else norm.itemsize
    read = norm.itemsize * (1 if norm.tables else 2)
    return rows * (norm.width * (read + out) + norm.tables * 4)


def rows_of(norm: Norm, size: int) -> int:
    """Rows that move so many bytes; of embeddings no more than there are words to read once."""
    rows = max(size // moved(norm, 1), 1)
    return min(rows, WORDS) if norm.tables else rows


class Memory:
    """Device memory with numbers in it, given back at the end."""

    def __init__(self) -> None:
        self._taken: list[int] = []
        numbers = np.random.default_rng(0).standard_normal(_TILE // 4, np.float32)
        self._tiles: dict[int, Any] = {2: numbers.astype(np.float16).repeat(2), 4: numbers}

    def empty(self, size: int) -> int:
        """So many bytes, whatever is in them."""
        self._taken.append(cuda.take("cudaMalloc", size))
        return self._taken[-1]

    def filled(self, size: int, itemsize: int) -> int:
        """Numbers of a float type, of which the first mebibyte is repeated."""
        address, tile = self.empty(size), self._tiles[itemsize]
        held = min(tile.nbytes, size)
        cuda.to_device(address, tile.ctypes.data, held, 0)
        while held < size:
            more = min(held, size - held)
            cuda.within(address + held, address, more, 0)
            held += more
        cuda.call("cudaDeviceSynchronize")
        return address

    def of(self, array: Any) -> int:
        """The contents of an array."""
        address = self.empty(array.nbytes)
        cuda.to_device(address, array.ctypes.data, array.nbytes, 0)
        cuda.call("cudaDeviceSynchronize")
        return address

    def free(self) -> None:
        """Give all of it back."""
        cuda.give("cudaFree", self._taken)
        self._taken = []


def launch_of(norm: Norm, rows: int, memory: Memory) -> Callable[[], None]:
    """What queues a kernel on operands of its own."""
    size = norm.width * norm.itemsize
    bias, scale, shift = (memory.filled(size, norm.itemsize) for _ in range(3))
    out = memory.empty(rows * norm.width * (1 if norm.int8 else norm.itemsize))
    if not norm.tables:
        x, skip = (memory.filled(rows * size, norm.itemsize) for _ in range(2))
        return lambda: norms.skip_norm(
            norm, x, skip, out, rows, epsilon=1e-12, bias=bias, scale=scale, shift=shift, step=0.03
        )
    numbers = np.random.default_rng(1)
    words, kinds, positions = (
        memory.filled(count * size, norm.itemsize) for count in (WORDS, KINDS, POSITIONS)
    )
    # Each word once: what is read twice might come from the cache.
    ids = memory.of(numbers.permutation(WORDS)[:rows].astype(np.int32))
    types = memory.of(numbers.integers(0, KINDS, rows).astype(np.int32))
    tables = [(words, WORDS, ids), (kinds, KINDS, types)]
    added = [(positions, POSITIONS)]
    return lambda: norms.embedding_norm(
        norm, tables, added, out, rows, epsilon=1e-12, scale=scale, shift=shift
    )


def seconds(queue: Callable[[], None], times: int) -> float:
    """Time on the device of one of several in a row."""
    start, end = (cuda.call("cudaEventCreate") for _ in range(2))
    cuda.call("cudaEventRecord", start, 0)
    for _ in range(times):
        queue()
    cuda.call("cudaEventRecord", end, 0)
    cuda.call("cudaEventSynchronize", end)
    spent = float(cuda.call("cudaEventElapsedTime", start, end)) / 1e3 / times
    for event in (start, end):
        cuda.call("cudaEventDestroy", event)
    return spent


def measure(norm: Norm, size: int, rounds: int, times: int) -> dict[str, Any]:
    """One line: a kernel beside copies of as many bytes."""
    memory, rows = Memory(), rows_of(norm, size)
    try:
        kernel, total = launch_of(norm, rows, memory), moved(norm, rows)
        half = total // 2
        source, target = memory.filled(half, 4), memory.empty(half)

        def copy() -> None:
            cuda.within(target, source, half, 0)

        drawn, spent = random.Random(0), []
        for queue in (kernel, copy):
            seconds(queue, times)
        for _ in range(rounds):
            order = [0, 1]
            drawn.shuffle(order)
            found = {i: seconds((kernel, copy)[i], times) for i in order}
            spent.append((found[0], found[1]))
        shares = sorted(other / own for own, other in spent)
    finally:
        memory.free()
    own, other = (statistics.median(each) for each in zip(*spent, strict=True))
    return {
        "kernel": norm.name,
        "width": norm.width,
        "dtype": "float16" if norm.half else "float32",
        "out": "int8" if norm.int8 else "float16" if norm.half else "float32",
        "bias": norm.bias,
        "rows": rows,
        "MiB": round(total / host.MIB),
        "microseconds": round(own * 1e6, 2),
        "GB/s": round(total / own / 1e9, 1),
        "copy GB/s": round(2 * half / other / 1e9, 1),
        "share": round(statistics.median(shares), 4),
        "least": round(shares[0], 4),
        "greatest": round(shares[-1], 4),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all kernels; fails if one stays below what is required."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--mib", type=int, default=0, help="that a launch moves; by default 16 caches"
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--times", type=int, default=10, help="launches in a row")
    parser.add_argument("--require", type=float, help=f"least share, as {TARGET}, or fail")
    asked = parser.parse_args(arguments)
    gpu, why_not = device.find()
    if gpu is None:
        raise SystemExit(f"nothing to measure on: {why_not}")
    cuda.call("cudaFree", 0)  # makes a context
    cache = cuda.call(
        "cudaDeviceGetAttribute", cuda.runtime().cudaDeviceAttr.cudaDevAttrL2CacheSize, gpu.ordinal
    )
    size = asked.mib * host.MIB or 16 * cache
    facts = host.facts(**{name: host.version(name) for name in ("cuda-bindings", "numpy")})
    facts = {**facts, "capability": driver.capability(), "cache MiB": round(cache / host.MIB)}
    print(json.dumps(facts), flush=True)
    found = []
    for norm in cases():
        found.append(measure(norm, size, asked.rounds, asked.times))
        print(json.dumps(found[-1]), flush=True)
    low = [one for one in found if asked.require and one["share"] < asked.require]
    if low:
        names = ", ".join(f"{one['kernel']} {one['width']} {one['dtype']}" for one in low)
        sys.exit(f"below {asked.require}: {names}")


if __name__ == "__main__":
    main()
