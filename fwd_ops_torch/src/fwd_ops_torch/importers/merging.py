"""Where two branches on data meet: what holds after them.

Results that are equal stay what they are. Tensors, and numbers that differ, become outputs of an
If. So do tensors from before that a branch wrote in place, which are written again after it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import DimExpr, Graph, Location, Value, is_equal, ops
from fwd_core.ir.ops.control import same_type
from fwd_ops_torch.importers import numbers
from fwd_ops_torch.importers.aliasing import BRANCH, Content, Doubt, Storage, TensorRef
from fwd_ops_torch.importers.branches import Branch, End, Run, ends_of
from fwd_ops_torch.importers.undecided import Undecided, depends_on_data
from fwd_ops_torch.tensors import type_of

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Gives a result, once the If has been added.
Late = Callable[[], Any]
_HINT = "give the same kind of thing in both branches, of equal dtypes and sizes"


class Uninitialized:
    """What TorchScript calls a value that is never read: that of a branch which returned before."""


UNINITIALIZED = Uninitialized()


def choose(
    session: Session, condition: Undecided, runs: Sequence[Run], where: Location
) -> Sequence[Any]:
    """What two branches give, chosen by a condition when the engine runs.

    Args:
        session: The import.
        condition: The condition, which has a value.
        runs: Runs the branch of a condition that holds, and the other one.
        where: The place of the branches in the user's model.

    Raises:
        ForwardError: A branch cannot be converted, or the two do not go together.
    """
    found = ends_of(session, runs, where)
    if not all(isinstance(one, End) for one in found):
        return found
    return _Merge(session, condition, list(found), where).results()


class _Merge:
    def __init__(
        self, session: Session, condition: Undecided, ends: list[End], where: Location
    ) -> None:
        self._session = session
        self._condition = condition
        self._ends = ends
        self._where = where
        self._pairs: dict[tuple[Value, Value], int] = {}
        self._outputs: tuple[Value, ...] = ()
        self._tensors: dict[tuple[int, int], TensorRef] = {}
        self._merged: list[tuple[TensorRef, set[Storage]]] = []

    def results(self) -> list[Any]:
        then, otherwise = self._ends
        late = [self._plan(a, b) for a, b in zip(then.results, otherwise.results, strict=True)]
        writes = [
            (storage, self._write(storage)) for storage in {**then.written, **otherwise.written}
        ]
        self._add()
        for storage, content in writes:
            storage.replace(content(), self._where)
        results = [result() for result in late]
        self._note_aliases()
        return results

    # --- what comes out -------------------------------------------------------------------------

    def _plan(self, a: Any, b: Any) -> Late:
        if a is b:
            return lambda: a
        if isinstance(a, Uninitialized) or isinstance(b, Uninitialized):
            return self._alone(b, 1) if isinstance(a, Uninitialized) else self._alone(a, 0)
        if isinstance(a, TensorRef) and isinstance(b, TensorRef):
            return self._tensor(a, b)
        if _is_number(a) and _is_number(b):
            return self._number(a, b)
        if isinstance(a, (tuple, list)) and type(a) is type(b) and len(a) == len(b):
            items = [self._plan(x, y) for x, y in zip(a, b, strict=True)]
            return self._container(lambda: type(a)(item() for item in items), a, b)
        if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
            pairs = {key: self._plan(a[key], b[key]) for key in a}
            return self._container(lambda: {key: item() for key, item in pairs.items()}, a, b)
        if type(a) is type(b) and not isinstance(a, (list, tuple, dict)) and a == b:
            return lambda: a
        raise ConversionError(
            "the branches of an if on data give things that an engine cannot choose between",
            where=self._where,
            expected=_told(a),
            got=_told(b),
            hint=_HINT,
        )

    def _container(self, make: Late, *sources: Any) -> Late:
        def made() -> Any:
            result = make()
            if not isinstance(result, tuple):
                self._session.guards.note_choice(result, *sources)
            return result

        return made

    def _tensor(self, a: TensorRef, b: TensorRef) -> Late:
        content = self._content(self._ends[0].contents[a], self._ends[1].contents[b])
        return lambda: self._ref(content(), (id(a), id(b)), a, b)

    def _ref(self, content: Content, key: tuple[int, int], *sources: TensorRef) -> TensorRef:
        if key not in self._tensors:
            ref = self._tensors[key] = TensorRef(content)
            near = {source.storage for source in sources}
            near |= {other for storage in list(near) for other, _ in storage.suspects}
            self._merged.append((ref, near))
        return self._tensors[key]

    def _content(self, a: Content, b: Content) -> Callable[[], Content]:
        if a is b or _are_equal(a, b):
            return lambda: a
        values = []
        for end, content in zip(self._ends, (a, b), strict=True):
            with self._session.scopes.within(end.branch):
                values.append(self._session.materialize(content))
        return self._output(*values)

    def _output(self, a: Value, b: Value) -> Callable[[], Value]:
        if not same_type(a.type, b.type):
            raise ConversionError(
                "the branches of an if on data give tensors of different types",
                where=self._where,
                expected=f"{a.type} as in the branch that is taken if the condition holds",
                got=b.type,
                hint=_HINT,
            )
        index = self._pairs.setdefault((a, b), len(self._pairs))
        return lambda: self._outputs[index]

    def _number(self, a: Any, b: Any) -> Late:
        if _same_number(a, b):
            return lambda: a
        if (a is True or a is False) and isinstance(b, bool):
            condition = self._condition
            return lambda: (
                condition if a else numbers.negated(self._session, condition, self._where)
            )
        for one in (a, b):
            if isinstance(one, Undecided) and one.value is None:
                return lambda: one
        kind = numbers.common_kind(a, b)
        values = []
        for end, number in zip(self._ends, (a, b), strict=True):
            with self._session.scopes.within(end.branch):
                values.append(numbers.value(self._session, number, kind, self._where))
        chosen = self._output(*values)
        return lambda: depends_on_data("chosen by an if", chosen(), kind)

    def _write(self, storage: Storage) -> Callable[[], Content]:
        then, otherwise = (end.written.get(storage, storage.content) for end in self._ends)
        return self._content(then, otherwise)

    # --- what only one branch gives, and nobody reads after the other ---------------------------

    def _alone(self, given: Any, side: int) -> Late:
        if isinstance(given, TensorRef):
            content = self._stand_in(self._ends[side].contents[given], side)
            return lambda: self._ref(content(), (id(given), side), given)
        if isinstance(given, Undecided) and given.value is not None:
            return self._number_alone(given, self._stand_in(given.value, side))
        if isinstance(given, (list, tuple)):
            items = [self._alone(item, side) for item in given]
            return self._container(lambda: type(given)(item() for item in items), given)
        if isinstance(given, dict):
            pairs = {key: self._alone(item, side) for key, item in given.items()}
            return self._container(lambda: {key: item() for key, item in pairs.items()}, given)
        return lambda: given

    def _number_alone(self, given: Undecided, content: Callable[[], Content]) -> Late:
        def made() -> Undecided:
            value = content()
            assert isinstance(value, Value)
            return dataclasses.replace(given, value=value)

        return made

    def _stand_in(self, content: Content, side: int) -> Callable[[], Content]:
        """The content; where the other branch ran, zeros, which are never read."""
        branch, other = self._ends[side].branch, self._ends[1 - side].branch
        if not isinstance(content, Value) or content.graph is not branch.graph:
            return lambda: content
        kind = content.type
        zero = False if kind.dtype.name == "BOOL" else 0.0 if kind.dtype.is_float else 0
        zeros = other.graph.add(
            ops.Full(kind.shape, zero, kind.dtype), name="unread", location=self._where
        )
        pair = (content, zeros) if side == 0 else (zeros, content)
        return self._output(*pair)

    # --- the operator ---------------------------------------------------------------------------

    def _add(self) -> None:
        if not self._pairs:
            return
        session, where = self._session, self._where
        condition = numbers.value(session, self._condition, bool, where)
        captured = list({value: None for end in self._ends for value in end.branch.captured})
        name = _free_name(session.graph, f"{where.module}/if" if where.module else "if")
        for index, end in enumerate(self._ends):
            _close(end.branch, captured, [pair[index] for pair in self._pairs], name)
        then, otherwise = (end.branch.graph for end in self._ends)
        op = ops.If(condition, tuple(captured), then, otherwise)
        self._outputs = session.graph.add_all(op, name=name, location=where)

    def _note_aliases(self) -> None:
        doubt = Doubt(BRANCH, self._where)
        for position, (ref, near) in enumerate(self._merged):
            for storage in near:
                ref.storage.may_alias(storage, doubt)
            for other, others in self._merged[:position]:
                if near & others:
                    ref.may_alias(other, doubt)


def _free_name(graph: Graph, wanted: str) -> str:
    """A name whose numbered outputs are free: what is in the branches is called after it too."""
    name, ordinal = wanted, 0
    while graph.find(f"{name}.0") is not None:
        ordinal += 1
        name = f"{wanted}_{ordinal}"
    return name


def _close(branch: Branch, captured: list[Value], outputs: list[Value], name: str) -> None:
    graph = branch.graph
    graph.inputs = [branch.input_for(value) for value in captured]
    graph.set_outputs(outputs, [str(index) for index in range(len(outputs))])
    _prefix(graph, f"{name}/{graph.name}")
    graph.name = f"{name}/{graph.name}"


def _prefix(graph: Graph, prefix: str) -> None:
    """Names that are unique among those of all graphs, wherever operators may be put later."""
    for value in list(graph.values()):
        graph.rename(value, f"{prefix}/{value.name}")
    for node in graph:
        for inner in node.op.graphs():
            _prefix(inner, prefix)
            inner.name = f"{prefix}/{inner.name}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, DimExpr, Undecided))


def _same_number(a: Any, b: Any) -> bool:
    if isinstance(a, Undecided) or isinstance(b, Undecided):
        return bool(a == b)
    if isinstance(a, DimExpr) or isinstance(b, DimExpr):
        whole = not isinstance(a, float) and not isinstance(b, float)
        return whole and is_equal(a, b) is True
    return type(a) is type(b) and repr(a) == repr(b)  # 0.0 is not -0.0, and a NaN is itself


def _are_equal(a: Content, b: Content) -> bool:
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return False
    if type_of(a) != type_of(b):
        return False
    bits = [one.detach().contiguous().reshape(-1).view(torch.uint8) for one in (a, b)]
    return torch.equal(*bits)


def _told(value: Any) -> str:
    if isinstance(value, TensorRef):
        return f"a tensor, {value.type}"
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"{value!r}"
