"""Writes in place through views, as random programs against eager torch.

A program makes views of a tensor and of one another, writes through any of them, and returns all
of them: what each one holds afterwards shows every alias that is missed or made up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from parity_cases import draw_array, drawn_forms, plugins

from fwd_core.ir import DType
from fwd_core.testing import EXACT, assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source

Shape = tuple[int, ...]


class Program:
    """Lines of a ``forward``, and the shapes of its variables."""

    def __init__(self, shape: Shape) -> None:
        self.lines = ["t0 = x * 2"]
        self.shapes: dict[str, Shape] = {"t0": shape}
        #: Names of one and the same variable.
        self.same: dict[str, str] = {"t0": "t0"}

    def make(self, data: st.DataObject, table: dict[str, Callable[..., None]]) -> None:
        """Add one line."""
        kind = data.draw(st.sampled_from(sorted(table)), label="kind")
        of = data.draw(st.sampled_from(sorted(self.shapes)), label="of")
        table[kind](self, data, of)

    def let(self, text: str, shape: Shape, same: str = "") -> None:
        """Name a view of another variable, or the variable itself again."""
        name = f"t{len(self.shapes)}"
        self.lines.append(f"{name} = {text}")
        self.shapes[name] = shape
        self.same[name] = self.same[same] if same else name

    def let_all(self, text: str, shapes: Sequence[Shape]) -> None:
        """Name each of several views of another variable."""
        names = [f"t{len(self.shapes) + i}" for i in range(len(shapes))]
        self.lines.append(f"{', '.join(names)}, = {text}")
        self.shapes.update(zip(names, shapes, strict=True))
        self.same.update(zip(names, names, strict=True))

    @property
    def text(self) -> str:
        """The body; every variable is returned."""
        names = ", ".join(self.shapes)
        return "\n".join([*self.lines, f"return ({names},)"])


def axis_of(data: st.DataObject, shape: Shape) -> int:
    assume(shape)
    return data.draw(fwd.axis(len(shape)), label="axis")


def without(shape: Shape, axis: int) -> Shape:
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def resized(shape: Shape, axis: int, size: int) -> Shape:
    axis %= len(shape)
    return (*shape[:axis], size, *shape[axis + 1 :])


def select(p: Program, data: st.DataObject, of: str) -> None:
    axis = axis_of(data, p.shapes[of])
    size = p.shapes[of][axis]
    assume(size)
    index = data.draw(st.integers(-size, size - 1))
    p.let(f"{of}.select({axis}, {index})", without(p.shapes[of], axis))


def slice_(p: Program, data: st.DataObject, of: str) -> None:
    axis = axis_of(data, p.shapes[of]) % len(p.shapes[of])
    size = p.shapes[of][axis]
    cut = data.draw(fwd.slices(size))
    count = len(range(size)[slice(cut.start, cut.stop, cut.step)])
    start, stop = ("" if one is None else one for one in (cut.start, cut.stop))
    colons = ":, " * axis
    p.let(f"{of}[{colons}{start}:{stop}:{cut.step}]", resized(p.shapes[of], axis, count))


def narrow(p: Program, data: st.DataObject, of: str) -> None:
    axis = axis_of(data, p.shapes[of])
    size = p.shapes[of][axis]
    assume(size)
    start = data.draw(st.integers(-size, size - 1))
    length = data.draw(st.integers(0, size - start % size))
    p.let(f"{of}.narrow({axis}, {start}, {length})", resized(p.shapes[of], axis, length))


def transpose(p: Program, data: st.DataObject, of: str) -> None:
    shape = p.shapes[of]
    a, b = axis_of(data, shape), axis_of(data, shape)
    order = list(shape)
    order[a], order[b] = order[b], order[a]
    name = data.draw(st.sampled_from(["transpose", "swapaxes", "swapdims"]))
    p.let(f"{of}.{name}({a}, {b})", tuple(order))


def permute(p: Program, data: st.DataObject, of: str) -> None:
    order = data.draw(fwd.permutations(len(p.shapes[of])))
    p.let(f"{of}.permute({list(order)})", tuple(p.shapes[of][axis] for axis in order))


def movedim(p: Program, data: st.DataObject, of: str) -> None:
    rank = len(p.shapes[of])
    source = data.draw(fwd.axes(rank), label="source")
    places = data.draw(fwd.axes(rank, len(source), max_count=len(source)), label="places")
    text = f"{of}.movedim({list(source)}, {list(places)})"
    p.let(text, shape_of(text, of, p.shapes[of]))


def by_name(p: Program, data: st.DataObject, of: str) -> None:
    shape = p.shapes[of]
    assume(len(shape) >= 2)
    names = ["mT", "mH", "adjoint()", *(["T", "H"] if len(shape) == 2 else [])]
    name = data.draw(st.sampled_from(names), label="name")
    p.let(f"{of}.{name}", (*shape[:-2], shape[-1], shape[-2]))


def diagonal(p: Program, data: st.DataObject, of: str) -> None:
    shape = p.shapes[of]
    assume(len(shape) >= 2)
    a, b = data.draw(fwd.axes(len(shape), 2, max_count=2), label="axes")
    text = f"{of}.diagonal({data.draw(st.integers(-2, 2), label='offset')}, {a}, {b})"
    p.let(text, shape_of(text, of, shape))


def at_least(p: Program, data: st.DataObject, of: str) -> None:
    text = f"torch.atleast_{data.draw(st.integers(1, 3), label='rank')}d({of})"
    shape = shape_of(text, of, p.shapes[of])
    p.let(text, shape, of if shape == p.shapes[of] else "")


def shape_of(text: str, of: str, shape: Shape) -> Shape:
    """The shape of a view, from torch itself."""
    return tuple(eval(text, {of: torch.empty(shape), "torch": torch}).shape)  # noqa: S307


def unsqueeze(p: Program, data: st.DataObject, of: str) -> None:
    rank = len(p.shapes[of])
    axis = data.draw(fwd.axis(rank + 1))
    place = axis % (rank + 1)
    shape = (*p.shapes[of][:place], 1, *p.shapes[of][place:])
    p.let(f"{of}.unsqueeze({axis})", shape)


def squeeze(p: Program, data: st.DataObject, of: str) -> None:
    axis = axis_of(data, p.shapes[of])
    shape = p.shapes[of] if p.shapes[of][axis] != 1 else without(p.shapes[of], axis)
    p.let(f"{of}.squeeze({axis})", shape)


def parts(p: Program, data: st.DataObject, of: str) -> None:
    """Any number of variables, side by side along an axis."""
    shape = p.shapes[of]
    axis = axis_of(data, shape)
    size = shape[axis]
    kind = data.draw(st.sampled_from(["chunk", "split", "sizes", "tensor_split", "indices",
                                      "stacked"]))  # fmt: skip
    bounds = sorted(data.draw(st.lists(st.integers(0, size), max_size=2), label="bounds"))
    count = data.draw(st.integers(1, 3), label="count")
    sizes = [b - a for a, b in itertools.pairwise([0, *bounds, size])]
    text = {
        "chunk": f"{of}.chunk({count}, {axis})",
        "split": f"{of}.split({count}, {axis})",
        "sizes": f"{of}.split({sizes}, {axis})",
        "tensor_split": f"{of}.tensor_split({count}, {axis})",
        "indices": f"{of}.tensor_split({bounds}, {axis})",
        "stacked": f"torch.{'hsplit' if len(shape) < 2 else 'vsplit'}({of}, {bounds or [1]})",
    }[kind]
    p.let_all(text, parts_of(text, of, shape))


def unbind(p: Program, data: st.DataObject, of: str) -> None:
    axis = axis_of(data, p.shapes[of])
    assume(p.shapes[of][axis])
    text = f"{of}.unbind({axis})"
    p.let_all(text, parts_of(text, of, p.shapes[of]))


def parts_of(text: str, of: str, shape: Shape) -> list[Shape]:
    """Shapes of the parts, from torch itself."""
    return [tuple(part.shape) for part in eval(text, {of: torch.empty(shape), "torch": torch})]  # noqa: S307


def unflatten(p: Program, data: st.DataObject, of: str) -> None:
    shape = p.shapes[of]
    axis = axis_of(data, shape) % len(shape)
    assume(shape[axis])
    sizes = data.draw(st.sampled_from([(1, shape[axis]), (shape[axis], 1)]))
    p.let(f"{of}.unflatten({axis}, {sizes})", (*shape[:axis], *sizes, *shape[axis + 1 :]))


def detach(p: Program, data: st.DataObject, of: str) -> None:
    p.let(f"{of}.detach()", p.shapes[of])


def same(p: Program, data: st.DataObject, of: str) -> None:
    texts = ["{0}", "{0}.int()", "{0}.type_as(x)", "torch.positive({0})", "torch.real({0})"]
    p.let(data.draw(st.sampled_from(texts), label="itself").format(of), p.shapes[of], of)


def flat_first(p: Program, data: st.DataObject, of: str) -> None:
    # The first variable is whole in memory, so any view of its elements is possible.
    total = 1
    for size in p.shapes["t0"]:
        total *= size
    if "t0.t" not in "".join(p.lines) and "_(" not in "".join(p.lines):
        p.let(
            "t0.view(-1)" if total else "t0.view(0)",
            (total,),
        )


VIEWS: dict[str, Callable[..., None]] = {
    one.__name__: one
    for one in (select, slice_, narrow, transpose, permute, movedim, by_name,
                diagonal, at_least, unsqueeze, squeeze, parts, unbind,
                unflatten, detach, same, flat_first)
}  # fmt: skip


def write(p: Program, data: st.DataObject, of: str) -> None:
    # What shares only some of its memory with the other operand is written to by no operator.
    writes = ["add_(1)", "mul_(3)", "neg_()", "zero_()", "fill_(7)", "relu_()", "sub_({0} * 1)",
              "copy_({0} * 5)", "masked_fill_({0} > 2, -1)", "clamp_(0, 4)"]  # fmt: skip
    other = data.draw(st.sampled_from([n for n in p.shapes if p.shapes[n] == p.shapes[of]]))
    p.lines.append(f"{of}.{data.draw(st.sampled_from(writes)).format(other)}")


def assign(p: Program, data: st.DataObject, of: str) -> None:
    axis = axis_of(data, p.shapes[of]) % len(p.shapes[of])
    size = p.shapes[of][axis]
    assume(size)
    index = data.draw(st.integers(-size, size - 1))
    colons = ":, " * axis
    value = data.draw(st.sampled_from(["9", "{0} + 1"]))
    place = f"{of}[{colons}{index}]"
    p.lines.append(f"{place} = {value.format(place)}")


def augment(p: Program, data: st.DataObject, of: str) -> None:
    p.lines.append(f"{of} {data.draw(st.sampled_from(['+=', '-=', '*=']))} 2")


def relayout(p: Program, data: st.DataObject, of: str) -> None:
    """transpose_, unsqueeze_ and squeeze_ change the variable itself, not what aliases it."""
    shape = p.shapes[of]
    assume(shape)
    kind = data.draw(st.sampled_from(["transpose_", "unsqueeze_", "squeeze_"]))
    if kind == "unsqueeze_":
        p.lines.append(f"{of}.unsqueeze_(0)")
        shape = (1, *shape)
    elif kind == "squeeze_":
        p.lines.append(f"{of}.squeeze_(0)")
        shape = shape[1:] if shape[0] == 1 else shape
    else:
        p.lines.append(f"{of}.transpose_(0, -1)")
        shape = (shape[-1], *shape[1:-1], shape[0]) if len(shape) > 1 else shape
    for name in p.shapes:
        if p.same[name] == p.same[of]:
            p.shapes[name] = shape


WRITES: dict[str, Callable[..., None]] = {
    "write": write,
    "assign": assign,
    "augment": augment,
}


def program(data: st.DataObject, views: dict[str, Callable[..., None]]) -> tuple[str, Shape]:
    shape = data.draw(fwd.shapes(0, 3, max_size=3), label="shape")
    p = Program(shape)
    for _ in range(data.draw(st.integers(1, 3), label="rounds")):
        for _ in range(data.draw(st.integers(0, 3), label="views")):
            p.make(data, views)
        p.make(data, WRITES)
    return p.text, shape


@settings(max_examples=settings().max_examples * 2)
@given(data=st.data())
def test_programs_of_views_and_writes(data: st.DataObject) -> None:
    text, shape = program(data, VIEWS)
    x = draw_array(data, "x", DType.INT32, shape)
    forms = drawn_forms(data)
    module = module_from_source(text, "x")
    assert_parity(module, x, forms=forms, tolerance=EXACT, plugins=plugins(), may_raise=True)


@settings(max_examples=settings().max_examples * 2)
@given(data=st.data())
def test_programs_that_change_the_layout_in_place(data: st.DataObject) -> None:
    text, shape = program(data, {**VIEWS, "relayout": relayout})
    x = draw_array(data, "x", DType.INT32, shape)
    forms = drawn_forms(data)
    module = module_from_source(text, "x")
    assert_parity(module, x, forms=forms, tolerance=EXACT, plugins=plugins(), may_raise=True)
