"""Converters that pick elements by index tensors, against eager torch: exactly equal.

Indices are drawn within range: torch raises for others and a graph cannot.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd

INDICES = (DType.INT64, DType.INT32)


def index(
    data: st.DataObject, name: str, size: int, shape: tuple[int, ...], *, negative: bool = False,
    dtypes: tuple[DType, ...] = INDICES,
) -> Any:  # fmt: skip
    dtype = data.draw(fwd.dtypes(dtypes), label=f"dtype of {name}")
    return draw_array(data, name, dtype, shape, low=-size if negative else 0, high=size - 1)


@covers("aten::embedding")
def test_embedding(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 5))
    weight = operand(data, "weight", FLOATS, (rows, columns))
    ids = index(data, "ids", rows, data.draw(fwd.shapes(0, 3), label="shape"))
    own = data.draw(st.sampled_from(["F.embedding(ids, self.weight)", "F.embedding(ids, weight)",
                                     "F.embedding(ids, self.weight, padding_idx=0)"]))  # fmt: skip
    if "self" in own:
        check(data, own, ids=ids, buffers={"weight": weight}, batch=["ids"], tolerance=EXACT)
    else:
        check(data, own, ids=ids, weight=weight, tolerance=EXACT)


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


@covers("aten::index", without={"Tensor_hacked_twin": "TorchScript's own name for Tensor"},
        examples=2.5)  # fmt: skip
def test_index(data: st.DataObject) -> None:
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
    call = f"x[{', '.join(f'self.{p}' if constant and p != ':' else p for p in places)}]"
    x = operand(data, "x", ANY, shape)
    batch = ["x"] if 0 not in chosen else []
    if constant:
        check(data, call, x=x, buffers=given, batch=batch, tolerance=EXACT)
    else:
        check(data, call, x=x, batch=batch, tolerance=EXACT, **given)


@covers("aten::index", without={"Tensor_hacked_twin": "TorchScript's own name for Tensor"})
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
