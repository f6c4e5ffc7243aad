"""Memory of outputs: taken from the device once, and used again when the caller lets go of it.

A block that comes back may still be read by work that the caller has queued. So it is only used
again in the order of the stream that it was written on, which such work is on too; a block that
was handed to another stream is given back to the device, which waits for everything first.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda
from fwd_core.engine.device_arrays import Memory

#: Sizes are rounded up to this many bytes, TensorRT's greatest alignment.
ALIGNMENT = 256
#: Bytes that may lie idle before memory that no one uses goes back to the device.
IDLE_LIMIT = 256 << 20
#: ``cudaStreamPerThread``, which is always there and waits for no stream of an engine.
_PER_THREAD = 2


class Shelf:
    """Where blocks of one size lie idle that work on one stream wrote, for outputs at one place.

    It has no reference to its pool, which goes with the last block.

    Attributes:
        stream: Handle of the stream.
        size: Bytes of a block.
        addresses: Of those that are idle; the last that came back is used first.
    """

    __slots__ = ("addresses", "size", "stream")

    def __init__(self, stream: int, size: int) -> None:
        self.stream = stream
        self.size = size
        self.addresses: deque[int] = deque()


class Block(Memory):
    """A piece of device memory; see :class:`BlockPool`.

    Attributes:
        lent: Whether a stream that the pool does not know may still use it.
    """

    __slots__ = ("_pool", "_shelf", "address", "lent", "stream")

    def __init__(self, pool: BlockPool, shelf: Shelf, address: int) -> None:
        self._pool = pool
        self._shelf = shelf
        self.address = address
        self.stream: int | None = shelf.stream
        self.lent = False

    @property
    def size(self) -> int:
        """Bytes, of which an array may use fewer."""
        return self._shelf.size

    def lend(self, stream: int | None) -> None:
        """Let work on another stream use it. See :meth:`Memory.lend`."""
        home = self._shelf.stream
        if stream == home:
            return
        # The engine's own streams wait for the default stream by themselves, and it for them.
        self.lent = self.lent or stream != 0 or home not in self._pool.own
        if stream is not None and self.stream is not None:
            with cuda.on(self._pool.device):  # the caller may be at another
                cuda.follow(stream, self.stream)

    def read(self, target: NDArray[np.generic]) -> None:
        """Copy it to the host. See :meth:`Memory.read`."""
        # Of a finished run the stream may be gone: it went with its engine.
        stream = _PER_THREAD if self.stream is None else self.stream
        with cuda.on(self._pool.device):  # the default streams are each GPU's own
            cuda.to_host(target.ctypes.data, self.address, target.nbytes, stream)
            cuda.call("cudaStreamSynchronize", stream)

    def __del__(self) -> None:
        self._pool.give_back(self.address, self._shelf, lent=self.lent)


class BlockPool:
    """Lends memory of the device.

    Safe to use from several threads: blocks come back from whichever thread drops them, also in
    the middle of a garbage collection, so coming back takes no lock and calls nothing of CUDA.

    Attributes:
        own: Handles of streams of contexts, which run for callers without one.
        held: Bytes that were taken from the device and not given back.
        device: Number of the GPU, ``None`` where there is no other.

    Args:
        take: Takes so many bytes from the device.
        give: Gives addresses back, once nothing uses them.
        device: As above.
    """

    def __init__(
        self,
        take: Callable[[int], int],
        give: Callable[[list[int]], None],
        device: int | None = None,
    ) -> None:
        self.device = device
        self.own: set[int] = set()
        self.held = 0
        self._take = take
        self._give = give
        self._idle: dict[tuple[int, int, int], Shelf] = {}
        self._retired: deque[int] = deque()
        self._idle_bytes = 0
        self._closed = False
        # Blocks keep the pool, so that this comes when the last of them has come back.
        weakref.finalize(self, _give_all, give, self._idle, self._retired).atexit = False

    def lend(self, size: int, stream: int, place: int = 0) -> Block:
        """A block that work on a stream may write at once.

        Args:
            size: Bytes.
            stream: Handle of the stream.
            place: What tells apart blocks that one run needs. A run that is repeated finds each
                block at its place again, in whatever order the last one's were dropped: its
                addresses are the same, and a recorded graph of it fits.

        Raises:
            CudaError: There is no memory left.
        """
        return self.take(self.shelf(size, stream, place))

    def shelf(self, size: int, stream: int, place: int = 0) -> Shelf:
        """What :meth:`take` takes blocks from; with the arguments of :meth:`lend`."""
        size = max(-(-size // ALIGNMENT), 1) * ALIGNMENT
        key = (stream, size, place)
        found = self._idle.get(key)
        return self._idle.setdefault(key, Shelf(stream, size)) if found is None else found

    def take(self, shelf: Shelf) -> Block:
        """A block of a shelf of this pool. See :meth:`lend`."""
        size = shelf.size
        if shelf.addresses:
            try:
                address = shelf.addresses.pop()
            except IndexError:  # another thread was quicker
                pass
            else:
                self._idle_bytes -= size
                return Block(self, shelf, address)
        if self._retired or self._idle_bytes > IDLE_LIMIT:
            self.trim()
        try:
            address = self._take(size)
        except cuda.CudaError:
            if not self._idle_bytes:
                raise
            self.trim()
            address = self._take(size)
        self.held += size
        return Block(self, shelf, address)

    def give_back(self, address: int, shelf: Shelf, *, lent: bool) -> None:
        """Take a block back; :class:`Block` does that by itself."""
        if lent or self._closed:
            self.held -= shelf.size
            self._retired.append(address)
            return
        shelf.addresses.append(address)
        self._idle_bytes += shelf.size

    def trim(self) -> None:
        """Give all memory that no one uses back to the device, which waits for its work first."""
        for shelf in list(self._idle.values()):  # other threads add some
            size = shelf.size
            while shelf.addresses:
                try:
                    address = shelf.addresses.pop()
                except IndexError:
                    break
                self._idle_bytes -= size
                self.held -= size
                self._retired.append(address)
        addresses = []
        while self._retired:
            try:
                addresses.append(self._retired.popleft())
            except IndexError:
                break
        if addresses:
            self._give(addresses)

    def close(self) -> None:
        """Give back what is idle now; blocks that are still lent follow with the pool's end."""
        self._closed = True
        self.trim()


def _give_all(
    give: Callable[[list[int]], None],
    idle: Mapping[tuple[int, int, int], Shelf],
    retired: Iterable[int],
) -> None:
    if addresses := [*retired, *chain.from_iterable(one.addresses for one in idle.values())]:
        give(addresses)


def on_device(device: int | None = None) -> BlockPool:
    """A pool of memory of a GPU, by default of the current one, which must stay so."""
    give = partial(cuda.give, "cudaFree", device=device)
    return BlockPool(partial(cuda.take, "cudaMalloc"), give, device)


def pinned(device: int | None = None) -> BlockPool:
    """A pool of memory of the host that a GPU copies to."""
    give = partial(cuda.give, "cudaFreeHost", device=device)
    return BlockPool(partial(cuda.take, "cudaMallocHost"), give, device)
