"""Converters of bits against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from binary_cases import KINDS, binary
from hypothesis import strategies as st
from parity_cases import ANY, INTEGERS, QUICK, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd

#: Integers, bool where torch has it, and a float that torch refuses.
TAKEN = (*INTEGERS, DType.BOOL, DType.INT64, DType.INT32, DType.FLOAT32)
#: OpenVINO computes int64 in 32 bits, so no more are drawn.
LIMITS = (-(2**31), 2**31 - 1)
MASKS = (5, -3, 0, True, False, 255, 127, -1, 6)


@covers("aten::{name}", "aten::{name}_", name=["bitwise_and", "bitwise_or", "bitwise_xor"],
        each={"kind": (*KINDS, "number first")})  # fmt: skip
def test_bits(name: str, kind: str, data: st.DataObject) -> None:
    binary(data, name, kind, dtypes=TAKEN, numbers=MASKS, low=LIMITS[0], high=LIMITS[1],
           first="Scalar_Tensor")  # fmt: skip


# TorchScript takes `y &= z` for `y = y & z`.
@covers("aten::__{name}__", "aten::__i{name}__", name=["and", "or", "xor"],
        each={"call": ["x.__{}__(z)", "x.__{}__({})", "x.clone().__i{}__(z)",
                       "x.clone().__i{}__({})"]})  # fmt: skip
def test_symbols(name: str, call: str, data: st.DataObject) -> None:
    mask = data.draw(st.sampled_from(MASKS), label="number")
    forms = ("exported",) if isinstance(mask, bool) and "z" not in call else QUICK
    left, right = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    x = operand(data, "x", TAKEN, left, low=LIMITS[0], high=LIMITS[1])
    z = operand(data, "z", TAKEN, right, low=LIMITS[0], high=LIMITS[1])
    check(data, call.format(name, mask), x=x, z=z, may_raise=True, forms=forms)


@covers("aten::bitwise_not", "aten::bitwise_not_")
def test_not(data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(), label="shape"), low=-300, high=300)
    call = data.draw(st.sampled_from(["torch.bitwise_not(x)", "x.clone().bitwise_not_()"]))
    check(data, call, x=x, batch=["x"], may_raise=True)


SHIFTS = {"bitwise_left_shift": "lshift", "bitwise_right_shift": "rshift"}
PLACES = (1, 0, 7, 8, 20, -1, True)
#: torch.export refuses to shift bool.
SHIFTED = (*INTEGERS, DType.FLOAT32)


@covers("aten::{name}", "aten::{name}_", name=SHIFTS, each={"kind": (*KINDS, "number first")})
def test_shifts(name: str, kind: str, data: st.DataObject) -> None:
    first = kind == "number first"
    binary(data, name, kind, dtypes=TAKEN, numbers=PLACES, low=-2 if first else -1000,
           high=20 if first else 1000, limits=(-2, 20), overload="Tensor_Scalar",
           first="Scalar_Tensor")  # fmt: skip


@covers("aten::__{name}__", "aten::__i{name}__", name=SHIFTS.values(),
        each={"call": ["x.__{}__(z)", "x.__{}__({})", "x.clone().__i{}__(z)",
                       "x.clone().__i{}__({})"]})  # fmt: skip
def test_shift_symbols(name: str, call: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(PLACES), label="number")
    forms = ("exported",) if place is True and "z" not in call else QUICK
    left, right = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    x = operand(data, "x", SHIFTED, left, low=-1000, high=1000)
    z = operand(data, "z", SHIFTED, right, low=-2, high=20)
    check(data, call.format(name, place), x=x, z=z, may_raise=True, forms=forms)
