"""Converters that put elements at indexed places, against eager torch.

Indices are drawn within range, and apart where what stays of several is undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, INTEGERS, check, covers, draw_array, number, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd

Shape = tuple[int, ...]
NUMBERS = FLOATS[:1] + FLOATS + INTEGERS


def like(data: st.DataObject, name: str, x: Any, shape: Shape) -> Any:
    """Another array of the dtype of one."""
    return draw_array(data, name, DType.of(x.dtype), shape)


def smaller(data: st.DataObject, shape: Shape, axis: int) -> Shape:
    """Sizes of an index: any along the axis, at most those of the tensor along others."""
    taken = [data.draw(st.integers(0 if size > 1 else 1, size), label="size") for size in shape]
    if shape:
        taken[axis] = data.draw(st.integers(0, 4), label="taken on the axis")
    return tuple(taken)


def apart(data: st.DataObject, size: int, taken: Shape, axis: int) -> Any:
    """Indices of which no two are equal along an axis, so at most as many as there are places."""
    seed = data.draw(st.integers(0, 2**20), label="indices")
    if not taken:
        return np.zeros((), np.int64)
    places = np.random.default_rng(seed).permuted(
        np.broadcast_to(np.arange(size), (*taken[:axis], *taken[axis + 1 :], size)), axis=-1
    )
    return np.ascontiguousarray(np.moveaxis(places[..., : taken[axis]], -1, axis))


@covers(
    "aten::scatter",
    "aten::scatter_",
    each={
        "written": ["", "_"],
        "given": ["src", "value", "src, reduce='{}'", "value, reduce='{}'"],
    },
    examples=2,
)
@pytest.mark.filterwarnings("ignore:The reduce argument of torch.scatter:UserWarning")
def test_scatter(written: str, given: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    reduce = data.draw(st.sampled_from(["add", "multiply"]), label="reduce")
    size, taken = (shape[axis], smaller(data, shape, axis)) if shape else (1, ())
    if "reduce" not in given and taken:
        at = axis % len(shape)
        taken = (*taken[:at], min(size, taken[at]), *taken[at + 1 :])
    if "reduce" in given:
        index = draw_array(data, "index", DType.INT64, taken, low=0, high=size - 1)
    else:
        index = apart(data, size, taken, axis % max(len(shape), 1))
    x = operand(data, "x", NUMBERS if "reduce" in given else ANY, shape)
    src = like(data, "src", x, tuple(n + data.draw(st.integers(0, 1)) for n in taken))
    value = number(data, "value", (2, -3, True) if not DType.of(x.dtype).is_float else (2, 1.5))
    if DType.of(x.dtype) is DType.UINT8:
        value = 2
    call = f"x.clone().scatter{written}({axis}, index, {given.replace('value', str(value))})"
    check(data, call.format(reduce), x=x, index=index, src=src, may_raise=True)


@covers("aten::scatter_add", "aten::scatter_add_", each={"written": ["", "_"]})
def test_scatter_add(written: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    size, taken = (shape[axis], smaller(data, shape, axis)) if shape else (1, ())
    index = draw_array(data, "index", DType.INT64, taken, low=0, high=size - 1)
    x = operand(data, "x", (*NUMBERS, DType.BOOL), shape)
    src = like(data, "src", x, tuple(n + data.draw(st.integers(0, 1)) for n in taken))
    call = f"x.clone().scatter_add{written}({axis}, index, src)"
    full = shape and axis % len(shape) and taken[0] == shape[0] == src.shape[0]
    batch = ["x", "index", "src"] if full else []
    check(data, call, x=x, index=index, src=src, batch=batch)


REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


@covers("aten::scatter_reduce", "aten::scatter_reduce_", examples=2,
        each={"own": [True, False], "reduce": REDUCTIONS})  # fmt: skip
def test_scatter_reduce(own: bool, reduce: str, data: st.DataObject) -> None:
    written = "_" if reduce in ("prod", "amax") else ""  # one converter, so one form of each
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    size, taken = (shape[axis], smaller(data, shape, axis)) if shape else (1, ())
    index = draw_array(data, "index", DType.INT64, taken, low=0, high=size - 1)
    x = operand(data, "x", NUMBERS, shape)
    src = like(data, "src", x, taken)
    call = f"x.clone().scatter_reduce{written}({axis}, index, src, '{reduce}', include_self={own})"
    full = shape and axis % len(shape) and taken[0] == shape[0]
    check(data, call, x=x, index=index, src=src, batch=["x", "index", "src"] if full else [])


@covers("aten::index_reduce", "aten::index_reduce_", examples=2,
        each={"own": [True, False], "reduce": REDUCTIONS[1:]})  # fmt: skip
@pytest.mark.filterwarnings("ignore:index_reduce.* is in beta:UserWarning")
def test_index_reduce(own: bool, reduce: str, data: st.DataObject) -> None:
    written = "_" if reduce in ("prod", "amax") else ""  # one converter, so one form of each
    shape = data.draw(fwd.shapes(1, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim") % len(shape)
    count = data.draw(st.integers(1, 4), label="count")
    index = draw_array(data, "index", DType.INT64, (count,), low=0, high=shape[axis] - 1)
    # torch's CPU fails at products of half where a slice has one element.
    dtypes = [one for one in NUMBERS if reduce != "prod" or one not in FLOATS[1:]]
    x = operand(data, "x", dtypes, shape)
    src = like(data, "src", x, (*shape[:axis], count, *shape[axis + 1 :]))
    call = f"x.clone().index_reduce{written}({axis}, index, src, '{reduce}', include_self={own})"
    check(data, call, x=x, index=index, src=src, batch=["x", "src"] if axis else [])


@covers("aten::index_add", "aten::index_add_", each={"written": ["", "_"]}, examples=1.2)
def test_index_add(written: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    count = data.draw(st.integers(0, 4), label="count") if shape else 1
    size = shape[axis] if shape else 1
    index = draw_array(data, "index", DType.INT64, (count,), low=0, high=size - 1)
    x = operand(data, "x", (*NUMBERS, DType.BOOL), shape)
    source = list(shape)
    if shape:
        source[axis] = count
    alpha = number(data, "alpha", (1, 2, True) if not DType.of(x.dtype).is_float else (1, 2, -1.5))
    call = f"x.clone().index_add{written}({axis}, index, src, alpha={alpha})"
    batch = ["x", "src"] if shape and axis % len(shape) else []
    check(data, call, x=x, index=index, src=like(data, "src", x, tuple(source)), batch=batch,
          may_raise=True)  # fmt: skip


@covers("aten::index_copy", "aten::index_copy_", each={"written": ["", "_"]})
def test_index_copy(written: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    size = shape[axis] if shape else 1
    count = data.draw(st.integers(0, size), label="count") if shape else 1
    index = apart(data, size, (count,), 0)
    x = operand(data, "x", ANY, shape)
    source = list(shape)
    if shape:
        source[axis] = count
    batch = ["x", "src"] if shape and axis % len(shape) else []
    check(data, f"x.clone().index_copy{written}({axis}, index, src)", x=x, index=index,
          src=like(data, "src", x, tuple(source)), batch=batch, tolerance=EXACT)  # fmt: skip


@covers("aten::index_fill", "aten::index_fill_",
        each={"written": ["", "_"], "tensor": [True, False]})  # fmt: skip
def test_index_fill(written: str, tensor: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    count = data.draw(st.sampled_from([(), (0,), (1,), (3,)]), label="count")
    size = shape[axis] if shape else 1
    index = draw_array(data, "index", DType.INT64, count, low=0, high=size - 1)
    x = operand(data, "x", ANY, shape)
    value = data.draw(st.sampled_from([2, True]), label="value")
    more = {"v": draw_array(data, "v", DType.of(x.dtype), ())} if tensor else {}
    batch = ["x"] if shape and axis % len(shape) else []
    call = f"x.clone().index_fill{written}({axis}, index, {'v' if tensor else value})"
    check(data, call, x=x, index=index, batch=batch, tolerance=EXACT, **more)


@covers("aten::put", "aten::put_", each={"written": ["", "_"], "adds": [True, False]})
def test_put(written: str, adds: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, min_size=1, max_size=4), label="shape")
    size = int(np.prod(shape))
    count = data.draw(st.integers(0, size), label="count")
    index = draw_array(data, "index", DType.INT64, (count,), low=-size, high=size - 1)
    if not adds:
        index = apart(data, size, (count,), 0) - data.draw(st.sampled_from([0, size]))
    x = operand(data, "x", NUMBERS if adds else ANY, shape)
    check(data, f"x.clone().put{written}(index, src, {adds})", x=x, index=index,
          src=like(data, "src", x, (count,)))  # fmt: skip
