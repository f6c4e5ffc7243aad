"""Reductions against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Up to 81 numbers of up to 4: sums reach 324, and cancel.
SUMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-4, reason="sums of up to 81 numbers in another order"),
    DType.FLOAT16: Tolerance(1e-2, 0.25, reason="float16 near 324 is spaced by 1/4"),
    DType.BFLOAT16: Tolerance(5e-2, 2.0, reason="bfloat16 near 324 is spaced by 2"),
}


def reduced(data: st.DataObject, call: str, dtypes: tuple[DType, ...]) -> None:
    """``call`` has {dim}, {keepdim} and {dtype}; forms without {dim} reduce everything."""
    shape = data.draw(fwd.shapes(0, 4, max_size=3), label="shape")
    x = operand(data, "x", dtypes, shape)
    rank = max(len(shape), 1)
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    axis = data.draw(fwd.axis(rank), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    wanted = data.draw(fwd.dtypes((DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT64)))
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
