"""Converters of convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, Value, is_less, ops
from fwd_ops_torch.converting import ConversionContext, converts

_KERNEL_CHOICE = dict.fromkeys(
    ("benchmark", "deterministic", "cudnn_enabled", "allow_tf32"),
    "chooses among kernels of equal meaning",
)


@converts("aten::convolution", "aten::_convolution", no_effect=_KERNEL_CHOICE)
def convolution(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    """aten::convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, SymInt groups) -> Tensor.

    1 to 3 spatial axes.
    """
    if x.type.rank != weight.type.rank:
        missing = x.type.rank == weight.type.rank - 1
        raise ConversionError(
            f"{ctx.operator}: input and weight differ in rank",
            expected=f"an input of rank {weight.type.rank}, as the weight {weight.type} has",
            got=f"rank {x.type.rank}: {x.type}",
            hint="give the example inputs a batch axis in front, as in 1x3x224x224"
            if missing
            else None,
        )
    if transposed:
        return _transposed(ctx, x, weight, bias, stride, padding, output_padding, groups, dilation)
    if any(output_padding):
        raise ConversionError(
            "output_padding is for transposed convolution only", got=output_padding
        )
    return _convolve(ctx, x, weight, bias, stride, padding, dilation, groups)


@converts("aten::conv1d", "aten::conv2d", "aten::conv3d")
def conv(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value:
    """aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] dilation=1, SymInt groups=1) -> Tensor.

    Padding may be "same" or "valid".
    """
    spatial = int(ctx.operator[-2])
    if weight.type.rank != spatial + 2:
        raise ConversionError(
            f"{ctx.operator}: wrong rank of weight", expected=f"{spatial + 2} axes", got=weight.type
        )
    return _convolve(ctx, x, weight, bias, stride, padding, dilation, groups)


@converts("aten::_convolution_mode")
def convolution_mode(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """aten::_convolution_mode(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, str padding, SymInt[] dilation, SymInt groups) -> Tensor.

    What ``padding="same"`` or ``"valid"`` becomes in a trace.
    """
    return _convolve(ctx, x, weight, bias, stride, padding, dilation, groups)


@converts("aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d")
def conv_transpose(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Value:
    """aten::conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] output_padding=0, SymInt groups=1, SymInt[2] dilation=1) -> Tensor.

    Floats.
    """
    spatial = int(ctx.operator[-2])
    if weight.type.rank != spatial + 2:
        raise ConversionError(
            f"{ctx.operator}: wrong rank of weight", expected=f"{spatial + 2} axes", got=weight.type
        )
    return _transposed(ctx, x, weight, bias, stride, padding, output_padding, groups, dilation)


@converts("aten::conv_tbc")
def conv_tbc(ctx: ConversionContext, x: Value, weight: Value, bias: Value, pad: int = 0) -> Value:
    """aten::conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor.

    x is [time, batch, channels], weight [kernel, channels, maps]. Floats.
    """
    for what, value, rank in (("self", x, 3), ("weight", weight, 3), ("bias", bias, 1)):
        if value.type.rank != rank:
            raise ConversionError(
                f"conv_tbc: wrong rank of {what}", expected=f"{rank} axes", got=value.type
            )
    image = ctx.emit(ops.Transpose(x, (1, 2, 0)), "channels_first")
    kernel = ctx.emit(ops.Transpose(weight, (2, 1, 0)), "kernel")
    _require_room(ctx, image, kernel, (pad,), (pad,), (1,))
    result = ctx.emit(ops.Convolution(image, kernel, bias, (1,), (pad,), (pad,), (1,)))
    return ctx.emit(ops.Transpose(result, (2, 0, 1)))


def _transposed(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    groups: int,
    dilation: Sequence[int],
) -> Value:
    rank = weight.type.rank
    if x.type.rank == rank - 1:
        image = ctx.emit(ops.Unsqueeze(x, (0,)))
        result = _transposed(
            ctx, image, weight, bias, stride, padding, output_padding, groups, dilation
        )
        return ctx.emit(ops.Squeeze(result, (0,)))
    steps, pads, more, rates = (
        _spread(entries, rank - 2) for entries in (stride, padding, output_padding, dilation)
    )
    _require_not_negative(ctx, "padding", pads)
    _require_not_negative(ctx, "output_padding", more)
    count = ctx.static(groups, "groups")
    op = ops.ConvolutionTranspose(x, weight, bias, steps, pads, more, rates, count)
    for size in op.infer().shape[2:]:
        ctx.require_enough("padding", 1, size)
    return ctx.emit(op)


def _convolve(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Value:
    rank = weight.type.rank
    if x.type.rank == rank - 1:  # torch takes one image without a batch axis
        image = ctx.emit(ops.Unsqueeze(x, (0,)))
        result = _convolve(ctx, image, weight, bias, stride, padding, dilation, groups)
        return ctx.emit(ops.Squeeze(result, (0,)))
    spatial = rank - 2
    steps, rates = _spread(stride, spatial), _spread(dilation, spatial)
    before, after = _padding(padding, weight.type.shape[2:], steps, rates)
    _require_not_negative(ctx, "padding", before)
    count = ctx.static(groups, "groups")
    _require_room(ctx, x, weight, before, after, rates)
    return ctx.emit(ops.Convolution(x, weight, bias, steps, before, after, rates, count))


def _require_not_negative(ctx: ConversionContext, what: str, entries: tuple[int, ...]) -> None:
    if any(is_less(entry, 0) for entry in entries):
        raise ConversionError(
            f"{ctx.operator}: {what} must not be negative",
            expected="0 or more",
            got=list(entries),
            hint="crop the input with x[..., start:end]" if what == "padding" else None,
        )


def _require_room(
    ctx: ConversionContext,
    x: Value,
    weight: Value,
    before: tuple[int, ...],
    after: tuple[int, ...],
    dilation: tuple[int, ...],
) -> None:
    sizes = zip(x.type.shape[2:], weight.type.shape[2:], before, after, dilation, strict=False)
    for size, kernel, low, high, rate in sizes:
        ctx.require_enough("weight", (kernel - 1) * rate + 1, size + low + high)


def _padding(
    padding: Sequence[int] | str,
    kernel: Sequence[Dim],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not isinstance(padding, str):
        both = _spread(padding, len(kernel))
        return both, both
    if padding == "valid":
        none = (0,) * len(kernel)
        return none, none
    if padding != "same":
        raise ConversionError("convolution: unknown padding", expected="same, valid", got=padding)
    if any(step != 1 for step in stride):
        raise ConversionError('convolution: padding="same" needs stride 1', got=stride)
    totals = []
    for size, rate in zip(kernel, dilation, strict=True):
        if not isinstance(size, int):
            raise ConversionError('convolution: padding="same" needs a fixed kernel size', got=size)
        totals.append(rate * (size - 1))
    # An odd total pads one more after: aten/src/ATen/native/Convolution.cpp.
    return tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)


def _spread(entries: Sequence[int], spatial: int) -> tuple[int, ...]:
    listed = tuple(entries)
    if len(listed) == 1:
        return listed * spatial
    if len(listed) != spatial:
        raise ConversionError(
            "convolution: wrong number of entries", expected=f"{spatial} or 1", got=listed
        )
    return listed
