"""Operator schemas, as torch itself states them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch

#: Arguments that say dimensions, and are strings only where dimensions have names.
_NAMED = frozenset(
    {"dim", "dims", "dim0", "dim1", "start_dim", "end_dim", "out_dim", "names", "axis"}
)

#: Operators that change running statistics, but only if they are told to train.
_WRITES_IN_TRAINING = frozenset({"aten::_native_batch_norm_legit"})


@dataclass(frozen=True)
class Argument:
    """One argument of a schema.

    Attributes:
        name: As in the schema.
        kind: Declared type without ``?`` and list brackets: ``Tensor``, ``int``, ``SymInt``,
            ``ScalarType``, ``Scalar``, ``number`` ….
        optional: Whether None is allowed.
        is_list: Whether it is a list; ``length`` is the fixed length of ``int[2]``, else None.
        default: Default value, if ``has_default``.
        alias: Alias set it belongs to, ``""`` for none; ``written`` if the operator changes it.
    """

    name: str
    kind: str
    optional: bool
    is_list: bool
    length: int | None
    has_default: bool
    default: Any
    alias: str
    written: bool
    is_out: bool

    @property
    def is_tensor(self) -> bool:
        """Whether it holds tensors."""
        return self.kind == "Tensor"


@dataclass(frozen=True)
class Schema:
    """One overload of one operator."""

    name: str
    overload: str
    arguments: tuple[Argument, ...]
    returns: tuple[Argument, ...]
    text: str

    @cached_property
    def takes_tensors(self) -> bool:
        """Whether tensors go in or come out: such overloads are converted."""
        return any(argument.is_tensor for argument in (*self.arguments, *self.returns))

    @cached_property
    def makes_tensors(self) -> bool:
        """Whether tensors come out."""
        return any(argument.is_tensor for argument in self.returns)

    @cached_property
    def has_names(self) -> bool:
        """Whether it is a form for named dimensions, which torch never finished.

        torch 2.13 has none left; before, their names are strings in schemas.
        """
        return any(
            argument.kind in ("str", "Dimname") and argument.name in _NAMED
            for argument in self.arguments
        )

    @cached_property
    def has_out(self) -> bool:
        """Whether it is an ``out=`` form."""
        return any(argument.is_out for argument in self.arguments)

    @cached_property
    def written(self) -> Argument | None:
        """The argument that the operator changes in place, if it does."""
        return next((a for a in self.arguments if a.written), None)

    def as_called(self, arguments: Mapping[str, Any]) -> Schema:
        """The same, without arguments that it says to change but leaves as they are here."""
        if self.name not in _WRITES_IN_TRAINING or arguments.get("training") is not False:
            return self
        kept = tuple(dataclasses.replace(one, written=False) for one in self.arguments)
        return dataclasses.replace(self, arguments=kept)

    def callable(self) -> Any:
        """Torch's own implementation.

        Raises:
            AttributeError: The operator is known to TorchScript only.
        """
        namespace, name = self.name.split("::")
        packet = getattr(getattr(torch.ops, namespace), name)
        return getattr(packet, self.overload or "default")


@lru_cache(maxsize=None)
def parse(text: str) -> Schema:
    """A schema from its text."""
    return of(torch._C.parse_schema(text))


def of(schema: Any) -> Schema:
    """A schema from torch's own object."""
    return _of(str(schema), schema)


def overloads(key: str) -> list[Schema]:
    """All overloads of a qualified operator; empty if torch does not know it."""
    found = torch._C._jit_get_schemas_for_operator(key)
    return [of(schema) for schema in found]


def overload(key: str, name: str) -> Schema:
    """One overload that torch has, as ``overload("aten::to", "dtype")``."""
    (found,) = (one for one in overloads(key) if one.overload == name)
    return found


def with_tensors(schema: Schema, names: Collection[str]) -> Schema | None:
    """The overload that takes tensors for some arguments, and is the same otherwise."""

    def wanted(one: Schema) -> list[tuple[str, bool]]:
        return [
            (argument.name, argument.is_tensor or (one is schema and argument.name in names))
            for argument in one.arguments
        ]

    candidates = [schema, *overloads(schema.name)]
    return next(
        (
            one
            for one in candidates
            if wanted(one) == wanted(schema)
            and all(argument.is_tensor for argument in one.arguments if argument.name in names)
        ),
        None,
    )


_CACHE: dict[str, Schema] = {}


def _of(text: str, schema: Any) -> Schema:
    # Keyed by text: torch makes a new object at every look-up, and texts say everything.
    if text not in _CACHE:
        _CACHE[text] = Schema(
            schema.name,
            schema.overload_name,
            tuple(_arguments(schema.arguments)),
            tuple(_arguments(schema.returns)),
            text,
        )
    return _CACHE[text]


def _arguments(listed: Sequence[Any]) -> Iterator[Argument]:
    for argument in listed:
        declared = argument.real_type
        optional = is_list = False
        while declared.kind() in ("OptionalType", "ListType"):
            optional |= declared.kind() == "OptionalType" and not is_list
            is_list |= declared.kind() == "ListType"
            declared = declared.getElementType()
        info = argument.alias_info
        yield Argument(
            name=argument.name,
            kind=str(declared),
            optional=optional,
            is_list=is_list,
            length=argument.N,
            has_default=argument.has_default_value(),
            default=argument.default_value if argument.has_default_value() else None,
            alias=",".join(sorted(info.before_set)) if info is not None else "",
            written=info is not None and info.is_write,
            is_out=argument.is_out,
        )
