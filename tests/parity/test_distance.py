"""Distances against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, on_one_grid, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

DISTANCES = {
    DType.FLOAT32: Tolerance(1e-4, 1e-4, reason="powers and roots of sums in another order"),
    DType.FLOAT16: Tolerance(2e-2, 2e-2, reason="torch rounds differences to float16 first"),
    DType.BFLOAT16: Tolerance(8e-2, 8e-2, reason="torch rounds differences to bfloat16 first"),
}
#: The root of a difference of squares, which is off by up to sqrt(64 * 2^-23).
BY_PRODUCT = {DType.FLOAT32: Tolerance(1e-3, 6e-3, reason="|a|^2 + |b|^2 - 2ab cancels near 0")}
ORDERS = ["2", "1", "0", "3.0", "0.5", "float('inf')"]


@covers("aten::dist")
def test_dist(data: st.DataObject) -> None:
    first, second = data.draw(fwd.broadcastable(2, 3, max_size=3), label="shapes")
    x = operand(data, "x", (*FLOATS, DType.INT32), first)
    y = operand(data, "y", FLOATS, second)
    x, y = on_one_grid(x, y)
    p = data.draw(st.sampled_from(ORDERS), label="p")
    check(data, f"torch.dist(x, y, {p})", x=x, y=y, tolerance=DISTANCES, may_raise=True)


@covers("aten::pairwise_distance")
def test_pairwise_distance(data: st.DataObject) -> None:
    first, second = data.draw(fwd.broadcastable(2, 3, min_size=1, max_size=3), label="shapes")
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    x, y = draw_array(data, "x", dtype, first), draw_array(data, "y", dtype, second)
    p = data.draw(st.sampled_from(["2.0", "1.0", "0.0", "3.0", "float('inf')"]), label="p")
    eps = data.draw(st.sampled_from([1e-6, 0.1]), label="eps")
    keepdim = data.draw(st.booleans(), label="keepdim")
    call = f"F.pairwise_distance(x, y, {p}, {eps}, {keepdim})"
    check(data, call, x=x, y=y, tolerance=DISTANCES, may_raise=True)


@covers("aten::cosine_similarity")
def test_cosine_similarity(data: st.DataObject) -> None:
    first, second = data.draw(fwd.broadcastable(2, 3, max_size=3), label="shapes")
    # Of two dtypes torch rounds the vectors to their own first.
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    x, y = draw_array(data, "x", dtype, first), draw_array(data, "y", dtype, second)
    axis = data.draw(fwd.axis(max(len(first), len(second), 1)), label="dim")
    eps = data.draw(st.sampled_from([1e-6, 1.0]), label="eps")
    call = f"F.cosine_similarity(x, y, {axis}, {eps})"
    batch = ["x", "y"] if len(first) == len(second) else []
    check(data, call, x=x, y=y, batch=batch, tolerance=DISTANCES, may_raise=True)


@covers("aten::cdist", "aten::_cdist_forward", fixed={"compute_mode": "drawn in the next test"})
def test_cdist(data: st.DataObject) -> None:
    lead = data.draw(fwd.broadcastable(2, 2, min_size=1, max_size=3), label="lead")
    rows = [data.draw(st.integers(0, 3), label=one) for one in ("rows", "more rows")]
    length = data.draw(st.integers(0, 3), label="length")
    x, y = (draw_array(data, name, DType.FLOAT32, (*one, n, length))
            for name, one, n in zip("xy", lead, rows, strict=True))  # fmt: skip
    p = data.draw(st.sampled_from(["2.0", "1.0", "0.0", "3.0", "float('inf')"]), label="p")
    calls = [f"torch.cdist(x, y, {p})", f"torch.ops.aten._cdist_forward(x, y, {p}, None)"]
    call = data.draw(st.sampled_from(calls), label="call")
    check(data, call, x=x, y=y, tolerance=DISTANCES, may_raise=True)


@covers("aten::pdist", "aten::_pdist_forward", each={"name": ["pdist", "_pdist_forward"]})
def test_pdist(name: str, data: st.DataObject) -> None:
    sizes = data.draw(fwd.shapes(2, 2, max_size=4), label="shape")
    x = operand(data, "x", (DType.FLOAT32,), sizes)
    p = data.draw(st.sampled_from(["2.0", "1.0", "0.0", "3.0", "float('inf')"]), label="p")
    check(data, f"torch.ops.aten.{name}(x, {p})", x=x, tolerance=DISTANCES)


@covers("aten::cdist", each={"mode": ["use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"]},
        fixed={"p": "drawn in the test before"})  # fmt: skip
def test_euclidean_distances(mode: str, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 4), label="rows")
    x = draw_array(data, "x", DType.FLOAT32, (2, rows, 3))
    y = draw_array(data, "y", DType.FLOAT32, (27, 3))
    call = f'torch.cdist(x, y, compute_mode="{mode}")'
    check(data, call, x=x, y=y, batch=["x"], tolerance=BY_PRODUCT)
