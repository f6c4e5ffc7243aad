"""Converters of operators that resample spatial axes at other sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_core.ir.ops.resize import distance
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.converting.size_floats import SizeFloat

#: Torch's kernel for images whose height and width add up to this looks at sizes before scales.
_SMALL_IMAGE = 128


@converts("aten::upsample_nearest1d", "aten::_upsample_nearest_exact1d")
def upsample_nearest1d(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    scales: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::upsample_nearest1d(Tensor self, SymInt[1] output_size, float? scales=None) -> Tensor.

    Floats and uint8.
    """
    return _nearest(ctx, x, output_size, scale_factors, (scales,))


@converts("aten::upsample_nearest2d", "aten::_upsample_nearest_exact2d")
def upsample_nearest2d(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::upsample_nearest2d(Tensor self, SymInt[2] output_size, float? scales_h=None, float? scales_w=None) -> Tensor.

    Floats and uint8.
    """
    return _nearest(ctx, x, output_size, scale_factors, (scales_h, scales_w))


@converts("aten::upsample_nearest3d", "aten::_upsample_nearest_exact3d")
def upsample_nearest3d(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    scales_d: float | None = None,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::upsample_nearest3d(Tensor self, SymInt[3] output_size, float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor.

    Floats and uint8.
    """
    return _nearest(ctx, x, output_size, scale_factors, (scales_d, scales_h, scales_w))


@converts("aten::upsample_linear1d")
def upsample_linear1d(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    align_corners: bool,
    scales: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::upsample_linear1d(Tensor self, SymInt[1] output_size, bool align_corners, float? scales=None) -> Tensor.

    Floats.
    """
    return _smooth(ctx, x, "linear", output_size, align_corners, scale_factors, (scales,))


@converts("aten::upsample_bilinear2d", "aten::upsample_bicubic2d")
def upsample_2d(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::upsample_bilinear2d(Tensor self, SymInt[2] output_size, bool align_corners, float? scales_h=None, float? scales_w=None) -> Tensor.

    Floats.
    """
    mode = "linear" if "bilinear" in ctx.operator else "cubic"
    return _smooth(ctx, x, mode, output_size, align_corners, scale_factors, (scales_h, scales_w))


@converts("aten::upsample_trilinear3d")
def upsample_trilinear3d(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    align_corners: bool,
    scales_d: float | None = None,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::upsample_trilinear3d(Tensor self, SymInt[3] output_size, bool align_corners, float? scales_d=None, float? scales_h=None, float? scales_w=None) -> Tensor.

    Floats.
    """
    scales = (scales_d, scales_h, scales_w)
    return _smooth(ctx, x, "linear", output_size, align_corners, scale_factors, scales)


@converts("aten::_upsample_bilinear2d_aa", "aten::_upsample_bicubic2d_aa",
          "aten::_upsample_lanczos2d_aa")  # fmt: skip
def upsample_antialiased(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
    scale_factors: Sequence[float] | None = None,
) -> Value:
    """aten::_upsample_bilinear2d_aa(Tensor self, SymInt[2] output_size, bool align_corners, float? scales_h=None, float? scales_w=None) -> Tensor.

    Floats; spatial sizes are fixed.
    """
    _require_floats(ctx, x)
    sizes, scales = _sizes(ctx, x, output_size, scale_factors, (scales_h, scales_w))
    reach, filtered = _FILTERS[ctx.operator.split("::_upsample_")[1].removesuffix("2d_aa")]
    for axis, (before, after, scale) in enumerate(
        zip(x.type.shape[2:], sizes, scales, strict=True)
    ):
        if before == after:  # torch leaves such an axis as it is, whatever its scale
            continue
        fixed = ctx.static(before, "self"), ctx.static(after, "output_size")
        matrix = _antialiasing(*fixed, align_corners, scale, reach, filtered)
        held = ctx.constant(matrix, x.type.dtype, "weights")
        product = ops.MatMul(held, x) if axis == 0 else ops.MatMul(x, held, transpose_b=True)
        x = ctx.emit(product)
    return x


def _nearest(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    scale_factors: Sequence[float] | None,
    given: Sequence[float | None],
) -> Value:
    if not x.type.dtype.is_float and x.type.dtype is not DType.UINT8:
        raise ConversionError(f"{ctx.operator}: floats and uint8 only", got=x.type)
    sizes, scales = _sizes(ctx, x, output_size, scale_factors, given)
    exact = "_exact" in ctx.operator
    mode = "nearest_exact" if exact else "nearest"
    if not exact and len(sizes) == 2:
        x, scales = _shortened(ctx, x, sizes, scales)
    return ctx.emit(ops.Resize(x, sizes, mode, scales=scales))  # type: ignore[arg-type]


def _shortened(
    ctx: ConversionContext, x: Value, sizes: Sequence[Dim], scales: Sequence[float | None]
) -> tuple[Value, tuple[float | None, ...]]:
    """X and the scales that count, where torch does not look at those of axes that stay or double.

    That is what its kernel for small images does; the one for larger ones, and those of one and of
    three axes, look at every scale. All of them give the same where there is none.
    """
    larger = is_less(_SMALL_IMAGE, sizes[0] + sizes[1])
    if larger is True:
        return x, tuple(scales)
    counting = list(scales)
    for axis, (before, after, scale) in enumerate(
        zip(x.type.shape[2:], sizes, scales, strict=True)
    ):
        stays, doubles = is_equal(before, after), is_equal(before * 2, after)
        if scale is None or (stays is False and doubles is False):
            continue
        if larger is None or not (stays or doubles):
            x = _chosen_at_run_time(ctx, x, axis, sizes, scale)
        counting[axis] = None
    return x, tuple(counting)


def _chosen_at_run_time(
    ctx: ConversionContext, x: Value, axis: int, sizes: Sequence[Dim], scale: float
) -> Value:
    """X with one axis resized, where only its size at run time tells whether the scale counts."""

    def number(value: float) -> Value:
        return ctx.constant(value, DType.FLOAT32, "number")

    before, after = x.type.shape[axis + 2], sizes[axis]
    total, most, result = (
        ctx.emit(ops.DimValue(size), "size") for size in (sizes[0] + sizes[1], _SMALL_IMAGE, after)
    )
    small, step = ctx.emit(ops.LessEqual(total, most), "small"), number(1.0 / scale)
    for size, whole in ((before, 1.0), (before * 2, 0.5)):
        same = ctx.emit(ops.Equal(ctx.emit(ops.DimValue(size), "size"), result), "same")
        short = ctx.emit(ops.And(small, same), "short")
        step = ctx.emit(ops.Where(short, number(whole), step), "distance")
    places = ctx.emit(ops.Arange(after, 0.0, 1.0, DType.FLOAT32), "places")
    floor = ctx.emit(ops.Floor(ctx.emit(ops.Mul(places, step), "position")), "floor")
    last = ctx.emit(ops.DimValue(before - 1), "last")
    index = ctx.emit(ops.Minimum(ctx.emit(ops.Cast(floor, DType.INT64)), last), "index")
    return ctx.emit(ops.Gather(x, index, axis + 2), "picked")


def _smooth(
    ctx: ConversionContext,
    x: Value,
    mode: str,
    output_size: Sequence[Dim] | None,
    align_corners: bool,
    scale_factors: Sequence[float] | None,
    given: Sequence[float | None],
) -> Value:
    _require_floats(ctx, x)
    sizes, scales = _sizes(ctx, x, output_size, scale_factors, given)
    if mode == "linear":  # torch leaves an axis that keeps its size as it is, whatever its scale
        kept = map(is_equal, x.type.shape[2:], sizes)
        scales = tuple(None if same else scale for same, scale in zip(kept, scales, strict=True))
    return ctx.emit(ops.Resize(x, sizes, mode, align_corners, scales))  # type: ignore[arg-type]


def _require_floats(ctx: ConversionContext, x: Value) -> None:
    if x.type.dtype is DType.UINT8:
        raise ctx.unsupported(
            "self", "torch weighs uint8 in steps of its own", "convert the image to float first"
        )
    if not x.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=x.type)


def _sizes(
    ctx: ConversionContext,
    x: Value,
    output_size: Sequence[Dim] | None,
    scale_factors: Sequence[float] | None,
    given: Sequence[float | None],
) -> tuple[tuple[Dim, ...], tuple[float | None, ...]]:
    """The sizes of the result, and the scales that count for where elements are read."""
    spatial = len(given)
    if x.type.rank != spatial + 2:
        raise ConversionError(
            f"{ctx.operator}: wrong rank", expected=f"{spatial + 2} axes", got=x.type
        )
    if (output_size is None) == (scale_factors is None):
        raise ConversionError(f"{ctx.operator}: either output_size or scale_factors")
    scales = tuple(given) if scale_factors is None else tuple(scale_factors)
    before = x.type.shape[2:]
    if output_size is None:
        assert scale_factors is not None
        if len(scales) != spatial:
            raise ConversionError(
                f"{ctx.operator}: a scale per spatial axis", expected=spatial, got=scale_factors
            )
        pairs = zip(before, scale_factors, strict=True)
        sizes = tuple(_scaled(ctx, size, float(scale)) for size, scale in pairs)
    else:
        sizes = tuple(output_size)
    if len(sizes) != spatial:
        raise ConversionError(
            f"{ctx.operator}: a size per spatial axis", expected=spatial, got=list(sizes)
        )
    if any(is_less(size, 1) is True for size in (*before, *sizes, x.type.shape[1])):
        raise ConversionError(
            f"{ctx.operator}: sizes of 1 or more", got=f"{x.type} to {list(sizes)}"
        )
    # torch takes a scale that is not positive for none.
    return sizes, tuple(None if one is None or one <= 0 else float(one) for one in scales)


def _scaled(ctx: ConversionContext, size: Dim, scale: float) -> Dim:
    """``int(size * scale)`` as torch computes it: in float64, rounded toward zero."""
    if isinstance(size, int):
        return int(size * scale)
    scaled = SizeFloat(size).combined("mul", scale)
    result = None if scaled is None else scaled.rounded("trunc")
    if result is None:
        raise ctx.unsupported(
            "scale_factors",
            f"{size} * {scale} is rounded to sizes of no simple ratio",
            "give the size, or build it static",
        )
    return result


def _antialiasing(
    before: int,
    after: int,
    align_corners: bool,
    scale: float | None,
    reach: float,
    filtered: Callable[[float], float],
) -> NDArray[np.float64]:
    """[after, before]: row i weighs what is within ``reach`` elements of i, wider if x shrinks."""
    step = distance(before, after, align_corners, None if align_corners else scale)
    wide = max(step, 1.0)
    matrix = np.zeros((after, before))
    for i in range(after):
        centre = step * (i + 0.5)
        first = max(int(centre - reach * wide + 0.5), 0)
        end = min(int(centre + reach * wide + 0.5), before)
        for j in range(first, end):
            matrix[i, j] = filtered((j - centre + 0.5) / wide)
        total = matrix[i].sum()
        if total != 0:
            matrix[i] /= total
    return matrix


def _triangle(x: float) -> float:
    return max(1.0 - abs(x), 0.0)


def _cubic(x: float) -> float:
    a, t = -0.5, abs(x)
    if t < 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0


def _lanczos(x: float) -> float:
    def sinc(t: float) -> float:
        return 1.0 if t == 0 else math.sin(math.pi * t) / (math.pi * t)

    return sinc(x) * sinc(x / 3) if -3 <= x < 3 else 0.0


#: How far they reach, and their weights at a distance: aten/src/ATen/native/cpu/UpSampleKernel.cpp.
_FILTERS: dict[str, tuple[float, Callable[[float], float]]] = {
    "bilinear": (1.0, _triangle),
    "bicubic": (2.0, _cubic),
    "lanczos": (3.0, _lanczos),
}
