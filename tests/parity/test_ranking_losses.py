"""Losses that keep things apart by a margin, against eager torch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

LOSSES = {
    DType.FLOAT32: Tolerance(1e-4, 1e-4, reason="powers, roots and sums in another order"),
    DType.FLOAT16: Tolerance(2e-2, 1e-1, reason="torch rounds every step to float16"),
    DType.BFLOAT16: Tolerance(8e-2, 8e-1, reason="torch rounds every step to bfloat16"),
}
MARGINS = [0.0, 0.5, 1.0, 2.5]


def signs(data: st.DataObject, shape: tuple[int, ...], dtype: DType = DType.INT64) -> Any:
    """A target of 1 and -1, and of 0, which is neither."""
    return draw_array(data, "target", dtype, shape, low=-1, high=1)


def drawn(data: st.DataObject, *names: str) -> list[Any]:
    return [data.draw(st.sampled_from(MARGINS if name == "margin" else [0, 1, 2]), label=name)
            for name in names]  # fmt: skip


@covers("aten::hinge_embedding_loss")
def test_hinge_embedding_loss(data: st.DataObject) -> None:
    first, second = data.draw(fwd.broadcastable(2, 3, max_size=3), label="shapes")
    margin, reduction = drawn(data, "margin", "reduction")
    x = operand(data, "x", (*FLOATS, DType.FLOAT32, DType.INT32, DType.BOOL), first)
    y = signs(data, second, data.draw(fwd.dtypes((DType.INT64, DType.FLOAT32)), label="kind"))
    call = f"torch.ops.aten.hinge_embedding_loss(x, y, {margin}, {reduction})"
    check(data, call, x=x, y=y, tolerance=LOSSES, may_raise=True)


@covers("aten::margin_ranking_loss")
def test_margin_ranking_loss(data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(3, 2, max_size=3), label="shapes")
    margin, reduction = drawn(data, "margin", "reduction")
    x, y = (operand(data, name, (*FLOATS, DType.FLOAT32, DType.INT32), shape)
            for name, shape in zip("xy", shapes, strict=False))  # fmt: skip
    call = f"torch.ops.aten.margin_ranking_loss(x, y, t, {margin}, {reduction})"
    target = signs(data, shapes[2])
    check(data, call, x=x, y=y, t=target, tolerance=LOSSES, may_raise=True, mixes=True)


@covers("aten::cosine_embedding_loss")
def test_cosine_embedding_loss(data: st.DataObject) -> None:
    lead = data.draw(fwd.shapes(0, 1, max_size=3), label="rows")
    length = data.draw(st.integers(0, 3), label="length")
    margin, reduction = drawn(data, "margin", "reduction")
    dtype = data.draw(fwd.dtypes((DType.FLOAT32, DType.FLOAT32, DType.BFLOAT16)), label="dtype")
    # Of 0 at least, so that the products do not cancel to what half precision has no digits for.
    x, y = (draw_array(data, name, dtype, (*lead, length), low=0) for name in "xy")
    call = f"torch.ops.aten.cosine_embedding_loss(x, y, t, {margin}, {reduction})"
    check(data, call, x=x, y=y, t=signs(data, lead), batch=["x", "y", "t"], tolerance=LOSSES,
          may_raise=True)  # fmt: skip


@covers("aten::triplet_margin_loss")
def test_triplet_margin_loss(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, max_size=3), label="shape")
    margin, reduction = drawn(data, "margin", "reduction")
    p = data.draw(st.sampled_from([2.0, 1.0, 3.0]), label="p")
    eps = data.draw(st.sampled_from([1e-6, 0.1]), label="eps")
    swap = data.draw(st.booleans(), label="swap")
    dtype = data.draw(fwd.dtypes((*FLOATS, DType.FLOAT32, DType.FLOAT32)), label="dtype")
    inputs = {name: draw_array(data, name, dtype, shape) for name in ("x", "near", "far")}
    call = (
        f"F.triplet_margin_loss(x, near, far, {margin}, {p}, {eps}, {swap}, "
        f"reduction='{['none', 'mean', 'sum'][reduction]}')"
    )
    batch = list(inputs) if len(shape) > 1 else []
    check(data, call, **inputs, batch=batch, tolerance=LOSSES, may_raise=True)


@covers("aten::multi_margin_loss", each={"weight": ["None", "w"]})
def test_multi_margin_loss(weight: str, data: st.DataObject) -> None:
    rows = data.draw(st.sampled_from([None, 1, 2, 3]), label="rows")
    classes = data.draw(st.integers(1, 4), label="classes")
    margin, reduction = drawn(data, "margin", "reduction")
    p = data.draw(st.sampled_from([1, 2, 2.0, 3]), label="p")
    dtypes = (DType.FLOAT32,) * 6 + (DType.FLOAT16, DType.INT64)
    lead = () if rows is None else (rows,)
    inputs = {"x": operand(data, "x", dtypes, (*lead, classes))}
    axes = data.draw(st.booleans(), label="an axis of 1") if rows is None else True
    inputs["y"] = draw_array(data, "y", DType.INT64, lead or ((1,) if axes else ()), low=0,
                             high=classes - 1)  # fmt: skip
    if weight != "None":
        inputs["w"] = draw_array(data, "w", DType.FLOAT32, (classes,))
    call = f"torch.ops.aten.multi_margin_loss(x, y, {p}, {margin}, {weight}, {reduction})"
    batch = ["x", "y"] if lead else []
    # What torch decomposes it to keeps an axis of a single row.
    check(data, call, **inputs, batch=batch, tolerance=LOSSES, may_raise=True,
          decompose=bool(lead))  # fmt: skip
