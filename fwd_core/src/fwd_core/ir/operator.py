"""What an operator is: a small frozen dataclass that knows its operands and its output types.

A subclass declares fields. Fields annotated ``Value``, ``Value | None`` or ``tuple[Value, ...]``
are operands; every other field is an attribute. Printing, hashing, saving and the reference
pages follow from the fields alone.

Example:
    >>> from fwd_core.ir import Operator, TensorType, Value, operator
    >>> @operator
    ... class Double(Operator, namespace="demo"):
    ...     '''Twice x.'''
    ...     x: Value
    ...     def infer(self) -> TensorType:
    ...         return self.x.type
    >>> Double.kind()
    'demo.Double'
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from fwd_core.ir.types import TensorType

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform

    from fwd_core.ir.emitter import Emitter
    from fwd_core.ir.graph import Graph, Value
else:

    def dataclass_transform(**_options: object) -> Callable[[Any], Any]:
        """Python 3.10 has no such marker, and only type checkers read it."""
        return lambda decorator: decorator


_Class = TypeVar("_Class", bound="type[Operator]")
Types = typing.Union[TensorType, tuple[TensorType, ...]]
Layout = tuple[tuple["OperandField", ...], tuple[str, ...]]


@dataclass(frozen=True)
class OperandField:
    """A field that holds operands: ``kind`` is ``one``, ``optional`` or ``many``."""

    name: str
    kind: str


class Operator:
    """Base of all operators. Subclasses are decorated with :func:`operator`."""

    #: Who defines the operator. With the class name it makes the key in files and registries.
    namespace: ClassVar[str] = "fwd"
    #: Whether the class is only a base that operators share; no graph holds one.
    abstract: ClassVar[bool] = True

    def __init_subclass__(
        cls, namespace: str | None = None, abstract: bool = False, **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        cls.abstract = abstract
        if namespace is not None:
            cls.namespace = namespace

    @classmethod
    def kind(cls) -> str:
        """Qualified name, for example ``fwd.MatMul``."""
        return f"{cls.namespace}.{cls.__name__}"

    @classmethod
    def operand_fields(cls) -> tuple[OperandField, ...]:
        """The fields that hold operands, in order."""
        return _layout(cls)[0]

    @classmethod
    def attribute_fields(cls) -> tuple[str, ...]:
        """The names of all other fields, in order."""
        return _layout(cls)[1]

    def infer(self) -> Types:
        """Types of the outputs: one type for one output, a tuple for several.

        Raises:
            GraphError: Operands or attributes do not fit the operator's definition.
        """
        raise NotImplementedError(f"{self.kind()} has no infer()")

    def decompose(self, emit: Emitter) -> Value | tuple[Value, ...] | None:
        """The same result from simpler operators, or ``None`` when there is no such form.

        Backends that have no lowering for the operator use it.
        """
        del emit
        return None

    def operands(self) -> Iterator[Value]:
        """All operands in field order; absent optional ones are left out."""
        for field in self.operand_fields():
            held = getattr(self, field.name)
            if field.kind == "many":
                yield from held
            elif held is not None:
                yield held

    def attributes(self) -> dict[str, Any]:
        """Attributes by name."""
        return {name: getattr(self, name) for name in self.attribute_fields()}

    def graphs(self) -> Iterator[Graph]:
        """Graphs held in attributes (branches, loop bodies)."""
        from fwd_core.ir.graph import Graph

        for name in self.attribute_fields():
            if isinstance(held := getattr(self, name), Graph):
                yield held

    def map_operands(self, change: Callable[[Value], Value]) -> Operator:
        """A copy with every operand passed through ``change``."""
        changed: dict[str, Any] = {}
        for field in self.operand_fields():
            held = getattr(self, field.name)
            if field.kind == "many":
                changed[field.name] = tuple(change(value) for value in held)
            elif held is not None:
                changed[field.name] = change(held)
        return dataclasses.replace(self, **changed)  # type: ignore[type-var]


_RESERVED = frozenset(name for name in vars(Operator) if not name.startswith("__"))


@dataclass_transform(frozen_default=True, eq_default=False)
def operator(cls: _Class) -> _Class:
    """Make a subclass of :class:`Operator` a frozen dataclass.

    Raises:
        TypeError: The class has no docstring (operator tables and reference pages need it).
    """
    # `python -OO` strips docstrings, and nothing that needs them runs there.
    if not cls.__dict__.get("__doc__") and sys.flags.optimize < 2:
        raise TypeError(f"operator {cls.__name__} needs a docstring: meaning, shapes, dtypes")
    if shadowed := sorted(_RESERVED & set(cls.__dict__.get("__annotations__", {}))):
        raise TypeError(f"operator {cls.__name__}: fields may not be called {', '.join(shadowed)}")
    # eq=False keeps identity hashing: two nodes with equal fields are still two nodes.
    dataclass(frozen=True, eq=False)(cls)
    return cls


def _layout(cls: type[Operator]) -> Layout:
    return _fields(cls)  # type: ignore[arg-type] # mypy takes the class for one of its instances


@lru_cache(maxsize=None)
def _fields(cls: type[Operator]) -> Layout:
    from fwd_core.ir.graph import Value

    kinds = {Value: "one", typing.Optional[Value]: "optional", tuple[Value, ...]: "many"}
    try:
        hints = typing.get_type_hints(cls)
    except NameError as error:
        raise TypeError(
            f"operator {cls.__name__}: {error}; what fields are annotated with must be imported "
            "at run time, at the top of the module"
        ) from None
    operands, attributes = [], []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint = hints[field.name]
        if (kind := kinds.get(hint)) is not None:
            operands.append(OperandField(field.name, kind))
        elif Value in typing.get_args(hint):
            raise TypeError(
                f"{cls.__name__}.{field.name}: operands are Value, Value | None "
                f"or tuple[Value, ...], not {hint}"
            )
        else:
            attributes.append(field.name)
    return tuple(operands), tuple(attributes)
