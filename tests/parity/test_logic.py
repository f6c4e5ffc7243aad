"""Converters of truth values against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from binary_cases import binary
from hypothesis import strategies as st
from parity_cases import ANY, QUICK, check, covers, number, operand, plugins

from fwd_core import Builder
from fwd_core.errors import UnsupportedModelError
from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.importers import jit
from fwd_ops_torch.testing import module_from_source


@covers("aten::logical_not", "aten::logical_not_")
def test_not(data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"))
    call = data.draw(st.sampled_from(["torch.logical_not(x)", "x.clone().logical_not_()"]))
    check(data, call, x=x, batch=["x"])


@covers("aten::{name}", "aten::{name}_", name=["logical_and", "logical_or", "logical_xor"],
        each={"kind": ["tensors", "in place"]})  # fmt: skip
def test_logic(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind)


@covers("aten::isclose")
def test_isclose(data: st.DataObject) -> None:
    left, right = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    dtype = data.draw(fwd.dtypes(ANY), label="dtype")
    x = operand(data, "x", (dtype, dtype, dtype, DType.FLOAT32), left)
    z = operand(data, "z", (dtype,), right)
    # Powers of two, so that rounding leaves no doubt of what lies on the border.
    rtol, atol = (
        number(data, "rtol", (1e-5, 0.0, 0.5, -1.0)),
        number(data, "atol", (1e-8, 0.0, 1.0)),
    )
    nan = data.draw(st.booleans(), label="equal_nan")
    roots = data.draw(st.booleans(), label="with NaN") and dtype is DType.FLOAT32
    values = "torch.sqrt(x), torch.sqrt(z)" if roots else "x, z"
    if dtype in (DType.FLOAT16, DType.BFLOAT16):
        values = "torch.floor(x), torch.floor(z)"  # or torch rounds what is allowed
    check(data, f"torch.isclose({values}, {rtol}, {atol}, {nan})", x=x, z=z, may_raise=True)


@pytest.mark.filterwarnings("ignore:where received a uint8 condition tensor:UserWarning")
@covers("aten::where", without={"": "gives a size that depends on data: refused, see below"},
        each={"a": ["a", "2", "1.5"], "b": ["b", "-3", "0.5"]})  # fmt: skip
def test_where(a: str, b: str, data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(3), label="shapes")
    c = operand(data, "c", (DType.BOOL, DType.BOOL, DType.UINT8), shapes[0])
    first, second = operand(data, "a", ANY, shapes[1]), operand(data, "b", ANY, shapes[2])
    # torch.export takes no uint8 for a condition, as old models have it.
    forms = QUICK if c.dtype == np.bool_ else ("traced", "scripted")
    check(data, f"torch.where(c, {a}, {b})", c=c, a=first, b=second, may_raise=True, forms=forms)


@covers("aten::masked_fill", "aten::masked_fill_",
        each={"value": ["2", "1.5", "-3", "value"], "written": ["", "_"]})  # fmt: skip
def test_masked_fill(value: str, written: str, data: st.DataObject) -> None:
    first, second = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    x, mask = operand(data, "x", ANY, first), operand(data, "mask", (DType.BOOL,), second)
    # Only when it runs, torch refuses a number below zero for uint8.
    low = 0 if x.dtype == np.uint8 else -4
    filler = operand(data, "value", ANY, (), low=low)
    check(data, f"x.clone().masked_fill{written}(mask, {value})", x=x, mask=mask, value=filler,
          may_raise=True)  # fmt: skip


def test_where_of_a_condition_alone_is_refused() -> None:
    module = module_from_source("torch.where(x)[0]", "x")
    x = torch.tensor([True, False])
    builder = Builder(backend="openvino", plugins=plugins())
    with pytest.raises(UnsupportedModelError, match="the size of the result depends on data"):
        builder.import_model(jit.trace(module, (x,), check=False), (x,))
