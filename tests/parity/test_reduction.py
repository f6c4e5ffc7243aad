"""Reductions against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

import numpy as np
from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, check, covers, operand, plugins, with_nan

from fwd_core.ir import DType, Tensor
from fwd_core.testing import Tolerance, assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source

#: Up to 81 numbers of up to 4: sums reach 324, and cancel.
SUMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-4, reason="sums of up to 81 numbers in another order"),
    DType.FLOAT16: Tolerance(1e-2, 0.25, reason="float16 near 324 is spaced by 1/4"),
    DType.BFLOAT16: Tolerance(5e-2, 2.0, reason="bfloat16 near 324 is spaced by 2"),
}


def reduced(data: st.DataObject, call: str, taken: tuple[DType, ...]) -> None:
    """``call`` has {dim}, {keepdim} and {dtype}; forms without {dim} reduce everything."""
    shape = data.draw(fwd.shapes(0, 4, max_size=3), label="shape")
    x = operand(data, "x", taken, shape)
    rank = max(len(shape), 1)
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    axis = data.draw(fwd.axis(rank), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    dtypes = (DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT64, DType.BOOL)
    wanted = data.draw(fwd.dtypes(dtypes), label="dtype")
    spelled = call.format(dims=list(axes), dim=axis, keepdim=keepdim, dtype=f"torch.{wanted}")
    check(data, spelled, x=x, batch=["x"], tolerance=SUMS, may_raise=True)


SUM_CALLS = [
    "torch.{name}(x)",
    "torch.{name}(x, dtype={{dtype}})",
    "torch.{name}(x, {{dim}}, {{keepdim}})",
    "torch.{name}(x, {{dims}}, {{keepdim}})",
    "torch.{name}(x, {{dims}}, {{keepdim}}, dtype={{dtype}})",
]


@covers("aten::{name}", name=["sum", "mean"], each={"call": SUM_CALLS})
def test_sums(name: str, call: str, data: st.DataObject) -> None:
    reduced(data, call.format(name=name), ANY)


@covers("aten::{name}", name=["amax", "amin"])
def test_extremes(name: str, data: st.DataObject) -> None:
    calls = ["x.{name}()", "x.{name}({{dim}})", "x.{name}({{dims}}, {{keepdim}})"]
    call = data.draw(st.sampled_from(calls), label="call").format(name=name)
    reduced(data, call, ANY)


TRUTH_CALLS = ["x.{name}()", "x.{name}({{dim}}, {{keepdim}})", "x.{name}({{dims}}, {{keepdim}})"]


@covers("aten::{name}", name=["any", "all"], each={"call": TRUTH_CALLS})
def test_truth(name: str, call: str, data: st.DataObject) -> None:
    reduced(data, call.format(name=name), (DType.BOOL, *FLOATS, DType.INT64, DType.UINT8))


#: Up to 27 numbers of magnitude up to 2.
PRODUCTS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="roundings of up to 27 factors"),
    DType.FLOAT16: Tolerance(1e-2, 1e-3, reason="torch rounds some partial products to float16"),
    DType.BFLOAT16: Tolerance(6e-2, 1e-2, reason="torch rounds some partial products to bfloat16"),
}


@covers("aten::prod", each={"call": [
    "torch.prod(x)", "torch.prod(x, dtype={dtype})", "torch.prod(x, {dim}, {keepdim})",
    "torch.prod(x, {dim}, {keepdim}, dtype={dtype})",
]})  # fmt: skip
def test_prod(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    x = operand(data, "x", ANY, shape, low=-2, high=2)
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    dtypes = (DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT64, DType.BOOL)
    wanted = data.draw(fwd.dtypes(dtypes), label="dtype")
    spelled = call.format(dim=axis, keepdim=keepdim, dtype=f"torch.{wanted}")
    check(data, spelled, x=x, batch=["x"], tolerance=PRODUCTS, may_raise=True)


@covers("aten::count_nonzero", each={"dim": ["", ", {dim}", ", {dims}"]})
def test_count_nonzero(dim: str, data: st.DataObject) -> None:
    reduced(data, f"torch.count_nonzero(x{dim})", ANY)


NAN_CALLS = [
    "torch.{name}(x)",
    "torch.{name}(x, {dims}, True)",
    "torch.{name}(x, {dims}, False, dtype={dtype})",
]


@covers("aten::{name}", name=["nansum", "nanmean"], each={"call": NAN_CALLS})
def test_without_nan(name: str, call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    x = with_nan(data, operand(data, "x", ANY, shape))
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    wanted = data.draw(
        fwd.dtypes((DType.FLOAT32, DType.FLOAT16, DType.INT64, DType.BOOL)), label="dtype"
    )
    spelled = call.format(name=name, dims=list(axes), dtype=f"torch.{wanted}")
    check(data, spelled, x=x, batch=["x"], tolerance=SUMS, may_raise=True)


@covers("aten::{name}", name=["logsumexp", "special_logsumexp"])
def test_logsumexp(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    # Far apart, so that a sum without a shift is infinite.
    x = operand(data, "x", ANY, shape, low=-100, high=100)
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    keepdim = data.draw(st.booleans(), label="keepdim")
    infinite = data.draw(st.booleans(), label="infinite")
    value = "torch.where(x > 50, float('inf'), torch.where(x < 0, float('-inf'), x))"
    call = f"torch.{name.replace('special_', 'special.')}"
    spelled = f"{call}({value if infinite else 'x'}, {list(axes)}, {keepdim})"
    check(data, spelled, x=x, batch=["x"], tolerance=SUMS, may_raise=True)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("shape", "dims"), [((0,), "[]"), ((0, 3), "0"), ((2, 0, 3), "[0, 1]")])
def test_logsumexp_of_nothing(dtype: DType, shape: tuple[int, ...], dims: str) -> None:
    x = Tensor(np.zeros(shape)).astype(dtype)
    module = module_from_source(f"torch.logsumexp(x, {dims}, True)", "x")
    assert_parity(module, (x,), plugins=plugins())


@covers("aten::trace")
def test_trace(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 2, max_size=4) | fwd.shapes(0, 3, max_size=2), label="shape")
    check(data, "torch.trace(x)", x=operand(data, "x", ANY, shape), batch=["x"], tolerance=SUMS,
          may_raise=True)  # fmt: skip


@covers("aten::sum_to_size")
def test_sum_to_size(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=3), label="shape")
    x = operand(data, "x", ANY, shape)
    start = data.draw(st.integers(0, len(shape)), label="axes less")
    size = [data.draw(st.sampled_from([one, one, 1]), label="size") for one in shape[start:]]
    if data.draw(st.integers(0, 9), label="wrong at 1") == 1:
        size.insert(0, 2)
    # A literal that holds the batch's size contradicts every other batch. A batch of 1 is not
    # summed to 1, and what is not summed keeps its dtype.
    kept = isinstance(x, Tensor) or x.dtype.kind == "f" or x.dtype == np.int64
    fits = len(size) < len(shape) or (len(size) == len(shape) and size[:1] == [1] and kept)
    batch = ["x"] if fits else []
    check(data, f"x.sum_to_size({size})", x=x, batch=batch, tolerance=SUMS, may_raise=True)
