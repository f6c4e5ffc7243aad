"""Attention."""

from __future__ import annotations

import math

import numpy as np

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.magnitude import magnitude
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType


@operator
class Attention(Operator):
    """Scaled dot-product attention: softmax(query key^T * scale + mask) value.

    query is [*lead, L, E], key [*lead, S, E], value [*lead, S, F], the result [*lead, L, F];
    leading axes broadcast. ``mask`` broadcasts to [*lead, L, S]: bool keeps where true, float is
    added. A row that a mask empties, with false or with minus infinity, gives zeros, as torch's
    kernels do. ``causal`` keeps keys up to the query's own position, counted from the start.
    ``scale`` None means 1/sqrt(E).
    ``aten::scaled_dot_product_attention`` without dropout.
    """

    query: Value
    key: Value
    value: Value
    mask: Value | None = None
    causal: bool = False
    scale: float | None = None

    def infer(self) -> TensorType:
        what = self.kind()
        check.require_dtype(what, self.query, check.FLOATS)
        dtype = check.require_same_dtype(what, self.query, self.key, self.value)
        for operand in (self.query, self.key, self.value):
            if operand.type.rank < 2:
                raise GraphError(f"{what}: rank 2 or more", got=operand.type)
        *lead_q, length, features = self.query.type.shape
        *lead_k, source, features_k = self.key.type.shape
        *lead_v, source_v, features_v = self.value.type.shape
        check.require_equal(f"{what} features of query and key", features, features_k)
        check.require_equal(f"{what} lengths of key and value", source, source_v)
        lead = check.broadcast_shapes(what, lead_q, lead_k, lead_v)
        scores = (*lead, length, source)
        masked = scores
        if self.mask is not None:
            masked = check.broadcast_shapes(what, scores, self.mask.type.shape)
        if masked != scores:
            raise GraphError(
                f"{what}: the mask widens the scores", expected=list(scores), got=list(masked)
            )
        if self.mask is not None and self.mask.type.dtype not in check.BOOL | {dtype}:
            raise GraphError(f"{what}: mask is bool or {dtype}", got=self.mask.type)
        return TensorType(dtype, (*lead, length, features_v))

    def factor(self) -> float:
        """The number that scores are multiplied by.

        Raises:
            GraphError: No scale is given and the feature size is dynamic.
        """
        if self.scale is not None:
            return self.scale
        features: Dim = self.query.type.shape[-1]
        if not isinstance(features, int):
            raise GraphError(f"{self.kind()}: a dynamic feature size needs a scale", got=features)
        return 1.0 / math.sqrt(features or 1)  # scores of no features are zero

    def may_empty_rows(self) -> bool:
        """Whether the mask may leave a row no key; causal alone always leaves the first one."""
        if self.mask is None:
            return False
        known = self.mask.constant
        if known is None:
            return self.mask.type.dtype in check.BOOL or not math.isfinite(magnitude(self.mask))
        kept = known.data if self.mask.type.dtype in check.BOOL else known.numpy() != -math.inf
        return self.causal or not bool(kept.any(axis=-1).all())

    def decompose(self, emit: Emitter) -> Value:
        from fwd_core.ir.ops import elementwise as ew
        from fwd_core.ir.ops import linear, normalization, reduction

        dtype = self.query.type.dtype

        def number(value: float, name: str) -> Value:
            return emit.constant(Tensor(np.array(value, np.float64)).astype(dtype), name)

        scaled = emit(ew.Mul(self.query, number(self.factor(), "scale")), "scaled")
        scores = emit(linear.MatMul(scaled, self.key, transpose_b=True), "scores")
        keep = self.mask if self.mask is not None and self.mask.type.dtype in check.BOOL else None
        if self.mask is not None and keep is None:
            scores = emit(ew.Add(scores, self.mask), "masked")
            if self.may_empty_rows():
                keep = emit(ew.NotEqual(self.mask, number(-math.inf, "removed")), "kept")
        if self.causal:
            causal = causal_mask(emit, self.query.type.shape[-2], self.key.type.shape[-2])
            keep = causal if keep is None else emit(ew.And(keep, causal), "keep")
        if keep is None:
            weights = emit(normalization.Softmax(scores, scores.type.rank - 1), "weights")
            return emit(linear.MatMul(weights, self.value), "attention")
        lowest = number(dtype.limits[0], "lowest")
        masked = emit(ew.Where(keep, scores, lowest), "masked")
        weights = emit(normalization.Softmax(masked, masked.type.rank - 1), "weights")
        # A fully masked row is uniform after softmax over equal numbers; torch gives zeros.
        anything = emit(reduction.ReduceAny(keep, (keep.type.rank - 1,), keepdims=True), "any")
        weights = emit(ew.Where(anything, weights, number(0.0, "zero")), "kept")
        return emit(linear.MatMul(weights, self.value), "attention")


def causal_mask(emit: Emitter, length: Dim, source: Dim) -> Value:
    """bool[length, source], true where the key is not after the query, counted from the start."""
    from fwd_core.ir.ops import creation, elementwise, shape

    rows = emit(shape.Unsqueeze(emit(creation.Arange(length)), (1,)), "rows")
    columns = emit(creation.Arange(source), "columns")
    return emit(elementwise.LessEqual(columns, rows), "causal")
