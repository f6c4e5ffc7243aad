"""Losses of each element against its own target, against eager torch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, operand

from fwd_core.ir import DType, Tensor
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Torch says so in Python, before it broadcasts.
pytestmark = pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
#: Up to 27 numbers of up to 64, whose sums torch rounds on the way.
LOSSES = {
    DType.FLOAT32: Tolerance(2e-5, 2e-5, reason="sums of up to 27 numbers in another order"),
    DType.FLOAT16: Tolerance(1e-2, 5e-2, reason="torch rounds every step to float16"),
    DType.BFLOAT16: Tolerance(6e-2, 5e-1, reason="torch rounds every step to bfloat16"),
}
REDUCTIONS = ["none", "mean", "sum"]
#: Mostly of floats; torch refuses others, and mixes of some.
KINDS = (*FLOATS, *FLOATS, *FLOATS, DType.INT64, DType.BOOL)


def pair(data: st.DataObject, kinds: tuple[DType, ...] = KINDS, most: float = 4) -> dict[str, Any]:
    """Two operands whose shapes broadcast, of the same dtype or two."""
    first, second = data.draw(fwd.broadcastable(2, 3, max_size=3), label="shapes")
    x = operand(data, "x", kinds, first, low=-most, high=most)
    other = data.draw(fwd.dtypes(kinds), label="dtype of y")
    own = x.dtype if isinstance(x.dtype, DType) else DType.of(str(x.dtype))
    same = data.draw(st.booleans(), label="one dtype")
    return {"x": x, "y": draw_array(data, "y", own if same else other, second, low=-most,
                                   high=most)}  # fmt: skip


@covers(
    "aten::{name}", name=["mse_loss", "l1_loss", "soft_margin_loss"], each={"call": [0, 1, 2, "F"]}
)
def test_losses(name: str, call: int | str, data: st.DataObject) -> None:
    reduction = data.draw(st.sampled_from(REDUCTIONS), label="reduction")
    spelled = f"torch.ops.aten.{name}(x, y, {call})"
    if call == "F":
        spelled = f"F.{name}(x, y, reduction='{reduction}')"
    # exp() of a product of both: beyond 11 torch's float16 overflows where engines do not.
    operands = pair(data, most=3 if name == "soft_margin_loss" else 4)
    check(data, spelled, **operands, batch=[], tolerance=LOSSES, may_raise=True, mixes=True)


@covers("aten::{name}", name=["smooth_l1_loss", "huber_loss"], each={"reduction": [0, 1, 2]})
def test_smooth_losses(name: str, reduction: int, data: st.DataObject) -> None:
    choices = [0.5, 1.0, 2.5, 1.5, 0.0, -1.0]
    width = data.draw(st.sampled_from(choices), label="width")
    spelled = f"torch.ops.aten.{name}(x, y, {reduction}, {width})"
    operands = pair(data)
    # Of two dtypes torch decomposes it to a result of the other one.
    same = operands["x"].dtype == operands["y"].dtype
    check(data, spelled, **operands, tolerance=LOSSES, may_raise=True, mixes=True, decompose=same)


@covers("aten::kl_div", each={"reduction": [0, 1, 2]})
def test_kl_div(reduction: int, data: st.DataObject) -> None:
    log_target = data.draw(st.booleans(), label="log_target")
    first, second = data.draw(fwd.broadcastable(2, 3, max_size=3), label="shapes")
    kinds = (*FLOATS, DType.FLOAT32, DType.INT64) if reduction == 1 else FLOATS
    x = operand(data, "x", kinds, first)
    y = operand(data, "y", kinds, second, low=-4 if log_target else 0, high=3)
    spelled = f"torch.ops.aten.kl_div(x, y, {reduction}, log_target={log_target})"
    check(data, spelled, x=x, y=y, tolerance=LOSSES, may_raise=True, mixes=True)


@covers("aten::poisson_nll_loss")
def test_poisson_nll_loss(data: st.DataObject) -> None:
    first, second = data.draw(fwd.broadcastable(2, 3, max_size=3), label="shapes")
    log_input, full = (data.draw(st.booleans(), label=one) for one in ("log_input", "full"))
    eps = data.draw(st.sampled_from([1e-2, 0.5]), label="eps")
    reduction = data.draw(st.integers(0, 2), label="reduction")
    x = operand(data, "x", (*FLOATS, DType.INT64, DType.BOOL), first, low=0)
    # Of whole numbers and half precision torch rounds a product to half, and gives float32.
    others = FLOATS if isinstance(x, Tensor) or x.dtype.kind == "f" else (DType.FLOAT32,)
    y = operand(data, "y", (*others, DType.INT64, DType.BOOL), second, low=0)
    spelled = f"torch.ops.aten.poisson_nll_loss(x, y, {log_input}, {full}, {eps}, {reduction})"
    check(data, spelled, x=x, y=y, tolerance=LOSSES, may_raise=True, mixes=True)


@covers("aten::binary_cross_entropy", each={"weight": ["None", "w"], "reduction": REDUCTIONS})
def test_binary_cross_entropy(weight: str, reduction: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    x, y = (draw_array(data, name, dtype, shape, low=0, high=1) for name in "xy")
    spelled = f"F.binary_cross_entropy(x, y, {weight}, reduction='{reduction}')"
    operands = {"x": x, "y": y}
    if weight != "None":
        operands["w"] = draw_array(data, "w", dtype, shape[data.draw(st.integers(0, len(shape))) :])
    batch = ["x", "y"] if weight == "None" else []
    check(data, spelled, **operands, batch=batch, tolerance=LOSSES)


@covers(
    "aten::binary_cross_entropy_with_logits",
    each={"weight": ["None", "w"], "pos_weight": ["None", "p"]},
)
def test_binary_cross_entropy_with_logits(
    weight: str, pos_weight: str, data: st.DataObject
) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    reduction = data.draw(st.integers(0, 2), label="reduction")
    operands = {
        "x": operand(data, "x", (*FLOATS, DType.FLOAT32, DType.INT32), shape),
        "y": operand(data, "y", (*FLOATS, DType.FLOAT32), shape, low=0, high=1),
    }
    for name, wanted in (("w", weight), ("p", pos_weight)):
        if wanted == name:
            start = data.draw(st.integers(0, len(shape)), label="axes")
            operands[name] = draw_array(data, name, DType.FLOAT32, shape[start:], low=0)
    arguments = f"x, y, {weight}, {pos_weight}, {reduction}"
    spelled = f"torch.ops.aten.binary_cross_entropy_with_logits({arguments})"
    check(data, spelled, **operands, tolerance=LOSSES, may_raise=True, mixes=True)
