"""TorchScript's operators on plain values: numbers, sizes, strings, lists and dicts.

They are computed while importing; those on lists and dicts are in ``containers.py``. Where sizes
are involved the arithmetic of sizes is used, and a comparison that is not the same for every value
of a dynamic size gives ``Undecided``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, is_equal, is_less
from fwd_core.ir import dims as dim_ops
from fwd_ops_torch.importers import containers, sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.undecided import Undecided, depends_on_size

#: Returned by :func:`compute` for operators that are not in the table.
UNKNOWN = object()


def is_known(name: str) -> bool:
    """Whether :func:`compute` knows an operator."""
    return name in _TABLE


def compute(name: str, arguments: Sequence[Any]) -> Any:
    """The result of an operator on plain values, or :data:`UNKNOWN`.

    Raises:
        ConversionError: The model's own program fails here, for example by an index.
    """
    if (doubt := next((a for a in arguments if isinstance(a, Undecided)), None)) is not None:
        return doubt if name in _PURE else _refused(name, doubt)
    function = _TABLE.get(name)
    if function is None or (name in containers.ALSO_OF_STRINGS and isinstance(arguments[0], str)):
        return UNKNOWN
    try:
        return function(*arguments)
    except (IndexError, KeyError, ZeroDivisionError, ValueError, TypeError) as error:
        raise ConversionError(
            f"the model's own program fails: {name}", details=[f"{type(error).__name__}: {error}"]
        ) from None


def _refused(name: str, doubt: Undecided) -> Any:
    raise doubt.error(f"{name} is called with a number that")


def _compare(question: Callable[[Dim, Dim], bool | None], plain: Callable[[Any, Any], Any]) -> Any:
    def compare(a: Any, b: Any) -> Any:
        if (doubt := containers.doubt_in(a) or containers.doubt_in(b)) is not None:
            return doubt
        if not isinstance(a, DimExpr) and not isinstance(b, DimExpr):
            if _has_dims(a) or _has_dims(b):
                return _compare_lists(a, b, plain)
            return plain(a, b)
        if isinstance(a, float) or isinstance(b, float):
            return depends_on_size(f"{a} against {b}")
        answer = question(a, b)
        return depends_on_size(f"{a} against {b}") if answer is None else answer

    return compare


def _has_dims(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(item, DimExpr) for item in value)


def _compare_lists(a: Sequence[Any], b: Sequence[Any], plain: Callable[[Any, Any], Any]) -> Any:
    if plain not in (operator.eq, operator.ne):
        raise ValueError("lists of dynamic sizes have no order")
    if len(a) != len(b):
        return plain is operator.ne
    answers = [is_equal(x, y) for x, y in zip(a, b, strict=True)]
    if False in answers:
        return plain is operator.ne
    if None in answers:
        return depends_on_size(f"{list(a)} against {list(b)}")
    return plain is operator.eq


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def compute_one(a: Any, b: Any) -> Any:
        dims = isinstance(a, DimExpr) or isinstance(b, DimExpr)
        if dims and (isinstance(a, float) or isinstance(b, float)):
            return depends_on_size(f"{a} with {b}, in floating point")
        return function(a, b)

    return compute_one


def _true_division(a: Any, b: Any) -> Any:
    if isinstance(a, DimExpr) or isinstance(b, DimExpr):
        return depends_on_size(f"{a} / {b}, in floating point")
    return a / b


def _power(a: Any, b: Any) -> Any:
    if not isinstance(a, DimExpr):
        return a**b
    result = sizes.power(a, b)
    return depends_on_size(f"{a} ** {b}") if result is None else result


def _shift(of_size: Callable[[Dim, Dim], Dim | None]) -> Callable[[Any, Any], Any]:
    def shift(a: Any, b: Any) -> Any:
        if isinstance(a, int) and isinstance(b, int):
            return UNKNOWN  # TorchScript's own says what becomes of the bits that fall out
        result = of_size(a, b)
        return depends_on_size(f"{a} shifted by {b}") if result is None else result

    return shift


def _extreme(pair: Callable[[Dim, Dim], Dim], plain: Callable[..., Any]) -> Callable[..., Any]:
    def choose(*values: Any) -> Any:
        listed = values[0] if len(values) == 1 else values
        if not any(isinstance(value, DimExpr) for value in listed):
            return plain(listed)
        result = listed[0]
        for value in listed[1:]:
            result = pair(result, value)
        return result

    return choose


_SPECIFIER = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]|%%")


def _percent(text: str, *values: Any) -> str:
    """``text % values``. What is not known while importing is shown, whatever the text asks for."""
    rest = list(values[0] if len(values) == 1 and isinstance(values[0], tuple) else values)

    def put(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        if not rest:
            raise ValueError(f"too few values for {text!r}")
        value = rest.pop(0)
        unknown = isinstance(value, (TensorRef, DimExpr))
        return str(_shown(value)) if unknown else match.group() % (value,)

    result = _SPECIFIER.sub(put, text)
    if rest:
        raise ValueError(f"too many values for {text!r}")
    return result


def _shown(value: Any) -> Any:
    return f"<{value.type}>" if isinstance(value, TensorRef) else value


def _format(text: str, *values: Any) -> str:
    return text.format(*[_shown(value) for value in values])


def _range_length(start: Any, stop: Any, step: Any) -> Any:
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        return len(range(start, stop, step))
    if step != 1:
        return depends_on_size(f"range({start}, {stop}, {step})")
    return dim_ops.maximum(stop - start, 0)


def _is(a: Any, b: Any) -> bool:
    return a is b


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _unwrapped(value: Any) -> Any:
    if value is None:
        raise ValueError("None where the model said it cannot be")
    return value


_TABLE: dict[str, Callable[..., Any]] = {
    **containers.OPERATORS,
    "aten::add": _arithmetic(operator.add),
    "aten::sub": _arithmetic(operator.sub),
    "aten::mul": _arithmetic(operator.mul),
    "aten::floordiv": _arithmetic(operator.floordiv),
    "aten::floor_divide": _arithmetic(operator.floordiv),
    "aten::remainder": _arithmetic(operator.mod),
    "aten::div": _true_division,
    "aten::pow": _power,
    "aten::__rshift__": _shift(sizes.shifted_right),
    "aten::__lshift__": _shift(sizes.shifted_left),
    "prim::abs": lambda value: sizes.absolute(value) if isinstance(value, DimExpr) else abs(value),
    "aten::neg": operator.neg,
    "aten::eq": _compare(is_equal, operator.eq),
    "aten::ne": _compare(lambda a, b: _negated(is_equal(a, b)), operator.ne),
    "aten::lt": _compare(is_less, operator.lt),
    "aten::gt": _compare(lambda a, b: is_less(b, a), operator.gt),
    "aten::le": _compare(lambda a, b: _negated(is_less(b, a)), operator.le),
    "aten::ge": _compare(lambda a, b: _negated(is_less(a, b)), operator.ge),
    "aten::__not__": operator.not_,
    "aten::__and__": operator.and_,
    "aten::__or__": operator.or_,
    "aten::__xor__": operator.xor,
    "aten::__is__": _is,
    "aten::__isnot__": lambda a, b: not _is(a, b),
    "prim::min": _extreme(dim_ops.minimum, min),
    "prim::max": _extreme(dim_ops.maximum, max),
    "aten::Int": lambda value: value if isinstance(value, DimExpr) else int(value),
    "aten::Float": lambda v: depends_on_size(f"float({v})") if isinstance(v, DimExpr) else float(v),
    "aten::Bool": lambda value: value if isinstance(value, bool) else bool(value),
    "aten::IntImplicit": lambda value: value,
    "aten::ScalarImplicit": lambda value: value,
    "aten::format": _format,
    "aten::percentFormat": _percent,
    "aten::str": str,
    "prim::EnumName": lambda member: member.name,
    "prim::EnumValue": lambda member: member.value,
    "aten::__range_length": _range_length,
    "aten::__derive_index": lambda index, start, step: start + index * step,
    "aten::_unwrap_optional": _unwrapped,
    # True keeps torch.nn's transformer layers off their fused inference kernel, which is one
    # operator that nothing else shares; what it computes is the same.
    "aten::is_grad_enabled": lambda: True,
    "aten::set_grad_enabled": lambda _enabled: None,
    # What draws random numbers is refused, and the caller's own generator is left alone.
    "aten::manual_seed": lambda _seed: None,
    "aten::is_autocast_enabled": lambda: False,
    "aten::is_autocast_cpu_enabled": lambda: False,
    "aten::is_scripting": lambda: True,
    "aten::warn": lambda *_message: None,
    "aten::has_torch_function": lambda *_tensors: False,
}
#: Operators whose result is undecided when an operand is, and that do nothing else.
_PURE = frozenset(
    name
    for name in _TABLE
    if name.split("::")[1]
    in {
        "add", "sub", "mul", "floordiv", "floor_divide", "remainder", "div", "pow", "neg",
        "eq", "ne", "lt", "gt", "le", "ge", "__not__", "__and__", "__or__", "__xor__",
        "min", "max", "Int", "Float", "Bool", "IntImplicit", "ScalarImplicit", "str", "format",
        "percentFormat",
    }
)  # fmt: skip
