"""Rows of weights, picked and joined: of float constants, and of quantized ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import Emitter, Tensor, Value, ops
from fwd_plugins_bert import match


@dataclass(frozen=True)
class Rows:
    """A weight [out, in] whose rows are known.

    ``scale`` and the pair are there where it is quantized by rows, or as a whole.
    """

    data: Tensor
    scale: NDArray[np.float32] | None = None
    quantize: ops.Quantize | None = None
    dequantize: ops.Dequantize | None = None

    def form(self) -> tuple[object, ...]:
        """What weights must have in common to be joined."""
        pair = self.quantize
        ends = None if pair is None else (pair.low, pair.high, pair.dtype)
        dtype = None if self.dequantize is None else self.dequantize.dtype
        return (self.data.dtype, dtype, ends)

    @staticmethod
    def joined(parts: Sequence[tuple[Rows, NDArray[np.int64]]], emit: Emitter) -> Value:
        """A weight of the rows that are picked from each, in order."""
        first = parts[0][0]
        rows = np.concatenate([_picked(weight.data.data, picked) for weight, picked in parts])
        constant = emit.constant(Tensor(rows, first.data.dtype), "weight")
        if first.dequantize is None:
            return constant
        scales = [
            np.broadcast_to(weight.scale, weight.data.shape[:1])[picked]
            for weight, picked in parts
            if weight.scale is not None
        ]
        scale = emit.constant(Tensor(np.concatenate(scales)), "scale")
        narrow = constant
        if first.quantize is not None:
            quantize = dataclasses.replace(first.quantize, x=constant, scale=scale, axis=0)
            narrow = emit(quantize, "quantized")
        dequantize = dataclasses.replace(first.dequantize, x=narrow, scale=scale, axis=0)
        return emit(dequantize, "dequantized")


def rows_of(weight: Value) -> Rows | None:
    """The rows of a weight, if they are constant."""
    known = weight.constant
    if known is not None:
        return Rows(known)
    dequantize = match.made_by(weight, ops.Dequantize)
    if dequantize is None or dequantize.zero_point is not None or dequantize.axis not in (None, 0):
        return None
    scale = dequantize.scale.constant
    quantize = match.made_by(dequantize.x, ops.Quantize)
    known = (dequantize.x if quantize is None else quantize.x).constant
    if scale is None or known is None:
        return None
    if quantize is not None and (
        quantize.zero_point is not None
        or quantize.axis != dequantize.axis
        or quantize.scale.constant is None
        or quantize.scale.constant.digest != scale.digest
    ):
        return None
    return Rows(known, scale.data.astype(np.float32), quantize, dequantize)


def _picked(rows: NDArray[np.generic], picked: NDArray[np.int64]) -> NDArray[np.generic]:
    """Rows by their positions, without a copy where they lie together."""
    first, count = int(picked[0]), len(picked)
    together = np.array_equal(picked, np.arange(first, first + count))
    return rows[first : first + count] if together else rows[picked]
