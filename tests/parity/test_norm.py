"""Norms, and what is scaled by them, against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Up to 64 numbers of up to 4; powers and roots by exp and log.
NORMS = {
    DType.FLOAT32: Tolerance(1e-4, 1e-4, reason="powers and roots of sums in another order"),
    DType.FLOAT16: Tolerance(1e-2, 1e-2, reason="rounded to float16 once more or less"),
    DType.BFLOAT16: Tolerance(4e-2, 4e-2, reason="rounded to bfloat16 once more or less"),
}
INF, MINUS_INF = "float('inf')", "float('-inf')"
ORDERS = ["2", "1", "0", "3", "2.5", "0.5", "-1", "-2.0", INF, MINUS_INF]


def normed(data: st.DataObject, call: str, *, orders: list[str], rank: int = 3) -> None:
    """``call`` has {p}, {dims}, {keepdim} and {dtype}."""
    shape = data.draw(fwd.shapes(0, rank, max_size=4), label="shape")
    if data.draw(st.integers(0, 9), label="any") == 9:
        x = operand(data, "x", (DType.INT32, DType.BOOL), shape)
    else:
        x = operand(data, "x", FLOATS, shape)
    axes = list(data.draw(fwd.axes(len(shape)), label="dims"))
    spelled = call.format(
        p=data.draw(st.sampled_from(orders), label="p"),
        dims=axes,
        keepdim=data.draw(st.booleans(), label="keepdim"),
        dtype=data.draw(st.sampled_from(["torch.float32", "torch.bfloat16"]), label="dtype"),
    )
    check(data, spelled, x=x, batch=["x"], tolerance=NORMS, may_raise=True)


@covers("aten::norm", each={"call": [
    "torch.ops.aten.norm.Scalar(x, {p})",
    "torch.ops.aten.norm.ScalarOpt_dtype(x, {p}, dtype={dtype})",
    "torch.ops.aten.norm.ScalarOpt_dim(x, {p}, {dims}, {keepdim})",
    "torch.ops.aten.norm.ScalarOpt_dim_dtype(x, {p}, {dims}, {keepdim}, dtype={dtype})",
]})  # fmt: skip
def test_norm(call: str, data: st.DataObject) -> None:
    optional = ["None"] if "Opt" in call else []
    normed(data, call, orders=[*ORDERS, *optional])


@covers("aten::linalg_vector_norm", each={"call": [
    "torch.linalg.vector_norm(x, {p})",
    "torch.linalg.vector_norm(x, {p}, {dims}, {keepdim})",
    "torch.linalg.vector_norm(x, {p}, {dims}, {keepdim}, dtype={dtype})",
]})  # fmt: skip
def test_vector_norm(call: str, data: st.DataObject) -> None:
    normed(data, call, orders=ORDERS)


MATRIX = ["1", "-1", INF, MINUS_INF, "3", '"fro"']


def matrix_normed(data: st.DataObject, call: str, orders: list[str]) -> None:
    shape = data.draw(fwd.shapes(2, 4, max_size=3), label="shape")
    dims = data.draw(fwd.axes(len(shape), 2, max_count=2), label="dims")
    spelled = call.format(
        p=data.draw(st.sampled_from(orders), label="ord"),
        dims=list(dims),
        keepdim=data.draw(st.booleans(), label="keepdim"),
        dtype=data.draw(st.sampled_from(["None", "torch.float32", "torch.float16"]), label="dtype"),
    )
    x = operand(data, "x", FLOATS, shape)
    # torch.export fixes the batch where there are no elements.
    batch = ["x"] if 0 not in shape else []
    check(data, spelled, x=x, batch=batch, tolerance=NORMS, may_raise=True)


@covers("aten::linalg_matrix_norm", each={"orders": [MATRIX[:-1], MATRIX[-1:]]},
        fixed={"ord": "the overload of strings has one that converts"})  # fmt: skip
def test_matrix_norm(orders: list[str], data: st.DataObject) -> None:
    matrix_normed(
        data, "torch.linalg.matrix_norm(x, {p}, {dims}, {keepdim}, dtype={dtype})", orders
    )


@covers("aten::linalg_norm", each={"orders": [MATRIX[:-1], MATRIX[-1:], ["None"], ["2"]]})
def test_linalg_norm(orders: list[str], data: st.DataObject) -> None:
    if orders in (["None"], ["2"]):
        calls = ["torch.linalg.norm(x, {p})",
                 "torch.linalg.norm(x, {p}, keepdim={keepdim}, dtype={dtype})"]  # fmt: skip
        call = data.draw(st.sampled_from(calls), label="call")
        normed(data, call, orders=orders, rank=3 if orders == ["None"] else 1)
    else:
        matrix_normed(data, "torch.linalg.norm(x, {p}, {dims}, {keepdim}, dtype={dtype})", orders)


@covers("aten::frobenius_norm")
def test_frobenius_norm(data: st.DataObject) -> None:
    call = "torch.ops.aten.frobenius_norm.dim(x, {dims}, {keepdim})"
    normed(data, call, orders=["2"], rank=3)


@covers("aten::renorm", "aten::renorm_")
def test_renorm(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    p = data.draw(st.sampled_from(["1", "2", "3.5", INF]), label="p")
    most = data.draw(st.sampled_from([0.5, 2, 100]), label="maxnorm")
    x = operand(data, "x", FLOATS, shape)
    call = data.draw(st.sampled_from(["torch.renorm(x", "x.clone().renorm_("]), label="call")
    arguments = f"{p}, {axis}, {most})"
    spelled = f"{call}, {arguments}" if call.endswith("x") else f"{call}{arguments}"
    check(data, spelled, x=x, batch=["x"], tolerance=NORMS, may_raise=True)


@covers("aten::norm_except_dim")
def test_norm_except_dim(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=3), label="shape")
    axis = data.draw(st.integers(-1, len(shape) - 1), label="dim")
    p = data.draw(st.sampled_from([1, 2, 3]), label="pow")
    x = operand(data, "x", FLOATS, shape)
    call = f"torch.norm_except_dim(x, {p}, {axis})"
    check(data, call, x=x, tolerance=NORMS, may_raise=True)


@covers("aten::_weight_norm", "aten::_weight_norm_interface")
def test_weight_norm(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 4, min_size=1, max_size=3), label="shape")
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    whole = data.draw(st.booleans(), label="the whole")
    axis = data.draw(st.sampled_from([0, len(shape) - 1]), label="dim")
    size = [n if i == axis else 1 for i, n in enumerate(shape)]
    # A row of zeros has no direction.
    v = draw_array(data, "v", dtype, shape, low=0.5)
    if whole:
        g, call = draw_array(data, "g", dtype, ()), "torch._weight_norm(v, g, -1)"
    else:
        g = draw_array(data, "g", dtype, tuple(size))
        calls = [f"torch._weight_norm(v, g, {axis})", f"torch._weight_norm_interface(v, g, {axis})"]
        call = data.draw(st.sampled_from(calls), label="call")
    # Decomposed, the norm of half types is half; of the operator itself it is float32.
    check(data, call, v=v, g=g, tolerance=NORMS, decompose=dtype is DType.FLOAT32)
