"""Numbers and truths that the model reads from tensors: what it computes of them are tensors too.

TorchScript and Python's own arithmetic work on them as on any number. Here each is a 0-d tensor:
truths are bool, whole numbers int64 and others float32, in which backends compute; Python has
float64.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.ir import Dim, DimExpr, DType, Location, Value, is_equal, ops
from fwd_ops_torch.converting import ConversionContext, schemas
from fwd_ops_torch.converting.size_floats import Rounding, SizeFloat
from fwd_ops_torch.importers import queries, scalars, sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.undecided import Undecided, depends_on_size

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Returned by :func:`compute` where there is nothing to do here.
UNKNOWN = scalars.UNKNOWN
#: What makes whole numbers of floats.
_ROUNDINGS: dict[str, Rounding] = {
    "aten::Int": "trunc",
    "aten::floor": "floor",
    "aten::ceil": "ceil",
    "aten::round": "round",
}
_DTYPES: dict[type, DType] = {bool: DType.BOOL, int: DType.INT64, float: DType.FLOAT32}


def compute(session: Session, name: str, arguments: Sequence[Any], where: Location) -> Any:
    """The result of TorchScript's operators on numbers, as far as they are known.

    What depends on the contents of tensors, or differs from one value of a dynamic size to another,
    is an ``Undecided``; it has a value if the engine can compute it.

    Returns:
        A number, or :data:`UNKNOWN` for operators on other things.

    Raises:
        ConversionError: The model's own program fails here, for example by an index.
    """
    sized = _of_size(name, arguments)
    if sized is not None and not isinstance(sized, SizeFloat):
        return sized
    result = _compute(session, name, arguments, where)
    if sized is not None and isinstance(result, Undecided):
        return dataclasses.replace(result, sized=sized)
    return result


def _of_size(name: str, arguments: Sequence[Any]) -> SizeFloat | Dim | None:
    """What a float of a dynamic size becomes: another one, or the size that it is rounded to."""
    if not arguments or len(arguments) > 2:
        return None
    floats = [_size_float(one) for one in arguments]
    if name in _ROUNDINGS:
        first = arguments[0]
        is_float = isinstance(first, Undecided) and floats[0] is not None
        return floats[0].rounded(_ROUNDINGS[name]) if is_float and floats[0] else None
    if name == "aten::Float":
        return floats[0]
    operation = name.removeprefix("aten::")
    if len(arguments) != 2 or operation not in ("add", "sub", "mul", "div"):
        return None
    (a, b), (left, right) = arguments, floats
    whole = isinstance(a, (int, DimExpr)) and isinstance(b, (int, DimExpr))
    if whole and operation != "div":
        return None  # sizes have arithmetic of their own
    if left is not None and isinstance(b, (int, float)):
        return left.combined(operation, b)
    if right is not None and isinstance(a, (int, float)):
        return right.combined(operation, a, reverse=True)
    return None


def _size_float(number: Any) -> SizeFloat | None:
    if isinstance(number, DimExpr):
        return SizeFloat(number)
    return number.sized if isinstance(number, Undecided) else None


def _compute(session: Session, name: str, arguments: Sequence[Any], where: Location) -> Any:
    numbers = list(arguments)
    if len(numbers) == 1 and isinstance(numbers[0], (list, tuple)):
        numbers = list(numbers[0])
    function = _TABLE.get(name) if all(map(is_number, numbers)) else None
    doubt = _first_doubt(numbers)
    if doubt is None:
        known = scalars.compute(name, arguments)
        if known is not scalars.UNKNOWN:
            doubt = known if isinstance(known, Undecided) else None
        elif (size := next((n for n in numbers if isinstance(n, DimExpr)), None)) is not None:
            doubt = depends_on_size(f"{name} of {size}")
        if doubt is None or function is None:
            return UNKNOWN if known is scalars.UNKNOWN else known
    if function is None:
        return scalars.compute(name, arguments)
    return function(_Call(session, where, doubt), *numbers)


def _first_doubt(numbers: Sequence[Any]) -> Undecided | None:
    doubts = [one for one in numbers if isinstance(one, Undecided)]
    return next((doubt for doubt in doubts if doubt.data), next(iter(doubts), None))


def is_number(value: Any) -> bool:
    """Whether a value is a number that is known, or that a tensor holds."""
    if isinstance(value, Undecided):
        return value.value is not None
    return isinstance(value, (bool, int, float, DimExpr))


def kind_of(number: Any) -> type:
    """``bool``, ``int`` or ``float``."""
    if isinstance(number, Undecided):
        return number.kind
    return int if isinstance(number, DimExpr) else type(number)


def common_kind(*numbers: Any) -> type:
    """The kind that Python gives to a sum; of truths alone it is ``bool`` here."""
    kinds = set(map(kind_of, numbers))
    return float if float in kinds else int if int in kinds else bool


def value(session: Session, number: Any, kind: type, where: Location) -> Value:
    """A number as a 0-d tensor of a kind, in the graph where operators go now."""
    ctx = _context(session, where)
    if isinstance(number, DimExpr):
        held = ctx.emit(ops.DimValue(number))
    elif isinstance(number, Undecided):
        assert number.value is not None
        held = session.value(number.value)
        if held.type.rank:
            held = ctx.emit(ops.Reshape(held, ()))
    else:
        return ctx.constant(kind(number), _DTYPES[kind])
    if kind is bool and held.type.dtype is not DType.BOOL:
        return ctx.emit(ops.NotEqual(held, ctx.constant(0, held.type.dtype)))
    return ctx.cast(held, _DTYPES[kind])


def _context(session: Session, where: Location) -> ConversionContext:
    path = f"{where.module}/number" if where.module else "number"
    return ConversionContext(session.graph, "aten::number", path, where)


def tensor(session: Session, number: Any, where: Location) -> TensorRef:
    """A number as a 0-d tensor, as ``torch.tensor`` makes it."""
    if isinstance(number, Undecided):
        return TensorRef(value(session, number, number.kind, where))
    return sizes.from_number(session.graph, number, where)


def beside(
    session: Session, number: Undecided, tensors: Sequence[TensorRef], where: Location
) -> TensorRef:
    """A number as an operand beside tensors, which it does not promote as a tensor would."""
    ref = tensor(session, number, where)
    ranks = {one.type.dtype: _category(one.type.dtype) for one in tensors}
    if not ranks:
        return ref
    strongest = max(ranks, key=lambda dtype: ranks[dtype])
    if ranks[strongest] < _category(ref.type.dtype):
        return ref
    ctx = _context(session, where)
    return TensorRef(ctx.cast(session.value(ref), strongest))


def _category(dtype: DType) -> int:
    return 2 if dtype.is_float else 1 if dtype.is_integer else 0


def negated(session: Session, number: Undecided, where: Location) -> Any:
    """``not number``."""
    return compute(session, "aten::__not__", [number], where)


def are_equal(session: Session, a: TensorRef, b: TensorRef, where: Location) -> Any:
    """``torch.equal``: whether two tensors have one shape and the same elements."""
    same = [is_equal(x, y) for x, y in zip(a.type.shape, b.type.shape, strict=False)]
    if a.type.rank != b.type.rank or False in same:
        return False
    if None in same:
        return depends_on_size(f"{a.type} against {b.type}")
    result = _called(
        session, "aten::all", _called(session, "aten::eq.Tensor", a, b, where=where), where=where
    )
    return queries.number(result, bool)


def _called(session: Session, operator: str, *refs: TensorRef, where: Location) -> TensorRef:
    """The result of one of torch's overloads on tensors."""
    name, _, overload = operator.partition(".")
    schema = schemas.overload(name, overload)
    names = [argument.name for argument in schema.arguments]
    result = session.call(schema, dict(zip(names, refs, strict=False)), where)
    assert isinstance(result, TensorRef)
    return result


def as_float(session: Session, number: Any, where: Location) -> Any:
    """A whole number that TorchScript says is a float, as the power of two is; others as is."""
    whole = isinstance(number, (int, Undecided)) and kind_of(number) is int
    return compute(session, "aten::Float", [number], where) if whole else number


class _Call:
    """One call: makes tensors of numbers, calls torch's operator on them, and reads the result."""

    def __init__(self, session: Session, where: Location, doubt: Undecided) -> None:
        self.session = session
        self.where = where
        #: Why the result is not known while importing.
        self.doubt = doubt

    def __call__(self, operator: str, kind: type, taken: type | None, *numbers: Any) -> Any:
        """The result, of a kind, of an overload on numbers that are taken as of one kind."""
        refs = [
            TensorRef(value(self.session, one, taken or kind_of(one), self.where))
            for one in numbers
        ]
        return self.read(_called(self.session, operator, *refs, where=self.where), kind)

    def read(self, ref: TensorRef, kind: type) -> Any:
        known = sizes.known_number(ref)
        if known is not None:
            return known if isinstance(known, DimExpr) else kind(known)
        content = ref.read()
        assert isinstance(content, Value)
        return dataclasses.replace(self.doubt, value=content, kind=kind)


def _arithmetic(operator: str) -> Callable[..., Any]:
    def compute_one(call: _Call, *numbers: Any) -> Any:
        kind = common_kind(*numbers, 0)
        return call(operator, kind, kind, *numbers)

    return compute_one


def _in_floats(operator: str) -> Callable[..., Any]:
    return lambda call, *numbers: call(operator, float, float, *numbers)


def _to_whole(operator: str) -> Callable[..., Any]:
    def compute_one(call: _Call, number: Any) -> Any:
        if kind_of(number) is not float:
            return _as(int)(call, number)
        return _as(int)(call, call(operator, float, float, number))

    return compute_one


def _comparison(operator: str) -> Callable[..., Any]:
    return lambda call, a, b: call(operator, bool, common_kind(a, b), a, b)


def _logical(whole: str, truths: str, decides: bool | None) -> Callable[..., Any]:
    """An operator on bits; of two truths, one that is known may decide, or leave the other."""

    def compute_one(call: _Call, a: Any, b: Any) -> Any:
        kind = common_kind(a, b)
        if kind is not bool:
            return call(whole, kind, kind, a, b)
        for one, other in ((a, b), (b, a)):
            if decides is not None and isinstance(one, bool):
                return one if one is decides else other
        return call(truths, bool, bool, a, b)

    return compute_one


def _as(kind: type) -> Callable[..., Any]:
    """A number converted to a kind; whole numbers lose their fraction."""

    def convert(call: _Call, number: Any) -> Any:
        if kind_of(number) is kind:
            return number
        return call.read(TensorRef(value(call.session, number, kind, call.where)), kind)

    return convert


def _same(_call: _Call, number: Any) -> Any:
    return number


def _extreme(operator: str) -> Callable[..., Any]:
    def compute_all(call: _Call, first: Any, *others: Any) -> Any:
        for other in others:
            kind = common_kind(first, other)
            first = call(operator, kind, kind, first, other)
        return first

    return compute_all


_TABLE: dict[str, Callable[..., Any]] = {
    "aten::add": _arithmetic("aten::add.Tensor"),
    "aten::sub": _arithmetic("aten::sub.Tensor"),
    "aten::mul": _arithmetic("aten::mul.Tensor"),
    "aten::floordiv": _arithmetic("aten::floor_divide"),
    "aten::floor_divide": _arithmetic("aten::floor_divide"),
    "aten::remainder": _arithmetic("aten::remainder.Tensor"),
    "aten::pow": _arithmetic("aten::pow.Tensor_Tensor"),
    "aten::neg": _arithmetic("aten::neg"),
    "aten::abs": _arithmetic("aten::abs"),
    "prim::abs": _arithmetic("aten::abs"),
    "aten::div": _in_floats("aten::div.Tensor"),
    "aten::sqrt": _in_floats("aten::sqrt"),
    "aten::exp": _in_floats("aten::exp"),
    "aten::log": _in_floats("aten::log"),
    "aten::sin": _in_floats("aten::sin"),
    "aten::cos": _in_floats("aten::cos"),
    "aten::tanh": _in_floats("aten::tanh"),
    "aten::floor": _to_whole("aten::floor"),
    "aten::ceil": _to_whole("aten::ceil"),
    "aten::eq": _comparison("aten::eq.Tensor"),
    "aten::ne": _comparison("aten::ne.Tensor"),
    "aten::lt": _comparison("aten::lt.Tensor"),
    "aten::le": _comparison("aten::le.Tensor"),
    "aten::gt": _comparison("aten::gt.Tensor"),
    "aten::ge": _comparison("aten::ge.Tensor"),
    "aten::__not__": lambda call, number: call("aten::logical_not", bool, bool, number),
    "aten::__and__": _logical("aten::bitwise_and.Tensor", "aten::logical_and", False),
    "aten::__or__": _logical("aten::bitwise_or.Tensor", "aten::logical_or", True),
    "aten::__xor__": _logical("aten::bitwise_xor.Tensor", "aten::logical_xor", None),
    "prim::min": _extreme("aten::minimum"),
    "prim::max": _extreme("aten::maximum"),
    "aten::Int": _as(int),
    "aten::Float": _as(float),
    "aten::Bool": _as(bool),
    "aten::IntImplicit": _same,
    "aten::FloatImplicit": _same,
    "aten::ScalarImplicit": _same,
}
#: What is computed here, for the look at a whole program.
OPERATORS = frozenset(_TABLE)
