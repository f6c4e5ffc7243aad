"""Attention."""

from __future__ import annotations

import math
from typing import NamedTuple

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import empty_rows
from fwd_core.backends.tensorrt.lowering.creation import steps
from fwd_core.backends.tensorrt.lowering.linear import product
from fwd_core.backends.tensorrt.lowering.normalization import softmax_over
from fwd_core.backends.tensorrt.lowering.reduction import reduced_bool
from fwd_core.backends.tensorrt.lowering.shape import expanded
from fwd_core.ir import dim_facts, ops
from fwd_core.ir.dims import Dim
from fwd_core.ir.dims import product as numel
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.types import Shape
from fwd_core.plugins.markers import lowering


@lowering("tensorrt", ops.Attention)
def attention(ctx: TensorRTLowering, op: ops.Attention) -> ITensor:
    """The fused layer for half types where there is one, else products around a softmax.

    A bool mask becomes an additive one, which the fused kernel reads without kernels of its own.
    """
    rank, dtype = len(_scores(op)), op.query.type.dtype
    mask = _mask_of(ctx, op)
    value = ctx[op.value]
    whole = mask.some is not None and _removes_whole_rows(op)
    if whole and op.mask is not None and empty_rows.are_left(ctx, op.mask, mask.some):
        mask = mask._replace(some=None)
    elif whole:
        # Zeros as values give zeros too, and can be chosen where values are made, ahead of the
        # kernels that attention becomes.
        value = ctx("select", mask.some, value, ctx.scalar(0.0, dtype, rank))
        mask = mask._replace(some=None)
    result = (_fused if _is_fused(ctx, op) else _composed)(ctx, op, value, mask.additive)
    if mask.some is None:
        return result
    # A row without any key is a softmax over equal numbers, or NaN, but zeros are wanted.
    return ctx("select", mask.some, result, ctx.scalar(0.0, dtype, rank))


class _Mask(NamedTuple):
    """What is added to scores, and which rows keep a key where one may not; layers share both."""

    additive: ITensor | None
    some: ITensor | None


def _mask_of(ctx: TensorRTLowering, op: ops.Attention) -> _Mask:
    scores = _scores(op)
    causal = op.causal and not _layer_is_causal(ctx, op)
    key = ("mask", op.mask, causal and scores[-2:], len(scores), op.query.type.dtype)
    if key not in ctx.memo:
        ctx.memo[key] = _made_mask(ctx, op)
    found: _Mask = ctx.memo[key]
    return found


def _made_mask(ctx: TensorRTLowering, op: ops.Attention) -> _Mask:
    keep, additive = _masks(ctx, op)
    dtype, rank = op.query.type.dtype, len(_scores(op))
    empties = op.may_empty_rows()
    if keep is not None:
        additive = _additive(ctx, keep, op)
    elif empties and additive is not None:
        same = ctx.elementwise("EQUAL", additive, ctx.scalar(-math.inf, dtype, rank))
        keep = ctx.unary("NOT", same)
        if not ctx.exact_padding:  # rows that no zeros are chosen for are to be finite
            additive = ctx.elementwise("MAX", additive, _lowest(ctx, op, rank))
    if keep is None or not empties:
        return _Mask(additive, None)
    return _Mask(additive, reduced_bool(ctx, keep, "MAX", (rank - 1,), True))


def _removes_whole_rows(op: ops.Attention) -> bool:
    """Whether the mask is the same for all queries, and as wide as the values or narrower."""
    if op.mask is None or op.causal or op.value.type.rank != len(_scores(op)):
        return False
    *lead, length, _ = (1, 1, *op.mask.type.shape)[-max(op.mask.type.rank, 2) :]
    values = op.value.type.shape[: op.value.type.rank - 2]
    pairs = zip(reversed(lead), reversed(values), strict=False)
    return length == 1 and all(a == 1 or dim_facts.is_equal(a, b) is True for a, b in pairs)


def _masks(ctx: TensorRTLowering, op: ops.Attention) -> tuple[ITensor | None, ITensor | None]:
    """What to keep, as bool, and what to add; both of the rank of the scores or absent."""
    dtype, rank = op.query.type.dtype, len(_scores(op))
    keep = additive = None
    if op.mask is not None:
        mask = ctx.ranked(op.mask, rank)
        if op.mask.type.dtype is DType.BOOL:
            keep = mask
        else:
            additive = mask
    if op.causal and not _layer_is_causal(ctx, op):
        causal = _causal(ctx, op, rank)
        if additive is not None:
            additive = ctx("select", causal, additive, ctx.scalar(-math.inf, dtype, rank))
        else:
            keep = causal if keep is None else ctx.elementwise("AND", keep, causal)
    return keep, additive


def _is_fused(ctx: TensorRTLowering, op: ops.Attention) -> bool:
    # The layer wants keys and values of one shape, and has kernels for half types.
    features = op.key.type.shape[-1], op.value.type.shape[-1]
    half = ctx.computed(op.query.type.dtype) in ("HALF", "BF16")
    return ctx.features.attention and half and dim_facts.is_equal(*features) is True


def _layer_is_causal(ctx: TensorRTLowering, op: ops.Attention) -> bool:
    # The layer's own causal mask, alone, where it does not matter at which end it is aligned.
    lengths = op.query.type.shape[-2], op.key.type.shape[-2]
    square = dim_facts.is_equal(*lengths) is True
    return square and op.mask is None and _is_fused(ctx, op)


def _causal(ctx: TensorRTLowering, op: ops.Attention, rank: int) -> ITensor:
    length, source = op.query.type.shape[-2], op.key.type.shape[-2]
    lead = (1,) * (rank - 2)
    rows = steps(ctx, length, 0, 1, DType.INT32)
    columns = steps(ctx, source, 0, 1, DType.INT32)
    rows = ctx.reshape(rows, (length,), (*lead, length, 1))
    columns = ctx.reshape(columns, (source,), (*lead, 1, source))
    return ctx.unary("NOT", ctx.elementwise("GREATER", columns, rows))


def _additive(ctx: TensorRTLowering, keep: ITensor, op: ops.Attention) -> ITensor:
    rank = len(_scores(op))
    return ctx("select", keep, ctx.scalar(0.0, op.query.type.dtype, rank), _lowest(ctx, op, rank))


def _lowest(ctx: TensorRTLowering, op: ops.Attention, rank: int) -> ITensor:
    # Finite, also when scores are added, so that a row without any key does not become NaN.
    return ctx.scalar(op.query.type.dtype.limits[0] / 2, op.query.type.dtype, rank)


def _composed(
    ctx: TensorRTLowering, op: ops.Attention, value: ITensor, additive: ITensor | None
) -> ITensor:
    shape = _scores(op)
    rank, dtype = len(shape), op.query.type.dtype
    query, key = (ctx.ranked(each, rank) for each in (op.query, op.key))
    value = ctx.unsqueeze(value, op.value.type.shape, range(rank - op.value.type.rank))
    factor = ctx.scalar(op.factor(), dtype, rank)
    if not ctx.features.plain_attention:
        query = ctx.elementwise("PROD", query, factor)
    scores = product(ctx, query, key, transpose_b=True)
    if ctx.features.plain_attention:
        scores = ctx.elementwise("PROD", scores, factor)
    if additive is not None:
        scores = ctx.elementwise("SUM", scores, additive)
    return product(ctx, softmax_over(ctx, scores, shape, rank - 1, dtype), value)


def _fused(
    ctx: TensorRTLowering, op: ops.Attention, value: ITensor, additive: ITensor | None
) -> ITensor:
    """The attention layer takes [batch, heads, length, features]."""
    lead = _scores(op)[:-2]
    query, key, value = (
        _batched(ctx, tensor, of, lead)
        for tensor, of in ((ctx[op.query], op.query), (ctx[op.key], op.key), (value, op.value))
    )
    scaled = ctx.elementwise("PROD", query, ctx.scalar(op.factor(), op.query.type.dtype, 4))
    softmax = ctx.trt.AttentionNormalizationOp.SOFTMAX
    layer = ctx.add(
        "attention",
        scaled,
        key,
        value,
        softmax,
        op.causal and _layer_is_causal(ctx, op),
        # Sizes that no fused kernel is made for are composed by the compiler.
        decomposable=True,
    )
    if additive is not None:
        layer.mask = _mask(ctx, op, additive, lead)
        ctx.check("attention.mask")
    shape = (*_pair(lead), *op.infer().shape[-2:])
    return ctx.reshape(ctx.output(layer), shape, op.infer().shape)


def _batched(ctx: TensorRTLowering, tensor: ITensor, value: Value, lead: Shape) -> ITensor:
    rank, shape = len(lead) + 2, value.type.shape
    matrix, missing = shape[-2:], rank - len(shape)
    have = (*(1,) * missing, *shape)
    wide = ctx.unsqueeze(tensor, shape, range(missing))
    tensor = expanded(ctx, wide, have, (*lead, *matrix))
    return ctx.reshape(tensor, (*lead, *matrix), (*_pair(lead), *matrix))


def _mask(ctx: TensorRTLowering, op: ops.Attention, additive: ITensor, lead: Shape) -> ITensor:
    """Batch and heads each whole or 1, every key by itself."""
    length, source = op.query.type.shape[-2], op.key.type.shape[-2]
    if op.mask is None:
        have: Shape = (*(1,) * len(lead), length, source)
    else:
        have = (*(1,) * (len(lead) + 2 - op.mask.type.rank), *op.mask.type.shape)
        if op.causal:
            have = (*have[:-2], length, source)
    wanted = (*have[:-1], source)
    if len(lead) > 2 and any(dim != 1 for dim in have[: len(lead) - 1]):
        wanted = (*lead[:-1], *wanted[-3:])  # axes that become one must be there in full
    tensor = expanded(ctx, additive, have, wanted)
    return ctx.reshape(tensor, wanted, (*_pair(wanted[:-2]), *wanted[-2:]))


def _pair(lead: Shape) -> tuple[Dim, Dim]:
    """Leading axes as a batch and heads."""
    if len(lead) < 2:
        return (lead[0] if lead else 1, 1)
    return (numel(lead[:-1]), lead[-1])


def _scores(op: ops.Attention) -> Shape:
    """Shape of the scores, with the leading axes of all operands and the mask's rank."""
    *lead, length, _ = op.infer().shape
    return (*lead, length, op.key.type.shape[-2])
