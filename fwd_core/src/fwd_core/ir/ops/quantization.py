"""Numbers in 8 bits and back: what quantized graphs are written in.

A tensor that is quantized and at once dequantized keeps its float type and loses all but 256
values; backends that find such pairs around a product compute it in integers.
"""

from __future__ import annotations

import numpy as np

from fwd_core.errors import GraphError
from fwd_core.ir.dtypes import DType
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.elementwise import Add, Cast, Clamp, Div, Mul, Sub
from fwd_core.ir.ops.shape import Reshape
from fwd_core.ir.ops.unary import Round
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

BYTES = frozenset({DType.INT8, DType.UINT8})


@operator
class Quantize(Operator):
    """clamp(round(x / scale) + zero_point, low, high), of ``dtype`` (int8 or uint8).

    Ties round to even. scale is float32, a single number (rank 0) or one per element of ``axis``
    (rank 1), greater than 0; zero_point is int32, of the same shape, or absent for 0. ``low`` and
    ``high`` lie within the type. The result has the shape of x.
    ``quantized_decomposed::quantize_per_tensor``, ``quantize_per_channel``.
    """

    x: Value
    scale: Value
    zero_point: Value | None = None
    axis: int | None = None
    low: int = -128
    high: int = 127
    dtype: DType = DType.INT8

    def infer(self) -> TensorType:
        what = self.kind()
        check.require_dtype(what, self.x, check.FLOATS)
        if self.dtype not in BYTES:
            raise GraphError(f"{what}: gives int8 or uint8", got=self.dtype)
        least, greatest = self.dtype.limits
        if not least <= self.low < self.high <= greatest:
            raise GraphError(
                f"{what}: bounds within {self.dtype}, low before high",
                expected=f"{least} … {greatest}",
                got=f"{self.low} … {self.high}",
            )
        _check_parameters(what, self.x, self.scale, self.zero_point, self.axis)
        return TensorType(self.dtype, self.x.type.shape)

    def decompose(self, emit: Emitter) -> Value:
        x = self.x if self.x.type.dtype is DType.FLOAT32 else emit(Cast(self.x, DType.FLOAT32))
        scale = _along(emit, self.scale, self.axis, x.type.rank, "scale")
        rounded = emit(Round(emit(Div(x, scale), "scaled")), "rounded")
        if self.zero_point is not None:
            zero = emit(Cast(self.zero_point, DType.FLOAT32), "zero")
            rounded = emit(Add(rounded, _along(emit, zero, self.axis, x.type.rank, "zeros")))
        held = emit(Clamp(rounded, float(self.low), float(self.high)), "clamped")
        return emit(Cast(held, self.dtype), "quantized")


@operator
class Dequantize(Operator):
    """(x - zero_point) * scale, of the float type ``dtype``; the inverse of :class:`Quantize`.

    x is int8 or uint8; scale and zero_point as there. ``quantized_decomposed::
    dequantize_per_tensor``, ``dequantize_per_channel``.
    """

    x: Value
    scale: Value
    zero_point: Value | None = None
    axis: int | None = None
    dtype: DType = DType.FLOAT32

    def infer(self) -> TensorType:
        what = self.kind()
        check.require_dtype(what, self.x, BYTES)
        if not self.dtype.is_float:
            raise GraphError(f"{what}: gives floats", got=self.dtype)
        _check_parameters(what, self.x, self.scale, self.zero_point, self.axis)
        return TensorType(self.dtype, self.x.type.shape)

    def decompose(self, emit: Emitter) -> Value:
        x = emit(Cast(self.x, DType.FLOAT32), "number")
        if self.zero_point is not None:
            zero = emit(Cast(self.zero_point, DType.FLOAT32), "zero")
            x = emit(Sub(x, _along(emit, zero, self.axis, x.type.rank, "zeros")), "moved")
        scaled = emit(Mul(x, _along(emit, self.scale, self.axis, x.type.rank, "scale")), "scaled")
        return scaled if self.dtype is DType.FLOAT32 else emit(Cast(scaled, self.dtype), "cast")


def _check_parameters(
    what: str, x: Value, scale: Value, zero_point: Value | None, axis: int | None
) -> None:
    check.require_dtype(what, scale, frozenset({DType.FLOAT32}))
    check.require_rank(what, scale, 0 if axis is None else 1)
    if axis is not None:
        check.require_axis(what, axis, x.type.rank)
        check.require_equal(what, x.type.shape[axis], scale.type.shape[0])
    if zero_point is not None:
        check.require_dtype(what, zero_point, frozenset({DType.INT32}))
        if zero_point.type.shape != scale.type.shape:
            raise GraphError(
                f"{what}: zero_point has the shape of scale",
                expected=scale.type,
                got=zero_point.type,
            )
    known = scale.constant
    if known is not None and not _is_positive(known):
        raise GraphError(
            f"{what}: scales are finite and greater than 0",
            got=f"{np.min(known.data)} … {np.max(known.data)}",
        )


def _is_positive(scale: Tensor) -> bool:
    numbers = scale.numpy().astype(np.float64)
    return bool((np.isfinite(numbers) & (numbers > 0)).all())


def _along(emit: Emitter, x: Value, axis: int | None, rank: int, name: str) -> Value:
    """Numbers of one axis so that they broadcast over a tensor of a rank."""
    if axis is None:
        return x
    shape = (*(1,) * axis, x.type.shape[0], *(1,) * (rank - axis - 1))
    return emit(Reshape(x, shape), name)
