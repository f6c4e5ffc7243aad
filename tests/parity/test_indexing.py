"""Converters that pick elements by index tensors, against eager torch: exactly equal.

Indices are drawn within range: torch raises for others and a graph cannot.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from index_cases import index
from parity_cases import ANY, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd


@covers("aten::index_select")
def test_index_select(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    size = shape[axis] if shape else 1
    count = data.draw(st.sampled_from([(), (1,), (3,), (0,)] if shape else [(), (1,)]))
    i = index(data, "i", size, count)
    batch = ["x"] if shape and axis % len(shape) else []
    check(data, f"x.index_select({axis}, i)", x=operand(data, "x", ANY, shape), i=i, batch=batch,
          tolerance=EXACT)  # fmt: skip


@covers("aten::gather")
def test_gather(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    taken = [data.draw(st.integers(0, size), label="taken") for size in shape]
    if shape:
        taken[axis] = data.draw(st.integers(0, 4), label="taken on the axis")
    size = shape[axis] if shape else 1
    i = index(data, "i", size, tuple(taken), dtypes=(DType.INT64,))
    check(data, f"x.gather({axis}, i)", x=operand(data, "x", ANY, shape), i=i, tolerance=EXACT)


TWIN = {"Tensor_hacked_twin": "TorchScript's own name for Tensor"}


@covers("aten::index", "aten::_unsafe_index", without=TWIN, examples=2.5,
        each={"unsafe": [False, False, True]})  # fmt: skip
def test_index(unsafe: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    used = data.draw(fwd.axes(len(shape), 1), label="indexed axes")
    chosen = sorted({axis % len(shape) for axis in used})
    # An index without axes is read as a number while torch traces: then its value is needed.
    drawn = fwd.broadcastable(len(chosen), 2, min_rank=1, min_size=1, max_size=3)
    shapes = data.draw(drawn, label="indices")
    places, given = [":"] * len(shape), {}
    for n, (axis, own) in enumerate(zip(chosen, shapes, strict=True)):
        name = f"i{n}"
        given[name] = index(data, name, shape[axis], own, negative=True)
        places[axis] = name
    constant = data.draw(st.booleans(), label="constant indices")
    written = [f"self.{p}" if constant and p != ":" else p for p in places]
    call = f"x[{', '.join(written)}]"
    if unsafe:
        listed = ", ".join(written[: max(chosen) + 1]).replace(":", "None")
        call = f"torch.ops.aten._unsafe_index(x, [{listed}])"
    x = operand(data, "x", ANY, shape)
    batch = ["x"] if 0 not in chosen else []
    if constant:
        check(data, call, x=x, buffers=given, batch=batch, tolerance=EXACT)
    else:
        check(data, call, x=x, batch=batch, tolerance=EXACT, **given)


@covers("aten::index", without=TWIN)
def test_index_of_masks_as_models_write_them(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 2, min_size=1), label="shape")
    calls = [
        "x[torch.arange(x.shape[0])[:, None, None, None], torch.arange(x.shape[1])]",
        "x[torch.arange(x.shape[0])[:, None], torch.arange(x.shape[1])]",
        "x[:, torch.arange(x.shape[1])]",
        "x[torch.arange(x.shape[0]), None]",
        "x[torch.arange(x.shape[0]), 0]",
    ]
    call = data.draw(st.sampled_from(calls), label="call")
    check(data, call, x=operand(data, "x", ANY, shape), batch=["x"], tolerance=EXACT)


@covers("aten::index", without=TWIN)
def test_index_by_constant_masks(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    at = data.draw(st.integers(0, len(shape) - 1), label="first axis of the mask")
    end = data.draw(st.integers(at + 1, len(shape)), label="last axis of the mask")
    mask = draw_array(data, "mask", DType.BOOL, shape[at:end])
    places = [":"] * at + ["self.mask"]
    given = {"mask": mask}
    rest = len(shape) - end
    if rest and int(mask.sum()) and data.draw(st.booleans(), label="and an index"):
        gap = data.draw(st.integers(0, rest - 1), label="gap")
        places += [":"] * gap + ["self.i"]
        given["i"] = index(data, "i", shape[end + gap], (1,), negative=True)
    batch = ["x"] if at else []
    check(data, f"x[{', '.join(places)}]", x=operand(data, "x", ANY, shape), buffers=given,
          batch=batch, tolerance=EXACT)  # fmt: skip


@covers("aten::take")
def test_take(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1), label="shape")
    size = int(np.prod(shape))
    taken = data.draw(fwd.shapes(1, 3), label="taken")  # torch decomposes no 0-d index
    i = index(data, "i", size, taken, negative=True, dtypes=(DType.INT64,))
    check(data, "x.take(i)", x=operand(data, "x", ANY, shape), i=i, tolerance=EXACT)


@covers("aten::take_along_dim")
def test_take_along_dim(data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(2, 3, min_rank=1, min_size=1), label="shapes")
    rank = max(map(len, shapes))
    shape, taken = ([1] * (rank - len(one)) + list(one) for one in shapes)
    axis = data.draw(fwd.axis(rank) | st.none(), label="dim")
    if axis is not None:
        taken[axis] = data.draw(st.integers(1, 4), label="taken on the axis")
    size = shape[axis] if axis is not None else int(np.prod(shape))
    i = index(data, "i", size, tuple(taken), dtypes=(DType.INT64,))
    given = f", {axis}" if axis is not None else ""
    check(data, f"x.take_along_dim(i{given})", x=operand(data, "x", ANY, tuple(shape)), i=i,
          tolerance=EXACT)  # fmt: skip
