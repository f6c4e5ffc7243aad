"""Converters that change the order of axes or of elements, against eager torch: exactly equal."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from moving_cases import array, moved
from parity_cases import covers

from fwd_core.testing import strategies as fwd


@covers("aten::transpose", "aten::transpose_", "aten::transpose_copy", "aten::swapdims",
        "aten::swapdims_", "aten::swapaxes", "aten::swapaxes_",
        each={"call": ["x.transpose", "x.clone().transpose_", "x.swapaxes", "x.clone().swapaxes_",
                       "x.swapdims", "x.clone().swapdims_", "torch.transpose_copy"]})  # fmt: skip
def test_transpose(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    a, b = (data.draw(fwd.axis(max(len(shape), 1)), label="axis") for _ in range(2))
    lead = "x, " if call.startswith("torch") else ""
    moved(data, f"{call}({lead}{a}, {b})", array(data, shape))


@covers("aten::t", "aten::t_", "aten::t_copy",
        each={"call": ["x.t()", "x.clone().t_()", "torch.t_copy(x)"]})  # fmt: skip
def test_t(call: str, data: st.DataObject) -> None:
    moved(data, call, array(data, data.draw(fwd.shapes(0, 3), label="shape")))


NAMES = {"T": "aten::numpy_T", "mT": "aten::mT", "mH": "aten::mH", "H": "aten::matrix_H"}


@covers(*NAMES.values(), "aten::adjoint", each={"name": [*NAMES, "adjoint()"]},
        without={"a": "TorchScript's own, for what is not scripted"})  # fmt: skip
def test_transposes_by_name(name: str, data: st.DataObject) -> None:
    # Torch warns of other ranks.
    ranks = {"T": [2], "H": [1, 2, 3]}.get(name, [1, 2, 3, 4])
    rank = data.draw(st.sampled_from(ranks), label="rank")
    moved(data, f"x.{name}", array(data, data.draw(fwd.shapes(rank, rank), label="shape")))


@covers("aten::permute", "aten::permute_copy",
        each={"name": ["permute", "permute_copy"]})  # fmt: skip
def test_permute(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    order = data.draw(fwd.permutations(len(shape)), label="dims")
    moved(data, f"torch.{name}(x, {list(order)})", array(data, shape))


@covers("aten::movedim", "aten::moveaxis",
        each={"name": ["movedim", "moveaxis"], "count": [1, None]})  # fmt: skip
def test_movedim(name: str, count: int | None, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4), label="shape")
    source = data.draw(fwd.axes(len(shape), count or 0, max_count=count), label="source")
    places = data.draw(fwd.axes(len(shape), len(source), max_count=len(source)), label="places")
    given = (source[0], places[0]) if count else (source, places)
    moved(data, f"x.{name}({given[0]}, {given[1]})", array(data, shape))


@covers("aten::flip")
def test_flip(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    moved(data, f"x.flip({list(axes)})", array(data, shape))


@covers("aten::fliplr", "aten::flipud", "aten::rot90",
        each={"call": ["torch.fliplr(x)", "torch.flipud(x)", "torch.rot90(x)",
                       "torch.rot90(x, {0}, {1})"]})  # fmt: skip
def test_turns(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4), label="shape")
    axes = data.draw(fwd.axes(len(shape), max_count=min(len(shape), 2)), label="dims")
    turns = data.draw(st.integers(-5, 5), label="k")
    batch = ["x"] if 0 not in {axis % len(shape) for axis in axes} and "90(x)" not in call else []
    moved(data, call.format(turns, list(axes)), array(data, shape), batch=batch)


@covers("aten::roll")
def test_roll(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    shifts = [data.draw(st.integers(-7, 7), label="shift") for _ in axes or (0,)]
    dims = f", {list(axes)}" if axes else ""
    moved(data, f"x.roll({shifts}{dims})", array(data, shape))


@covers("aten::unfold", "aten::unfold_copy", each={"name": ["x.unfold(", "torch.unfold_copy(x, "]})
def test_unfold(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dimension")
    size = data.draw(st.integers(0, shape[axis] + 1 if shape else 2), label="size")
    step = data.draw(st.integers(1, 3), label="step")
    # Of a dynamic axis torch.export has to know how many windows come out.
    batch = ["x"] if shape and axis % len(shape) else []
    moved(data, f"{name}{axis}, {size}, {step})", array(data, shape), batch=batch)
