"""Exact division of float32 tensors with whole quotients, as C's ``fmod`` and torch have it.

OpenVINO's own Mod and FloorMod compute a - floor(a / b) * b with rounded steps, which loses the
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


def constant(opset: Any, value: float) -> Output:
    """A 0-d float32 constant."""
    return opset.constant(np.float32(value)).output(0)


def unless_nan(opset: Any, x: Output, instead: Output, result: Output) -> Output:
    """``instead`` where x is a NaN, else ``result``."""
    return opset.select(opset.not_equal(x, x), instead, result).output(0)


def divide(opset: Any, a: Output, b: Output) -> tuple[Output, Output]:
    """Quotient rounded toward minus infinity, and the remainder, which has the sign of b.

    Exact while the quotient is below 2^23. Division by zero gives a / b and a NaN, division by
    an infinity 0 and a, or -1 and b where the signs differ.
    """
    zero = constant(opset, 0)
    ratio = opset.divide(a, b)
    quotient = opset.floor(ratio)
    product = opset.multiply(quotient, b)
    rest = opset.subtract(opset.subtract(a, product), _product_error(opset, quotient, b, product))

    down = opset.logical_and(opset.not_equal(rest, zero), _signs_differ(opset, rest, b))
    quotient = opset.subtract(quotient, opset.convert(down, "f32"))
    rest = opset.add(rest, opset.select(down, b, zero))
    up = opset.less_equal(opset.abs(b), opset.abs(rest))
    quotient = opset.add(quotient, opset.convert(up, "f32"))
    rest = opset.subtract(rest, opset.select(up, b, zero))

    infinity = constant(opset, np.inf)
    infinite = opset.logical_and(
        opset.equal(opset.abs(b), infinity), opset.less(opset.abs(a), infinity)
    )
    opposite = opset.logical_and(opset.not_equal(a, zero), _signs_differ(opset, a, b))
    minus_one = constant(opset, -1)
    quotient = opset.select(infinite, opset.select(opposite, minus_one, zero), quotient)
    rest = opset.select(infinite, opset.select(opposite, b, a), rest).output(0)
    quotient = unless_nan(opset, rest, rest, quotient.output(0))
    return opset.select(opset.equal(b, zero), ratio, quotient).output(0), rest


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
