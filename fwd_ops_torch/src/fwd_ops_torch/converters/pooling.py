"""Converters of pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_core.ir.dims import divide_exactly, product
from fwd_ops_torch.converters._maxima import Axis, first_maxima, first_maximum
from fwd_ops_torch.converting import ConversionContext, converts

#: Kernel, stride, padding and dilation, each with an entry per axis.
Geometry = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


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

    With or without a batch axis.
    """
    spatial = int(ctx.operator[-2])
    if spatial == 1 and not x.type.dtype.is_float:  # it has a kernel of its own
        raise ConversionError(
            f"{ctx.operator}: floats only",
            expected="a float dtype",
            got=x.type,
            hint="cast to float first, as x.float()",
        )
    geometry = _geometry(spatial, kernel_size, stride, padding, dilation)
    _require_not_empty(ctx, x, spatial + 1)
    return _batched(ctx, x, spatial, lambda image: (_maxima(ctx, image, geometry, ceil_mode)[0],))[
        0
    ]


@converts(
    "aten::max_pool1d_with_indices",
    "aten::max_pool2d_with_indices",
    "aten::max_pool3d_with_indices",
)
def max_pool_with_indices(
    ctx: ConversionContext,
    x: Value,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Value, ...]:
    """aten::max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor).

    The int64 indices count the elements of an image without its padding. A NaN
    has no index of its own.
    """
    spatial = int(ctx.operator.split("pool")[1][0])
    geometry = _geometry(spatial, kernel_size, stride, padding, dilation)
    _require_not_empty(ctx, x, spatial + 1)

    def pool(image: Value) -> tuple[Value, ...]:
        pooled, completed, axes = _maxima(ctx, image, geometry, ceil_mode)
        return pooled, first_maxima(ctx, completed, pooled, axes)

    return _batched(ctx, x, spatial, pool)


@converts("aten::adaptive_max_pool1d", "aten::adaptive_max_pool2d", "aten::adaptive_max_pool3d")
def adaptive_max_pool(
    ctx: ConversionContext, x: Value, output_size: Sequence[Dim]
) -> tuple[Value, ...]:
    """aten::adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor).

    Floats. A dynamic size gives 1 on all axes, or parts of one fixed length.
    """
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)
    spatial = int(ctx.operator[-2])
    wanted = tuple(output_size) * (spatial if len(output_size) == 1 else 1)
    _require_not_empty(ctx, x, x.type.rank - 1)

    def pool(image: Value) -> tuple[Value, ...]:
        if all(size == 1 for size in wanted):
            spread = tuple(range(2, 2 + spatial))
            greatest = ctx.emit(ops.ReduceMax(image, spread, keepdims=True))
            return greatest, first_maximum(ctx, image, greatest)
        axes = []
        for place, parts in enumerate(wanted, 2):
            image, axis = _parts(ctx, image, place, parts)
            axes.append(axis)
        kernel = tuple(axis.kernel for axis in axes)
        none, ones = (0,) * spatial, (1,) * spatial
        pooled = ctx.emit(ops.MaxPool(image, kernel, kernel, none, ones))
        return pooled, first_maxima(ctx, image, pooled, axes)

    return _batched(ctx, x, spatial, pool)


def _parts(ctx: ConversionContext, x: Value, place: int, parts: Dim) -> tuple[Value, Axis]:
    """An axis divided into parts: x with parts of one length there, and where they begin.

    Shorter parts repeat their last element, which changes neither a maximum nor its first place.
    """
    size = x.type.shape[place]
    even = divide_exactly(size, parts)
    if isinstance(even, int):
        return x, Axis(size, even, even)
    fixed, count = ctx.static(size, "self"), ctx.static(parts, "output_size")
    bounds = [(i * fixed // count, -(-(i + 1) * fixed // count)) for i in range(count)]
    longest = max((end - start for start, end in bounds), default=0)
    taken = [min(start + i, end - 1) for start, end in bounds for i in range(longest)]
    starts = ctx.constant([start for start, _ in bounds], DType.INT64, "starts")
    picked = ctx.emit(ops.Gather(x, ctx.constant(taken, DType.INT64, "parts"), place), "parts")
    return picked, Axis(size, longest, longest, starts=starts)


@converts("aten::max_unpool2d", "aten::max_unpool3d")
def max_unpool(
    ctx: ConversionContext,
    x: Value,
    indices: Value,
    output_size: Sequence[Dim],
    stride: Sequence[int] = (1, 1, 1),
    padding: Sequence[int] = (0, 0, 0),
) -> Value:
    """aten::max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> Tensor.

    With or without a batch axis; floats. Zeros, but for elements at the places in their
    image that int64 indices say, as max pooling gives them. Stride and padding say nothing more.
    """
    spatial = int(ctx.operator[-2])
    if not x.type.dtype.is_float or indices.type.dtype is not DType.INT64:
        raise ConversionError(
            f"{ctx.operator}: floats, and int64 indices", got=f"{x.type}, {indices.type}"
        )
    for name, entries in (("output_size", output_size), ("stride", stride), ("padding", padding)):
        if name != "output_size" and spatial == 2:
            continue  # it has none
        if len(entries) != spatial:
            raise ConversionError(
                f"{ctx.operator}: {name} with an entry per spatial axis",
                expected=spatial,
                got=list(entries),
            )
    if min(stride) < 1:
        raise ConversionError(f"{ctx.operator}: stride of 1 or more", got=list(stride))
    same = map(is_equal, x.type.shape, indices.type.shape)
    if x.type.rank != indices.type.rank or not all(same):
        raise ConversionError(
            f"{ctx.operator}: an index for every element", expected=x.type, got=indices.type
        )
    if x.type.rank in (spatial + 1, spatial + 2) and 0 in x.type.shape[-spatial - 1 :]:
        raise ConversionError(f"{ctx.operator}: sizes of 1 or more", got=x.type)

    def unpool(image: Value, places: Value) -> tuple[Value, ...]:
        lead, sizes = image.type.shape[:2], tuple(output_size)
        row = (*lead, product(image.type.shape[2:]))
        flat, at = (ctx.emit(ops.Reshape(one, row), "flat") for one in (image, places))
        zeros = ctx.emit(ops.Full((*lead, product(sizes)), 0.0, image.type.dtype), "zeros")
        done = ctx.emit(ops.ScatterElements(zeros, at, flat, 2), "done")
        return (ctx.emit(ops.Reshape(done, (*lead, *sizes))),)

    if x.type.rank == spatial + 1:
        indices = ctx.emit(ops.Unsqueeze(indices, (0,)))
    return _batched(ctx, x, spatial, lambda image: unpool(image, indices))[0]


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

    Floats.
    """
    if divisor_override == 0:
        raise ConversionError(f"{ctx.operator}: divisor_override must not be 0")
    spatial = int(ctx.operator[-2])
    window, steps, pads, ones = _geometry(spatial, kernel_size, stride, padding)
    _require_not_empty(ctx, x, spatial + 1)

    def pool(image: Value) -> tuple[Value, ...]:
        if spatial == 3:  # there torch counts no padding, and no part of a window
            _require_room(ctx, image, window, (0, 0, 0), ones)
            if any(is_less(size, k) is True for size, k in zip(image.type.shape[2:], window,
                                                               strict=True)):  # fmt: skip
                raise ConversionError(
                    f"{ctx.operator}: the window is larger than the image",
                    expected=f"at most {list(image.type.shape[2:])}",
                    got=list(window),
                )
        beyond = _beyond(image, window, steps, pads, ones) if ceil_mode else [0] * spatial
        # What lies beyond the padding is in no divisor, so that the window may as well end there.
        kernel = tuple(k - more for k, more in zip(window, beyond, strict=True))
        _require_room(ctx, image, kernel, pads, ones)
        plain = ops.AveragePool(image, kernel, steps, pads, ceil_mode, count_include_pad)
        if divisor_override is None:
            return (ctx.emit(plain),)
        # The mean of whole windows: zeros where a window is beyond the image make it a sum.
        listed = zip(image.type.shape[2:], plain.infer().shape[2:], kernel, steps, pads,
                     strict=True)  # fmt: skip
        after = [(count - 1) * s + k - size - p for size, count, k, s, p in listed]
        whole = ctx.emit(ops.Pad(image, (0, 0, *pads), (0, 0, *after)), "padded")
        mean = ctx.emit(ops.AveragePool(whole, kernel, steps, (0,) * spatial), "mean")
        ratio = ctx.number(math.prod(kernel) / divisor_override, image.type.dtype, "ratio")
        return (ctx.emit(ops.Mul(mean, ratio)),)

    return _batched(ctx, x, spatial, pool)[0]


@converts("aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool2d", "aten::adaptive_avg_pool3d",
          "aten::_adaptive_avg_pool2d", "aten::_adaptive_avg_pool3d")  # fmt: skip
def adaptive_avg_pool(ctx: ConversionContext, x: Value, output_size: Sequence[Dim]) -> Value:
    """aten::adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor. Also 1-d and 3-d."""
    spatial = int(ctx.operator[-2])
    wanted = tuple(output_size) * (spatial if len(output_size) == 1 else 1)
    if any(size != 1 for size in wanted):  # else it is a mean, of nothing too
        _require_not_empty(ctx, x, spatial if spatial < 3 else x.type.rank - 1)

    def pool(image: Value) -> tuple[Value, ...]:
        if all(size == 1 for size in wanted):
            axes = tuple(range(2, 2 + spatial))
            return (ctx.emit(ops.ReduceMean(image, axes, keepdims=True)),)
        return (ctx.emit(ops.AdaptiveAveragePool(image, wanted)),)

    return _batched(ctx, x, spatial, pool)[0]


def _maxima(
    ctx: ConversionContext, image: Value, geometry: Geometry, ceil_mode: bool
) -> tuple[Value, Value, list[Axis]]:
    """The greatest elements, the image that they are of, and its axes, whose sizes indices count."""
    kernel, steps, pads, rates = geometry
    sizes = image.type.shape[2:]
    if ceil_mode:
        image = _completed(ctx, image, *geometry)
    _require_room(ctx, image, kernel, pads, rates)
    pooled = ctx.emit(ops.MaxPool(image, kernel, steps, pads, rates, ceil_mode))
    listed = zip(sizes, kernel, steps, pads, rates, strict=True)
    axes = [Axis(size, k, step, pad, rate) for size, k, step, pad, rate in listed]
    _require_elements(ctx, sizes, axes, pooled.type.shape[2:])
    return pooled, image, axes


def _geometry(
    spatial: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1,),
) -> Geometry:
    """Kernel, stride, padding and dilation with an entry per axis; no stride is the kernel."""
    kernel = _spread(kernel_size, spatial)
    steps = _spread(stride, spatial) if stride else kernel
    return kernel, steps, _spread(padding, spatial), _spread(dilation, spatial)


def _require_not_empty(ctx: ConversionContext, x: Value, last: int) -> None:
    """Refuse sizes of 0 among the last axes: which ones torch checks depends on the operator."""
    if last > 0 and 0 in x.type.shape[-last:]:
        raise ConversionError(
            f"{ctx.operator}: the input is empty",
            expected=f"sizes of 1 or more on the last {last} axes",
            got=x.type,
        )


def _beyond(
    image: Value,
    kernel: Sequence[int],
    steps: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int]:
    """Per axis, how far the only window of ``ceil_mode`` reaches beyond a padded axis, or 0.

    torch rounds the number of windows up: one is left where less than a stride is missing.
    """
    found = []
    for size, *entries in zip(image.type.shape[2:], kernel, steps, padding, dilation, strict=True):
        k, step, pad, rate = entries
        missing = (k - 1) * rate + 1 - size - 2 * pad if isinstance(size, int) and size else 0
        found.append(missing if isinstance(missing, int) and 0 < missing < step else 0)
    return found


def _completed(
    ctx: ConversionContext,
    image: Value,
    kernel: Sequence[int],
    steps: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Value:
    """The image with least elements at the end, where the only window of an axis lacks some."""
    after = _beyond(image, kernel, steps, padding, dilation)
    if not any(after):
        return image
    dtype = image.type.dtype
    least = -math.inf if dtype.is_float else dtype.limits[0]
    return ctx.emit(
        ops.Pad(image, (0,) * image.type.rank, (0, 0, *after), "constant", least), "completed"
    )


def _require_room(
    ctx: ConversionContext,
    image: Value,
    kernel: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> None:
    sizes = image.type.shape[2:]
    for size, k, pad, rate in zip(sizes, kernel, padding, dilation, strict=True):
        ctx.require_enough("kernel_size", (k - 1) * rate + 1, size + 2 * pad)


def _require_elements(
    ctx: ConversionContext, sizes: Sequence[Dim], axes: Sequence[Axis], counts: Sequence[Dim]
) -> None:
    """Refuse windows that step over an axis, from padding to padding: engines differ about them."""
    for size, axis, count in zip(sizes, axes, counts, strict=True):
        if not isinstance(size, int) or not isinstance(count, int):
            continue
        for start in range(-axis.padding, min(0, (count - 1) * axis.stride - axis.padding + 1),
                           axis.stride):  # fmt: skip
            taps = range(start, start + axis.kernel * axis.dilation, axis.dilation)
            if not any(0 <= tap < size for tap in taps):
                raise ctx.unsupported(
                    "dilation",
                    f"a window from {start} on has no element of the {size} that there are",
                    "take a smaller dilation or no padding",
                )


def _batched(
    ctx: ConversionContext, x: Value, spatial: int, pool: Callable[[Value], tuple[Value, ...]]
) -> tuple[Value, ...]:
    if x.type.rank == spatial + 2:
        return pool(x)
    if x.type.rank != spatial + 1:
        raise ConversionError(
            f"{ctx.operator}: wrong rank",
            expected=f"{spatial + 1} or {spatial + 2} axes",
            got=x.type,
        )
    results = pool(ctx.emit(ops.Unsqueeze(x, (0,))))
    return tuple(ctx.emit(ops.Squeeze(result, (0,))) for result in results)


def _spread(entries: Sequence[int], spatial: int) -> tuple[int, ...]:
    listed = tuple(entries)
    if len(listed) not in (1, spatial):
        raise ConversionError(
            "pooling: wrong number of entries", expected=f"{spatial} or 1", got=listed
        )
    return listed * spatial if len(listed) == 1 else listed
