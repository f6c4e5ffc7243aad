"""Normalizations and softmax against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: x is up to 4 and a standard deviation may be as small as sqrt(eps): results reach 4 / sqrt(1e-5).
NORMS = {
    DType.FLOAT32: Tolerance(2e-4, 2e-4, reason="1/sqrt of small variances magnifies roundings"),
    DType.FLOAT16: Tolerance(2e-2, 5e-2, reason="statistics of float16 numbers, rounded twice"),
    DType.BFLOAT16: Tolerance(6e-2, 0.2, reason="statistics of bfloat16 numbers, rounded twice"),
}
EPSILONS = (1e-5, 1e-3, 0.1)


def batch_statistics(data: st.DataObject, call: str) -> None:
    """``call`` has {weight}, {bias} and {eps}."""
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    shape = data.draw(fwd.shapes(2, 5, min_size=1, max_size=3), label="shape")
    parts = {
        name: draw_array(data, name, dtype, shape[1:2], low=low, high=2)
        for name, low in (("weight", -2), ("bias", -2), ("mean", -2), ("var", 0.1))
    }
    x = draw_array(data, "x", dtype, shape)
    affine = data.draw(st.booleans(), label="affine")
    eps = data.draw(st.sampled_from(EPSILONS), label="eps")
    spelled = call.format(weight="self.weight" if affine else "None",
                          bias="self.bias" if affine else "None", eps=eps)  # fmt: skip
    check(data, spelled, x=x, batch=["x"], buffers=parts, tolerance=NORMS, may_raise=True)


@covers(
    "aten::batch_norm",
    fixed={"training": "refused, see the tests of importers", "running_mean": "the same",
           "running_var": "the same"},
)  # fmt: skip
def test_batch_norm(data: st.DataObject) -> None:
    batch_statistics(
        data, "F.batch_norm(x, self.mean, self.var, {weight}, {bias}, False, 0.1, {eps})"
    )


@covers("aten::native_batch_norm", "aten::_native_batch_norm_legit_no_training",
        fixed={"training": "refused, see the tests of importers", "running_mean": "the same",
               "running_var": "the same"})  # fmt: skip
def test_native_batch_norm(data: st.DataObject) -> None:
    given = "(x, {weight}, {bias}, self.mean, self.var"
    calls = [f"torch.native_batch_norm{given}, False, 0.1, {{eps}})[0]",
             f"torch._native_batch_norm_legit_no_training{given}, 0.1, {{eps}})[0]"]  # fmt: skip
    batch_statistics(data, data.draw(st.sampled_from(calls), label="call"))


@covers("aten::layer_norm", "aten::native_layer_norm", examples=1.5)
def test_layer_norm(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    axes = data.draw(st.integers(1, len(shape)), label="normalized axes")
    tail = shape[len(shape) - axes :]
    x = draw_array(data, "x", dtype, shape)
    parts = {name: draw_array(data, name, dtype, tail) for name in ("weight", "bias")}
    weight, bias = (f"self.{one}" if data.draw(st.booleans(), label=f"with {one}") else "None"
                    for one in parts)  # fmt: skip
    eps = data.draw(st.sampled_from(EPSILONS), label="eps")
    calls = [f"F.layer_norm(x, {list(tail)}, {weight}, {bias}, {eps})",
             f"torch.native_layer_norm(x, {list(tail)}, {weight}, {bias}, {eps})"]  # fmt: skip
    call = data.draw(st.sampled_from(calls), label="call")
    batch = ["x"] if axes < len(shape) else []
    check(data, call, x=x, batch=batch, buffers=parts, tolerance=NORMS)


@covers("aten::softmax", each={"dtype": ["None", "torch.float32", "torch.float16"]})
def test_softmax(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    # Torch refuses integers, unless there are none.
    x = operand(data, "x", FLOATS if 0 in shape else (*FLOATS, DType.INT32), shape)
    check(data, f"torch.softmax(x, {axis}, dtype={dtype})", x=x, batch=["x"], may_raise=True)


@covers("aten::_softmax", fixed={"half_to_float": "True is for CUDA only"})
def test_softmax_as_decomposed(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    x = operand(data, "x", FLOATS, shape)
    check(data, f"torch._softmax(x, {axis}, False)", x=x, batch=["x"])
