"""Operators of models that quantize themselves, against eager torch.

Torch multiplies by 1 / scale where engines divide, so a number next to a tie may come out a step
away, unless the scale is a power of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")
# It registers the operators.
pytest.importorskip("torch.ao.quantization.fx._decomposed")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

SCALES = [0.5, 0.25, 0.03, 1.0, 0.1]
POWERS = [0.5, 0.25, 0.125, 1.0]
SIGNED = [(-128, 127), (-127, 127), (-8, 7)]
UNSIGNED = [(0, 255), (0, 127), (3, 200)]


def steps(*scales: float) -> dict[DType, Tolerance]:
    """A step of the greatest scale; what is made of it is rounded to its dtype."""
    digits = {DType.FLOAT32: 1e-6, DType.FLOAT16: 1e-3, DType.BFLOAT16: 8e-3}
    return {
        dtype: Tolerance(relative, max(scales), reason="a tie may be rounded the other way")
        for dtype, relative in digits.items()
    }


def drawn(data: st.DataObject, powers: bool = False) -> tuple[Any, float, int, int, int]:
    """An operand, and one scale, zero point and range for all of it."""
    x = operand(data, "x", FLOATS, data.draw(fwd.shapes(0, 3, max_size=4), label="shape"), low=-70)
    scale = data.draw(st.sampled_from(POWERS if powers else SCALES), label="scale")
    low, high = data.draw(st.sampled_from([*SIGNED, *UNSIGNED]), label="range")
    return x, scale, data.draw(st.integers(max(low, -9), 9), label="zero point"), low, high


def per_channel(data: st.DataObject, powers: bool = False) -> tuple[Any, int, Any, Any, int, int]:
    """An operand, an axis of it, and a scale and a zero point for each of that axis."""
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    x = operand(data, "x", FLOATS, shape, low=-70)
    axis = data.draw(st.integers(0, len(shape) - 1), label="axis")
    choices = st.sampled_from(POWERS if powers else SCALES)
    size = shape[axis]
    scales = data.draw(st.lists(choices, min_size=size, max_size=size), label="scales")
    low, high = data.draw(st.sampled_from([*SIGNED, *UNSIGNED]), label="range")
    points = st.integers(max(low, -9), 9)
    zeros = data.draw(st.lists(points, min_size=size, max_size=size), label="zero points")
    return x, axis, np.array(scales, np.float32), np.array(zeros, np.int32), low, high


def rest(axis: int) -> list[str]:
    """Inputs whose axis 0 is the batch: none if the scales are along it."""
    return ["x"] if axis else []


@covers("aten::fake_quantize_per_tensor_affine",
        each={"given": ["{scale}, {zero}", "self.scale, self.zero"]}, examples=2)  # fmt: skip
def test_fake_per_tensor(given: str, data: st.DataObject) -> None:
    x, scale, zero, low, high = drawn(data)
    call = f"torch.fake_quantize_per_tensor_affine(x, {given}, {low}, {high})"
    shape = data.draw(st.sampled_from([(), (1,)]), label="shape of parameters")
    own = {"scale": np.full(shape, scale, np.float32), "zero": np.full(shape, zero, np.int32)}
    check(data, call.format(scale=scale, zero=zero), x=x, batch=["x"], may_raise=True,
          tolerance=steps(scale), buffers=own if "self" in given else None)  # fmt: skip


@covers("aten::fake_quantize_per_tensor_affine_cachemask")
def test_fake_per_tensor_with_mask(data: st.DataObject) -> None:
    x, scale, zero, low, high = drawn(data, powers=True)
    call = "torch.ops.aten.fake_quantize_per_tensor_affine_cachemask"
    check(data, f"{call}(x, {scale}, {zero}, {low}, {high})", x=x, batch=["x"],
          may_raise=True, tolerance=steps(scale))  # fmt: skip


@covers("aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams")
def test_fake_per_tensor_if_enabled(data: st.DataObject) -> None:
    x, scale, zero, low, high = drawn(data, powers=True)
    enabled = data.draw(st.sampled_from([1, 1, 0]), label="enabled")
    buffers = {"scale": np.array([scale], np.float32), "zero": np.array([zero], np.int32),
               "enabled": np.array([enabled], np.int64)}  # fmt: skip
    call = "torch.ops.aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams"
    check(data, f"{call}(x, self.scale, self.zero, self.enabled, {low}, {high})", x=x,
          batch=["x"], buffers=buffers, may_raise=True, tolerance=steps(scale))  # fmt: skip


@covers("aten::fake_quantize_per_channel_affine", examples=2)
def test_fake_per_channel(data: st.DataObject) -> None:
    x, axis, scales, zeros, low, high = per_channel(data)
    if data.draw(st.booleans(), label="zero points as floats"):
        zeros = zeros.astype(np.float32)
    call = f"torch.fake_quantize_per_channel_affine(x, self.s, self.z, {axis}, {low}, {high})"
    check(data, call, x=x, batch=rest(axis), buffers={"s": scales, "z": zeros},
          may_raise=True, tolerance=steps(*scales))  # fmt: skip


@covers("aten::fake_quantize_per_channel_affine_cachemask")
def test_fake_per_channel_with_mask(data: st.DataObject) -> None:
    x, axis, scales, zeros, low, high = per_channel(data, powers=True)
    call = "torch.ops.aten.fake_quantize_per_channel_affine_cachemask"
    check(data, f"{call}(x, self.s, self.z, {axis}, {low}, {high})", x=x, batch=rest(axis),
          buffers={"s": scales, "z": zeros}, may_raise=True, tolerance=steps(*scales))  # fmt: skip


OPS = "torch.ops.quantized_decomposed"
#: How each overload is called, with parameters as numbers, as tensors, and bounds as tensors too.
GIVEN = ["{scale}, {zero}, {low}, {high}", "self.scale, self.zero, {low}, {high}",
         "self.scale, self.zero, self.low, self.high"]  # fmt: skip


def held(scale: float, zero: int, low: int, high: int) -> dict[str, Any]:
    """The parameters as tensors."""
    numbers = {"zero": zero, "low": low, "high": high}
    return {"scale": np.float32([scale]), **{k: np.array([v]) for k, v in numbers.items()}}


def named(low: int) -> str:
    """The type that holds a range of 8 bits."""
    return "torch.int8" if low < 0 else "torch.uint8"


@covers("quantized_decomposed::quantize_per_tensor", each={"given": GIVEN}, examples=2)
def test_quantize_per_tensor(given: str, data: st.DataObject) -> None:
    x, scale, zero, low, high = drawn(data, powers=True)
    parameters = given.format(scale=scale, zero=zero, low=low, high=high)
    call = f"{OPS}.quantize_per_tensor(x, {parameters}, {named(low)})"
    check(data, call, x=x, batch=["x"],
          buffers=held(scale, zero, low, high) if "self" in given else None)  # fmt: skip


@covers("quantized_decomposed::quantize_per_channel")
def test_quantize_per_channel(data: st.DataObject) -> None:
    x, axis, scales, zeros, low, high = per_channel(data, powers=True)
    kind = data.draw(st.sampled_from([np.int32, np.int64]), label="dtype of zero points")
    at = data.draw(st.sampled_from([axis, axis - len(x.shape)]), label="axis as given")
    call = f"{OPS}.quantize_per_channel(x, self.s, self.z, {at}, {low}, {high}, {named(low)})"
    check(data, call, x=x, batch=rest(axis), buffers={"s": scales, "z": zeros.astype(kind)})


BYTES = (DType.INT8, DType.UINT8)
OUT = ["", ", out_dtype=torch.float16", ", out_dtype=torch.bfloat16"]


@covers("quantized_decomposed::dequantize_per_tensor", each={"given": GIVEN}, examples=2)
def test_dequantize_per_tensor(given: str, data: st.DataObject) -> None:
    _, scale, zero, low, high = drawn(data)
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape of q")
    q = operand(data, "q", BYTES, shape, low=-99, high=99)
    out = data.draw(st.sampled_from(OUT), label="out_dtype")
    parameters = given.format(scale=scale, zero=zero, low=low, high=high)
    call = f"{OPS}.dequantize_per_tensor(q, {parameters}, torch.{q.dtype}{out})"
    check(data, call, q=q, batch=["q"],
          buffers=held(scale, zero, low, high) if "self" in given else None)  # fmt: skip


@covers("quantized_decomposed::dequantize_per_channel", examples=2)
def test_dequantize_per_channel(data: st.DataObject) -> None:
    x, axis, scales, zeros, low, high = per_channel(data)
    low, high = data.draw(st.sampled_from([(0, 127), (1, 100)]), label="range of either")
    q = operand(data, "q", BYTES, x.shape, low=-99, high=99)
    out = data.draw(st.sampled_from(OUT), label="out_dtype")
    zero = data.draw(st.sampled_from(["self.z", "self.z", "None"]), label="zero points")
    call = f"{OPS}.dequantize_per_channel(q, self.s, {zero}, {axis}, {low}, {high}"
    check(data, f"{call}, torch.{q.dtype}{out})", q=q, batch=["q"] if axis else [],
          buffers={"s": scales, "z": zeros.astype(np.int64)})  # fmt: skip
