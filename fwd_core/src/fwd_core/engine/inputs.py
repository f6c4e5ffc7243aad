"""Checking what a caller hands to an engine, and turning it into arrays that it takes.

What is taken: an array of the port's own dtype; int32 and smaller integers for int64 ports
(lossless); float32 for float16 and bfloat16 ports (rounded, so that a half model serves float32
callers). Everything else is an :class:`InputError` that says what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.base import Port
from fwd_core.errors import InputError
from fwd_core.ir.dims import Dim, DimExpr, Symbol, multiple, single_symbol, substitute
from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor

BATCH_HINT = "build with dynamic_batch=True (--dynamic-batch) if the batch changes from run to run"
SIZE_HINT = "build with dynamic= (NAME[MIN,OPT,MAX] in --input) if it changes from run to run"
_ONE_SAMPLE = "array[None] gives one sample the axis of a batch"
#: What to do about another dtype, as code for an array.
CONVERT = "convert it: array.astype({!r})"


def as_array(port: Port, given: Any) -> NDArray[Any]:
    """The caller's value as a C-contiguous array of the port's storage dtype.

    No copy is made of a NumPy array, or of a CPU tensor that speaks DLPack, that fits already.

    Raises:
        InputError: It is no array, is not on the host, or its dtype does not fit.
    """
    array = given if type(given) is np.ndarray else _imported(port, given)
    storage = port.type.dtype.storage
    if array.dtype != storage:
        array = _converted(port, array)
    if not array.flags.c_contiguous:
        array = array.copy(order="C")
    return array


def collect(ports: Sequence[Port], feeds: Mapping[str, Any]) -> list[Any]:
    """Values by name, in port order.

    Raises:
        InputError: Names are missing or unknown, or there are none.
    """
    try:
        if len(feeds) == len(ports):
            return [feeds[port.name] for port in ports]
    except (KeyError, TypeError, IndexError):
        pass
    if not isinstance(feeds, Mapping):
        raise InputError(
            "inputs by name come in a mapping",
            expected="{" + ", ".join(f"{port.name!r}: {port.type}" for port in ports) + "}",
            got=type(feeds).__name__,
        )
    names = [port.name for port in ports]
    missing = [name for name in names if name not in feeds]
    unknown = [name for name in feeds if name not in names]
    told = [f"missing {', '.join(map(repr, missing))}"] if missing else []
    told += [f"unknown {', '.join(map(repr, unknown))}"] if unknown else []
    them = "it" if len(unknown) == 1 else "them"
    raise InputError(
        f"inputs by name: {'; '.join(told)}",
        expected=", ".join(map(str, ports)),
        got=", ".join(map(str, feeds)) or "nothing",
        hint=f"leave {them} out, or build the engine with {them}" if not missing else None,
    )


def bind(ports: Sequence[Port], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """Values of the symbols that make the ports' shapes these shapes.

    Raises:
        InputError: A rank or size does not fit, a size is out of range, or one symbol would
            need two values.
    """
    values: dict[str, int] = {}
    derived: list[tuple[Port, int, DimExpr, int]] = []
    for port, shape in zip(ports, shapes, strict=True):
        if len(shape) != port.type.rank:
            raise InputError(
                f"input {port.name!r} has the wrong rank",
                expected=port.type,
                got=f"rank {len(shape)}, shape {list(shape)}",
                hint=_ONE_SAMPLE if len(shape) == port.type.rank - 1 else None,
            )
        for axis, (dim, size) in enumerate(zip(port.type.shape, shape, strict=True)):
            if isinstance(dim, DimExpr) and single_symbol(dim) is None:
                derived.append((port, axis, dim, size))
                continue
            _bind_one(port, axis, dim, size, values)
    for port, axis, expression, size in derived:
        wanted = substitute(expression, values)
        if wanted == expression and (of := multiple(expression)) is not None:
            symbol, factor = of
            if size % factor or not symbol.min <= size // factor <= symbol.max:
                raise _no_multiple(port, axis, symbol, factor, size)
        if isinstance(wanted, DimExpr) and (solved := _solved(wanted, size)) is not None:
            values[solved[0].name] = solved[1]
            wanted = substitute(wanted, values)
        if wanted != size:
            raise _wrong_size(port, axis, f"{wanted} ({expression})", size)
    return values


def _no_multiple(port: Port, axis: int, symbol: Symbol, factor: int, size: int) -> InputError:
    range_ = f"a multiple of {factor}, {symbol.min * factor} … {symbol.max * factor}"
    return _wrong_size(
        port,
        axis,
        f"{range_} ({factor}*{symbol.name})",
        size,
        hint=f"pad it to a multiple of {factor}"
        if size % factor
        else f"build again with a range of '{factor}*{symbol.name}' that holds {size}",
    )


def _solved(expression: DimExpr, size: int) -> tuple[Symbol, int] | None:
    """The value of the only symbol that makes ``factor * symbol + rest`` this size."""
    (leading, factor), *rest = expression.terms
    symbol = single_symbol(DimExpr(((leading, 1),)))
    if symbol is None or any(monomial for monomial, _ in rest):
        return None
    value, remainder = divmod(size - sum(number for _, number in rest), factor)
    return (symbol, value) if not remainder and symbol.min <= value <= symbol.max else None


def _bind_one(port: Port, axis: int, dim: Dim, size: int, values: dict[str, int]) -> None:
    symbol = single_symbol(dim)
    if symbol is None:
        if dim != size:
            raise _wrong_size(port, axis, str(dim), size, BATCH_HINT if not axis else SIZE_HINT)
        return
    if not symbol.min <= size <= symbol.max:
        raise _wrong_size(
            port,
            axis,
            f"{symbol.min} … {symbol.max} ({symbol.name})",
            size,
            hint=f"build again with a range of {symbol.name!r} that holds {size}",
        )
    if values.setdefault(symbol.name, size) != size:
        raise _wrong_size(port, axis, f"{values[symbol.name]} ({symbol.name}, set before)", size)


def _wrong_size(
    port: Port, axis: int, expected: str, got: int, hint: str | None = None
) -> InputError:
    return InputError(
        f"input {port.name!r}: the size of axis {axis} of {port.type} is wrong",
        expected=expected,
        got=got,
        hint=hint,
    )


def _imported(port: Port, given: Any) -> NDArray[Any]:
    if isinstance(given, np.ndarray):  # a subclass, such as a memory map
        return given.view(np.ndarray)
    if isinstance(given, (bool, int, float, list, tuple)) or not hasattr(given, "__dlpack__"):
        if isinstance(given, np.generic):
            return np.asarray(given)
        raise InputError(
            f"input {port.name!r} is no array",
            expected=port.type,
            got=type(given).__name__,
            hint="pass a NumPy array or a tensor that speaks DLPack",
        )
    try:
        return np.from_dlpack(given)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"input {port.name!r}: this {type(given).__name__} cannot be read on the host",
            expected=port.type,
            details=[str(error)],
            hint="move it to the CPU (and detach it), or use a backend of its device",
        ) from None


def _converted(port: Port, array: NDArray[Any]) -> NDArray[Any]:
    want = port.type.dtype
    widens = (
        want.is_integer
        and array.dtype.kind in "iu"
        and np.can_cast(array.dtype, want.storage, "safe")
    )
    if widens:
        return array.astype(want.storage)
    if want in (DType.FLOAT16, DType.BFLOAT16) and array.dtype == np.float32:
        return Tensor(array).astype(want).data
    raise InputError(
        f"input {port.name!r} has the wrong dtype",
        expected=port.type,
        got=f"{array.dtype}{list(array.shape)}",
        hint=CONVERT.format(str(want)) if want is not DType.BFLOAT16 else None,
    )
