"""Converters that give elements another shape, or pad them, against eager torch: exactly equal."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from moving_cases import array, count_of, divided, moved
from parity_cases import check, covers

from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd


@covers("aten::view", "aten::view_copy", "aten::reshape", "aten::_unsafe_view",
        "aten::_reshape_copy",
        without={"dtype": "it reads bits as another dtype: refused, see below"},
        each={"call": ["x.view({0})", "x.reshape({0})", "torch.ops.aten._unsafe_view(x, [{0}])",
                       "torch.view_copy(x, [{0}])", "torch.ops.aten._reshape_copy(x, [{0}])"]},
        )  # fmt: skip
def test_reshape(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=6), label="shape")
    x = array(data, shape)
    sizes = divided(data, count_of(shape))
    if data.draw(st.booleans(), label="infer one"):
        sizes[data.draw(st.integers(0, len(sizes) - 1))] = -1
    moved(data, call.format(", ".join(map(str, sizes))), x, batch=[])


@covers("aten::reshape")
def test_reshape_of_a_dynamic_batch(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 4, min_size=1), label="shape")
    calls = ["x.reshape(x.shape[0], -1)", "x.reshape(-1)", "x.reshape(-1, x.shape[-1])",
             "x.reshape(1, x.shape[0], x[0].numel())"]  # fmt: skip
    moved(data, data.draw(st.sampled_from(calls), label="call"), array(data, shape))


@covers("aten::_reshape_alias")
def test_reshape_alias(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, min_size=1), label="shape")
    sizes = divided(data, count_of(shape))
    strides = [count_of(tuple(sizes[place + 1 :])) for place in range(len(sizes))]
    moved(data, f"torch.ops.aten._reshape_alias(x, {sizes}, {strides})", array(data, shape),
          batch=[])  # fmt: skip


@covers("aten::ravel")
def test_ravel(data: st.DataObject) -> None:
    moved(data, "x.ravel()", array(data, data.draw(fwd.shapes(), label="shape")))


@covers("aten::atleast_1d", "aten::atleast_2d", "aten::atleast_3d",
        each={"rank": [1, 2, 3], "given": ["x", "[x, x[..., :1]]"]})  # fmt: skip
def test_at_least(rank: int, given: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0 if given == "x" else 1, 4), label="shape")
    moved(data, f"torch.atleast_{rank}d({given})", array(data, shape))


@covers("aten::broadcast_tensors")
def test_broadcast_tensors(data: st.DataObject) -> None:
    shapes = data.draw(fwd.broadcastable(2), label="shapes")
    x, z = array(data, shapes[0]), array(data, shapes[1], "z")
    check(data, "torch.broadcast_tensors(x, z)", x=x, z=z, tolerance=EXACT)


@covers("aten::flatten")
def test_flatten(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    rank = max(len(shape), 1)
    start, end = data.draw(fwd.axis(rank), label="start"), data.draw(fwd.axis(rank), label="end")
    moved(data, f"torch.flatten(x, {start}, {end})", array(data, shape))


@covers("aten::unflatten")
def test_unflatten(data: st.DataObject) -> None:
    shape = list(data.draw(fwd.shapes(1, 3), label="shape"))
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    parts = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3), label="sizes")
    shape[axis] = count_of(tuple(parts))
    if data.draw(st.booleans(), label="infer one"):
        parts[data.draw(st.integers(0, len(parts) - 1))] = -1
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.unflatten({axis}, {parts})", array(data, tuple(shape)), batch=batch)


@covers(
    "aten::expand",
    "aten::expand_copy",
    "aten::broadcast_to",
    each={"call": ["x.expand({})", "torch.expand_copy(x, {})", "x.broadcast_to({})"]},
)
def test_expand(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3), label="shape")
    lead = data.draw(st.lists(st.integers(0, 3), max_size=2), label="new axes")
    sizes = [
        data.draw(st.sampled_from([size, -1, 3] if size == 1 else [size, -1])) for size in shape
    ]
    moved(data, call.format([*lead, *sizes]), array(data, shape), batch=[])


@covers("aten::expand_as", "aten::view_as", "aten::reshape_as")
def test_like_another(data: st.DataObject) -> None:
    short, long = data.draw(fwd.left_padded(), label="shapes")
    x, z = array(data, short), array(data, long, "z")
    call = data.draw(st.sampled_from(["x.expand_as(z)", "z.view_as(w)", "z.reshape_as(w)"]))
    w = array(data, tuple(divided(data, count_of(long))), "w")
    check(data, call, x=x, z=z, w=w, tolerance=EXACT, may_raise=True)


@covers(
    "aten::unsqueeze",
    "aten::unsqueeze_",
    "aten::unsqueeze_copy",
    each={"call": ["x.unsqueeze(", "x.clone().unsqueeze_(", "torch.unsqueeze_copy(x, "]},
)
def test_unsqueeze(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axis = data.draw(fwd.axis(len(shape) + 1), label="dim")
    moved(data, f"{call}{axis})", array(data, shape))


@covers("aten::squeeze", "aten::squeeze_", "aten::squeeze_copy",
        each={"which": ["", "{axis}", "{axes}"], "written": ["", "_", "_copy"]})  # fmt: skip
def test_squeeze(which: str, written: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=2), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    given = which.format(axis=axis, axes=list(axes))
    call = {"": "x.squeeze(", "_": "x.clone().squeeze_(", "_copy": "torch.squeeze_copy(x, "}[
        written
    ]
    batch = ["x"] if which and shape and 0 not in {i % len(shape) for i in (axis, *axes)} else []
    moved(data, f"{call}{given})", array(data, shape), batch=batch)
