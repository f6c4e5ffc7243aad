"""Attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fwd_core.backends.openvino.context import OpenVINOLowering
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
from fwd_core.ir.ops import attention as ops
from fwd_core.plugins import lowering

if TYPE_CHECKING:
    from openvino import Output


def without_scale(_ctx: OpenVINOLowering, op: ops.Attention) -> str | None:
    """The scale is a constant, so a feature size that is dynamic needs one."""
    if op.scale is None and not isinstance(op.query.type.shape[-1], int):
        return "a feature size that is dynamic needs a scale"
    return None


@lowering("openvino", ops.Attention, unless=without_scale)
def attention(ctx: OpenVINOLowering, op: ops.Attention) -> Output:
    """ScaledDotProductAttention with an explicit scale, which keeps sizes out of the model.

    OpenVINO ignores the mask where ``causal`` is set, so both become one mask. A row that a mask
    empties would be NaN: where that may happen attention is written out, in the form that
    OpenVINO fuses to the same kernel, and such rows' weights are put to zero inside of it.
    """
    opset, rank = ctx.opset, len(op.infer().shape)
    # OpenVINO wants at least one leading axis, and at least both axes of the mask.
    query, key, value = (
        _with_rank(ctx, ctx[one], one.type.rank, 3 if rank == 2 else 2)
        for one in (op.query, op.key, op.value)
    )
    mask = None if op.mask is None else _with_rank(ctx, ctx[op.mask], op.mask.type.rank, 2)
    is_bool = op.mask is not None and op.mask.type.dtype is DType.BOOL
    if mask is not None and op.causal:
        mask = _with_causal(ctx, mask, is_bool, op.query.type.shape[-2], op.key.type.shape[-2])
    scale = ctx.number(op.factor(), DType.FLOAT32)
    if mask is not None and op.may_empty_rows():
        scores = opset.multiply(opset.matmul(query, key, False, True), scale)
        if op.key.type.shape[-2] == 1:
            # The weight of a lone key is 1. What OpenVINO 2026.4 fuses takes the wrong rows of
            # the mask then, if the batch is dynamic; without a softmax it fuses nothing.
            weights = opset.exp(opset.subtract(scores, scores))
        else:
            added = opset.add(scores, _added(ctx, mask) if is_bool else mask)
            weights = opset.softmax(added, -1)
        zero = ctx.number(0, DType.FLOAT32)
        weights = opset.select(_rows_kept(ctx, mask, is_bool), weights, zero)
        result = opset.matmul(weights, value, False, False).output(0)
    else:
        causal_alone = op.causal and mask is None
        result = opset.scaled_dot_product_attention(
            query, key, value, mask, scale, causal_alone
        ).output(0)
    return opset.squeeze(result, ctx.vector([0])).output(0) if rank == 2 else result


def _with_causal(
    ctx: OpenVINOLowering, mask: Output, is_bool: bool, length: Dim, source: Dim
) -> Output:
    """The mask, which now also removes what is after the query; layers share it."""
    key = ("with causal", mask, length, source)
    if key not in ctx.memo:
        causal = _causal(ctx, length, source)
        if is_bool:
            ctx.memo[key] = ctx.opset.logical_and(mask, causal).output(0)
        else:
            lowest = ctx.number(-np.inf, DType.FLOAT32)
            ctx.memo[key] = ctx.opset.select(causal, mask, lowest).output(0)
    return ctx.memo[key]


def _added(ctx: OpenVINOLowering, mask: Output) -> Output:
    """What a bool mask adds to scores; layers share it."""
    key = ("added", mask)
    if key not in ctx.memo:
        zero, lowest = (ctx.number(value, DType.FLOAT32) for value in (0, -np.inf))
        ctx.memo[key] = ctx.opset.select(mask, zero, lowest).output(0)
    return ctx.memo[key]


def _rows_kept(ctx: OpenVINOLowering, mask: Output, is_bool: bool) -> Output:
    """Whether a mask leaves a row any key, with 1 as last size; layers share it."""
    key = ("rows kept", mask)
    if key not in ctx.memo:
        lowest = ctx.number(-np.inf, DType.FLOAT32)
        keep = mask if is_bool else ctx.opset.not_equal(mask, lowest)
        ctx.memo[key] = ctx.opset.reduce_logical_or(keep, ctx.vector([-1]), True).output(0)
    return ctx.memo[key]


def _causal(ctx: OpenVINOLowering, length: Dim, source: Dim) -> Output:
    """Whether the key is not after the query: bool[length, source]."""
    key = ("causal", length, source)
    if key not in ctx.memo:
        rows, columns = (
            ctx.opset.range(ctx.scalar(0), ctx.scalar(size), ctx.scalar(1), "i64")
            for size in (length, source)
        )
        rows = ctx.opset.unsqueeze(rows, ctx.vector([1]))
        ctx.memo[key] = ctx.opset.less_equal(columns, rows).output(0)
    return ctx.memo[key]


def _with_rank(ctx: OpenVINOLowering, x: Output, rank: int, wanted: int) -> Output:
    """The tensor with leading axes of size 1 up to a rank."""
    if rank >= wanted:
        return x
    return ctx.opset.unsqueeze(x, ctx.vector(range(wanted - rank))).output(0)
