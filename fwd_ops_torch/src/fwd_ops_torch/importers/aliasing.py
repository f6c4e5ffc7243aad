"""Tensors while a model is imported: contents, views of one another, and writes in place.

Torch tensors share storage; graph values do not. A :class:`TensorRef` is a tensor as the model
sees it. Refs of one :class:`Storage` alias: a write through any of them is turned into a new
value of the whole storage, and every other ref that is read afterwards is computed from that
new value again, by replaying how it was viewed. This is how torch's own functionalization
works; it serves every importer.

Some operators return their operand or a copy, depending on strides that a graph does not have
(``reshape``, ``contiguous``). Their result gets a storage of its own, and the two *may* alias: once
one of them is written, reading the other is an error, because what torch would read is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import Location, TensorType, Value
from fwd_ops_torch.importers import journal
from fwd_ops_torch.tensors import type_of

#: What a tensor holds: a value of the graph, or a constant that is known while importing.
Content = Union[Value, torch.Tensor]


#: Stands for an operator where branches on data meet.
BRANCH = "prim::If"
#: What ``Tensor.view`` can say instead.
_LIKE_VIEW = frozenset({"aten::reshape", "aten::reshape_as", "aten::flatten"})
#: What may return its operand itself, not only a view of it.
_MAYBE_ITSELF = frozenset({"aten::contiguous", "aten::to"})


class Storage:
    """What refs that certainly alias have in common."""

    __slots__ = ("attribute", "content", "suspects", "unreadable", "version")

    def __init__(self, content: Content, attribute: str = "") -> None:
        journal.created(self)
        self.content = content
        self.version = 0
        #: Dotted name of the parameter or buffer that it is, if it is one.
        self.attribute = attribute
        self.suspects: list[tuple[Storage, Doubt]] = []
        #: Why the contents are not known: a doubt, and where one that may alias was written.
        self.unreadable: tuple[Doubt, Location] | None = None

    def replace(self, content: Content, where: Location) -> None:
        """Set new contents, for all refs."""
        journal.changes(self)
        self.content = content
        self.version += 1
        self.suspect(where)

    def suspect(self, where: Location) -> None:
        """Note that what may alias is not known any more, because this was written."""
        for other, doubt in self.suspects:
            journal.changes(other)
            other.unreadable = (doubt, where)

    def may_alias(self, other: Storage, doubt: Doubt) -> None:
        """Note that the two may share memory, or not."""
        if self is not other:
            for one, another in ((self, other), (other, self)):
                journal.changes(one)
                one.suspects.append((another, doubt))


@dataclass(frozen=True)
class Doubt:
    """Why it is not known whether two tensors share memory.

    Attributes:
        operator: The operator that made one of the other.
        where: Its place in the user's model.
    """

    operator: str
    where: Location

    def error(self, written: Location) -> ConversionError:
        """To raise where one is read after the other was written."""
        call = f"{self.operator.split('::')[1]}(…)"
        if self.operator == BRANCH:
            return ConversionError(
                "a tensor is read that may share memory with one written in place before",
                where=written,
                expected="tensors that share memory for certain, or certainly do not",
                got="a tensor that a branch on data gives, which may be one from before",
                details=[f"given by {self.where}"],
                hint="give a copy, x.clone(), in the branch that gives a tensor from before",
            )
        sharing = ", or view(…) so that it is" if self.operator in _LIKE_VIEW else ""
        return ConversionError(
            "a tensor is read that may share memory with one written in place before",
            where=written,
            expected="tensors that share memory for certain, or certainly do not",
            got=f"{call} of a tensor: a view or a copy, which depends on strides",
            details=[f"made by {self.where}"],
            hint=f"write {call}.clone() so that no memory is shared{sharing}",
        )


@dataclass(frozen=True)
class View:
    """How a ref came from another one.

    Attributes:
        parent: What was viewed, as it lay then.
        replay: The view of new contents of the parent.
        scatter: New contents of the parent, from its old ones and new ones of the view;
            ``None`` where torch's meaning of a write cannot be expressed.
        operator: For error texts.
    """

    parent: TensorRef
    replay: Callable[[Content], Content]
    scatter: Callable[[Content, Content], Content] | None
    operator: str


class TensorRef:
    """A tensor of the model. Identity is the model's own: two names of one tensor are one ref."""

    __slots__ = ("_cached", "_unknown", "_version", "perhaps", "storage", "view")

    def __init__(self, content: Content, view: View | None = None, attribute: str = "") -> None:
        journal.created(self)
        self.view = view
        self.storage: Storage = Storage(content, attribute) if view is None else view.parent.storage
        self._cached = content
        self._version = self.storage.version
        #: Other refs that may be of the same tensor.
        self.perhaps: list[tuple[TensorRef, Doubt]] = []
        #: Why its layout is not known: a doubt, and where one that may be the same changed.
        self._unknown: tuple[Doubt, Location] | None = None

    def read(self) -> Content:
        """The contents now.

        Raises:
            ConversionError: A tensor that may share memory with this one was written.
        """
        for unknown in (self.storage.unreadable, self._unknown):
            if unknown is not None:
                doubt, written = unknown
                raise doubt.error(written)
        if self.view is None:
            return self.storage.content
        if self._version != self.storage.version:
            journal.changes(self)
            self._cached = self.view.replay(self.view.parent.read())
            self._version = self.storage.version
        return self._cached

    def write(self, content: Content, where: Location) -> None:
        """Set new contents, for every ref that aliases.

        Raises:
            ConversionError: The view cannot be written through.
        """
        if self.view is None:
            self.storage.replace(content, where)
        else:
            if self.view.scatter is None:
                raise ConversionError(
                    f"a write in place through {self.view.operator} cannot be converted",
                    where=where,
                    hint="write to a copy instead: x = x.clone() before the in-place operator",
                )
            parent = self.view.parent
            parent.write(self.view.scatter(parent.read(), content), where)
        journal.changes(self)
        self._cached, self._version = content, self.storage.version

    def snapshot(self) -> TensorRef:
        """The tensor as it lies in its storage now: what views of it are views of."""
        twin = TensorRef.__new__(TensorRef)
        twin.view, twin.storage = self.view, self.storage
        twin._cached, twin._version = self._cached, self._version
        twin.perhaps, twin._unknown = [], self._unknown
        return twin

    def become(self, view: View, content: Content, where: Location) -> None:
        """Lie in the storage otherwise, as ``transpose_`` does; other tensors that alias stay."""
        for other, doubt in self.perhaps:
            journal.changes(other)
            other._unknown = (doubt, where)
        journal.changes(self)
        self.view = view
        self._cached, self._version = content, self.storage.version

    def may_alias(self, other: TensorRef, doubt: Doubt) -> None:
        """Note that the two may share memory, or not."""
        self.storage.may_alias(other.storage, doubt)
        if doubt.operator in _MAYBE_ITSELF:
            for one, another in ((self, other), (other, self)):
                journal.changes(one)
                one.perhaps.append((another, doubt))

    @property
    def type(self) -> TensorType:
        """Element type and shape."""
        content = self.read()
        return content.type if isinstance(content, Value) else type_of(content)

    @property
    def constant(self) -> torch.Tensor | None:
        """The contents if they are known while importing."""
        content = self.read()
        return content if isinstance(content, torch.Tensor) else None
