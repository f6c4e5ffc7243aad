"""Places among numbers in order against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, INTEGERS, check, covers, draw_array, with_nan

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

NUMBERS = (DType.FLOAT32, DType.FLOAT16, *INTEGERS)
SIDES = ["", ", right=True", ', side="left"', ', side="right"', ', right=True, side="right"',
         ', right=True, side="left"']  # fmt: skip


def other_than(data: st.DataObject, dtype: DType) -> DType:
    """The dtype, or now and then another one, with which it is promoted."""
    return data.draw(st.just(dtype) | fwd.dtypes(NUMBERS), label="dtype of numbers")


@covers("aten::searchsorted", each={"number": [True, False]})
def test_searchsorted(number: bool, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    shape = data.draw(fwd.shapes(1, 1 if number else 3, max_size=4), label="sequence")
    sequence = draw_array(data, "sequence", dtype, shape)
    given = {"x": np.sort(sequence)}
    order = ""
    if data.draw(st.booleans(), label="sorter"):
        given = {"x": sequence, "order": np.argsort(sequence).astype(np.int64)}
        order = ", sorter=order"
    if not number:
        last = data.draw(st.integers(0, 4), label="numbers")
        lead = data.draw(st.booleans(), label="of one sequence") and len(shape) == 1
        sizes = (2, last) if lead else (*shape[:-1], last)
        given["y"] = draw_array(data, "y", other_than(data, dtype), sizes)
    side = data.draw(st.sampled_from(SIDES), label="side")
    small = data.draw(st.booleans(), label="out_int32")
    what = data.draw(st.sampled_from(["1", "2.5"]), label="number") if number else "y"
    call = f"torch.searchsorted(x, {what}, out_int32={small}{side}{order})"
    check(data, call, may_raise=True, **given)


@covers("aten::bucketize", each={"number": [True, False]})
def test_bucketize(number: bool, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    bounds = np.sort(draw_array(data, "bounds", dtype, (data.draw(st.integers(0, 4)),)))
    small, right = (data.draw(st.booleans(), label=one) for one in ("out_int32", "right"))
    end = f"y, out_int32={small}, right={right})"
    if number:
        what = data.draw(st.sampled_from(["1", "0.5"]), label="number")
        check(data, f"torch.bucketize({what}, {end}", y=bounds, may_raise=True)
        return
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    x = draw_array(data, "x", other_than(data, dtype), shape)
    check(data, f"torch.bucketize(x, {end}", x=x, y=bounds, batch=["x"], may_raise=True)


#: Between two numbers of up to 4.
BETWEEN = {DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="a + (b - a) * w is rounded three times")}


@covers("aten::quantile", each={"several": [True, False]})
def test_quantile(several: bool, data: st.DataObject) -> None:
    quantiles(data, "quantile", several)


@covers("aten::nanquantile", each={"several": [True, False]})
def test_nanquantile(several: bool, data: st.DataObject) -> None:
    quantiles(data, "nanquantile", several)


def quantiles(data: st.DataObject, name: str, several: bool) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(st.none() | fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    kinds = ["linear", "lower", "higher", "midpoint", "nearest"]
    kind = data.draw(st.sampled_from(kinds), label="interpolation")
    dtypes = FLOATS if data.draw(st.integers(0, 9), label="any") == 9 else (DType.FLOAT32,)
    dtype = data.draw(fwd.dtypes(dtypes), label="dtype")
    given = {"x": with_nan(data, draw_array(data, "x", dtype, shape))}
    q: object = data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.6, 1.0]), label="q")
    if several:
        sizes = data.draw(fwd.shapes(0, 1, max_size=3), label="shape of q")
        given["q"] = draw_array(data, "q", dtype, sizes, low=0, high=1)
        q = "q"
    call = f"torch.{name}(x, {q}, {axis}, {keepdim}, interpolation={kind!r})"
    check(data, call, batch=["x"] if shape else [], tolerance=BETWEEN, may_raise=True, **given)


@covers("aten::isin", each={"what": ["x, y", "x, {number}", "{number}, x"]})
def test_isin(what: str, data: st.DataObject) -> None:
    kinds = (*FLOATS, *INTEGERS, *INTEGERS, DType.BOOL)
    x = draw_array(data, "x", data.draw(fwd.dtypes(kinds)), data.draw(fwd.shapes(0, 3)))
    inputs = {"x": x}
    if "y" in what:
        y = data.draw(fwd.dtypes(kinds), label="dtype of y"), data.draw(fwd.shapes(0, 2))
        inputs["y"] = draw_array(data, "y", *y)
    number = data.draw(st.sampled_from([0, 1, -2, 0.5, 2.0]), label="number")
    unique, invert = (data.draw(st.booleans(), label=one) for one in ("unique", "invert"))
    # What torch is told to be unique has to be: it compares neighbours in order.
    told = f"assume_unique={unique and 'y' not in what}, invert={invert}"
    call = f"torch.isin({what.format(number=number)}, {told})"
    batch = ["x"] if what.startswith("x") else []
    check(data, call, **inputs, batch=batch, may_raise=True)
