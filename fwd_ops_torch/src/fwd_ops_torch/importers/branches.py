"""A condition on data: both branches become graphs, and an If chooses when the engine runs.

Each branch is run while importing, into a graph of its own and from the same state. What it reads
of the graphs around it becomes an input. Then the two are brought together, see ``merging.py``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fwd_core.errors import ConversionError, ForwardWarning
from fwd_core.ir import Graph, Location, Value, ops
from fwd_ops_torch.importers import journal
from fwd_ops_torch.importers.aliasing import Content, Storage, TensorRef
from fwd_ops_torch.importers.journal import Journal
from fwd_ops_torch.importers.locations import is_librarys

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Runs a branch and gives its results.
Run = Callable[[], Sequence[Any]]


class ModelRaisesError(ConversionError):
    """The model's own program raises an exception at this point."""


class Branch:
    """A graph that is made of one branch.

    Attributes:
        graph: The graph.
        captured: Its inputs, by the values of the graph around it that they are.
    """

    def __init__(self, name: str) -> None:
        self.graph = Graph(name)
        self.captured: dict[Value, Value] = {}
        self._own: dict[Value, Value] = {}
        self.journal = Journal()

    def capture(self, value: Value) -> Value:
        """The value of the graph around it, in this graph. Constants and sizes are made anew."""
        if value in self._own:
            return self._own[value]
        own = self._own[value] = self._made_anew(value) or self.input_for(value)
        return own

    def input_for(self, value: Value) -> Value:
        """The input that stands for a value of the graph around."""
        if value not in self.captured:
            name = self.graph.unique_name(value.name)
            self.captured[value] = self.graph.add_input(name, value.type)
        return self.captured[value]

    def _made_anew(self, value: Value) -> Value | None:
        producer = value.producer
        if producer is None:
            return None
        place = producer.location
        if (constant := value.constant) is not None:
            return self.graph.constant(constant, name=value.name, location=place)
        if isinstance(producer.op, ops.DimValue):
            op = ops.DimValue(producer.op.dim, producer.op.dtype)
            return self.graph.add(op, name=value.name, location=place)
        return None


@dataclass
class End:
    """The end of one branch.

    Attributes:
        branch: The branch.
        results: What it gives.
        contents: What the tensors among the results hold there.
        written: Storages from before the branch that it wrote, with what they hold there.
    """

    branch: Branch
    results: list[Any]
    contents: dict[TensorRef, Content] = field(default_factory=dict)
    written: dict[Storage, Content] = field(default_factory=dict)


class Scopes:
    """The graphs under construction: that of the model, and those of the branches under way.

    Args:
        root: The graph of the model.
    """

    def __init__(self, root: Graph) -> None:
        self.root = root
        self._branches: list[Branch] = []

    @property
    def graph(self) -> Graph:
        """Where operators go now."""
        return self._branches[-1].graph if self._branches else self.root

    @contextmanager
    def within(self, branch: Branch) -> Iterator[None]:
        """Add operators to a branch."""
        self._branches.append(branch)
        try:
            yield
        finally:
            self._branches.pop()

    def own(self, value: Value) -> Value:
        """A value of a graph around, in the graph where operators go now."""
        graphs = [self.root, *(branch.graph for branch in self._branches)]
        start = next(i for i, graph in enumerate(graphs) if graph is value.graph)
        for branch in self._branches[start:]:
            value = branch.capture(value)
        return value


def ends_of(session: Session, runs: Sequence[Run], where: Location) -> list[End] | Sequence[Any]:
    """Run two branches; or the results of the only one that does not raise.

    Raises:
        ModelRaisesError: Both do.
        ConversionError: Something in a branch cannot be converted.
    """
    ends: list[End] = []
    raised: list[tuple[int, ModelRaisesError]] = []
    for index, (name, run) in enumerate(zip(("then", "otherwise"), runs, strict=True)):
        try:
            ends.append(_end_of(session, Branch(name), run, where))
        except ModelRaisesError as error:
            raised.append((index, error))
    if len(raised) == len(runs):
        raise raised[0][1]
    for index, exception in raised:
        tell_unchecked(exception.what.replace("the model raises", "the model may raise"), where)
        return runs[1 - index]()
    return ends


def tell_unchecked(what: str, where: Location) -> None:
    """Warn of an exception that depends on data, which no engine raises.

    Not of what torch's own functions check of their arguments, which nobody wrote in the model.
    """
    if where.frame is not None and is_librarys(where.frame):
        return
    warnings.warn(
        f"{what} (at {where}). Whether it does depends on the contents of a tensor, and an engine "
        "cannot raise: it computes what follows for such inputs too",
        ForwardWarning,
        stacklevel=2,
    )


def _end_of(session: Session, branch: Branch, run: Run, where: Location) -> End:
    with session.scopes.within(branch), journal.keeping(branch.journal):
        try:
            end = End(branch, list(run()))
            for ref in refs_in(end.results):
                end.contents[ref] = ref.read()
            for one, before in branch.journal.changed():
                if isinstance(one, Storage):
                    if one.content is not before["content"]:
                        end.written[one] = one.content
                elif isinstance(one, TensorRef) and one.view is not before["view"]:
                    raise ConversionError(
                        "a branch on data changes how a tensor from before lies in memory",
                        where=where,
                        hint="use the form that returns a view, as x.transpose(0, 1)",
                    )
        finally:
            branch.journal.undo()
    return end


def refs_in(value: Any) -> Iterator[TensorRef]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, TensorRef):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from refs_in(item)
