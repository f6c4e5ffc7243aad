"""Greatest and least elements against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, check, covers, operand, with_nan

from fwd_core.testing import strategies as fwd

CALLS = ["torch.{name}(x)", "tuple(torch.{name}(x, {dim}, {keepdim}))", "torch.{name}(x, y)"]


@covers("aten::{name}", name=["max", "min"], each={"call": CALLS})
def test_max_min(name: str, call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    # Ties are what places are about.
    given = {"x": with_nan(data, operand(data, "x", ANY, shape, low=-2, high=2))}
    if "y" in call:
        given["y"] = operand(data, "y", ANY, shape)
    spelled = call.format(name=name, dim=axis, keepdim=keepdim)
    check(data, spelled, batch=list(given), may_raise=True, **given)


PLACES = [
    "torch.{name}(x)",
    "torch.{name}(x, None, {keepdim})",
    "torch.{name}(x, {dim}, {keepdim})",
]


@covers("aten::{name}", name=["argmax", "argmin"], each={"call": PLACES})
def test_places(name: str, call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=4), label="shape")
    axis = data.draw(st.none() | fwd.axis(max(len(shape), 1)), label="dim")
    keepdim = data.draw(st.booleans(), label="keepdim")
    x = with_nan(data, operand(data, "x", ANY, shape, low=-2, high=2))
    spelled = call.format(name=name, dim=axis, keepdim=keepdim)
    check(data, spelled, x=x, batch=["x"], may_raise=True)


@covers("aten::aminmax", each={"dim": [True, False]})
def test_aminmax(dim: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim") if dim else None
    keepdim = data.draw(st.booleans(), label="keepdim")
    x = with_nan(data, operand(data, "x", ANY, shape))
    call = f"tuple(torch.aminmax(x, dim={axis}, keepdim={keepdim}))"
    check(data, call, x=x, batch=["x"], may_raise=True)
