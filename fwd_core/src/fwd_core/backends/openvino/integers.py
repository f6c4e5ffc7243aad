"""Exact arithmetic on int32 tensors.

OpenVINO's CPU device adds, subtracts, multiplies and takes extrema of integers in 32 bits, and
wraps as torch's int32 does. Everything else (division, powers, comparisons, selection, sums) it
computes in float32, which is exact below 2^24 only. The functions here are made of what is
exact, so they hold for every int32 value. All take OpenVINO's operator set first, then int32
tensors (sizes, which are int64, may go through ``divide``), and broadcast as NumPy does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fwd_core.ir.dtypes import DType

if TYPE_CHECKING:
    from openvino import Output

#: Bits of a power's exponent: those of the greatest int32.
_EXPONENT_BITS = 31
#: Integers of a smaller magnitude are exact in float32.
_EXACT = 2**24


def number(opset: Any, value: int, like: Output) -> Output:
    """A 0-d constant of the type of ``like``."""
    return opset.constant(value, like.get_element_type()).output(0)


def select(opset: Any, condition: Output, a: Output, b: Output) -> Output:
    """A where the condition holds, else b: b + (a - b) * condition, wrapping."""
    chosen = opset.convert(condition, a.get_element_type())
    return opset.add(b, opset.multiply(opset.subtract(a, b), chosen)).output(0)


def equal(opset: Any, a: Output, b: Output) -> Output:
    """Whether a is b: their difference wraps to 0 only then."""
    return opset.equal(opset.subtract(a, b), number(opset, 0, a)).output(0)


def less(opset: Any, a: Output, b: Output) -> Output:
    """Whether a < b: the greater of both is not a."""
    return opset.logical_not(equal(opset, opset.maximum(a, b).output(0), a)).output(0)


def less_equal(opset: Any, a: Output, b: Output) -> Output:
    """Whether a <= b: the greater of both is b."""
    return equal(opset, opset.maximum(a, b).output(0), b)


def negative(opset: Any, a: Output) -> Output:
    """Whether a < 0. In float32 a number keeps its sign."""
    return opset.less(a, number(opset, 0, a)).output(0)


def divide(opset: Any, a: Output, b: Output) -> tuple[Output, Output]:
    """Quotient rounded toward minus infinity, and the remainder, which has the sign of b.

    The float32 quotient is off by up to 2^-22 of itself; the second division removes what is
    left but for one step up or down, which the signs tell. Overflow wraps to itself again.
    """
    quotient = opset.divide(a, b)
    rest = opset.subtract(a, opset.multiply(quotient, b))
    second = opset.divide(rest, b)
    quotient = opset.add(quotient, second)
    rest = opset.subtract(rest, opset.multiply(second, b)).output(0)

    zero = number(opset, 0, a)
    below = opset.logical_xor(negative(opset, rest), negative(opset, b))
    down = opset.convert(
        opset.logical_and(opset.not_equal(rest, zero), below), a.get_element_type()
    )
    quotient = opset.subtract(quotient, down)
    rest = opset.add(rest, opset.multiply(b, down)).output(0)

    beyond_positive = opset.logical_and(opset.less(zero, b), less_equal(opset, b, rest))
    beyond_negative = opset.logical_and(negative(opset, b), less_equal(opset, rest, b))
    up = opset.convert(opset.logical_or(beyond_positive, beyond_negative), a.get_element_type())
    quotient = opset.add(quotient, up).output(0)
    return quotient, opset.subtract(rest, opset.multiply(b, up)).output(0)


def truncated_quotient(opset: Any, a: Output, b: Output) -> Output:
    """Quotient rounded toward zero."""
    floor, rest = divide(opset, a, b)
    inexact = opset.not_equal(rest, number(opset, 0, a))
    opposite = opset.logical_xor(negative(opset, a), negative(opset, b))
    up = opset.convert(opset.logical_and(inexact, opposite), a.get_element_type())
    return opset.add(floor, up).output(0)


def constant_power(opset: Any, base: Output, exponent: int) -> Output:
    """Base to a fixed power of 0 or more, by squaring; wraps."""
    result: Output | None = None
    while exponent:
        if exponent & 1:
            result = base if result is None else opset.multiply(result, base).output(0)
        exponent >>= 1
        if exponent:
            base = opset.multiply(base, base).output(0)
    if result is None:  # 0 * base + 1 is 1 in the shape of the base
        zero, one = number(opset, 0, base), number(opset, 1, base)
        return opset.add(opset.multiply(base, zero), one).output(0)
    return result


def power(opset: Any, base: Output, exponent: Output) -> Output:
    """Base to the power of a tensor of 0 or more, bit by bit; wraps."""
    one = number(opset, 1, base)
    result = one
    for bit in range(_EXPONENT_BITS):
        mask = number(opset, 1 << bit, base)
        is_set = opset.not_equal(opset.bitwise_and(exponent, mask), number(opset, 0, base))
        result = opset.multiply(result, select(opset, is_set.output(0), base, one)).output(0)
        base = opset.multiply(base, base).output(0)
    return result


def pad(opset: Any, x: Output, before: Output, after: Output, value: int) -> Output:
    """Pad with a number. OpenVINO reads it as a float32, so zeros are padded to x - value.

    Of a number beyond int32, which nothing here is, the nearest int32 is padded.
    """
    value = min(max(value, -(2**31)), 2**31 - 1)
    if -_EXACT < value < _EXACT:
        filling = number(opset, value, x)
        return opset.pad(x, before, after, "constant", filling).output(0)
    negated = (2**31 - value) % 2**32 - 2**31  # -(-2^31) is itself in 32 bits
    shifted = opset.add(x, number(opset, negated, x))
    padded = opset.pad(shifted, before, after, "constant", number(opset, 0, x))
    return opset.add(padded, number(opset, value, x)).output(0)


def wrapped(opset: Any, tensor: Output, dtype: DType) -> Output:
    """Int32 results brought back into the range of a smaller integer type, as it would wrap."""
    if dtype not in (DType.INT16, DType.INT8, DType.UINT8):
        return tensor
    bits = dtype.itemsize * 8
    low = 0 if dtype is DType.UINT8 else -(1 << (bits - 1))
    shift, mask = number(opset, low, tensor), number(opset, (1 << bits) - 1, tensor)
    if low == 0:
        return opset.bitwise_and(tensor, mask).output(0)
    kept = opset.bitwise_and(opset.subtract(tensor, shift), mask)
    return opset.add(kept, shift).output(0)


def is_small(values: NDArray[Any]) -> bool:
    """Whether known integers are exact in float32, and so are comparisons with them."""
    return bool(values.size) and int(values.max()) < _EXACT and int(values.min()) > -_EXACT
