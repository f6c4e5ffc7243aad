"""Converters of pooling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, Value, ops
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.importers.undecided import Undecided


@converts("aten::max_pool1d", "aten::max_pool2d", "aten::max_pool3d")
def max_pool(
    ctx: ConversionContext,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Value:
    """aten::max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> Tensor.

    Also 1-d and 3-d, with or without a batch axis.
    """
    return _max_pool(
        ctx, x, int(ctx.operator[-2]), kernel_size, stride, padding, dilation, ceil_mode
    )


@converts("aten::max_pool2d_with_indices", "aten::max_pool3d_with_indices")
def max_pool_with_indices(
    ctx: ConversionContext,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Any, ...]:
    """aten::max_pool2d_with_indices(Tensor self, ...) -> (Tensor, Tensor). The indices may not be used."""
    spatial = int(ctx.operator.split("pool")[1][0])
    pooled = _max_pool(ctx, x, spatial, kernel_size, stride, padding, dilation, ceil_mode)
    reason = f"is the second result of {ctx.operator}, which has no converter yet"
    return pooled, Undecided(reason, "use the pooled values only", data=True)


@converts("aten::avg_pool1d", "aten::avg_pool2d", "aten::avg_pool3d")
def avg_pool(
    ctx: ConversionContext,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """aten::avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor.

    Also 1-d and 3-d. divisor_override must be None.
    """
    if divisor_override is not None:
        raise ctx.unsupported("divisor_override", "it has no converter yet")
    spatial = int(ctx.operator[-2])
    kernel = _spread(kernel_size, spatial)
    steps = _spread(stride, spatial) if stride else kernel
    pads = _spread(padding, spatial)
    return _batched(
        ctx,
        x,
        spatial,
        lambda image: ctx.emit(
            ops.AveragePool(image, kernel, steps, pads, ceil_mode, count_include_pad)
        ),
    )


@converts("aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool2d", "aten::adaptive_avg_pool3d",
          "aten::_adaptive_avg_pool2d", "aten::_adaptive_avg_pool3d")  # fmt: skip
def adaptive_avg_pool(ctx: ConversionContext, x: Value, output_size: Sequence[Dim]) -> Value:
    """aten::adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor. Also 1-d and 3-d."""
    spatial = int(ctx.operator[-2])
    wanted = tuple(output_size) * (spatial if len(output_size) == 1 else 1)

    def pool(image: Value) -> Value:
        if all(size == 1 for size in wanted):
            axes = tuple(range(2, 2 + spatial))
            return ctx.emit(ops.ReduceMean(image, axes, keepdims=True))
        return ctx.emit(ops.AdaptiveAveragePool(image, wanted))

    return _batched(ctx, x, spatial, pool)


def _max_pool(
    ctx: ConversionContext,
    x: Value,
    spatial: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Value:
    kernel = _spread(kernel_size, spatial)
    steps = _spread(stride, spatial) if stride else kernel
    pads, rates = _spread(padding, spatial), _spread(dilation, spatial)
    return _batched(
        ctx,
        x,
        spatial,
        lambda image: ctx.emit(ops.MaxPool(image, kernel, steps, pads, rates, ceil_mode)),
    )


def _batched(
    ctx: ConversionContext, x: Value, spatial: int, pool: Callable[[Value], Value]
) -> Value:
    if x.type.rank == spatial + 2:
        return pool(x)
    if x.type.rank != spatial + 1:
        raise ConversionError(
            f"{ctx.operator}: wrong rank",
            expected=f"{spatial + 1} or {spatial + 2} axes",
            got=x.type,
        )
    return ctx.emit(ops.Squeeze(pool(ctx.emit(ops.Unsqueeze(x, (0,)))), (0,)))


def _spread(entries: Sequence[int], spatial: int) -> tuple[int, ...]:
    listed = tuple(entries)
    if len(listed) not in (1, spatial):
        raise ConversionError(
            "pooling: wrong number of entries", expected=f"{spatial} or 1", got=listed
        )
    return listed * spatial if len(listed) == 1 else listed
