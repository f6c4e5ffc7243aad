"""Converters of operators that read at positions which are data, and of their grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, Value, ops
from fwd_ops_torch.converting import ConversionContext, converts

#: By the numbers of aten/src/ATen/native/GridSamplerUtils.h.
_MODES = ("linear", "nearest", "cubic")
_PADDING = ("zeros", "border", "reflection")


@converts("aten::grid_sampler", "aten::grid_sampler_2d", "aten::grid_sampler_3d")
def grid_sampler(
    ctx: ConversionContext,
    x: Value,
    grid: Value,
    interpolation_mode: int,
    padding_mode: int,
    align_corners: bool,
) -> Value:
    """aten::grid_sampler(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor.

    2-d and 3-d; bicubic in 2-d. Floats.
    """
    for what, number, names in (
        ("interpolation_mode", interpolation_mode, _MODES),
        ("padding_mode", padding_mode, _PADDING),
    ):
        if not 0 <= number < len(names):
            raise ConversionError(
                f"{ctx.operator}: unknown {what}", expected=f"0 … {len(names) - 1}", got=number
            )
    if 0 in x.type.shape[2:]:
        raise ConversionError(
            f"{ctx.operator}: the input is empty",
            expected="spatial sizes of 1 or more",
            got=x.type,
        )
    mode, outside = _MODES[interpolation_mode], _PADDING[padding_mode]
    return ctx.emit(
        ops.GridSample(x, grid, mode, outside, align_corners)  # type: ignore[arg-type]
    )


@converts("aten::affine_grid_generator")
def affine_grid_generator(
    ctx: ConversionContext, theta: Value, size: Sequence[Dim], align_corners: bool
) -> Value:
    """aten::affine_grid_generator(Tensor theta, SymInt[] size, bool align_corners) -> Tensor.

    2-d and 3-d, floats; the spatial sizes are fixed.
    """
    spatial = len(size) - 2
    if not theta.type.dtype.is_float:
        raise ConversionError(f"{ctx.operator}: floats only", got=theta.type)
    if spatial not in (2, 3) or theta.type.shape[1:] != (spatial, spatial + 1):
        raise ConversionError(
            f"{ctx.operator}: theta does not fit the size",
            expected="[N, 2, 3] for 4 sizes, [N, 3, 4] for 5",
            got=f"{theta.type} for {list(size)}",
        )
    fixed = [ctx.static(dim, "size") for dim in size[2:]]
    base = ctx.constant(_base(fixed, align_corners), theta.type.dtype, "base")
    moved = ctx.emit(ops.MatMul(base, theta, transpose_b=True), "moved")
    return ctx.emit(ops.Reshape(moved, (size[0], *fixed, spatial)))


def _base(sizes: Sequence[int], align_corners: bool) -> NDArray[np.float64]:
    """[elements, axes + 1]: coordinates of each element, the last axis first, and 1."""
    steps = []
    for count in sizes:
        line = np.linspace(-1, 1, count) if count > 1 else np.zeros(count)
        steps.append(line if align_corners else line * ((count - 1) / max(count, 1)))
    grids = np.meshgrid(*steps, indexing="ij")
    columns = [grid.reshape(-1) for grid in reversed(grids)]
    return np.stack([*columns, np.ones_like(columns[0])], axis=1)
