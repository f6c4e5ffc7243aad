"""Converters of assignments to indexed elements, against eager torch.

Indices are drawn within range, and of distinct places where what stays of several is undefined.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from index_cases import index
from parity_cases import ANY, FLOATS, INTEGERS, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd

Shape = tuple[int, ...]
NUMBERS = FLOATS[:1] + FLOATS + INTEGERS
TWIN = {"hacked_twin": "TorchScript's own name for the other"}
NAMES = ("index_put", "index_put_", "_unsafe_index_put", "_index_put_impl", "_index_put_impl_")


def values_for(data: st.DataObject, x: Any, shape: Shape) -> Any:
    """An array that broadcasts to a shape."""
    kept = data.draw(st.integers(0, len(shape)), label="axes of values")
    tail = shape[len(shape) - kept :]
    own = tuple(data.draw(st.sampled_from([size, 1]), label="size") for size in tail)
    return draw_array(data, "values", DType.of(x.dtype), own)


def placed(shape: Shape, used: list[int], broadcast: Shape) -> Shape:
    """The shape of what indices of some axes take."""
    rest = [size for axis, size in enumerate(shape) if axis not in used]
    at = used[0] if used == list(range(used[0], used[-1] + 1)) else 0
    return (*rest[:at], *broadcast, *rest[at:])


@covers(*(f"aten::{name}" for name in NAMES), without=TWIN, examples=2.5,
        each={"name": NAMES, "adds": [True, False]})  # fmt: skip
def test_index_put(name: str, adds: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    used = sorted({axis % len(shape) for axis in data.draw(fwd.axes(len(shape), 1), label="used")})
    if adds:
        shapes = data.draw(fwd.broadcastable(len(used), 2, min_rank=1, min_size=1, max_size=3))
        given = {
            f"i{axis}": index(data, f"i{axis}", shape[axis], own, negative=True)
            for axis, own in zip(used, shapes, strict=True)
        }
    else:
        # Distinct places, as coordinates.
        sizes = [shape[axis] for axis in used]
        total = int(np.prod(sizes))
        count = data.draw(st.integers(1, min(total, 4)), label="count")
        seed = data.draw(st.integers(0, 2**20), label="places")
        places = np.random.default_rng(seed).permutation(total)[:count]
        columns = np.unravel_index(places, sizes)
        given = {f"i{axis}": column for axis, column in zip(used, columns, strict=True)}
    broadcast = np.broadcast_shapes(*(one.shape for one in given.values()))
    x = operand(data, "x", (*NUMBERS, DType.BOOL) if adds else ANY, shape)
    values = values_for(data, x, placed(shape, used, broadcast))
    constant = data.draw(st.booleans(), label="constant indices")
    prefix = "self." if constant else ""
    listed = [prefix + f"i{axis}" if axis in used else "None" for axis in range(max(used) + 1)]
    unsafe = f", unsafe={data.draw(st.booleans(), label='unsafe')}" if "impl" in name else ""
    call = f"torch.ops.aten.{name}(x.clone(), [{', '.join(listed)}], values, {adds}{unsafe})"
    batch = ["x"] if 0 not in used and len(values.shape) < len(shape) else []
    if constant:
        check(data, call, x=x, values=values, buffers=given, batch=batch)
    else:
        check(data, call, x=x, values=values, batch=batch, **given)


@covers("aten::index_put_", fixed={"indices": "a mask", "accumulate": "see above"}, without=TWIN,
        each={"constant": [True, False]})  # fmt: skip
def test_assignment_by_a_mask(constant: bool, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    at = data.draw(st.integers(0, len(shape) - 1), label="first axis of the mask")
    end = data.draw(st.integers(at + 1, len(shape)), label="last axis of the mask")
    mask = draw_array(data, "mask", DType.BOOL, shape[at:end])
    x = operand(data, "x", ANY, shape)
    taken = (*shape[:at], 1, *shape[end:])
    values = values_for(data, x, taken)
    own = "self.mask" if constant else "mask"
    value = data.draw(st.sampled_from(["values", "1", "values"]), label="value")
    lines = f"y = x.clone()\ny[{':, ' * at}{own}] = {value}\nreturn y"
    given = {"x": x, "values": values}
    if constant:
        # torch.export does not read what a mask holds.
        check(data, lines, buffers={"mask": mask}, tolerance=EXACT, forms=("traced", "scripted"),
              **given)  # fmt: skip
    else:
        batch = ["x", "mask"] if at == 0 and len(values.shape) < len(shape) else []
        check(data, lines, mask=mask, batch=batch, tolerance=EXACT, **given)


@covers("aten::index_put", without=TWIN, fixed={"indices": "a mask"})
def test_accumulation_by_a_computed_mask(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=1, max_size=4), label="shape")
    end = data.draw(st.integers(1, len(shape)), label="axes of the mask")
    x = operand(data, "x", (*NUMBERS, DType.BOOL), shape)
    mask = draw_array(data, "mask", DType.BOOL, shape[:end])
    adds = data.draw(st.booleans(), label="accumulate")
    values = values_for(data, x, (1, *shape[end:]))
    check(data, f"torch.index_put(x, [mask], values, {adds})", x=x, mask=mask, values=values)


@covers("aten::masked_scatter", "aten::masked_scatter_", each={"written": ["", "_"]})
def test_masked_scatter(written: str, data: st.DataObject) -> None:
    shape, one, other = data.draw(fwd.broadcastable(3, max_size=4), label="shapes")
    x = operand(data, "x", ANY, shape if written else one)
    mask = draw_array(data, "mask", DType.BOOL, other)
    taken = int(np.broadcast_to(mask, np.broadcast_shapes(x.shape, other)).sum())
    more = data.draw(st.integers(0, 2), label="more elements than places")
    deep = data.draw(st.booleans(), label="axes of source")
    source = draw_array(data, "source", DType.of(x.dtype), (1, taken + more) if deep
                        else (taken + more,))  # fmt: skip
    batch = ["x", "mask"] if x.shape == other and x.shape else []
    check(data, f"x.clone().masked_scatter{written}(mask, y)", x=x, mask=mask, y=source,
          batch=batch, may_raise=True)  # fmt: skip
