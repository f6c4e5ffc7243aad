"""Converters of attention."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Value, ops
from fwd_core.ir.dims import divide_exactly
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::scaled_dot_product_attention")
def scaled_dot_product_attention(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor.

    bool or float masks, causal, grouped queries. dropout_p must be 0.
    """
    if dropout_p:
        raise ctx.unsupported("dropout_p", "dropout is random", "call model.eval()")
    if is_causal and attn_mask is not None:
        raise ConversionError(
            "scaled_dot_product_attention: a mask and is_causal exclude each other"
        )
    if enable_gqa:
        heads = query.type.shape[-3]
        key, value = _repeated(ctx, key, heads), _repeated(ctx, value, heads)
    return ctx.emit(ops.Attention(query, key, value, attn_mask, is_causal, scale))


def _repeated(ctx: ConversionContext, x: Value, heads: object) -> Value:
    """Each head of [*, H, S, E] repeated so that there are ``heads``."""
    *lead, own, length, features = x.type.shape
    times = divide_exactly(heads, own)  # type: ignore[arg-type]
    if times is None:
        raise ConversionError(
            "scaled_dot_product_attention: heads of the query must be a multiple of the key's",
            expected=f"a multiple of {own}",
            got=heads,
        )
    if times == 1:
        return x
    axis = x.type.rank - 2
    wide = ctx.emit(ops.Unsqueeze(x, (axis,)), "group")
    full = ctx.emit(ops.Expand(wide, (*lead, own, times, length, features)), "repeated")
    return ctx.emit(ops.Reshape(full, (*lead, own * times, length, features)), "heads")
