"""Running a float graph over data, to see what every tensor holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from numpy.typing import NDArray

from fwd_core.backends.base import Port
from fwd_core.engine.inputs import as_array, bind, collect
from fwd_core.errors import CalibrationError
from fwd_core.ir.graph import Graph
from fwd_core.quantize import ids
from fwd_core.quantize.batches import MadeUp, at, batches_of, count_of, place_of
from fwd_core.quantize.segments import Segment, cut

if TYPE_CHECKING:
    from fwd_core.builder import Builder
    from fwd_core.engine.engine import Engine

#: What :func:`batches_of` takes, or a function that gives it for the inputs of a model.
Batches = Union[Iterable[Any], Callable[[Sequence[Port]], Iterable[Any]]]
#: Takes the name of a tensor and what it held in one run.
Look = Callable[[str, NDArray[Any]], None]
#: Bytes of activations that may be there at once beside the weights, where these are few.
_LEAST_BUDGET = 64 << 20
#: Threads that look at tensors, each at tensors of its own.
_LOOKING = min(2, os.cpu_count() or 1)


class Collector:
    """Runs a float graph piece by piece and shows tensors to a function.

    At no time are more activations held than the model's weights take (or 64 MiB), beside those
    that later pieces read, so that any model can be looked at whole. Pieces are cut for the sizes
    of the first batch, and anew when a batch is larger.

    Args:
        graph: In float32, as an importer made it; it is left as it is.
        watched: Names of the tensors to look at.
        builder: Builds the pieces; of mode float32.
        budget: Bytes of activations that may be looked at together.
        ahead: Whether :meth:`run` may return while tensors are still looked at, in threads: the
            next run then fills the cores that looking leaves idle. :meth:`settle` waits. The
            function is then called for several tensors at once, never for one tensor twice.

    Raises:
        CalibrationError: The graph has no tensor of some name.
    """

    def __init__(
        self,
        graph: Graph,
        watched: Iterable[str],
        builder: Builder,
        budget: int | None = None,
        *,
        ahead: bool = False,
    ) -> None:
        self.watched = list(dict.fromkeys(watched))
        for name in self.watched:
            if graph.find(name) is None:
                raise CalibrationError(f"the graph has no tensor {name!r} to look at")
        self._graph = graph
        self._builder = builder
        weights = sum(tensor.data.nbytes for tensor in graph.constants.values())
        whole = max(weights, _LEAST_BUDGET) if budget is None else budget
        # What is looked at and what is computed meanwhile are there together.
        self._budget = whole // 2 if ahead else whole
        self._threads = ThreadPoolExecutor(_LOOKING, "fwd-look") if ahead else None
        self._looking: list[Future[_Failure | None]] = []
        self._shown: dict[str, NDArray[Any]] = {}
        self._ports = [Port(value.name, value.type) for value in graph.inputs]
        self._tables = ids.tables(graph)
        self._pieces: list[tuple[Segment, Engine]] = []
        self._sizes: dict[str, int] = {}
        #: Batches that were run.
        self.batches = 0
        #: Most bytes of tensors that were held at once between pieces, or looked at.
        self.peak = 0

    def run(self, feeds: Mapping[str, Any], look: Look, place: str = "") -> None:
        """Run once, and show each watched tensor.

        Args:
            feeds: An array per input, as for :meth:`fwd_core.Engine.run`.
            look: Called with every watched tensor; the array must not be kept.
            place: Where the arrays come from, for errors.

        Raises:
            InputError: An input does not fit the graph.
        """
        with at(place):
            self._run(feeds, look, place)

    def _run(self, feeds: Mapping[str, Any], look: Look, place: str) -> None:
        given = collect(self._ports, feeds)
        arrays = [as_array(port, item) for port, item in zip(self._ports, given, strict=True)]
        sizes = bind(self._ports, [array.shape for array in arrays])
        held = dict(zip([port.name for port in self._ports], arrays, strict=True))
        if not isinstance(feeds, MadeUp):
            ids.check(self._tables, held)
        self._prepare(sizes)
        self._note(held)
        wanted = set(self.watched)
        # Copies: who gives a batch may fill the same arrays with the next.
        inputs = {
            name: array if self._threads is None else array.copy()
            for name, array in held.items()
            if name in wanted
        }
        for piece, engine in self._pieces:
            results = engine.run_list([held[name] for name in piece.inputs])
            found = dict(zip(piece.outputs, results, strict=True))
            self._note({**self._shown, **{f"{name}, new": one for name, one in found.items()}})
            self._show({**inputs, **{name: found[name] for name in piece.watched}}, look, place)
            inputs = {}
            held.update(found)
            self._note(held)
            del results, found
            for name in piece.done:
                held.pop(name, None)
        if inputs:
            self._show(inputs, look, place)
        self.batches += 1

    def settle(self) -> None:
        """Wait until all that was shown has been looked at.

        Raises:
            Exception: What the function that looks raised, of the first tensor in order.
        """
        looking, self._looking, self._shown = self._looking, [], {}
        failed = [found for one in looking if (found := one.result()) is not None]
        if failed:
            raise min(failed, key=lambda one: one.index).error

    def _show(self, tensors: dict[str, NDArray[Any]], look: Look, place: str) -> None:
        self.settle()
        if self._threads is None:
            if failed := _look_at(enumerate(tensors.items()), look, place):
                raise failed.error
        else:
            self._shown = tensors
            for some in _dealt(tensors):
                self._looking.append(self._threads.submit(_look_at, some, look, place))

    @property
    def pieces(self) -> int:
        """How many pieces the graph is cut into, 0 before the first run."""
        return len(self._pieces)

    def _note(self, held: Mapping[str, NDArray[Any]]) -> None:
        self.peak = max(self.peak, sum(array.nbytes for array in held.values()))

    def close(self) -> None:
        """Free the pieces. What is still looked at is waited for, and what it raises is lost."""
        if self._threads is not None:
            self._threads.shutdown()
        self._free()

    def _free(self) -> None:
        for _, engine in self._pieces:
            engine.close()
        self._pieces = []

    def _prepare(self, sizes: dict[str, int]) -> None:
        if self._pieces and all(sizes[name] <= self._sizes[name] for name in sizes):
            return
        self._free()
        self._sizes = {name: max(size, self._sizes.get(name, 0)) for name, size in sizes.items()}
        inputs = {port.name for port in self._ports}
        watched = [name for name in self.watched if name not in inputs]
        kept = set(inputs)
        for piece in cut(self._graph, watched, self._sizes, self._budget):
            # Inputs tell the sizes of later pieces too, so they stay to the end.
            piece.done = [name for name in piece.done if name not in kept]
            self._pieces.append((piece, self._builder.compile(piece.graph)))


def watch(
    graph: Graph,
    names: Iterable[str],
    batches: Batches,
    builder: Builder,
    look: Look,
    *,
    phase: str,
    detail: str,
    to: str,
) -> None:
    """Run batches and show tensors to a function, with progress.

    Args:
        graph: Of floats; it is not changed.
        names: Names of the tensors to show.
        batches: What :func:`batches_of` takes, or a function that gives it for the inputs.
        builder: Told of progress; what runs is built as it says.
        look: Called with every tensor of every batch.
        phase: What is going on, for progress.
        detail: A few words more.
        to: What batches are wanted for, as in ``to calibrate with``.

    Raises:
        CalibrationError: There are no batches.
        InputError: One does not fit the model.
    """
    ports = [Port(value.name, value.type) for value in graph.inputs]
    items = batches(ports) if callable(batches) else batches
    collector = Collector(graph, names, builder.for_calibration(), ahead=True)
    try:
        with builder.events.phase(phase, count_of(items), detail) as running:
            for index, feeds in enumerate(batches_of(items, ports)):
                collector.run(feeds, look, place_of(index, feeds))
                running.step(f"batch {collector.batches}")
            collector.settle()
    finally:
        collector.close()
    if not collector.batches:
        raise CalibrationError(
            f"there were no batches {to}",
            hint="an iterator can be gone through once: make it anew",
        )


#: A tensor by name, with its place among those that are shown together.
_Shown = tuple[int, tuple[str, NDArray[Any]]]


@dataclass(frozen=True)
class _Failure:
    """What looking at the tensor at a place raised."""

    index: int
    error: Exception


def _dealt(tensors: Mapping[str, NDArray[Any]]) -> list[list[_Shown]]:
    """Tensors in as many parts as threads look at them, of about as many bytes; each in order."""
    parts: list[list[_Shown]] = [[] for _ in range(_LOOKING)]
    held = [0] * _LOOKING
    for one in sorted(enumerate(tensors.items()), key=lambda one: -one[1][1].nbytes):
        least = held.index(min(held))
        parts[least].append(one)
        held[least] += one[1][1].nbytes
    return [sorted(part, key=lambda one: one[0]) for part in parts if part]


def _look_at(tensors: Iterable[_Shown], look: Look, place: str) -> _Failure | None:
    """Look at tensors in order, up to one where that fails."""
    for index, (name, array) in tensors:
        try:
            # What is looked at ahead is of an earlier batch than that which runs meanwhile.
            with at(place):
                look(name, array)
        except Exception as error:  # noqa: BLE001 - a function of others, raised by settle()
            return _Failure(index, error)
    return None
