"""Converters that join tensors, or repeat one, against eager torch: exactly equal."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from moving_cases import array, count_of, moved
from parity_cases import check, covers, draw_array

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd


@covers("aten::cat", "aten::concat", "aten::concatenate",
        each={"name": ["cat", "concat", "concatenate"]}, examples=2)  # fmt: skip
def test_cat(name: str, data: st.DataObject) -> None:
    shape = list(data.draw(fwd.shapes(1, 3, min_size=1), label="shape"))
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    second = [*shape]
    second[axis] = data.draw(st.integers(0, 3), label="second size")
    if data.draw(st.integers(0, 5), label="empty at 3") == 3:
        second = [0]  # torch leaves out empty tensors of one axis, whatever the others are
    x, z = array(data, tuple(shape)), array(data, tuple(second), "z")
    batch = ["x", "z"] if axis % len(shape) and second[0] == shape[0] else []
    listed = data.draw(st.sampled_from(["[x, z]", "(x, z, x)", "[x]"]), label="tensors")
    check(data, f"torch.{name}({listed}, {axis})", x=x, z=z, batch=batch, tolerance=EXACT,
          may_raise=True)  # fmt: skip


@covers("aten::stack")
def test_stack(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape) + 1), label="dim")
    x, z = array(data, shape), array(data, shape, "z")
    listed = data.draw(st.sampled_from(["[x, z]", "[x]", "[z, x, x]"]), label="tensors")
    check(data, f"torch.stack({listed}, {axis})", x=x, z=z, batch=["x", "z"], tolerance=EXACT,
          may_raise=True)  # fmt: skip


@covers("aten::hstack", "aten::vstack", "aten::row_stack", "aten::dstack", "aten::column_stack",
        each={"name": ["hstack", "vstack", "row_stack", "dstack", "column_stack"]},
        examples=1.5)  # fmt: skip
def test_stacks_along_one_axis(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4), label="shape")
    x, z = array(data, shape), array(data, shape, "z")
    listed = data.draw(st.sampled_from(["[x, z]", "[x]", "[z, x, x]"]), label="tensors")
    along_batch = name in ("vstack", "row_stack") or len(shape) < 2
    check(data, f"torch.{name}({listed})", x=x, z=z, batch=[] if along_batch else ["x", "z"],
          tolerance=EXACT, may_raise=True)  # fmt: skip


@covers("aten::block_diag")
def test_block_diag(data: st.DataObject) -> None:
    x, z = (array(data, data.draw(fwd.shapes(0, 2, max_size=3)), name) for name in "xz")
    listed = data.draw(st.sampled_from(["x, z", "x", "z, x, x"]), label="tensors")
    batch = ["x"] if len(x.shape) == 2 else []
    # What torch decomposes it to promotes 0-d tensors as others, which the operator does not.
    check(data, f"torch.block_diag({listed})", x=x, z=z, batch=batch, tolerance=EXACT,
          decompose=False)  # fmt: skip


@covers("aten::combinations", exported=False)
def test_combinations(data: st.DataObject) -> None:
    x = array(data, data.draw(fwd.shapes(0, 2, max_size=4), label="shape"))
    r = data.draw(st.integers(-1, 4), label="r")
    again = data.draw(st.booleans(), label="with_replacement")
    # The number of rows is no simple function of a dynamic size.
    call = f"torch.combinations(x, {r}, {again})"
    # torch.export sees a mask in it, whose result has a size that depends on data.
    forms = ("traced", "scripted")
    check(data, call, x=x, tolerance=EXACT, may_raise=True, forms=forms)


@covers("aten::repeat", "aten::tile", each={"name": ["repeat", "tile"]}, examples=1.5)
def test_repeat(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    least = max(len(shape) - 1, 0) if name == "repeat" else 0
    times = data.draw(st.lists(st.integers(0, 3), min_size=least, max_size=4), label="repeats")
    moved(data, f"x.{name}({times})", array(data, shape))


@covers("aten::repeat", fixed={"repeats": "a size"})
def test_repeat_of_a_dynamic_batch(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 3, min_size=1), label="shape")
    calls = ["x.repeat(x.shape[0], *[1] * {0})", "x[:1].repeat(x.shape[0], *[2] * {0})"]
    call = data.draw(st.sampled_from(calls), label="call").format(len(shape) - 1)
    forms = ("traced", "exported")  # scripts know no star
    moved(data, call, array(data, shape), forms=forms)


@covers("aten::repeat_interleave",
        without={"Tensor": "see below", "self_Tensor": "see below"})  # fmt: skip
def test_repeat_interleave(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)) | st.none(), label="dim")
    times = data.draw(st.integers(0, 3), label="repeats")
    said = count_of(shape) if axis is None else shape[axis] if shape else 1
    size = data.draw(st.sampled_from([None, said * times, said * times + 1]), label="output_size")
    call = f"torch.repeat_interleave(x, {times}, {axis}, output_size={size})"
    batch = ["x"] if size is None or (axis is not None and axis % max(len(shape), 1)) else []
    moved(data, call, array(data, shape), batch=batch)


@covers("aten::repeat_interleave", without={"Tensor": "see below", "self_int": "see above"},
        exported=False)  # fmt: skip
def test_repeat_interleave_by_a_constant_tensor(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, max_size=3), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)) | st.none(), label="dim")
    size = shape[axis] if axis is not None else count_of(shape)
    counts = data.draw(st.sampled_from([(), (1,), (size,)]), label="repeats")
    times = draw_array(data, "times", DType.INT64, counts, low=0, high=3)
    total = int(times.sum()) * (size if times.size == 1 else 1)
    size = data.draw(st.sampled_from([None, total, total + 1]), label="output_size")
    call = f"torch.repeat_interleave(x, self.times, {axis}, output_size={size})"
    batch = ["x"] if axis is not None and axis % len(shape) else []
    # torch.export makes a size of its own, which depends on data for all it knows.
    moved(data, call, array(data, shape), batch=batch, buffers={"times": times},
          forms=("traced", "scripted"))  # fmt: skip


@covers("aten::repeat_interleave", without={"self_int": "see above"},
        each={"call": ["torch.repeat_interleave(x, n, {axis}, output_size={size})",
                       "torch.repeat_interleave(n, output_size={size})"]})  # fmt: skip
def test_repeat_interleave_by_a_computed_tensor(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=1, max_size=3), label="shape")
    axis = data.draw(fwd.axis(len(shape)) | st.none(), label="dim")
    count = shape[axis] if axis is not None else count_of(shape)
    counts = data.draw(st.sampled_from([(count,), (count,), (1,), ()]), label="repeats")
    if "(x" not in call:
        counts = (count,)
    dtype = data.draw(st.sampled_from([DType.INT64, DType.INT32]), label="dtype")
    times = draw_array(data, "n", dtype, counts, low=0, high=3)
    size = int(times.sum()) * (count if times.size == 1 else 1)
    batch = ["x"] if axis is not None and axis % len(shape) and "(x" in call else []
    moved(data, call.format(axis=axis, size=size), array(data, shape), n=times, batch=batch)
