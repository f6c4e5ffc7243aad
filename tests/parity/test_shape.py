"""Converters that move, repeat, cut or pad elements, against eager torch: exactly equal."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, QUICK, check, covers, operand, plugins

from fwd_core import Builder
from fwd_core.errors import UnsupportedModelError
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.importers import jit
from fwd_ops_torch.testing import module_from_source

DTYPES = ANY[:1] + ANY  # float32 most often


def array(data: st.DataObject, shape: tuple[int, ...], name: str = "x") -> Any:
    return operand(data, name, DTYPES, shape)


def moved(data: st.DataObject, call: str, x: Any, **more: Any) -> None:
    batch = more.pop("batch", ["x"])
    check(data, call, x=x, batch=batch, tolerance=EXACT, may_raise=True, **more)


def divided(data: st.DataObject, count: int, most: int = 4) -> list[int]:
    """Sizes whose product is ``count``."""
    sizes, rest = [], count
    for _ in range(data.draw(st.integers(0, most - 1), label="axes")):
        divisors = [d for d in range(1, max(rest, 1) + 1) if rest % d == 0]
        sizes.append(data.draw(st.sampled_from(divisors)))
        rest //= sizes[-1]
    sizes.append(rest)
    return data.draw(st.permutations(sizes), label="sizes")


@covers("aten::view", "aten::reshape", "aten::_unsafe_view",
        without={"dtype": "it reads bits as another dtype: refused, see below"},
        each={"call": ["x.view({0})", "x.reshape({0})", "torch.ops.aten._unsafe_view(x, [{0}])"]},
        )  # fmt: skip
def test_reshape(call: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=6), label="shape")
    x = array(data, shape)
    sizes = divided(data, _count(shape))
    if data.draw(st.booleans(), label="infer one"):
        sizes[data.draw(st.integers(0, len(sizes) - 1))] = -1
    moved(data, call.format(", ".join(map(str, sizes))), x, batch=[])


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


@covers("aten::reshape", examples=0.5)
def test_reshape_of_a_dynamic_batch(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(2, 4, min_size=1), label="shape")
    calls = ["x.reshape(x.shape[0], -1)", "x.reshape(-1)", "x.reshape(-1, x.shape[-1])",
             "x.reshape(1, x.shape[0], x[0].numel())"]  # fmt: skip
    moved(data, data.draw(st.sampled_from(calls), label="call"), array(data, shape))


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
    shape[axis] = _count(tuple(parts))
    if data.draw(st.booleans(), label="infer one"):
        parts[data.draw(st.integers(0, len(parts) - 1))] = -1
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.unflatten({axis}, {parts})", array(data, tuple(shape)), batch=batch)


@covers("aten::transpose", "aten::transpose_", "aten::swapaxes")
def test_transpose(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    a, b = (data.draw(fwd.axis(max(len(shape), 1)), label="axis") for _ in range(2))
    calls = ["x.transpose({0}, {1})", "x.clone().transpose_({0}, {1})", "x.swapaxes({0}, {1})"]
    call = data.draw(st.sampled_from(calls), label="call")
    moved(data, call.format(a, b), array(data, shape))


@covers("aten::t", "aten::t_", examples=0.7)
def test_t(data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(["x.t()", "x.clone().t_()"]), label="call")
    moved(data, call, array(data, data.draw(fwd.shapes(0, 3), label="shape")))


@covers("aten::permute")
def test_permute(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    order = data.draw(fwd.permutations(len(shape)), label="dims")
    moved(data, f"x.permute({list(order)})", array(data, shape))


@covers("aten::expand")
def test_expand(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3), label="shape")
    lead = data.draw(st.lists(st.integers(0, 3), max_size=2), label="new axes")
    sizes = [
        data.draw(st.sampled_from([size, -1, 3] if size == 1 else [size, -1])) for size in shape
    ]
    moved(data, f"x.expand({[*lead, *sizes]})", array(data, shape), batch=[])


@covers("aten::expand_as", "aten::view_as", "aten::reshape_as")
def test_like_another(data: st.DataObject) -> None:
    short, long = data.draw(fwd.left_padded(), label="shapes")
    x, z = array(data, short), array(data, long, "z")
    call = data.draw(st.sampled_from(["x.expand_as(z)", "z.view_as(w)", "z.reshape_as(w)"]))
    w = array(data, tuple(divided(data, _count(long))), "w")
    check(data, call, x=x, z=z, w=w, tolerance=EXACT, may_raise=True)


@covers("aten::unsqueeze", "aten::unsqueeze_")
def test_unsqueeze(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(), label="shape")
    axis = data.draw(fwd.axis(len(shape) + 1), label="dim")
    call = data.draw(st.sampled_from(["x.unsqueeze({0})", "x.clone().unsqueeze_({0})"]))
    moved(data, call.format(axis), array(data, shape))


@covers("aten::squeeze", "aten::squeeze_",
        each={"which": ["", "{axis}", "{axes}"], "written": ["", "_"]})  # fmt: skip
def test_squeeze(which: str, written: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 4, max_size=2), label="shape")
    axis = data.draw(fwd.axis(max(len(shape), 1)), label="dim")
    axes = data.draw(fwd.axes(len(shape)), label="dims")
    given = which.format(axis=axis, axes=list(axes))
    copied = "x.clone()" if written else "x"
    batch = ["x"] if which and shape and 0 not in {i % len(shape) for i in (axis, *axes)} else []
    moved(data, f"{copied}.squeeze{written}({given})", array(data, shape), batch=batch)


@covers("aten::cat", "aten::concat", "aten::concatenate",
        each={"name": ["cat", "concat", "concatenate"]})  # fmt: skip
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


@covers("aten::slice")
def test_slice(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    cut = data.draw(fwd.slices(shape[axis]), label="slice")
    call = f"torch.ops.aten.slice(x, {axis}, {cut.start}, {cut.stop}, {cut.step})"
    if data.draw(st.booleans(), label="indexed"):
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


@covers("aten::narrow", without={"Tensor": "start is a tensor: a size that traces compute"})
def test_narrow(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    start = data.draw(st.integers(-shape[axis], shape[axis] - 1), label="start")
    length = data.draw(st.integers(0, shape[axis] - start % shape[axis]), label="length")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.narrow({axis}, {start}, {length})", array(data, shape), batch=batch)


@covers("aten::select")
def test_select(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    size = shape[axis]
    index = data.draw(st.integers(-size - 1, size), label="index")
    batch = ["x"] if axis % len(shape) or index in (0, -1) else []
    moved(data, f"x.select({axis}, {index})", array(data, shape), batch=batch)


@covers("aten::split", "aten::split_with_sizes",
        each={"call": ["x.split({size}, {dim})", "x.split({sizes}, {dim})",
                       "torch.split_with_sizes(x, {sizes}, {dim})",
                       "torch.ops.aten.split.sizes(x, {sizes}, {dim})"]},
        without={"": "TorchScript's own: reached through torch.functional.split only"},
        )  # fmt: skip
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


@covers("aten::chunk")
def test_chunk(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    count = data.draw(st.integers(1, 5), label="chunks")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.chunk({count}, {axis})", array(data, shape), batch=batch)


@covers("aten::tensor_split",
        without={"tensor_indices_or_sections": "parts that depend on a tensor: refused, see below"},
        )  # fmt: skip
def test_tensor_split(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    some = st.lists(st.integers(-4, 5), max_size=3)
    given = data.draw(st.integers(0, 4) | some, label="sections or indices")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.tensor_split({given}, {axis})", array(data, shape), batch=batch)


def test_tensor_split_by_a_tensor_is_refused() -> None:
    module = jit.script(module_from_source("x.tensor_split(n)", "x", "n"))
    builder = Builder(backend="openvino", plugins=plugins())
    with pytest.raises(UnsupportedModelError, match="supported here: the parts depend on a tensor"):
        builder.import_model(module, (torch.ones(4), torch.tensor(2)))


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
    moved(data, f"torch.select_scatter(x, src, {axis}, {index})", array(data, shape), src=src,
          batch=batch)  # fmt: skip


@covers("aten::unbind")
def test_unbind(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=1), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    batch = ["x"] if axis % len(shape) else []
    moved(data, f"x.unbind({axis})", array(data, shape), batch=batch)


@covers("aten::constant_pad_nd")
def test_constant_pad_nd(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    pads = padding(data, shape)
    value = data.draw(st.sampled_from([0, 2, 1.5]), label="value")
    moved(data, f"torch.constant_pad_nd(x, {pads}, {value})", array(data, shape), batch=[])


@covers("aten::pad", each={"mode": ["constant", "reflect", "replicate"]}, examples=1.5)
def test_pad(mode: str, data: st.DataObject) -> None:
    if mode == "constant":
        shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
        value = data.draw(st.sampled_from([None, 0.0, 2.0, 1.5]), label="value")
        call = f"F.pad(x, {padding(data, shape)}, 'constant', {value})"
        moved(data, call, array(data, shape), batch=[])
        return
    shape = data.draw(fwd.shapes(2, 5, min_size=1), label="shape")
    least = max(1, len(shape) - 2)
    axes = data.draw(st.sampled_from(sorted({least, min(least + 1, 3, len(shape))})), label="axes")
    pads = [p for size in reversed(shape[-axes:])
            for p in data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))]  # fmt: skip
    x = operand(data, "x", ANY[:2], shape)
    batch = ["x"] if axes < len(shape) else []
    moved(data, f"F.pad(x, {pads}, '{mode}')", x, batch=batch)


def padding(data: st.DataObject, shape: tuple[int, ...]) -> list[int]:
    """Torch lists pairs from the last axis backwards, and may leave out the first axes."""
    pairs = data.draw(fwd.pads(shape, negative=True), label="pads")
    kept = data.draw(st.integers(0, len(shape)), label="padded axes")
    return [pad for pair in reversed(pairs[len(shape) - kept :]) for pad in pair]
