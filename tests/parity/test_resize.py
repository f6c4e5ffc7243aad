"""Converters that resample spatial axes, against eager torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

import numpy as np
from hypothesis import strategies as st
from parity_cases import FLOATS, QUICK, check, covers, operand, plugins

from fwd_core.ir import DType
from fwd_core.testing import EXACT, Tolerance, assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source

#: Positions are float32 in torch; weights follow from them.
WEIGHED = {
    DType.FLOAT32: Tolerance(1e-5, 2e-5, reason="weights from positions rounded to float32"),
    DType.FLOAT16: Tolerance(4e-3, 2e-2, reason="torch weighs in float16"),
    DType.BFLOAT16: Tolerance(3e-2, 1e-1, reason="torch weighs in bfloat16"),
}


GIVEN = ("size", "scales", "both")


class Drawn:
    """An image, sizes for it and scales, of which the sizes need not follow."""

    def __init__(
        self, data: st.DataObject, spatial: int, dtypes: Sequence[DType], least: int = 1
    ) -> None:
        image = data.draw(fwd.shapes(spatial, spatial, min_size=least, max_size=6), label="image")
        lead = data.draw(fwd.shapes(2, 2, min_size=1, max_size=3), label="lead")
        factors = st.sampled_from([2.0, 2.0, 3.0, 0.5, 1.0, 1.3, 0.7, 1.5, 2.6])
        drawn = [(size, data.draw(factors, label="scale")) for size in image]
        self.scales = [s if math.floor(size * s) >= least else 1.0 for size, s in drawn]
        self.sizes = list(data.draw(fwd.shapes(spatial, spatial, min_size=least, max_size=9)))
        self.x = operand(data, "x", dtypes, (*lead, *image))

    def given(
        self, data: st.DataObject, *, scaled: bool = True, kind: str | None = None
    ) -> list[str]:
        """Sizes alone, scales alone in a list, or sizes with scales: as the overloads take them."""
        if kind is None:
            kind = data.draw(st.sampled_from(GIVEN if scaled else GIVEN[:1]), label="given")
        if kind == "scales":
            return ["None", str(self.scales)]
        if kind == "size":
            return [str(self.sizes), "None"]
        follow = [math.floor(n * s) for n, s in zip(self.x.shape[2:], self.scales, strict=True)]
        return [str(follow), ", ".join(map(str, self.scales))]


@covers("aten::{name}{n}d", name=["upsample_nearest", "_upsample_nearest_exact"], n=[1, 2, 3],
        each={"kind": GIVEN}, examples=1.5)  # fmt: skip
def test_nearest(name: str, n: int, kind: str, data: st.DataObject) -> None:
    p = Drawn(data, n, (*FLOATS, DType.UINT8))
    # Of four channels or more that come last in memory torch has another kernel.
    size, scales = p.given(data, kind=kind)
    check(data, f"torch.ops.aten.{name}{n}d(x, {size}, {scales})", x=p.x, batch=["x"],
          tolerance=EXACT)  # fmt: skip


@pytest.mark.parametrize(
    ("image", "sizes", "scales"),
    [
        ((2, 1), "None", [1.3, 2.0]),  # an axis stays
        ((2, 3), "None", [2.4, 2.2]),  # one doubles
        ((2, 3), "[2, 6]", [1.3, 2.7]),
        ((6, 6), "[122, 6]", [None, 1.3]),  # the largest image that is small
        ((6, 6), "[123, 6]", [None, 1.3]),
        ((6, 6), "[117, 12]", [None, 2.3]),
        ((6, 4), "None", [1.1]),
        ((6, 4, 2), "None", [1.1, 2.1, 1.3]),
    ],
)
def test_scales_of_axes_that_stay_or_double(
    image: tuple[int, ...], sizes: str, scales: list[float | None]
) -> None:
    n = len(scales)
    shape = (1, 2, *image[-n:])
    x = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    given = str(scales) if sizes == "None" else ", ".join(map(str, scales))
    module = module_from_source(f"torch.ops.aten.upsample_nearest{n}d(x, {sizes}, {given})", "x")
    assert_parity(module, x, forms=QUICK, tolerance=EXACT, plugins=plugins())


@pytest.mark.parametrize("scales", [(1.3, 2.5), (2.25, 1.25), (2.0, 1.0), (1.5, 1.3)])
@pytest.mark.parametrize("image", [(2, 3), (5, 2), (4, 40), (3, 60), (3, 1), (60, 1)])
def test_dynamic_sizes_stay_or_double_at_run_time(
    scales: tuple[float, float], image: tuple[int, int]
) -> None:
    x, second = (
        np.arange(2 * h * w, dtype=np.float32).reshape(1, 2, h, w) for h, w in ((62, 61), image)
    )
    module = module_from_source(f"torch.ops.aten.upsample_nearest2d(x, None, {list(scales)})", "x")
    dynamic = {"x": {2: ("h", 2, 62, 62), 3: ("w", 1, 61, 61)}}
    assert_parity(module, (x,), forms=("scripted",), dynamic=dynamic, second_inputs=(second,),
                  tolerance=EXACT, plugins=plugins())  # fmt: skip


@covers("aten::{name}", name=["upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d",
                              "upsample_bicubic2d"])  # fmt: skip
def test_weighed(name: str, data: st.DataObject) -> None:
    p = Drawn(data, int(name[-2]), FLOATS)
    size, scales = p.given(data)
    corners = data.draw(st.booleans(), label="align_corners")
    check(data, f"torch.ops.aten.{name}(x, {size}, {corners}, {scales})", x=p.x, batch=["x"],
          tolerance=WEIGHED)  # fmt: skip


@covers("aten::_upsample_{name}2d_aa", name=["bilinear", "bicubic", "lanczos"])
def test_antialiased(name: str, data: st.DataObject) -> None:
    # torch's CPU has no more kernels, and reads the first row for all if the result is a column.
    p = Drawn(data, 2, FLOATS[:1], least=2)
    size, scales = p.given(data)
    corners = data.draw(st.booleans(), label="align_corners")
    check(data, f"torch.ops.aten._upsample_{name}2d_aa(x, {size}, {corners}, {scales})", x=p.x,
          batch=["x"], tolerance=WEIGHED)  # fmt: skip
