"""Converters of diagonals, against eager torch: exactly equal."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from moving_cases import array, moved
from parity_cases import covers

from fwd_core.testing import strategies as fwd


@covers("aten::diagonal", "aten::diagonal_copy", "aten::linalg_diagonal",
        each={"call": ["x.diagonal({0})", "torch.diagonal_copy(x, {0})",
                       "torch.linalg.diagonal(x, {1})", "x.diagonal()"]})  # fmt: skip
def test_diagonal(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 4), label="shape")
    a, b = (data.draw(fwd.axis(len(shape)), label="axis") for _ in range(2))
    offset = data.draw(st.integers(-6, 6), label="offset")
    given = f"{offset}, {a}, {b}", f"offset={offset}, dim1={a}, dim2={b}"
    moved(data, call.format(*given), array(data, shape))


@covers("aten::diagonal_scatter")
def test_diagonal_scatter(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 3, min_size=1), label="shape")
    a, b = data.draw(fwd.axes(len(shape), 2, max_count=2), label="axes")
    offset = data.draw(st.integers(-3, 3), label="offset")
    rows, columns = shape[a] - max(-offset, 0), shape[b] - max(offset, 0)
    wrong = data.draw(st.integers(0, 9), label="wrong at 1") == 1
    rest = [size for axis, size in enumerate(shape) if axis not in (a % len(shape), b % len(shape))]
    src = array(data, (*rest, max(min(rows, columns), 0) + wrong), "src")
    call = f"torch.diagonal_scatter(x, src, {offset}, {a}, {b})"
    moved(data, call, array(data, shape), src=src, batch=[])


@covers("aten::diagonal_scatter", fixed=dict.fromkeys(["offset", "dim1", "dim2"], "of the batch"))
def test_diagonal_scatter_of_a_dynamic_batch(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 4), label="size")
    x, src = array(data, (size, 3)), array(data, (size, 2), "src")
    square = "x[:, 0].unsqueeze(1).expand(-1, x.shape[0])"
    call = f"torch.diagonal_scatter({square}, src[:, 0])"
    moved(data, call, x, src=src, batch=["x", "src"])


@covers("aten::diag_embed")
def test_diag_embed(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    a, b = data.draw(fwd.axes(max(len(shape), 1) + 1, 2, max_count=2), label="axes")
    offset = data.draw(st.integers(-3, 3), label="offset")
    call = data.draw(st.sampled_from(["", f", {offset}", f", {offset}, {a}, {b}"]))
    moved(data, f"torch.diag_embed(x{call})", array(data, shape))


@covers("aten::diag", "aten::diagflat", each={"name": ["diag", "diagflat"]})
def test_diag(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    offset = data.draw(st.integers(-3, 3), label="offset")
    batch = ["x"] if name == "diagflat" or len(shape) < 2 else []
    moved(data, f"torch.{name}(x, {offset})", array(data, shape), batch=batch)


@covers("aten::fill_diagonal_")
def test_fill_diagonal(data: st.DataObject) -> None:
    cube = data.draw(st.integers(0, 3), label="size")
    shapes = fwd.shapes(2, 2) | st.just((cube,) * 3) | st.just((7, 2)) | fwd.shapes(1, 3)
    value = data.draw(st.sampled_from(["1", "2.5", "-3"]), label="fill_value")
    wrap = data.draw(st.booleans(), label="wrap")
    x = array(data, data.draw(shapes, label="shape"))
    batch = ["x"] if len(x.shape) == 2 else []
    moved(data, f"x.clone().fill_diagonal_({value}, {wrap})", x, batch=batch)
