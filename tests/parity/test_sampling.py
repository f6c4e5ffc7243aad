"""Converters that read at positions which are data, against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: A position is off by a rounding of numbers up to 10, elements differ by up to 8.
READ = {DType.FLOAT32: Tolerance(1e-4, 1e-4, reason="positions in float32, in other steps")}
GRIDS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="sums of 4 products in another order"),
}


@covers("aten::{name}", name=["grid_sampler", "grid_sampler_2d", "grid_sampler_3d"])
def test_grid_sampler(name: str, data: st.DataObject) -> None:
    spatial = 3 if name.endswith("3d") else 2
    if name == "grid_sampler":
        spatial = data.draw(st.sampled_from([2, 3]), label="axes")
    sizes = data.draw(fwd.shapes(spatial, spatial, min_size=1), label="sizes")
    places = data.draw(fwd.shapes(spatial, spatial, min_size=1, max_size=4), label="places")
    batch, channels = data.draw(fwd.shapes(2, 2, min_size=1, max_size=3), label="lead")
    mode = data.draw(st.integers(0, 2 if spatial == 2 else 1), label="mode")
    outside = data.draw(st.integers(0, 2), label="padding_mode")
    corners = data.draw(st.booleans(), label="align_corners")
    x = operand(data, "x", FLOATS[:1], (batch, channels, *sizes))
    # Off the places where a nearest neighbour is decided by a rounding.
    grid = operand(data, "grid", FLOATS[:1], (batch, *places, spatial), low=-2, high=2)
    grid = (grid + 0.0123).astype(grid.dtype)
    check(data, f"torch.ops.aten.{name}(x, grid, {mode}, {outside}, {corners})", x=x, grid=grid,
          batch=["x", "grid"], tolerance=READ)  # fmt: skip


@covers("aten::affine_grid_generator")
def test_affine_grid(data: st.DataObject) -> None:
    spatial = data.draw(st.sampled_from([2, 3]), label="axes")
    sizes = data.draw(fwd.shapes(spatial, spatial, min_size=1), label="sizes")
    batch = data.draw(st.integers(1, 3), label="batch")
    theta = operand(data, "theta", FLOATS[:1], (batch, spatial, spatial + 1))
    corners = data.draw(st.booleans(), label="align_corners")
    size = f"[theta.size(0), 1, {', '.join(map(str, sizes))}]"
    # Decomposing an axis of one element fails inside torch.
    check(data, f"torch.affine_grid_generator(theta, {size}, {corners})", theta=theta,
          batch=["theta"], tolerance=GRIDS, decompose=False)  # fmt: skip
