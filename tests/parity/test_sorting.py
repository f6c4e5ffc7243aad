"""Operators that order elements against eager torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import (
    ANY,
    FLOATS,
    INTEGERS,
    check,
    covers,
    draw_array,
    operand,
    plugins,
    with_nan,
)

from fwd_core.ir import DType, Tensor
from fwd_core.testing import assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source


def distinct(data: st.DataObject, dtypes: tuple[DType, ...], shape: tuple[int, ...]) -> Any:
    """No two elements are equal, so that every place is the only one."""
    dtype = data.draw(fwd.dtypes(dtypes), label="dtype of x")
    count = int(np.prod(shape, dtype=np.int64))
    order = data.draw(st.permutations(range(count)), label="order")
    numbers = np.array(order, np.float64).reshape(shape) - (0 if dtype is DType.UINT8 else 9)
    tensor = Tensor(numbers).astype(dtype)
    return tensor if dtype is DType.BFLOAT16 else tensor.data


@covers("aten::topk", each={"call": [
    "tuple(torch.topk(x, {k}, {dim}, {largest}))",
    "torch.topk(x, {k}, {dim}, {largest}, sorted=False)[0].sort()[0]",
]})  # fmt: skip
def test_topk(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    size = shape[axis] if shape else 1
    k = data.draw(st.integers(0, size + (size < 4)), label="k")
    dtypes = (*FLOATS, *INTEGERS)
    x = distinct(data, dtypes, shape) if "tuple" in call else operand(data, "x", ANY, shape)
    largest = data.draw(st.booleans(), label="largest")
    spelled = call.format(k=k, dim=axis, largest=largest)
    batch = ["x"] if len(shape) > 1 and axis % len(shape) else []
    check(data, spelled, x=x, batch=batch, may_raise=True)


SORTS = ["tuple(torch.sort(x, {dim}, {down}))", "tuple(torch.sort(x, dim={dim}, stable={stable}))",
         "tuple(torch.sort(x, stable={stable}, dim={dim}, descending={down}))"]  # fmt: skip
ARGSORTS = ["torch.argsort(x, {dim}, {down})",
            "torch.argsort(x, dim={dim}, stable={stable}, descending={down})"]  # fmt: skip


def sorts(data: st.DataObject, call: str) -> None:
    """``call`` has {dim}, {down} and {stable}."""
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    stable = data.draw(st.booleans(), label="stable")
    # torch's order is stable on CPU, and so is OpenVINO's; what is promised is for stable=True.
    ties = "stable" in call and stable
    x = operand(data, "x", ANY, shape) if ties else distinct(data, (*FLOATS, *INTEGERS), shape)
    down = data.draw(st.booleans(), label="descending")
    spelled = call.format(dim=axis, down=down, stable=stable)
    check(data, spelled, x=with_nan(data, x), batch=["x"], may_raise=True)


@covers("aten::sort", each={"call": SORTS})
def test_sort(call: str, data: st.DataObject) -> None:
    sorts(data, call)


@covers("aten::argsort", each={"call": ARGSORTS})
def test_argsort(call: str, data: st.DataObject) -> None:
    sorts(data, call)


@covers("aten::msort")
def test_msort(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    x = with_nan(data, operand(data, "x", ANY, shape))
    check(data, "torch.msort(x)", x=x, batch=["x"], may_raise=True)


@covers("aten::kthvalue")
def test_kthvalue(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    size = shape[axis] if shape else 1
    k = data.draw(st.integers(min(1, size), max(size, 1)), label="k")
    keepdim = data.draw(st.booleans(), label="keepdim")
    x = with_nan(data, distinct(data, (*FLOATS, *INTEGERS), shape))
    batch = ["x"] if len(shape) > 1 and axis % len(shape) else []
    call = f"tuple(torch.kthvalue(x, {k}, {axis}, {keepdim}))"
    check(data, call, x=x, batch=batch, may_raise=True)


NANMEDIANS = ["torch.nanmedian(x)", "tuple(torch.nanmedian(x, {}, {}))"]


@covers("aten::nanmedian", each={"call": NANMEDIANS})
def test_nanmedian(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    x = with_nan(data, with_nan(data, distinct(data, (*FLOATS, *INTEGERS), shape)))
    check(data, call.format(axis, keepdim), x=x, batch=["x"], may_raise=True)


def test_nanmedian_of_nothing_else() -> None:
    x = np.array([[np.nan, np.nan, np.nan], [np.nan, 2, 1], [3, np.nan, np.nan]], np.float32)
    module = module_from_source("[torch.nanmedian(x, 1)[0], torch.nanmedian(x[0])]", "x")
    assert_parity(module, (x,), plugins=plugins())


@covers("aten::mode")
def test_mode(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=5), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    dtype = data.draw(fwd.dtypes(ANY), label="dtype")
    # Whole numbers, so that some are equal; of five torch finds the last one.
    counts = draw_array(data, "x", DType.INT64, shape, low=0, high=3)
    tensor = Tensor(counts.astype(np.float64)).astype(dtype)
    x = tensor if dtype is DType.BFLOAT16 else tensor.data
    check(data, f"tuple(torch.mode(x, {axis}, {keepdim}))", x=x, batch=["x"], may_raise=True)


@covers("aten::median", each={"call": ["torch.median(x)", "tuple(torch.median(x, {}, {}))"]})
def test_median(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    x = with_nan(data, distinct(data, (*FLOATS, *INTEGERS), shape))
    check(data, call.format(axis, keepdim), x=x, batch=["x"], may_raise=True)
