"""Converters of attention: torch's one operator, the kernels that it chooses, and whole layers."""

from __future__ import annotations

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_core.ir.dims import divide_exactly
from fwd_core.ir.ops.attention import causal_mask
from fwd_ops_torch.converting import ConversionContext, converts

_KERNEL = {
    "compute_log_sumexp": "the sums are there when they are used",
    "return_debug_mask": "shows what dropout did, which is nothing",
    "dropout_mask": "says what dropout_p draws, which is nothing",
}


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
    _refuse_dropout(ctx, dropout_p)
    if is_causal and attn_mask is not None:
        raise ConversionError(
            "scaled_dot_product_attention: a mask and is_causal exclude each other"
        )
    if enable_gqa:
        key, value = _grouped(ctx, query, key, value)
    mask = _mask(ctx, query, attn_mask)
    return _attended(ctx, ops.Attention(query, key, value, mask, is_causal, scale))


@converts("aten::_scaled_dot_product_attention_math", no_effect=_KERNEL)
def attention_math(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Value, Value]:
    """aten::_scaled_dot_product_attention_math(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0.0, bool is_causal=False, Tensor? dropout_mask=None, *, float? scale=None, bool enable_gqa=False) -> (Tensor, Tensor).

    Also the weights, which clean-up removes when unused. This form adds a bool mask as numbers.
    """
    if enable_gqa:
        key, value = _grouped(ctx, query, key, value)
    if attn_mask is not None:
        attn_mask = ctx.cast(attn_mask, query.type.dtype)
    result = scaled_dot_product_attention(
        ctx, query, key, value, attn_mask, dropout_p, is_causal, scale
    )
    attention = ops.Attention(query, key, value, _mask(ctx, query, attn_mask), is_causal, scale)
    return result, _weights(ctx, attention)


@converts("aten::_scaled_dot_product_flash_attention_for_cpu")
def attention_for_cpu(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    attn_mask: Value | None = None,
    scale: float | None = None,
) -> tuple[Value, Value]:
    """aten::_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, float dropout_p=0.0, bool is_causal=False, *, Tensor? attn_mask=None, float? scale=None) -> (Tensor output, Tensor logsumexp).

    [batch, heads, length, features] and a float mask.
    """
    return _kernel(ctx, query, key, value, attn_mask, dropout_p, is_causal, scale)


@converts("aten::_scaled_dot_product_efficient_attention", no_effect=_KERNEL)
def efficient_attention(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    attn_bias: Value | None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Value, ...]:
    """aten::_scaled_dot_product_efficient_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_bias, bool compute_log_sumexp, float dropout_p=0.0, bool is_causal=False, *, float? scale=None) -> (Tensor output, Tensor log_sumexp, Tensor philox_seed, Tensor philox_offset).

    Seed and offset are of dropout, and zero.
    """
    made = _kernel(ctx, query, key, value, attn_bias, dropout_p, is_causal, scale)
    return (*made, *(ctx.number(0, DType.INT64, name) for name in ("seed", "offset")))


@converts(
    "aten::_scaled_dot_product_flash_attention",
    "aten::_scaled_dot_product_cudnn_attention",
    "aten::_scaled_dot_product_fused_attention_overrideable",
    no_effect=_KERNEL,
    unsupported=dict.fromkeys(
        ("q_descale", "k_descale", "v_descale"), "8-bit floats are for CUDA only"
    ),
)
def flash_attention(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    attn_bias: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> tuple[Value | Dim | None, ...]:
    """aten::_scaled_dot_product_flash_attention(Tensor query, Tensor key, Tensor value, float dropout_p=0.0, bool is_causal=False, bool return_debug_mask=False, *, float? scale=None) -> (Tensor output, Tensor logsumexp, Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt max_k, Tensor rng_state, Tensor unused, Tensor debug_attn_mask).

    What is counted is for sequences of unequal lengths, and there is none; states are of dropout.
    """
    made = _kernel(ctx, query, key, value, attn_bias, dropout_p, is_causal, scale)
    zeros = [ctx.number(0, DType.INT64, name) for name in ("seed", "offset")]
    empty = ctx.emit(ops.Full((0,), 0.0, query.type.dtype), "debug_mask")
    lengths = (query.type.shape[-2], key.type.shape[-2])
    return (*made, None, None, *lengths, *zeros, empty)


@converts("aten::_safe_softmax")
def safe_softmax(ctx: ConversionContext, x: Value, dim: int, dtype: DType | None = None) -> Value:
    """aten::_safe_softmax(Tensor self, int dim, ScalarType? dtype=None) -> Tensor. Floats.

    A row of nothing but minus infinity gives zeros.
    """
    value = x if dtype is None else ctx.cast(x, dtype)
    axis = ctx.axis(dim, x.type.rank)
    if not x.type.rank:
        wide = ctx.emit(ops.Unsqueeze(value, (0,)))
        return ctx.emit(ops.Squeeze(_safe(ctx, wide, 0), (0,)))
    return _safe(ctx, value, axis)


@converts("aten::_native_multi_head_attention")
def native_multi_head_attention(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    embed_dim: int,
    num_head: int,
    qkv_weight: Value,
    qkv_bias: Value,
    proj_weight: Value,
    proj_bias: Value,
    mask: Value | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Value, Value | None]:
    """aten::_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int num_head, Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, Tensor? mask=None, bool need_weights=True, bool average_attn_weights=True, int? mask_type=None) -> (Tensor, Tensor).

    The fast path of nn.MultiheadAttention: [batch, length, features], true where a mask removes.
    """
    operands = (query, key, value)
    if any(one.type.rank != 3 for one in operands) or not all(
        map(is_equal, (*key.type.shape, *value.type.shape), query.type.shape * 2)
    ):
        raise ConversionError(
            f"{ctx.operator}: query, key and value have one shape of 3 axes",
            got=", ".join(str(one.type) for one in operands),
        )
    batch, length, _ = query.type.shape
    size = divide_exactly(embed_dim, num_head)
    if size is None:
        raise ConversionError(
            f"{ctx.operator}: heads do not divide the features",
            got=f"{num_head} heads of {embed_dim}",
        )
    parts = []
    for index, one in enumerate(operands):
        weight, bias = (
            ctx.emit(ops.Slice(whole, 0, embed_dim * index, embed_dim), "part")
            for whole in (qkv_weight, qkv_bias)
        )
        flat = ctx.emit(ops.Linear(one, weight, bias), "qkv"[index])
        split = ctx.emit(ops.Reshape(flat, (batch, length, num_head, size)), "heads")
        parts.append(ctx.emit(ops.Transpose(split, (0, 2, 1, 3)), "heads"))
    keep = None if mask is None else _kept(ctx, mask, mask_type, (batch, num_head, length))
    attention = ops.Attention(parts[0], parts[1], parts[2], keep)
    joined = ctx.emit(ops.Transpose(ctx.emit(attention), (0, 2, 1, 3)), "joined")
    joined = ctx.emit(ops.Reshape(joined, (batch, length, embed_dim)), "joined")
    result = ctx.emit(ops.Linear(joined, proj_weight, proj_bias), "projection")
    if not need_weights:
        return result, None
    weights = _weights(ctx, attention)
    return result, ctx.emit(ops.ReduceMean(weights, (1,))) if average_attn_weights else weights


@converts("aten::_transformer_encoder_layer_fwd")
def transformer_encoder_layer(
    ctx: ConversionContext,
    src: Value,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Value,
    qkv_bias: Value,
    proj_weight: Value,
    proj_bias: Value,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Value,
    norm_bias_1: Value,
    norm_weight_2: Value,
    norm_bias_2: Value,
    ffn_weight_1: Value,
    ffn_bias_1: Value,
    ffn_weight_2: Value,
    ffn_bias_2: Value,
    mask: Value | None = None,
    mask_type: int | None = None,
) -> Value:
    """aten::_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool norm_first, float eps, Tensor norm_weight_1, Tensor norm_bias_1, Tensor norm_weight_2, Tensor norm_bias_2, Tensor ffn_weight_1, Tensor ffn_bias_1, Tensor ffn_weight_2, Tensor ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor.

    The fast path of nn.TransformerEncoderLayer: [batch, length, features].
    """

    def first(x: Value) -> Value:
        return ctx.emit(ops.LayerNorm(x, norm_weight_1, norm_bias_1, 1, eps), "norm1")

    def second(x: Value) -> Value:
        return ctx.emit(ops.LayerNorm(x, norm_weight_2, norm_bias_2, 1, eps), "norm2")

    x = first(src) if norm_first else src
    attended, _ = native_multi_head_attention(
        ctx, x, x, x, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias,
        mask, False, True, mask_type,
    )  # fmt: skip
    x = ctx.emit(ops.Add(attended, src), "attended")
    x = x if norm_first else first(x)
    inner = ctx.emit(
        ops.Linear(second(x) if norm_first else x, ffn_weight_1, ffn_bias_1), "linear1"
    )
    inner = ctx.emit(ops.Gelu(inner) if use_gelu else ops.Relu(inner), "activation")
    x = ctx.emit(ops.Add(ctx.emit(ops.Linear(inner, ffn_weight_2, ffn_bias_2), "linear2"), x))
    return x if norm_first else second(x)


def _kernel(
    ctx: ConversionContext,
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
) -> tuple[Value, Value]:
    """The result, and the logarithm of each row's sum, which clean-up removes when unused."""
    _refuse_dropout(ctx, dropout_p)
    operands = (query, key, value)
    if any(one.type.rank != 4 for one in operands) or (
        mask is not None and mask.type.dtype is not query.type.dtype
    ):
        raise ConversionError(
            f"{ctx.operator}: [batch, heads, length, features] and a mask of their dtype",
            got=", ".join(str(one.type) for one in (*operands, mask) if one is not None),
        )
    attention = ops.Attention(query, key, value, mask, is_causal, scale)
    wide = ctx.cast(_scores(ctx, attention), DType.FLOAT32)
    most = ctx.emit(ops.ReduceMax(wide, (3,), keepdims=True), "greatest")
    terms = ctx.emit(ops.Exp(ctx.emit(ops.Sub(wide, most))), "terms")
    total = ctx.emit(ops.Log(ctx.emit(ops.ReduceSum(terms, (3,)))), "total")
    sums = ctx.emit(ops.Add(total, ctx.emit(ops.Squeeze(most, (3,)))), "sums")
    # Of a row that a mask empties torch's kernel says 0.
    kept = ctx.emit(ops.Squeeze(_kept_rows(ctx, wide, 3), (3,)), "kept")
    zero = ctx.number(0.0, DType.FLOAT32, "zero")
    return _attended(ctx, attention), ctx.emit(ops.Where(kept, sums, zero), "logsumexp")


def _attended(ctx: ConversionContext, attention: ops.Attention) -> Value:
    """The result; zeros where there are no keys, as torch says."""
    if attention.key.type.shape[-2] == 0:
        made = attention.infer()
        return ctx.emit(ops.Full(made.shape, 0.0, made.dtype))
    return ctx.emit(attention)


def _scores(ctx: ConversionContext, op: ops.Attention) -> Value:
    """Scaled and masked products of queries and keys."""
    dtype = op.query.type.dtype
    # TensorRT-RTX 1.7 cannot compile products that share a scaled query with its attention layer.
    scaled = ctx.emit(ops.Mul(op.key, ctx.number(op.factor(), dtype, "scale")), "scaled")
    scores = ctx.emit(ops.MatMul(op.query, scaled, transpose_b=True), "scores")
    lowest = ctx.number(float("-inf"), dtype, "lowest")
    if op.mask is not None and op.mask.type.dtype is DType.BOOL:
        scores = ctx.emit(ops.Where(op.mask, scores, lowest), "masked")
    elif op.mask is not None:
        scores = ctx.emit(ops.Add(scores, op.mask), "masked")
    if op.causal:
        lengths = op.query.type.shape[-2], op.key.type.shape[-2]
        causal = causal_mask(ctx.emit, *lengths)  # type: ignore[arg-type]
        scores = ctx.emit(ops.Where(causal, scores, lowest), "causal")
    return scores


def _weights(ctx: ConversionContext, op: ops.Attention) -> Value:
    scores = _scores(ctx, op)
    return _safe(ctx, scores, scores.type.rank - 1)


def _safe(ctx: ConversionContext, x: Value, axis: int) -> Value:
    """Softmax, with zeros for a row of nothing but minus infinity."""
    kept, weights = _kept_rows(ctx, x, axis), ctx.emit(ops.Softmax(x, axis), "weights")
    return ctx.emit(ops.Where(kept, weights, ctx.number(0.0, x.type.dtype, "zero")), "softmax")


def _kept_rows(ctx: ConversionContext, x: Value, axis: int) -> Value:
    """Whether a row is more than minus infinity; the axis has size 1."""
    some = ctx.emit(ops.NotEqual(x, ctx.number(float("-inf"), x.type.dtype, "lowest")), "some")
    return ctx.emit(ops.ReduceAny(some, (axis,), keepdims=True), "kept")


def _mask(ctx: ConversionContext, query: Value, mask: Value | None) -> Value | None:
    """A mask that is bool or of the query's dtype; torch also takes float32 for a half query."""
    if mask is None or mask.type.dtype in (DType.BOOL, query.type.dtype):
        checked = mask
    elif mask.type.dtype is DType.FLOAT32 and query.type.dtype.is_float:
        checked = ctx.cast(mask, query.type.dtype)
    else:
        raise ConversionError(
            f"{ctx.operator}: a mask is bool, float32 or of the query's dtype", got=mask.type
        )
    if checked is not None and checked.type.rank < 2:
        raise ConversionError(f"{ctx.operator}: a mask has 2 axes or more", got=checked.type)
    return checked


def _kept(
    ctx: ConversionContext, mask: Value, mask_type: int | None, sizes: tuple[Dim, Dim, Dim]
) -> Value:
    """What a mask of the native kernels keeps: [batch, heads, length, length], or 1 for some."""
    batch, heads, length = sizes
    shapes: dict[int | None, tuple[Dim, ...]] = {
        0: (length, length),
        1: (batch, length),
        2: (batch, heads, length, length),
    }
    wanted = shapes.get(mask_type)
    if wanted is None:
        raise ConversionError(f"{ctx.operator}: mask_type is 0, 1 or 2", got=mask_type)
    if len(wanted) != mask.type.rank or not all(map(is_equal, wanted, mask.type.shape)):
        raise ConversionError(
            f"{ctx.operator}: the mask's shape does not fit mask_type {mask_type}",
            expected=list(wanted),
            got=mask.type,
        )
    keep = ctx.emit(ops.Not(ctx.cast(mask, DType.BOOL)), "keep")
    return ctx.emit(ops.Unsqueeze(keep, (1, 2)), "keep") if mask_type == 1 else keep


def _refuse_dropout(ctx: ConversionContext, dropout_p: float) -> None:
    if dropout_p:
        raise ctx.unsupported("dropout_p", "dropout is random", "call model.eval()")


def _grouped(ctx: ConversionContext, query: Value, key: Value, value: Value) -> tuple[Value, Value]:
    for one in (query, key, value):
        if one.type.rank < 3:
            raise ConversionError(f"{ctx.operator}: grouped heads need 3 axes", got=one.type)
    heads = query.type.shape[-3]
    return _repeated(ctx, key, heads), _repeated(ctx, value, heads)


def _repeated(ctx: ConversionContext, x: Value, heads: Dim) -> Value:
    """Each head of [*, H, S, E] repeated so that there are ``heads``."""
    *lead, own, length, features = x.type.shape
    times = divide_exactly(heads, own)
    if times is None:
        raise ConversionError(
            f"{ctx.operator}: heads of the query must be a multiple of the key's",
            expected=f"a multiple of {own}",
            got=heads,
        )
    if times == 1:
        return x
    axis = x.type.rank - 2
    wide = ctx.emit(ops.Unsqueeze(x, (axis,)), "group")
    full = ctx.emit(ops.Expand(wide, (*lead, own, times, length, features)), "repeated")
    return ctx.emit(ops.Reshape(full, (*lead, own * times, length, features)), "heads")
