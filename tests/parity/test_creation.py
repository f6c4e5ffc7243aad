"""Converters that make tensors, against eager torch: exactly equal."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, QUICK, check, covers, number, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd

WANTED = (*FLOATS, DType.INT64, DType.INT32, DType.UINT8, DType.BOOL)
VALUES = (0, 1, 2.5, -3, True)


def made(data: st.DataObject, call: str) -> None:
    """Made tensors are outputs beside x, so that the graph has an input; sizes follow from it."""
    shape = data.draw(fwd.shapes(1, 3), label="shape of x")
    x = operand(data, "x", ANY, shape)
    # TorchScript makes bool numbers integers, which eager torch does not.
    forms = ("exported",) if "True" in call else QUICK
    check(data, f"x, {call}", x=x, batch=["x"], tolerance=EXACT, may_raise=True, forms=forms)


def dtype(data: st.DataObject) -> str:
    given = data.draw(st.none() | fwd.dtypes(WANTED), label="dtype")
    return "None" if given is None else f"torch.{given}"


def sizes(data: st.DataObject) -> str:
    fixed = [str(size) for size in data.draw(fwd.shapes(0, 3, max_size=3), label="sizes")]
    if data.draw(st.booleans(), label="a size of x"):
        fixed.append("x.shape[0]")
    return f"[{', '.join(fixed)}]"


@covers("aten::{name}", name=["zeros", "ones"])
def test_zeros_and_ones(name: str, data: st.DataObject) -> None:
    made(data, f"torch.{name}({sizes(data)}, dtype={dtype(data)})")


@covers("aten::full")
def test_full(data: st.DataObject) -> None:
    value = number(data, "fill_value", VALUES)
    made(data, f"torch.full({sizes(data)}, {value}, dtype={dtype(data)})")


@covers("aten::new_zeros", "aten::new_ones")
def test_new(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["new_zeros", "new_ones"]), label="name")
    made(data, f"x.{name}({sizes(data)}, dtype={dtype(data)})")


@covers("aten::new_full")
def test_new_full(data: st.DataObject) -> None:
    value = number(data, "fill_value", VALUES)
    made(data, f"x.new_full({sizes(data)}, {value}, dtype={dtype(data)})")


@covers("aten::{name}", name=["zeros_like", "ones_like"])
def test_like(name: str, data: st.DataObject) -> None:
    made(data, f"torch.{name}(x, dtype={dtype(data)})")


@covers("aten::full_like")
def test_full_like(data: st.DataObject) -> None:
    made(data, f"torch.full_like(x, {number(data, 'fill_value', VALUES)}, dtype={dtype(data)})")


@covers("aten::scalar_tensor", each={"value": ["x.shape[0]", "2.5", "-3", "True"]})
def test_scalar_tensor(value: str, data: st.DataObject) -> None:
    made(data, f"torch.scalar_tensor({value}, dtype={dtype(data)})")


EMPTY = {
    "empty": "torch.empty({sizes}, dtype={dtype})",
    "empty_like": "torch.empty_like(x, dtype={dtype})",
    "new_empty": "x.new_empty({sizes}, dtype={dtype})",
}


@covers("aten::{name}", name=EMPTY)
def test_empty(name: str, data: st.DataObject) -> None:
    call = EMPTY[name].format(sizes=sizes(data), dtype=dtype(data))
    made(data, f"{call}.fill_({data.draw(st.sampled_from([0, 1]), label='value')})")


IN_SOME_ORDER = (
    "torch.empty_permuted({sizes}, {order}, dtype={dtype})",
    "torch.empty_strided({sizes}, {strides}, dtype={dtype})",
    "x.new_empty_strided({sizes}, {strides}, dtype={dtype})",
)


@covers("aten::empty_permuted", "aten::empty_strided", "aten::new_empty_strided",
        each={"call": IN_SOME_ORDER, "dynamic": [False, True]}, examples=1.5)  # fmt: skip
def test_empty_in_some_order(call: str, dynamic: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 2, max_size=3), label="sizes")
    order = [len(shape), *data.draw(st.permutations(range(len(shape))), label="order")]
    listed = f"[{', '.join(map(str, [*shape, 'x.shape[0]']))}]"
    strides = [data.draw(st.integers(1, 2), label="stride")] * len(order)
    made_so = call.format(sizes=listed, order=order, strides=strides, dtype=dtype(data))
    x = operand(data, "x", ANY, data.draw(fwd.shapes(1, 3, min_size=2), label="shape of x"))
    # torch.export writes down the number that a size was.
    check(data, f"x, torch.zeros_like({made_so})", x=x, batch=["x"] * dynamic, tolerance=EXACT,
          forms=("scripted",) if dynamic else QUICK)  # fmt: skip
