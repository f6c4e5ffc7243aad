"""Arithmetic of float32 tensors that is exact where OpenVINO's own is not.

Division with whole quotients is that of C's ``fmod`` and of torch. OpenVINO's own Mod and FloorMod
compute a - floor(a / b) * b with rounded steps, which loses the
remainder's last digits, and puts it at the wrong end of its range where a / b rounds up to a
whole number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from openvino import Output

#: 2^12 + 1 splits the 24 bits of a float32 in halves, whose products are exact (Veltkamp, 1968).
_SPLITTER = 4097
#: 2^16 + 1 leaves the 8 bits of a bfloat16, rounded to nearest.
_BFLOAT16_SPLITTER = 65537


def constant(opset: Any, value: float) -> Output:
    """A 0-d float32 constant."""
    return opset.constant(np.float32(value)).output(0)


def rounded_to_bfloat16(opset: Any, x: Output) -> Output:
    """Float32 numbers rounded to the nearest that bfloat16 has.

    OpenVINO's own conversion cuts the digits off on CPUs without AVX-512.
    """
    scaled = opset.multiply(x, constant(opset, _BFLOAT16_SPLITTER))
    high = opset.subtract(scaled, opset.subtract(scaled, x))
    # The product overflows near the end of the range; what is not finite is no number to round.
    small = opset.less(absolute(opset, x), constant(opset, 2.0**110))
    return opset.select(small, high, x).output(0)


def absolute(opset: Any, x: Output) -> Output:
    """``|x|`` of numbers, for every consumer of x.

    OpenVINO 2026 moves an Abs before the Concat that it reads, and so changes what other
    consumers of that Concat read. Here the absolute parts are a Concat of their own. It also drops
    an Abs of what constants alone decide, as of a Broadcast of one.
    """
    node = x.get_node()
    if _is_fixed(node):
        zero = constant(opset, 0)
        return opset.select(opset.greater(x, zero), x, opset.subtract(zero, x)).output(0)
    if node.get_type_name() != "Concat":
        return opset.abs(x).output(0)
    parts = [absolute(opset, part) for part in node.input_values()]
    return opset.concat(parts, node.get_attributes()["axis"]).output(0)


def _is_fixed(node: Any) -> bool:
    """Whether a tensor depends on constants only."""
    waiting: list[Any] = [node]
    seen: set[str] = set()
    while waiting:
        one = waiting.pop()
        if one.get_type_name() in ("Parameter", "ReadValue"):
            return False
        sources = [port.get_node() for port in one.input_values()]
        waiting += [each for each in sources if each.get_name() not in seen]
        seen.update(each.get_name() for each in sources)
    return True


def unless_nan(opset: Any, x: Output, instead: Output, result: Output) -> Output:
    """``instead`` where x is a NaN, else ``result``."""
    return opset.select(opset.not_equal(x, x), instead, result).output(0)


def truncated_quotient(opset: Any, a: Output, b: Output) -> Output:
    """The whole part of a / b, rounded to float32 first as torch does.

    OpenVINO's Divide may be a unit in the last place off, so its error is added back.
    """
    ratio = opset.divide(a, b).output(0)
    better = opset.add(ratio, opset.divide(_rest(opset, a, b, ratio), b)).output(0)
    # Where the error itself is not finite (infinities, zero divisors) the ratio is right.
    return _truncated(opset, unless_nan(opset, better, ratio, better))


def divide(opset: Any, a: Output, b: Output) -> tuple[Output, Output]:
    """Quotient rounded toward minus infinity, and the remainder, which has the sign of b.

    Exact while the quotient is below 2^23. Division by zero gives a / b and a NaN, division by
    an infinity 0 and a, or -1 and b where the signs differ.
    """
    zero, one, minus_one = (constant(opset, value) for value in (0, 1, -1))
    ratio = opset.divide(a, b).output(0)
    quotient = _truncated(opset, ratio)
    rest = _rest(opset, a, b, quotient)
    # Of the exact quotient, rest has the sign of a and is smaller than b; else go one step.
    differ = _signs_differ(opset, a, b)
    step = opset.select(differ, minus_one, one)
    divisor = opset.select(differ, opset.negative(b), b)
    over = opset.logical_and(opset.not_equal(rest, zero), _signs_differ(opset, rest, a))
    under = opset.logical_and(
        opset.logical_not(over), opset.less_equal(absolute(opset, b), absolute(opset, rest))
    )
    quotient = opset.subtract(quotient, opset.select(over, step, zero))
    quotient = opset.add(quotient, opset.select(under, step, zero))
    rest = opset.add(rest, opset.select(over, divisor, zero))
    rest = opset.subtract(rest, opset.select(under, divisor, zero))
    # An infinite divisor leaves a whole; the products above are NaN then.
    infinite = opset.equal(absolute(opset, b), constant(opset, np.inf))
    infinite = opset.logical_and(infinite, opset.less(absolute(opset, a), constant(opset, np.inf)))
    quotient = opset.select(infinite, zero, quotient)
    rest = opset.select(infinite, a, rest).output(0)
    # From truncation to floor.
    down = opset.logical_and(opset.not_equal(rest, zero), _signs_differ(opset, rest, b))
    quotient = opset.add(quotient, opset.select(down, minus_one, zero))
    rest = opset.select(down, opset.add(rest, b), rest).output(0)
    quotient = unless_nan(opset, rest, rest, quotient.output(0))
    return opset.select(opset.equal(b, zero), ratio, quotient).output(0), rest


def _truncated(opset: Any, x: Output) -> Output:
    negative = opset.less(x, constant(opset, 0))
    return opset.select(negative, opset.ceiling(x), opset.floor(x)).output(0)


def _rest(opset: Any, a: Output, b: Output, quotient: Output) -> Output:
    """A - quotient * b, exact where the product is near a."""
    product = opset.multiply(quotient, b).output(0)
    error = _product_error(opset, quotient, b, product)
    return opset.subtract(opset.subtract(a, product), error).output(0)


def _product_error(opset: Any, a: Output, b: Output, product: Output) -> Output:
    """What ``product``, a * b rounded, lacks of the exact product (Dekker, 1971)."""
    high_a, low_a = _split(opset, a)
    high_b, low_b = _split(opset, b)
    error = opset.subtract(opset.multiply(high_a, high_b), product)
    error = opset.add(error, opset.multiply(high_a, low_b))
    error = opset.add(error, opset.multiply(low_a, high_b))
    return opset.add(error, opset.multiply(low_a, low_b)).output(0)


def _split(opset: Any, x: Output) -> tuple[Output, Output]:
    """Two numbers of 12 bits each whose sum is x."""
    scaled = opset.multiply(x, constant(opset, _SPLITTER))
    high = opset.subtract(scaled, opset.subtract(scaled, x)).output(0)
    return high, opset.subtract(x, high).output(0)


def _signs_differ(opset: Any, a: Output, b: Output) -> Output:
    zero = constant(opset, 0)
    return opset.logical_xor(opset.less(a, zero), opset.less(b, zero)).output(0)
