"""Normalizations and softmax against eager torch."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array

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


RUNNING = ["self.mean, self.var, False", "None, None, True"]


@covers("aten::batch_norm", each={"running": RUNNING})
def test_batch_norm(running: str, data: st.DataObject) -> None:
    call = f"torch.batch_norm(x, {{weight}}, {{bias}}, {running}, 0.1, {{eps}}, False)"
    batch_statistics(data, call)


@covers("aten::native_batch_norm", "aten::_native_batch_norm_legit_no_training",
        "aten::_native_batch_norm_legit",
        fixed={"running_mean": "None for training only", "running_var": "the same"},
        examples=3)  # fmt: skip
def test_native_batch_norm(data: st.DataObject) -> None:
    given = "(x, {weight}, {bias}, self.mean, self.var"
    calls = [f"torch.native_batch_norm{given}, False, 0.1, {{eps}})[0]",
             "torch.native_batch_norm(x, {weight}, {bias}, None, None, True, 0.1, {eps})",
             f"torch._native_batch_norm_legit{given}, False, 0.1, {{eps}})[0]",
             "torch._native_batch_norm_legit(x, {weight}, {bias}, True, 0.1, {eps})",
             f"torch._native_batch_norm_legit_no_training{given}, 0.1, {{eps}})[0]"]  # fmt: skip
    batch_statistics(data, data.draw(st.sampled_from(calls), label="call"))


@covers("aten::_native_batch_norm_legit_functional", each={"result": [0, 3, 4]},
        fixed={"training": "new running statistics are for training only"})  # fmt: skip
def test_native_batch_norm_of_decompositions(result: int, data: st.DataObject) -> None:
    name = "torch.ops.aten._native_batch_norm_legit_functional"
    given = f"x, {{weight}}, {{bias}}, self.mean, self.var, False, 0.1, {{eps}})[{result}]"
    batch_statistics(data, f"{name}({given}" + " + 0 * x.sum()" * (result > 0))


@covers("aten::instance_norm", each={"by_input": [True, False]})
def test_instance_norm(by_input: bool, data: st.DataObject) -> None:
    # By its own statistics torch.export refuses to change the running ones.
    given = "None, None" if by_input else "self.mean, self.var"
    call = f"torch.instance_norm(x, {{weight}}, {{bias}}, {given}, {by_input}, 0.1, {{eps}}, False)"
    batch_statistics(data, call)


@covers("aten::group_norm", "aten::native_group_norm", examples=1.5, each={"call": [
    "F.group_norm(x, {groups}, {weight}, {bias}, {eps})",
    "torch.native_group_norm(x, {weight}, {bias}, x.shape[0], {channels}, {size}, {groups}, {eps})",
]})  # fmt: skip
def test_group_norm(call: str, data: st.DataObject) -> None:
    groups = data.draw(st.integers(1, 3), label="groups")
    channels = groups * data.draw(st.integers(1, 3), label="channels per group")
    behind = data.draw(fwd.shapes(0, 3, min_size=1, max_size=3), label="behind")
    shape = (data.draw(st.integers(1, 3), label="N"), channels, *behind)
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    x = draw_array(data, "x", dtype, shape)
    parts = {name: draw_array(data, name, dtype, (channels,)) for name in ("weight", "bias")}
    weight, bias = (f"self.{one}" if data.draw(st.booleans(), label=f"with {one}") else "None"
                    for one in parts)  # fmt: skip
    eps = data.draw(st.sampled_from(EPSILONS), label="eps")
    size = "*".join(["1", *(f"x.shape[{axis}]" for axis in range(2, len(shape)))])
    spelled = call.format(
        groups=groups, weight=weight, bias=bias, channels=channels, size=size, eps=eps
    )
    # Torch refuses one value per channel, which a batch of 1 may leave of more.
    batch = ["x"] if channels // groups * math.prod(behind) > 1 else []
    check(data, spelled, x=x, batch=batch, buffers=parts, tolerance=NORMS, may_raise=True)


@covers("aten::rms_norm", "aten::_fused_rms_norm")
def test_rms_norm(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    axes = data.draw(st.integers(1, len(shape)), label="normalized axes")
    tail = list(shape[len(shape) - axes :])
    x = draw_array(data, "x", dtype, shape)
    weight = data.draw(st.booleans(), label="with weight")
    eps = data.draw(st.sampled_from([None, 1e-6, 0.1]), label="eps")
    arguments = f"x, {tail}, {'self.weight' if weight else 'None'}, {eps}"
    calls = [f"F.rms_norm({arguments})", f"torch.ops.aten._fused_rms_norm({arguments})"]
    call = data.draw(st.sampled_from(calls), label="call")
    parts = {"weight": draw_array(data, "weight", dtype, tuple(tail))}
    batch = ["x"] if axes < len(shape) else []
    check(data, call, x=x, batch=batch, buffers=parts, tolerance=NORMS)


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
