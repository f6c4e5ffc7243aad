"""Elementwise converters against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, QUICK, check, covers, number, operand, plugins
from parity_unary import call_of, unary

from fwd_core import Builder
from fwd_core.errors import UnsupportedModelError
from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.importers import jit
from fwd_ops_torch.testing import module_from_source


@covers("aten::logical_not", "aten::logical_not_", "aten::bitwise_not", "aten::bitwise_not_")
def test_not(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["logical_not", "bitwise_not"]))
    unary(data, call_of(data, name))


#: How a function of two tensors, or a tensor and a number, is called.
PLAIN = ("tensors", "number", "number, by overload")
KINDS = (*PLAIN, "in place", "in place with a number", "in place with a number, by overload")


def binary(
    data: st.DataObject,
    name: str,
    kind: str,
    *,
    dtypes: tuple[DType, ...] = ANY,
    numbers: tuple[object, ...] = (2, -3, 1.5, True, 0),
    more: str = "",
    low: float = -4,
    zeros: bool = True,
    overload: str = "Scalar",
) -> None:
    """A function of two tensors that broadcast, or of a tensor and a number, or in place."""
    given = number(data, "number", numbers)
    if "number" in kind:
        shape = data.draw(fwd.shapes(), label="shape")
        leads = kind == "number first"
        x = operand(data, "x", dtypes, shape, low=low, zeros=zeros or not leads)
        mode = "_mode" if "rounding" in more else ""
        if leads:
            call = f"torch.{name}({given}, x{more})"
        elif kind == "number, by overload":
            call = f"torch.ops.aten.{name}.{overload}{mode}(x, {given}{more})"
        elif kind == "in place with a number, by overload":
            call = f"torch.ops.aten.{name}_.{overload}{mode}(x.clone(), {given}{more})"
        elif kind == "number":
            call = f"torch.{name}(x, {given}{more})"
        else:
            call = f"y = x.clone()\ny.{name}_({given}{more})\nreturn y"
        # TorchScript makes bool numbers integers, which eager torch does not.
        forms = ("exported",) if isinstance(given, bool) else QUICK
        check(data, call, x=x, batch=["x"], may_raise=True, forms=forms)
        return
    first, second = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    x, z = (
        operand(data, "x", dtypes, first, low=low),
        operand(data, "z", dtypes, second, low=low, zeros=zeros),
    )
    written = f"y = x.clone()\ny.{name}_(z{more})\nreturn y"
    call = f"torch.{name}(x, z{more})" if kind == "tensors" else written
    batch = ["x", "z"] if len(first) == len(second) else ["x"] if len(first) > len(second) else []
    batched = batch if all(len(one) and one[0] > 1 for one in (first, second)) else []
    check(data, call, x=x, z=z, batch=batched, may_raise=True)


@covers("aten::{name}", "aten::{name}_", name=["add", "sub"], each={"kind": KINDS})
def test_sums(name: str, kind: str, data: st.DataObject) -> None:
    alpha = number(data, "alpha", (1, 2, -1, 0.5))
    binary(data, name, kind, more=f", alpha={alpha}")


@covers("aten::rsub", each={"kind": PLAIN})
def test_rsub(kind: str, data: st.DataObject) -> None:
    alpha = number(data, "alpha", (1, 2, -1, 0.5))
    binary(data, "rsub", kind, more=f", alpha={alpha}")


@covers("aten::{name}", "aten::{name}_", name=["mul", "multiply"], each={"kind": KINDS})
def test_products(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind)


@covers(
    "aten::{name}",
    "aten::{name}_",
    name=["div", "divide"],
    each={"kind": KINDS, "rounding": ["", "None", "'floor'", "'trunc'"]},
)
def test_quotients(name: str, kind: str, rounding: str, data: st.DataObject) -> None:
    more = f", rounding_mode={rounding}" if rounding else ""
    binary(data, name, kind, more=more, numbers=(2, -3, 1.5, True), zeros="'" not in more)


@covers("aten::true_divide", "aten::true_divide_", each={"kind": KINDS})
def test_true_divide(kind: str, data: st.DataObject) -> None:
    binary(data, "true_divide", kind)


@covers("aten::floor_divide", "aten::floor_divide_", each={"kind": KINDS})
def test_floor_divide(kind: str, data: st.DataObject) -> None:
    binary(data, "floor_divide", kind, numbers=(2, -3, 1.5, True), zeros=False)


@covers("aten::remainder", "aten::remainder_", each={"kind": (*KINDS, "number first")})
def test_remainder(kind: str, data: st.DataObject) -> None:
    binary(data, "remainder", kind, numbers=(2, -3, 1.5, True), zeros=False)


@covers("aten::{name}", name=["maximum", "minimum", "logical_and", "logical_or"])
def test_tensors_only(name: str, data: st.DataObject) -> None:
    binary(data, name, "tensors")


@covers("aten::{name}", name=["eq", "ne", "lt", "le", "gt", "ge"], each={"kind": PLAIN})
def test_comparisons(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind)


@covers("aten::pow", "aten::pow_", each={"kind": (*KINDS, "number first")}, examples=1.5)
def test_pow(kind: str, data: st.DataObject) -> None:
    exponents = (2, 3, 1, 0, 0.5, -0.5, 1.5, -1, -2, 4)
    binary(data, "pow", kind, numbers=exponents, low=0, overload="Tensor_Scalar")


@covers(
    "aten::{name}", "aten::{name}_", name=["clamp", "clip"],
    each={"bounds": ["numbers", "tensors"], "written": [False, True]},
)  # fmt: skip
def test_clamp(name: str, bounds: str, written: bool, data: st.DataObject) -> None:
    shape, one, other = data.draw(fwd.broadcastable(3), label="shapes")
    x = operand(data, "x", ANY, shape)
    if bounds == "tensors":
        low, high = operand(data, "low", ANY, one), operand(data, "high", ANY, other)
        given = data.draw(st.sampled_from(["low, high", "max=high", "min=low"]), label="given")
        call = f"x.clone().{name}_({given})" if written else f"torch.{name}(x, {given})"
        types = {"low": "torch.Tensor"}
        check(data, call, x=x, low=low, high=high, may_raise=True, arguments=types)
        return
    least = number(data, "min", (None, -1, 0, 0.5, 2))
    most = number(data, "max", (None, -2, 1, 2.5))
    call = f"{name}_({least}, {most})" if written else f"{name}({least}, {most})"
    check(data, f"x.clone().{call}", x=x, batch=["x"], may_raise=True)


BITS = ("bitwise_and", "bitwise_or")


@covers(
    "aten::{name}",
    "aten::{name}_",
    name=BITS,
    each={"kind": (*KINDS, "number first")},
)
def test_bits(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind, dtypes=(DType.BOOL,), numbers=(True, False))


# TorchScript takes `y &= z` for `y = y & z`.
@covers("aten::__and__", "aten::__iand__",
        each={"call": ["x & z", "x & True", "x.clone().__iand__(z)",
                       "x.clone().__iand__(True)"]})  # fmt: skip
def test_and(call: str, data: st.DataObject) -> None:
    symbols(data, call)


@covers("aten::__or__", "aten::__ior__",
        each={"call": ["x | z", "x | False", "x.clone().__ior__(z)",
                       "x.clone().__ior__(True)"]})  # fmt: skip
def test_or(call: str, data: st.DataObject) -> None:
    symbols(data, call)


def symbols(data: st.DataObject, call: str) -> None:
    forms = ("exported",) if "True" in call or "False" in call else QUICK
    first, second = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    x, z = operand(data, "x", (DType.BOOL,), first), operand(data, "z", (DType.BOOL,), second)
    check(data, call, x=x, z=z, may_raise=True, forms=forms)


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
    filler = operand(data, "value", ANY, ())
    check(data, f"x.clone().masked_fill{written}(mask, {value})", x=x, mask=mask, value=filler,
          may_raise=True)  # fmt: skip


def test_where_of_a_condition_alone_is_refused() -> None:
    module = module_from_source("torch.where(x)[0]", "x")
    x = torch.tensor([True, False])
    builder = Builder(backend="openvino", plugins=plugins())
    with pytest.raises(UnsupportedModelError, match="the size of the result depends on data"):
        builder.import_model(jit.trace(module, (x,), check=False), (x,))


@covers("aten::to", each={"call": [
    "x.to({dtype})", "x.to({dtype}, copy=True)", "x.to('cpu')", "x.to('cpu', {dtype})", "x.to(z)",
    "torch.ops.aten.to.dtype_layout(x, dtype={dtype}, device='cpu')",
]}, without={
    "prim_Device": "TorchScript resolves it to device or dtype_layout",
    "prim_dtype": "TorchScript resolves it to dtype",
    "prim_other": "it changes nothing",
})  # fmt: skip
def test_to(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    x, z = operand(data, "x", ANY, shape), operand(data, "z", ANY, ())
    wanted = data.draw(fwd.dtypes((*FLOATS, DType.BOOL, DType.INT32, DType.INT64)), label="dtype")
    if wanted is DType.UINT8:
        x = operand(data, "x", ANY, shape, low=0)  # floats below 0 are undefined there
    check(data, call.format(dtype=f"torch.{wanted}"), x=x, z=z)


@covers("aten::_to_copy", "aten::type_as")
def test_casts(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    x, z = operand(data, "x", ANY, shape), operand(data, "z", (*FLOATS, DType.INT32), ())
    wanted = data.draw(fwd.dtypes((*FLOATS, DType.BOOL, DType.INT64)), label="dtype")
    calls = ["x.type_as(z)", f"torch.ops.aten._to_copy(x, dtype=torch.{wanted})",
             "torch.ops.aten._to_copy(x)"]  # fmt: skip
    check(data, data.draw(st.sampled_from(calls)), x=x, z=z)


SAME = {
    "contiguous": "x.contiguous()",
    "clone": "x.clone()",
    "detach": "x.detach()",
    "detach_": "x.clone().detach_()",
    "alias": "torch.ops.aten.alias(x)",
    "alias_copy": "torch.ops.aten.alias_copy(x)",
    "detach_copy": "torch.ops.aten.detach_copy(x)",
    "lift_fresh": "torch.ops.aten.lift_fresh(x)",
    "lift_fresh_copy": "torch.ops.aten.lift_fresh_copy(x)",
}


@covers("aten::{name}", name=SAME, examples=0.3)
def test_same_elements(name: str, data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"))
    check(data, SAME[name], x=x, batch=["x"])


@covers(
    "aten::{name}",
    name=["dropout", "dropout_", "feature_dropout", "feature_dropout_", "alpha_dropout"],
    fixed={"train": "training is random: refused, see below"},
    examples=0.3,
)
def test_dropout(name: str, data: st.DataObject) -> None:
    x = operand(data, "x", FLOATS, data.draw(fwd.shapes(2), label="shape"))
    rate = data.draw(st.sampled_from([0.0, 0.3, 1.0]), label="p")
    given = "x.clone()" if name.endswith("_") else "x"
    check(data, f"torch.{name}({given}, {rate}, False)", x=x, batch=["x"])


def test_dropout_in_training_is_refused() -> None:
    module = module_from_source("F.dropout(x, 0.5, True)", "x")
    builder = Builder(backend="openvino", plugins=plugins())
    with pytest.raises(UnsupportedModelError, match="dropout in training mode is random"):
        builder.import_model(jit.script(module), (torch.ones(2),))


@covers("aten::copy_", "aten::copy", each={"source": ["z", "2"], "written": ["", "_"]}, without={
    "Tensor": "old TorchScript programs only", "int": "old TorchScript programs only",
    "float": "old TorchScript programs only",
}, fixed={"other": "old TorchScript programs only"})  # fmt: skip
def test_copy(source: str, written: str, data: st.DataObject) -> None:
    first, second = data.draw(fwd.left_padded(), label="shapes")
    x, z = operand(data, "x", ANY, first), operand(data, "z", ANY, second, low=0)
    given = source if source == "z" else f"torch.full_like(z, {source})"
    copied = "x.clone()" if written else "x"
    call = f"torch.ops.aten.copy{written}({copied}, {given})"
    check(data, call, x=x, z=z, may_raise=True)


@covers("aten::fill", "aten::fill_", each={"value": ["2", "1.5", "-3", "z"], "written": ["", "_"]})
def test_fill(value: str, written: str, data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"))
    z = operand(data, "z", ANY, (), low=0)
    given = "x.clone()" if written else "x"
    check(data, f"torch.fill{written}({given}, {value})", x=x, z=z, batch=["x"], may_raise=True)


@covers("aten::zero_", examples=0.3)
def test_zero(data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"))
    check(data, "x.clone().zero_()", x=x, batch=["x"])
