"""Operators on the bits of integers, which are two's complement; bool has operators of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.elementwise import (
    Add,
    And,
    Cast,
    Clamp,
    FloorDiv,
    GreaterEqual,
    Less,
    Mod,
    Mul,
    Sub,
    Where,
)
from fwd_core.ir.ops.indexing import Gather
from fwd_core.ir.ops.reduction import ReduceSum
from fwd_core.ir.ops.shape import Unsqueeze
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType


@operator
class BitwiseBinary(Operator, abstract=True):
    """Base of functions of the bits of two integer tensors of one dtype; the same dtype out."""

    a: Value
    b: Value

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.a, check.INTEGERS)
        dtype = check.require_same_dtype(self.kind(), self.a, self.b)
        return TensorType(dtype, check.broadcast(self.kind(), self.a, self.b))


@operator
class BitAnd(BitwiseBinary):
    """The bits that are set in a and in b."""

    def decompose(self, emit: Emitter) -> Value:
        """By division: a modulo 2^k for a mask of k low bits, else bit by bit.

        The bits of a few digits at a time lie on an axis more.
        """
        for x, mask in ((self.a, self.b), (self.b, self.a)):
            if (size := _low_bits(mask)) is not None:
                return emit(Mod(x, _number(emit, size, x.type.dtype)))
        dtype = self.a.type.dtype
        width, count = _digits(dtype)
        base = _number(emit, 1 << width, dtype)
        powers = np.array([1 << bit for bit in range(width)], dtype.storage)
        places, two = emit.constant(Tensor(powers), "powers"), _number(emit, 2, dtype)
        a, b, found = self.a, self.b, list[Value]()
        for digit in range(count):
            pair = [_bits(emit, emit(Mod(x, base)), places, two) for x in (a, b)]
            both = emit(Mul(emit(Mul(*pair)), places))
            found.append(emit(ReduceSum(both, (both.type.rank - 1,), False)))
            if digit < count - 1:
                a, b = emit(FloorDiv(a, base)), emit(FloorDiv(b, base))
        result = found.pop()
        while found:
            result = emit(Add(emit(Mul(result, base)), found.pop()))
        return result


@operator
class BitOr(BitwiseBinary):
    """The bits that are set in a or in b."""

    def decompose(self, emit: Emitter) -> Value:
        """A + b, with what both have once."""
        return emit(Sub(emit(Add(self.a, self.b)), emit(BitAnd(self.a, self.b))))


@operator
class BitXor(BitwiseBinary):
    """The bits that are set in a or in b, not in both."""

    def decompose(self, emit: Emitter) -> Value:
        """A + b, without what both have."""
        both = emit(BitAnd(self.a, self.b))
        return emit(Sub(emit(Add(self.a, self.b)), emit(Add(both, both))))


@operator
class ShiftLeft(BitwiseBinary):
    """a moved up by b bits; what leaves the dtype is lost. 0 where b is no position of a bit."""

    def decompose(self, emit: Emitter) -> Value:
        """A times 2^b, wrapping."""
        dtype = self.a.type.dtype
        count = dtype.itemsize * 8
        moved = self.a
        for power in _powers(emit, self.b, count - 1):
            moved = emit(Mul(moved, power))
        zero = _number(emit, 0, dtype)
        return emit(Where(_within(emit, self.b, count), moved, zero))


@operator
class ShiftRight(BitwiseBinary):
    """a moved down by b bits, with copies of its sign on top.

    Where b is no position of a bit nothing but the sign is left: 0 or -1.
    """

    def decompose(self, emit: Emitter) -> Value:
        """A divided by 2^b, rounded down."""
        dtype = self.a.type.dtype
        count = dtype.itemsize * 8
        moved = self.a
        for power in _powers(emit, self.b, count - 1):
            moved = emit(FloorDiv(moved, power))
        zero = sign = _number(emit, 0, dtype)
        if dtype is not DType.UINT8:
            negative = emit(Less(self.a, zero))
            sign = emit(Where(negative, _number(emit, -1, dtype), zero))
        return emit(Where(_within(emit, self.b, count), moved, sign))


def _digits(dtype: DType) -> tuple[int, int]:
    """Bits of a digit and number of digits, small enough for int32 where int64 is computed so."""
    bits = dtype.itemsize * 8
    width = min(bits // 2, 16)
    return width, bits // width


def _bits(emit: Emitter, digit: Value, places: Value, two: Value) -> Value:
    """The bits of numbers that are not negative, on a last axis."""
    raised = emit(Unsqueeze(digit, (digit.type.rank,)))
    return emit(Mod(emit(FloorDiv(raised, places)), two))


def _low_bits(mask: Value) -> int | None:
    """2^k for a known mask of k low bits, as far as the dtype holds it."""
    known = mask.constant
    if known is None or known.shape:
        return None
    size = int(known.item()) + 1
    most = min(known.dtype.limits[1], DType.INT32.limits[1])
    return size if 0 < size <= most and size & (size - 1) == 0 else None


def _powers(emit: Emitter, exponents: Value, most: int) -> Iterator[Value]:
    """Powers of 2 whose product is 2 to the power of the exponents, limited to 0 … ``most``.

    Each is a positive number of the dtype, and of int32 where int64 is computed so.
    """
    dtype, known = exponents.type.dtype, exponents.constant
    step = min(dtype.itemsize * 8 - 2, 30)
    table = Tensor(np.array([1 << bit for bit in range(step + 1)], dtype.storage), dtype)
    for start in range(0, most, step):
        last = min(step, most - start)
        if known is not None:
            places = np.clip(known.data.astype(np.int64) - start, 0, last)
            if places.any():
                yield emit.constant(Tensor(np.asarray(table.data[places]), dtype), "power")
            continue
        limited = emit(Clamp(exponents, start, start + last))
        rest = emit(Sub(limited, _number(emit, start, dtype)))
        at = rest if dtype in check.INDICES else emit(Cast(rest, DType.INT32))
        yield emit(Gather(emit.constant(table, "powers"), at, 0), "power")


def _within(emit: Emitter, places: Value, count: int) -> Value:
    dtype = places.type.dtype
    low = emit(GreaterEqual(places, _number(emit, 0, dtype)))
    return emit(And(low, emit(Less(places, _number(emit, count, dtype)))))


def _number(emit: Emitter, number: int, dtype: DType) -> Value:
    return emit.constant(Tensor(np.array(number, dtype.storage), dtype), "number")
