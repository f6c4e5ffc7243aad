"""Converters that cut a tensor into several, against eager torch: exactly equal."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from moving_cases import array, moved
from parity_cases import covers

from fwd_core.testing import strategies as fwd


@covers("aten::split", "aten::split_copy", "aten::unsafe_split", "aten::split_with_sizes",
        "aten::split_with_sizes_copy", "aten::unsafe_split_with_sizes",
        each={"call": ["x.split({size}, {dim})", "x.split({sizes}, {dim})",
                       "torch.split_with_sizes(x, {sizes}, {dim})",
                       "torch.ops.aten.split.sizes(x, {sizes}, {dim})",
                       "torch.split_copy(x, {size}, {dim})",
                       "torch.split_with_sizes_copy(x, {sizes}, {dim})",
                       "torch.unsafe_split(x, {size}, {dim})",
                       "torch.unsafe_split_with_sizes(x, {sizes}, {dim})"]},
        without={"": "TorchScript's own: reached through torch.functional.split only"},
        examples=1.5)  # fmt: skip
def test_split(call: str, data: st.DataObject) -> None:
    shape = list(data.draw(fwd.shapes(1, 3, min_size=1), label="shape"))
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    sizes = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3), label="sizes")
    if "{sizes}" in call:
        shape[axis] = sum(sizes)
    size = data.draw(st.integers(1, shape[axis] + 1), label="size")
    batch = ["x"] if axis % len(shape) else []
    moved(data, call.format(size=size, sizes=sizes, dim=axis), array(data, tuple(shape)),
          batch=batch)  # fmt: skip


@covers("aten::chunk", "aten::unsafe_chunk", each={"name": ["chunk", "unsafe_chunk"]})
def test_chunk(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    count = data.draw(st.integers(1, 5), label="chunks")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"torch.{name}(x, {count}, {axis})", array(data, shape), batch=batch)


@covers("aten::tensor_split", without={"tensor_indices_or_sections": "see below"})
def test_tensor_split(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    some = st.lists(st.integers(-4, 5), max_size=3)
    given = data.draw(st.integers(0, 4) | some, label="sections or indices")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.tensor_split({given}, {axis})", array(data, shape), batch=batch)


@covers("aten::tensor_split", without=dict.fromkeys(["sections", "indices"], "see above"),
        exported=False)  # fmt: skip
def test_tensor_split_by_a_constant_tensor(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    some = st.lists(st.integers(-4, 5), max_size=3)
    given = data.draw(st.integers(1, 4) | some, label="sections or indices")
    call = f"torch.tensor_split(x, self.at, {axis})"
    # torch.export has no way to say how many parts come out.
    moved(data, call, array(data, shape), batch=[], buffers={"at": np.array(given, np.int64)},
          forms=("traced", "scripted"))  # fmt: skip


@covers("aten::hsplit", "aten::vsplit", "aten::dsplit",
        each={"name": ["hsplit", "vsplit", "dsplit"], "at": [True, False]})  # fmt: skip
def test_split_along_one_axis(name: str, at: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, max_size=6), label="shape")
    some = st.lists(st.integers(-4, 5), min_size=1, max_size=3)
    given = data.draw(some if at else st.integers(0, 4), label="sections or indices")
    batch = ["x"] if name != "vsplit" and len(shape) > 1 else []
    moved(data, f"torch.{name}(x, {given})", array(data, shape), batch=batch)


@covers("aten::unbind", "aten::unbind_copy", each={"name": ["unbind", "unbind_copy"]})
def test_unbind(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"torch.{name}(x, {axis})", array(data, shape), batch=batch)
