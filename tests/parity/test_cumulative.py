"""Operators on all elements before each against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, check, covers, operand, with_nan

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Up to 5 numbers of up to 4; torch rounds every partial result.
PARTS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="partial results in another order"),
    DType.FLOAT16: Tolerance(1e-2, 2e-2, reason="torch rounds partial results to float16"),
    DType.BFLOAT16: Tolerance(6e-2, 0.2, reason="torch rounds partial results to bfloat16"),
}
TYPED = ["torch.{name}(x, {dim})", "torch.{name}(x, {dim}, dtype={dtype})"]
IN_PLACE = ["x.clone().{name}_({dim})", "x.clone().{name}_({dim}, dtype={dtype})"]


def accumulated(data: st.DataObject, call: str, dtypes: tuple[DType, ...]) -> None:
    """``call`` has {dim} and {dtype}."""
    shape = data.draw(fwd.shapes(0, 3, max_size=5), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    x = operand(data, "x", dtypes, shape)
    if "{dtype}" not in call:  # a NaN is no integer
        x = with_nan(data, x)
    same = "_(" in call  # in place torch takes the tensor's own dtype only
    dtype = x.dtype if same else data.draw(fwd.dtypes((DType.FLOAT32, DType.INT32, DType.INT64)))
    spelled = call.format(dim=axis, dtype=f"torch.{dtype}")
    check(data, spelled, x=x, batch=["x"], tolerance=PARTS, may_raise=True)


@covers("aten::{name}", name=["cumsum", "cumprod"], each={"call": TYPED})
def test_sums_and_products(name: str, call: str, data: st.DataObject) -> None:
    accumulated(data, call.format(name=name, dim="{dim}", dtype="{dtype}"), ANY)


@covers("aten::{name}_", name=["cumsum", "cumprod"], each={"call": IN_PLACE})
def test_in_place(name: str, call: str, data: st.DataObject) -> None:
    accumulated(data, call.format(name=name, dim="{dim}", dtype="{dtype}"), ANY)


@covers("aten::{name}", name=["cummax", "cummin"])
def test_extremes(name: str, data: st.DataObject) -> None:
    accumulated(data, f"tuple(torch.{name}(x, {{dim}}))", ANY)


@covers("aten::logcumsumexp")
def test_logcumsumexp(data: st.DataObject) -> None:
    values = ["x", "x * 30", "torch.where(x < 0, float('-inf'), x)"]
    value = data.draw(st.sampled_from(values), label="value")
    accumulated(data, f"torch.logcumsumexp({value}, {{dim}})", (*FLOATS, DType.INT32))


@covers("aten::diff")
def test_diff(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    n = data.draw(st.integers(0, 3), label="n")
    given = {"x": operand(data, "x", ANY, shape)}
    parts = ""
    for name in ("prepend", "append") if shape else ():
        if data.draw(st.booleans(), label=name):
            size = data.draw(st.integers(0, 2), label=f"size of {name}")
            sizes = [size if i == axis % len(shape) else dim for i, dim in enumerate(shape)]
            given[name] = operand(data, name, ANY, tuple(sizes))
            parts += f", {name}={name}"
    along = len(shape) > 1 and axis % len(shape) == 0
    batch = [] if along or len(shape) < 2 else list(given)
    check(data, f"torch.diff(x, {n}, {axis}{parts})", batch=batch, may_raise=True, **given)


POWERS = PARTS | {
    DType.FLOAT16: Tolerance(2e-2, 2e-2, reason="torch rounds powers to float16"),
    DType.BFLOAT16: Tolerance(8e-2, 0.2, reason="torch rounds powers to bfloat16"),
}


@covers("aten::vander", each={"given": ["", ", {columns}", ", {columns}, {increasing}"]})
def test_vander(given: str, data: st.DataObject) -> None:
    rank = data.draw(st.sampled_from([1, 1, 1, 0, 2]), label="rank")
    x = operand(data, "x", ANY, data.draw(fwd.shapes(rank, rank, max_size=4), label="shape"))
    columns = data.draw(st.sampled_from([1, 2, 3, 5, 0]), label="N")
    increasing = data.draw(st.booleans(), label="increasing")
    call = f"torch.vander(x{given.format(columns=columns, increasing=increasing)})"
    check(data, call, x=x, batch=["x"] if given else [], tolerance=POWERS, may_raise=True)


@covers("aten::linalg_vander", each={"given": ["", ", N={columns}"]})
def test_linalg_vander(given: str, data: st.DataObject) -> None:
    dtypes = (DType.FLOAT32, DType.FLOAT32, DType.INT64, DType.INT8, DType.FLOAT16, DType.BOOL)
    shape = data.draw(fwd.shapes(0, 2, max_size=4), label="shape")
    x = operand(data, "x", dtypes, shape)
    columns = data.draw(st.sampled_from([2, 3, 5, 1]), label="N")
    call = f"torch.linalg.vander(x{given.format(columns=columns)})"
    check(data, call, x=x, batch=["x"] if given else [], tolerance=POWERS, may_raise=True)
