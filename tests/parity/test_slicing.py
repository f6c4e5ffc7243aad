"""Converters that take a part of an axis, or put one there, against eager torch: exactly equal."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import given, settings
from hypothesis import strategies as st
from moving_cases import array, moved
from parity_cases import ANY, FLOATS, QUICK, check, covers, operand, plugins
from torch_models import scripted

from fwd_core.builder import Builder
from fwd_core.errors import ConversionError
from fwd_core.testing import assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source


@covers("aten::slice", "aten::slice_copy", each={"name": ["slice", "slice_copy"]})
def test_slice(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    cut = data.draw(fwd.slices(shape[axis]), label="slice")
    call = f"torch.ops.aten.{name}(x, {axis}, {cut.start}, {cut.stop}, {cut.step})"
    if name == "slice" and data.draw(st.booleans(), label="indexed"):
        colons = ":, " * (axis % len(shape))
        start, stop = ("" if one is None else one for one in (cut.start, cut.stop))
        call = f"x[{colons}{start}:{stop}:{cut.step}]"
    batch = ["x"] if axis % len(shape) else []
    moved(data, call, array(data, shape), batch=batch)


EVERY_BATCH = ["x[:1]", "x[-1:]", "x[0:100]"]
#: torch.export wants these for some batches only.
SOME_BATCHES = ["x[1:]", "x[:-1]", "x[:x.shape[0] - 1]", "x[::2]"]


@covers("aten::slice", fixed={"dim": "the batch is axis 0"},
        each={"call": EVERY_BATCH + SOME_BATCHES})  # fmt: skip
def test_slice_of_a_dynamic_batch(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=2), label="shape")
    forms = QUICK if call in EVERY_BATCH else ("traced", "scripted")
    moved(data, call, array(data, shape), forms=forms)


@covers("aten::narrow", "aten::narrow_copy", without={"Tensor": "see below"},
        each={"name": ["narrow", "narrow_copy"]})  # fmt: skip
def test_narrow(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    start = data.draw(st.integers(-shape[axis], shape[axis] - 1), label="start")
    length = data.draw(st.integers(-1, shape[axis] - start % shape[axis]), label="length")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.{name}({axis}, {start}, {length})", array(data, shape), batch=batch)


@covers("aten::narrow", without={"": "see above"}, exported=False)
def test_narrow_from_a_tensor(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    start = data.draw(st.integers(-shape[axis], shape[axis] - 1), label="start")
    length = data.draw(st.integers(0, shape[axis] - start % shape[axis]), label="length")
    dtype = data.draw(st.sampled_from([np.int64, np.int32]), label="dtype of start")
    given = {"start": np.array(start, dtype)}
    call = f"torch.narrow(x, {axis}, {{}}start, {length})"
    batch = ["x"] if axis % len(shape) else []
    x = array(data, shape)
    constant = data.draw(st.booleans(), label="constant")
    more = {"buffers": given} if constant else given
    # torch.export wants to know the number.
    moved(data, call.format("self." if constant else ""), x, batch=batch,
          forms=("traced", "scripted"), **more)  # fmt: skip


@covers("aten::select", "aten::select_copy", each={"name": ["x.select(", "torch.select_copy(x, "]})
def test_select(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    size = shape[axis]
    index = data.draw(st.integers(-size - 1, size), label="index")
    batch = ["x"] if axis % len(shape) or index in (0, -1) else []
    moved(data, f"{name}{axis}, {index})", array(data, shape), batch=batch)


@covers("aten::slice_scatter")
def test_slice_scatter(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim") % len(shape)
    cut = data.draw(fwd.slices(shape[axis]), label="slice")
    wrong = data.draw(st.integers(0, 9), label="wrong at 1") == 1
    taken = len(range(shape[axis])[slice(cut.start, cut.stop, cut.step)]) + wrong
    src = array(data, (*shape[:axis], taken, *shape[axis + 1 :]), "src")
    call = f"torch.slice_scatter(x, src, {axis}, {cut.start}, {cut.stop}, {cut.step})"
    batch = ["x", "src"] if axis else []
    moved(data, call, array(data, shape), src=src, batch=batch)


@covers("aten::select_scatter")
def test_select_scatter(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim") % len(shape)
    index = data.draw(st.integers(-shape[axis] - 1, shape[axis]), label="index")
    wrong = data.draw(st.integers(0, 9), label="wrong at 1") == 1
    src = array(data, (*shape[:axis], *([1] * wrong), *shape[axis + 1 :]), "src")
    batch = ["x", "src"] if axis else []
    # What torch decomposes it to promotes dtypes, which the operator does not.
    moved(data, f"torch.select_scatter(x, src, {axis}, {index})", array(data, shape), src=src,
          batch=batch, decompose=False)  # fmt: skip


AT_RUN_TIME = (
    "x.select({}, i)",
    "torch.select_copy(x, {}, i)",
    "x.select({}, i * 2 - i)",
    "torch.select_scatter(x, x.select({0}, 0) * 2, {0}, i)",
    "y = x.clone()\ny.select({}, i).add_(1)\nreturn y",
)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("call", AT_RUN_TIME)
@given(data=st.data())
@settings(max_examples=4)
def test_select_at_run_time(call: str, data: st.DataObject) -> None:
    """An index that a tensor holds: the engine is run with another one than it was built with."""
    pick = data.draw
    shape = pick(fwd.shapes(1, 3, min_size=1, max_size=4), label="shape")
    axis = pick(fwd.axis(len(shape)), label="dim")
    size = shape[axis]
    kind = pick(st.sampled_from([np.int64, np.int32]), label="dtype of the index")
    own = pick(st.sampled_from([(), (1,)]), label="shape of the index")
    first, second = (np.full(own, pick(st.integers(-size, size - 1), label=name), kind)
                     for name in ("index", "second index"))  # fmt: skip
    x = operand(data, "x", FLOATS[:1] if "copy" in call else ANY[:3], shape)
    module = module_from_source(call.format(axis), "x", "i")
    parity = assert_parity(
        module,
        (x, first),
        second_inputs=(x, second),
        backend=("openvino", "tensorrt") if pick(st.booleans(), label="on all") else "openvino",
        forms=QUICK if own == () else ("traced",),
        plugins=plugins(),
    )
    imported = {form for forms in parity.graphs.values() for form in forms}
    assert ({"scripted", "traced"} if own == () else {"traced"}) <= imported


SLICES = (
    "x[i : i + {length}]",
    "x[2 + i - 2 : {length} + i]",
    "x[..., i * 2 - i : i * 2 - i + {length}]",
    "y = x.clone()\ny[i : i + {length}] += 1\nreturn y",
    "n = i.item()\nreturn x[n : n + {length}]",
)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:a slice takes")
@pytest.mark.parametrize("call", SLICES)
@given(data=st.data())
@settings(max_examples=4)
def test_slice_from_a_place_known_at_run_time(call: str, data: st.DataObject) -> None:
    pick = data.draw
    shape = pick(fwd.shapes(1, 2, min_size=2, max_size=5), label="shape")
    size = shape[-1 if "..." in call else 0]
    length = pick(st.integers(0, size), label="length")
    kind = pick(st.sampled_from([np.int64, np.int32]), label="dtype of the start")
    first, second = (np.array(pick(st.integers(0, size - length), label=name), kind)
                     for name in ("start", "second start"))  # fmt: skip
    x = operand(data, "x", ANY[:3], shape)
    # What item() gives is a constant in a trace, and torch.export guards what is written to.
    forms = ["scripted", "exported"] if "item" in call else ["traced", "scripted"]
    forms += ["exported"] * call.startswith("x")
    parity = assert_parity(
        module_from_source(call.format(length=length), "x", "i"),
        (x, first),
        second_inputs=(x, second),
        backend=("openvino", "tensorrt") if pick(st.booleans(), label="on all") else "openvino",
        forms=forms,
        plugins=plugins(),
    )
    imported = {form for forms in parity.graphs.values() for form in forms}
    assert set(forms) <= imported


def test_select_by_a_tensor_with_an_axis_in_a_script() -> None:
    """Python takes a tensor of one element for an index whatever its axes; TorchScript does not."""
    script = scripted(module_from_source("x.select(0, i)", "x", "i"))
    x, index = torch.zeros(3), torch.zeros(1, dtype=torch.int64)
    with pytest.raises(RuntimeError, match="dimension other than 0"):
        script(x, index)
    with pytest.raises(ConversionError, match="a tensor with axes is no number"):
        Builder(plugins=plugins()).import_model(script, (x, index))


@covers(
    "aten::as_strided",
    "aten::as_strided_copy",
    each={"name": ["x.as_strided(", "(x + 1).as_strided(", "torch.as_strided_copy(x, "]},
)
def test_as_strided(name: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=1), label="shape")
    sizes = data.draw(st.lists(st.integers(0, 3), max_size=3), label="size")
    strides = [data.draw(st.integers(0, 3), label="stride") for _ in sizes]
    offset = data.draw(st.sampled_from([None, 0, 1, 2]), label="offset")
    call = f"{name}{sizes}, {strides}, {offset})"
    moved(data, call, operand(data, "x", ANY[:1], shape), batch=[])


@covers("aten::as_strided_scatter", each={"made": ["x", "(x + 1)"]})
def test_as_strided_scatter(made: str, data: st.DataObject) -> None:
    """Steps beyond all that the axes after them reach, so that no two places are one."""
    pick = data.draw
    sizes = pick(st.lists(st.integers(0, 3), max_size=3), label="size")
    strides, reach = [], 1
    for size in reversed(sizes):
        strides.insert(0, reach * pick(st.integers(0 if size < 2 else 1, 2), label="stride"))
        reach += max(size - 1, 0) * strides[0]
    offset = pick(st.sampled_from([None, 0, 1, 2]), label="offset")
    shape = (pick(st.sampled_from([1, 2])), max(reach - pick(st.integers(0, 1)), 1))
    src = array(data, tuple(sizes), "src")
    call = f"torch.as_strided_scatter({made}, src, {sizes}, {strides}, {offset})"
    check(data, call, x=operand(data, "x", ANY[:2], shape), src=src, may_raise=True)
