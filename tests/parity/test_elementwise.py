"""Elementwise converters against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from binary_cases import KINDS, PLAIN, binary
from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, check, covers, number, operand, plugins

from fwd_core import Builder
from fwd_core.errors import UnsupportedModelError
from fwd_core.ir import DType
from fwd_core.testing import assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.importers import jit
from fwd_ops_torch.testing import module_from_source


@covers("aten::{name}", "aten::{name}_", name=["add", "sub", "subtract"], each={"kind": KINDS})
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


@covers("aten::{name}", name=["maximum", "minimum"])
def test_tensors_only(name: str, data: st.DataObject) -> None:
    binary(data, name, "tensors")


COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
ALIASES = ("not_equal", "less", "less_equal", "greater", "greater_equal")


@covers("aten::{name}", "aten::{name}_", name=COMPARISONS, each={"kind": KINDS})
def test_comparisons(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind, compares=True)


@covers("aten::{name}", "aten::{name}_", name=ALIASES, each={"kind": KINDS})
def test_names_of_comparisons(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind, compares=True)


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


@pytest.mark.parametrize(
    "call", ["clamp_min(0.5)", "clamp_max(0.5)", "clamp(min=-1)", "clamp(2, 1)"]
)
def test_clamp_of_special_numbers(call: str) -> None:
    """Two bounds in order lose a NaN on OpenVINO: see the documentation of importing."""
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -2.0, 3.0, np.nan, 0.75], np.float32)
    module = module_from_source(f"x.{call}", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins())


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


@covers("aten::{name}", name=SAME)
def test_same_elements(name: str, data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"))
    check(data, SAME[name], x=x, batch=["x"])


DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")


@covers(
    "aten::{name}",
    name=[f"{name}{end}" for name in DROPOUTS for end in ("", "_")],
    fixed={"train": "training is random: refused, see below"},
)
def test_dropout(name: str, data: st.DataObject) -> None:
    x = operand(data, "x", FLOATS, data.draw(fwd.shapes(2), label="shape"))
    rate = data.draw(st.sampled_from([0.0, 0.3, 1.0]), label="p")
    given = "x.clone()" if name.endswith("_") else "x"
    check(data, f"torch.{name}({given}, {rate}, False)", x=x, batch=["x"])


@covers("aten::native_dropout", fixed={"train": "training is random: refused, see below"})
def test_native_dropout(data: st.DataObject) -> None:
    x = operand(data, "x", (*FLOATS, DType.INT32), data.draw(fwd.shapes(), label="shape"))
    rate = data.draw(st.sampled_from([0.0, 0.3, 1.0]), label="p")
    call = f"tuple(torch.native_dropout(x, {rate}, False))"
    check(data, call, x=x, batch=["x"])


@pytest.mark.parametrize("train", [True, None])
def test_native_dropout_in_training_is_refused(train: bool | None) -> None:
    module = module_from_source(f"torch.native_dropout(x, 0.5, {train})[0]", "x")
    builder = Builder(backend="openvino", plugins=plugins())
    with pytest.raises(UnsupportedModelError, match="dropout in training mode is random"):
        builder.import_model(jit.script(module), (torch.ones(2),))


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


@covers("aten::zero_", "aten::zero")
def test_zero(data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"))
    calls = ["x.clone().zero_()", "torch.ops.aten.zero(x)"]
    check(data, data.draw(st.sampled_from(calls)), x=x, batch=["x"])
