"""Losses of classes against eager torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, QUICK, check, covers, draw_array

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Up to 81 numbers of up to 16.
LOSSES = {
    DType.FLOAT32: Tolerance(2e-5, 5e-5, reason="sums of up to 81 numbers in another order"),
    DType.FLOAT16: Tolerance(1e-2, 5e-2, reason="torch rounds every step to float16"),
    DType.BFLOAT16: Tolerance(6e-2, 3e-1, reason="torch rounds every step to bfloat16"),
}
IGNORED = [-100, 0, 1]


def classified(
    data: st.DataObject,
    *,
    rank: int,
    weight: bool = False,
    indices: bool = True,
    kinds: tuple[DType, ...] = (DType.INT64,),
) -> dict[str, Any]:
    """x of classes, y of the right ones (or their probabilities), and w of weights."""
    classes = data.draw(st.integers(1, 4), label="classes")
    rest = data.draw(fwd.shapes(rank - 1, rank - 1, max_size=3), label="axes") if rank > 1 else ()
    dtype = data.draw(fwd.dtypes((DType.FLOAT32, *FLOATS)), label="dtype")
    shape = (classes,) if rank == 1 else (rest[0], classes, *rest[1:])
    inputs = {"x": draw_array(data, "x", dtype, shape)}
    if indices:
        kind = data.draw(fwd.dtypes(kinds), label="of classes")
        inputs["y"] = draw_array(data, "y", kind, rest, low=0, high=classes - 1)
    else:
        inputs["y"] = draw_array(data, "y", dtype, shape, low=0, high=1)
    if weight:
        inputs["w"] = draw_array(data, "w", dtype, (classes,), low=0.5)
    return inputs


def checked(data: st.DataObject, call: str, inputs: dict[str, Any], rank: int) -> None:
    batch = ["x", "y"] if rank > 1 else []
    # torch.export knows no classes of uint8.
    forms = ["traced", "scripted"] if inputs["y"].dtype == np.uint8 else QUICK
    check(data, call, **inputs, batch=batch, tolerance=LOSSES, may_raise=True, forms=forms)


def chosen(data: st.DataObject) -> tuple[int, int]:
    reduction = data.draw(st.integers(0, 2), label="reduction")
    return reduction, data.draw(st.sampled_from(IGNORED), label="ignore_index")


@covers("aten::{name}", name=["nll_loss", "nll_loss_nd", "nll_loss_forward"],
        each={"weight": ["None", "w"], "rank": [1, 2]})  # fmt: skip
def test_nll_loss(name: str, weight: str, rank: int, data: st.DataObject) -> None:
    reduction, ignore_index = chosen(data)
    kinds = (DType.INT64, DType.INT64, DType.UINT8)
    inputs = classified(data, rank=rank, weight=weight == "w", kinds=kinds)
    call = f"torch.ops.aten.{name}(x, y, {weight}, {reduction}, {ignore_index})"
    checked(data, call, inputs, rank)


@covers("aten::{name}", name=["nll_loss2d", "nll_loss2d_forward"], each={"weight": ["None", "w"]})
def test_nll_loss2d(name: str, weight: str, data: st.DataObject) -> None:
    reduction, ignore_index = chosen(data)
    inputs = classified(data, rank=4, weight=weight == "w")
    call = f"torch.ops.aten.{name}(x, y, {weight}, {reduction}, {ignore_index})"
    checked(data, call, inputs, 4)


@covers("aten::nll_loss_nd", each={"weight": ["None", "w"], "rank": [3, 4, 5]})
def test_nll_loss_of_more_axes(weight: str, rank: int, data: st.DataObject) -> None:
    reduction, ignore_index = chosen(data)
    inputs = classified(data, rank=rank, weight=weight == "w")
    names = ["none", "mean", "sum"]
    call = f"F.nll_loss(x, y, {weight}, None, {ignore_index}, reduction='{names[reduction]}')"
    checked(data, call, inputs, rank)


@covers("aten::cross_entropy_loss", each={"weight": ["None", "w"], "rank": [1, 2, 3, 4]})
def test_cross_entropy_of_classes(weight: str, rank: int, data: st.DataObject) -> None:
    reduction, ignore_index = chosen(data)
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 1.0]), label="label_smoothing")
    inputs = classified(data, rank=rank, weight=weight == "w")
    names = ["none", "mean", "sum"]
    call = (
        f"F.cross_entropy(x, y, {weight}, None, {ignore_index}, None, '{names[reduction]}', "
        f"{smoothing})"
    )
    checked(data, call, inputs, rank)


@covers("aten::cross_entropy_loss", each={"weight": ["None", "w"], "rank": [1, 2, 3]},
        fixed={"ignore_index": "it ignores classes only"})  # fmt: skip
def test_cross_entropy_of_probabilities(weight: str, rank: int, data: st.DataObject) -> None:
    reduction = data.draw(st.sampled_from(["none", "mean", "sum"]), label="reduction")
    smoothing = data.draw(st.sampled_from([0.0, 0.1, 1.0]), label="label_smoothing")
    inputs = classified(data, rank=rank, weight=weight == "w", indices=False)
    call = f"F.cross_entropy(x, y, {weight}, reduction='{reduction}', label_smoothing={smoothing})"
    checked(data, call, inputs, rank)
