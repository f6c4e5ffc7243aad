"""One execution context: its stream, its buffers, and runs on arrays of the host or the GPU."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fwd_core.backends.base import Context, Pending
from fwd_core.backends.tensorrt.runtime import conversion, cuda
from fwd_core.backends.tensorrt.runtime.blocks import ALIGNMENT, Block, Shelf
from fwd_core.backends.tensorrt.runtime.buffers import DeviceBuffer, PinnedBuffer, view
from fwd_core.backends.tensorrt.runtime.graphs import Graphs, Key
from fwd_core.backends.tensorrt.runtime.pending import DevicePending
from fwd_core.backends.tensorrt.runtime.program import Shape
from fwd_core.engine.device_arrays import (
    DeviceArray,
    Given,
    as_given,
    by_interface,
    on_device,
    typestr,
)
from fwd_core.engine.inputs import as_array

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.runtime.executable import Binding, DeviceExecutable

#: Runs of one shape that each found new addresses; from then on arrays are copied to addresses
#: that stay, so that a graph can be replayed.
_MOVES = 4
#: Sizes of inputs that are remembered; after as many others all are forgotten.
_SIZES = 1024


class Queued(NamedTuple):
    """A run that was put on a stream.

    Attributes:
        stream: Which.
        blocks: Memory of the outputs: on the device, or pinned on the host.
        shapes: Of the outputs.
        host: Whether the outputs are on the host.
        inputs: What has to live until the run is over.
    """

    stream: int
    blocks: list[Block]
    shapes: Sequence[Shape]
    host: bool
    inputs: Sequence[Any]


class Sized:
    """What follows from the sizes of the inputs alone.

    Attributes:
        graphs: Those of the optimization profile.
        shapes: Of the outputs.
        lengths: Bytes of the outputs.
        stream: That of the last replay, and
        shelves: where its outputs came from.
    """

    __slots__ = ("graphs", "lengths", "shapes", "shelves", "stream")

    def __init__(self, graphs: Graphs, shapes: Sequence[Shape], lengths: list[int]) -> None:
        self.graphs = graphs
        self.shapes = shapes
        self.lengths = lengths
        self.stream: int | None = None
        self.shelves: list[Shelf] = []


class DeviceContext(Context):
    """Runs an executable; one run is queued at a time, and those queued follow one another.

    Args:
        owner: The executable.

    Raises:
        CudaError: A CUDA call failed.
    """

    def __init__(self, owner: DeviceExecutable) -> None:
        self._owner = owner
        self.stream = int(cuda.call("cudaStreamCreate"))
        self._done = cuda.call("cudaEventCreateWithFlags", cuda.runtime().cudaEventDisableTiming)
        self._release = weakref.finalize(self, _destroy, self.stream, self._done)
        self._release.atexit = False  # the driver may be gone by then, and frees all itself
        owner.blocks.own.add(self.stream)
        spare, pinned = owner.blocks.trim, owner.pinned.trim
        self._scratch = DeviceBuffer(spare)
        self._buffers = [DeviceBuffer(spare) for _ in owner.bindings]
        self._pinned = [PinnedBuffer(pinned) for _ in owner.inputs]
        self.graphs = [
            Graphs(lambda index=index: self._program(index), owner.policy)  # type: ignore[misc]
            for index in range(owner.profiles)
        ]
        self._moves: dict[tuple[Shape, ...], int] = {}
        self._sized: dict[tuple[Shape, ...], Sized] = {}
        gpu = owner.gpu.ordinal
        #: What :meth:`replay` looks for: types as the interface tells them, as arrays of ours do.
        self._asked = [(typestr(binding.dtype), binding.dtype, gpu) for binding in owner.inputs]
        self._types = [binding.dtype for binding in owner.outputs]
        self._record_done = cuda.quick("cudaEventRecord")
        #: Stream of the last run, ``None`` when all are over.
        self.last: int | None = None

    def run(self, inputs: Sequence[Any], shapes: Sequence[Shape]) -> list[Any]:
        """Run once on arrays of the host. See :meth:`Context.run`.

        Raises:
            InputError: An integer does not fit the engine's type, or TensorRT refuses a shape.
            DeviceError: A CUDA call failed, or TensorRT could not run.
        """
        before = None if self._owner.only is None else cuda.switch(self._owner.only)
        try:
            return self._finished(self._queue(inputs, shapes, self.stream))
        finally:
            if before is not None:
                cuda.call("cudaSetDevice", before)

    def accept(self, given: Sequence[Any], stream: int | None) -> list[Any]:
        """Arrays of the host or the GPU. See :meth:`Context.accept`."""
        owner = self._owner
        before = None if owner.only is None else cuda.switch(owner.only)
        try:
            return [
                self._accept(binding, item, stream)
                for binding, item in zip(owner.inputs, given, strict=True)
            ]
        finally:
            if before is not None:
                cuda.call("cudaSetDevice", before)

    def _accept(self, binding: Binding, item: Any, stream: int | None) -> Any:
        port, bound, kind = binding.port, binding.dtype, type(item)
        if kind is np.ndarray:
            return as_array(port, item)
        owner = self._owner
        if stream is not None and kind is not DeviceArray:  # the quickest way, tried first
            found = by_interface(port, bound, item, owner.only, owner.device_of)
            if found is not None:
                return found
        if on_device(item):
            gpu = owner.gpu.ordinal
            return as_given(port, bound, item, gpu, stream, self.stream, owner.device_of)
        return as_array(port, item)

    def replay(self, given: Sequence[Any], stream: int) -> list[Any] | None:
        """Run with one launch, if such a run was recorded. See :meth:`Context.replay`.

        This is what the host does for each run of a loop, so it is written to be short: anything
        that is not as the last time is left to :meth:`accept` and :meth:`run_on`.
        """
        owner = self._owner
        if owner.only is not None:
            return None  # memory at an address that is known may be another GPU's by now
        sizes: Any = []
        addresses = []
        for item, (text, dtype, gpu) in zip(given, self._asked, strict=True):
            if type(item) is DeviceArray:
                if item.dtype is not dtype or item.memory.stream != stream or item.device != gpu:
                    return None
                sizes.append(item.shape)
                addresses.append(item.address)
                continue
            try:
                told = item.__cuda_array_interface__
            except (AttributeError, RuntimeError, TypeError, ValueError):
                return None
            get = told.get
            if told["typestr"] != text or get("strides") is not None or get("mask") is not None:
                return None
            ready = get("stream")
            if ready is not None and ready != stream:
                return None
            sizes.append(tuple(told["shape"]))
            addresses.append(told["data"][0])
        sizes = tuple(sizes)
        known = self._sized.get(sizes)
        if known is None or self._moves.get(sizes):
            return None
        pool = owner.blocks
        if known.stream != stream:
            shelves = [pool.shelf(size, stream, i) for i, size in enumerate(known.lengths)]
            known.stream, known.shelves = stream, shelves
        blocks = [pool.take(shelf) for shelf in known.shelves]
        if self.last is not None and self.last != stream:
            cuda.call("cudaStreamWaitEvent", stream, self._done, 0)
        try:
            key = (sizes, (*addresses, *[block.address for block in blocks]))
            if not known.graphs.replayed(key, stream):
                return None
        except BaseException:
            self._failed(stream)
            raise
        self._record_done(self._done, stream)
        self.last = stream
        gpu = owner.gpu.ordinal
        outputs = zip(blocks, known.shapes, self._types, strict=True)
        return [DeviceArray(block, shape, dtype, gpu) for block, shape, dtype in outputs]

    def run_on(
        self, inputs: Sequence[Any], shapes: Sequence[Shape], stream: int | None
    ) -> list[Any]:
        """Run on what :meth:`accept` gave. See :meth:`Context.run_on`."""
        before = None if self._owner.only is None else cuda.switch(self._owner.only)
        try:
            queued = self._queue(inputs, shapes, self.stream if stream is None else stream)
            if stream is None or queued.host:
                return self._finished(queued)
            return self.outputs(queued)
        finally:
            if before is not None:
                cuda.call("cudaSetDevice", before)

    def submit(self, inputs: Sequence[Any], shapes: Sequence[Shape], stream: int | None) -> Pending:
        """Queue a run. See :meth:`Context.submit`."""
        before = None if self._owner.only is None else cuda.switch(self._owner.only)
        try:
            queued = self._queue(inputs, shapes, self.stream if stream is None else stream)
            return DevicePending(self, queued)
        finally:
            if before is not None:
                cuda.call("cudaSetDevice", before)

    def outputs(self, queued: Queued) -> list[Any]:
        """Arrays of the outputs; those of the host are right once the run is over."""
        bindings = zip(self._owner.outputs, queued.blocks, queued.shapes, strict=True)
        if not queued.host:
            gpu = self._owner.gpu.ordinal
            return [DeviceArray(block, shape, b.dtype, gpu) for b, block, shape in bindings]
        return [
            conversion.result(view(block.address, shape, b.dtype.storage), b.port, b.dtype)
            for b, block, shape in bindings
        ]

    def close(self) -> None:
        """Free everything, when the last run is over."""
        self._wait()
        for graphs in self.graphs:
            graphs.close()
        for buffer in (self._scratch, *self._buffers, *self._pinned):
            buffer.free()
        self._owner.blocks.own.discard(self.stream)
        self._release()

    def idle(self, stream: int | None) -> bool:
        """Whether no run is under way on another stream. See :meth:`Context.idle`."""
        if self.last is not None and self.last != stream and cuda.is_over(self._done):
            self.last = None
        return self.last is None or self.last == stream

    def _finished(self, queued: Queued) -> list[Any]:
        cuda.call("cudaStreamSynchronize", queued.stream)
        self.last = None
        for block in queued.blocks:
            block.stream = None
        return self.outputs(queued)

    def _queue(self, inputs: Sequence[Any], shapes: Sequence[Shape], stream: int) -> Queued:
        if self.last is not None and self.last != stream:
            cuda.call("cudaStreamWaitEvent", stream, self._done, 0)
        try:
            queued = self._put(inputs, shapes, stream)
        except BaseException:
            self._failed(stream)
            raise
        self._record_done(self._done, stream)
        self.last = stream
        return queued

    def _failed(self, stream: int) -> None:
        """A run ended in the middle: copies that it queued still read memory of this context."""
        with suppress(cuda.CudaError):
            self._record_done(self._done, stream)
            self.last = stream

    def _put(self, inputs: Sequence[Any], shapes: Sequence[Shape], stream: int) -> Queued:
        """Put a run on a stream, after what is on it."""
        owner = self._owner
        host = True
        sent = []
        for index, item in enumerate(inputs):
            if type(item) is Given:
                host = False
                sent.append(self._take(index, item, stream))
            else:
                sent.append(self._send(index, item, stream))
        sizes = tuple([item.shape for item in inputs])
        known = self._sized.get(sizes)
        if known is None:
            known = self._prepared(sizes, shapes)
        graphs, lengths = known.graphs, known.lengths
        pool = owner.pinned if host else owner.blocks
        blocks = [pool.lend(length, stream, place) for place, length in enumerate(lengths)]
        if host:
            self._run_staged(inputs, sizes, sent, blocks, lengths, graphs, stream, host=True)
        else:
            key = (sizes, (*sent, *[block.address for block in blocks]))
            if self._moves.get(sizes) or not graphs.replayed(key, stream):
                self._run_anew(inputs, key, sent, blocks, lengths, graphs, stream)
        return Queued(stream, blocks, shapes, host, inputs)

    def _prepared(self, sizes: tuple[Shape, ...], shapes: Sequence[Shape]) -> Sized:
        graphs = self.graphs[self._owner.profile(sizes)]
        outputs = zip(self._owner.outputs, shapes, strict=True)
        lengths = [math.prod(shape) * binding.itemsize for binding, shape in outputs]
        if len(self._sized) >= _SIZES:
            self._sized.clear()
        made = self._sized[sizes] = Sized(graphs, shapes, lengths)
        return made

    def _run_anew(
        self,
        inputs: Sequence[Any],
        key: Key,
        sent: list[int],
        blocks: list[Block],
        lengths: list[int],
        graphs: Graphs,
        stream: int,
    ) -> None:
        """Run between the caller's arrays; or between the context's, if addresses ever change."""
        if self._moves_on(key, graphs):
            self._run_staged(inputs, key[0], sent, blocks, lengths, graphs, stream, host=False)
        else:
            graphs.run(key, stream)

    def _run_staged(
        self,
        inputs: Sequence[Any],
        sizes: tuple[Shape, ...],
        sent: list[int],
        blocks: list[Block],
        lengths: list[int],
        graphs: Graphs,
        stream: int,
        *,
        host: bool,
    ) -> None:
        """Run between buffers of the context, whose addresses stay."""
        for index, (item, address) in enumerate(zip(inputs, sent, strict=True)):
            if type(item) is Given and address == item.address:
                sent[index] = self._copied(index, item, stream)
        first = len(sent)
        results = [self._reserve(first + i, length) for i, length in enumerate(lengths)]
        graphs.run((sizes, (*sent, *results)), stream)
        move = cuda.to_host if host else cuda.within
        for block, address, length in zip(blocks, results, lengths, strict=True):
            if length:
                move(block.address, address, length, stream)

    def _moves_on(self, key: Key, graphs: Graphs) -> bool:
        """Whether arrays of these sizes have come from ever new addresses."""
        if not self._owner.policy.wanted:
            return False
        sizes = key[0]
        if graphs.knows(key):
            if self._moves.get(sizes, 0) < _MOVES:
                self._moves[sizes] = 0
            return False
        moves = self._moves[sizes] = self._moves.get(sizes, 0) + 1
        if len(self._moves) > _SIZES:  # sizes that change with every run are never replayed
            self._moves.clear()
        return moves > _MOVES

    def _take(self, index: int, item: Given, stream: int) -> int:
        if item.stream is not None and item.stream != stream:
            cuda.follow(stream, item.stream)
        if item.address % ALIGNMENT or not item.address:  # a slice, or nothing at all
            return self._copied(index, item, stream)
        return item.address

    def _copied(self, index: int, item: Given, stream: int) -> int:
        length = item.nbytes
        address = self._reserve(index, length)
        if length:
            cuda.within(address, item.address, length, stream)
        return address

    def _send(self, index: int, array: Any, stream: int) -> int:
        binding = self._owner.inputs[index]
        self._wait()  # the buffer may still be copied from
        staged = self._pinned[index].array(array.shape, binding.dtype.storage)
        conversion.fill(staged, array, binding.port, binding.dtype)
        address = self._reserve(index, staged.nbytes)
        if staged.nbytes:
            cuda.to_device(address, staged.ctypes.data, staged.nbytes, stream)
        return address

    def _reserve(self, index: int, size: int) -> int:
        buffer = self._buffers[index]
        if size > buffer.size:
            self._wait()
        return buffer.reserve(size)

    def _wait(self) -> None:
        if self.last is not None:
            cuda.call("cudaEventSynchronize", self._done)
            self.last = None

    def _program(self, profile: int) -> Any:
        memory = self._scratch.reserve(self._owner.activation_bytes)
        return self._owner.program(profile, memory, self.stream)


def _destroy(stream: int, event: Any) -> None:
    cuda.call("cudaStreamDestroy", stream)
    cuda.call("cudaEventDestroy", event)
