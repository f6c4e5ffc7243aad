"""Products over chosen axes, and of several matrices, against eager torch."""

from __future__ import annotations

import string
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, INTEGERS, check, covers, draw_array

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(torch.cross without specifying|chain_matmul is deprecated):UserWarning"
)

NUMBERS = (*FLOATS, *FLOATS, *INTEGERS)
#: Products of up to three numbers up to 2, up to 64 at a time, which cancel.
SUMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-4, reason="sums of products in another order"),
    DType.FLOAT16: Tolerance(1e-2, 0.3, reason="torch adds in float16, 1/8 apart near 128"),
    DType.BFLOAT16: Tolerance(5e-2, 2.5, reason="torch adds in bfloat16, 1 apart near 128"),
}  # fmt: skip


def sizes(data: st.DataObject, *names: str, least: int = 0, most: int = 5) -> list[int]:
    return [data.draw(st.integers(least, most), label=name) for name in names]


def products(data: st.DataObject, call: str, **inputs: Any) -> None:
    batch = inputs.pop("batch", [])
    check(data, call, batch=batch, tolerance=SUMS, may_raise=True, **inputs)


def array(data: st.DataObject, name: str, dtype: DType, shape: tuple[int, ...]) -> Any:
    return draw_array(data, name, dtype, shape, low=-2, high=2)


def two_dtypes(data: st.DataObject) -> tuple[DType, DType]:
    first = data.draw(fwd.dtypes(ANY), label="dtype")
    return first, data.draw(fwd.dtypes(ANY) | st.just(first), label="other dtype")


@covers("aten::{name}", name=["outer", "ger"])
def test_outer(name: str, data: st.DataObject) -> None:
    first, second = two_dtypes(data)
    rows, columns = sizes(data, "rows", "columns")
    x, z = array(data, "x", first, (rows,)), array(data, "z", second, (columns,))
    products(data, f"torch.{name}(x, z)", x=x, z=z, batch=["x"])


@covers("aten::inner")
def test_inner(data: st.DataObject) -> None:
    (inner,) = sizes(data, "inner")
    first, second = two_dtypes(data)
    left, right = (data.draw(fwd.shapes(0, 2, max_size=3), label=name) for name in ("x", "z"))
    pair = data.draw(st.integers(0, 3), label="numbers at 3")
    shapes = [(), right] if pair == 3 else [(*left, inner), (*right, inner)]
    if DType.BOOL in (first, second) and pair != 3:
        first = second = DType.INT32  # torch takes bool of no elements only
    x = array(data, "x", first, shapes[0])
    z = array(data, "z", second if pair == 3 else first, shapes[1])
    products(data, "torch.inner(x, z)", x=x, z=z, batch=["x"] if left and pair != 3 else [])


@covers("aten::linalg_vecdot")
def test_vecdot(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes((*FLOATS, *FLOATS, DType.INT32)), label="dtype")
    left, right = data.draw(fwd.broadcastable(2, 3, max_size=4), label="shapes")
    x, z = array(data, "x", dtype, left), array(data, "z", dtype, right)
    rank = max(len(left), len(right))
    if not rank or (len(left) == len(right) == 1 and left != right):
        return
    axis = data.draw(fwd.axis(rank), label="axis")
    batch = ["x"] if len(left) > len(right) and axis % rank else []
    call = "torch.linalg.vecdot(x, z)" if axis == -1 else f"torch.linalg.vecdot(x, z, dim={axis})"
    products(data, call, x=x, z=z, batch=batch)


@covers("aten::tensordot")
def test_tensordot(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    left = data.draw(fwd.shapes(0, 3, max_size=4), label="left")
    free = data.draw(fwd.shapes(0, 2, max_size=4), label="free")
    chosen = data.draw(fwd.axes(len(left)), label="axes")
    summed = [data.draw(st.sampled_from([left[a]] * 3 + [1]), label="size") for a in chosen]
    places = data.draw(st.permutations(range(len(free) + len(summed))), label="places")
    whole = [*summed, *free]
    right = tuple(whole[place] for place in places)
    others = [places.index(number) for number in range(len(summed))]
    x, z = array(data, "x", dtype, left), array(data, "z", dtype, right)
    batch = ["x"] if left and 0 not in chosen and -len(left) not in chosen else []
    call = f"torch.ops.aten.tensordot(x, z, {list(chosen)}, {others})"
    products(data, call, x=x, z=z, batch=batch)


#: Equations that models use, beside drawn ones.
EQUATIONS = (
    "bhqd,bhkd->bhqk", "bhqk,bhkd->bhqd", "bqhd,bkhd->bhqk", "bij,bjk->bik", "ij,jk", "ij->ji",
    "ii", "bii->b", "...ij,...jk->...ik", "b...->...b", "bi,ij,bj->b", "i,j->ij", "bnd,bd->bn",
    "...i,...i", "iij->ij", "b...i,...ij->b...j", "ba,cb", "i...,...i->...", "...,...->...",
)  # fmt: skip


@covers("aten::einsum", without={"sublist": "TorchScript's only, of any number of arguments"},
        examples=3)  # fmt: skip
def test_einsum(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes((*NUMBERS, DType.BOOL)), label="dtype")
    equation = data.draw(st.sampled_from(EQUATIONS) | drawn_equations(), label="equation")
    terms = equation.partition("->")[0].replace(" ", "").split(",")
    # Integers and bool of no elements torch multiplies where it refuses others.
    least = int(not dtype.is_float)
    used = sorted(set(equation) & set(string.ascii_letters))
    lengths = dict(zip(used, sizes(data, *used, least=least), strict=True))
    hidden = data.draw(fwd.shapes(0, 2, min_size=least, max_size=3), label="hidden")
    inputs = {}
    for name, term in zip("xyzw", terms, strict=False):
        shape: list[int] = []
        for label in term.replace("...", "."):
            one = data.draw(st.integers(0, 5), label="1 at 5") == 5 and term.count(label) == 1
            shape += hidden if label == "." else [1 if one else lengths[label]]
        inputs[name] = array(data, name, dtype, tuple(shape))
    batch = [n for n, term in zip(inputs, terms, strict=True) if term[:1] == "b"]
    if any("b" in term[1:] for term in terms):
        batch = []
    path = None
    if data.draw(st.booleans(), label="path"):
        path = [0] if len(terms) == 1 else []
        for left in range(len(terms), 1, -1):
            path += data.draw(st.permutations(range(left)), label="pair")[:2]
    call = f'torch.ops.aten.einsum("{equation}", [{", ".join(inputs)}], path={path})'
    products(data, call, batch=batch, **inputs)


@st.composite
def drawn_equations(draw: st.DrawFn) -> str:
    """Up to four operands over few labels, so that they meet, repeat and are left over."""
    term = st.lists(st.sampled_from("aBcd"), max_size=3).map("".join)
    dotted = st.tuples(term, st.sampled_from(["", "", "..."]), term).map("".join)
    terms = draw(st.lists(dotted, min_size=1, max_size=4))
    if not draw(st.booleans()):
        return ", ".join(terms)
    labels = sorted({label for label in "".join(terms) if label != "."})
    chosen = "".join(draw(st.permutations(labels))[: draw(st.integers(0, len(labels)))])
    return f"{','.join(terms)} -> {chosen}{draw(st.sampled_from(['...', '']))}"


@covers("aten::bilinear")
def test_bilinear(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    lead = data.draw(fwd.shapes(0, 2, max_size=3), label="lead")
    first, second, outputs = sizes(data, "i", "j", "o")
    inputs = {
        "x": array(data, "x", dtype, (*lead, first)),
        "z": array(data, "z", dtype, (*lead, second)),
        "w": array(data, "w", dtype, (outputs, first, second)),
    }
    call = "F.bilinear(x, z, w)"
    if data.draw(st.booleans(), label="bias"):
        inputs["bias"] = array(data, "bias", dtype, (outputs,))
        call = "F.bilinear(x, z, w, bias)"
    products(data, call, batch=["x", "z"] if lead else [], **inputs)


@covers("aten::_trilinear", fixed={"unroll_dim": "an order of the same sums"})
def test_trilinear(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    shape = data.draw(fwd.shapes(2, 4, min_size=1, max_size=3), label="shape")
    rank = len(shape)
    inputs, expands = {}, []
    for name in "xyz":
        expand = sorted(axis % rank for axis in data.draw(fwd.axes(rank), label=f"new in {name}"))
        kept = tuple(size for axis, size in enumerate(shape) if axis not in expand)
        inputs[name] = array(data, name, dtype, kept)
        expands.append(expand)
    if any(all(axis in expand for expand in expands) for axis in range(rank)):
        return
    summed = list(data.draw(fwd.axes(rank, max_count=2), label="summed"))
    listed = ", ".join(map(str, [*expands, summed]))
    products(data, f"torch._trilinear(x, y, z, {listed})", **inputs)


@covers("aten::kron")
def test_kron(data: st.DataObject) -> None:
    first, second = two_dtypes(data)
    left, right = (data.draw(fwd.shapes(0, 3, max_size=3), label=name) for name in ("x", "z"))
    x, z = array(data, "x", first, left), array(data, "z", second, right)
    # torch.export fixes the batch where there are no elements.
    batch = ["x"] if len(left) > len(right) > 0 and 0 not in left + right else []
    products(data, "torch.kron(x, z)", x=x, z=z, batch=batch)


@covers("aten::{name}", name=["cross", "linalg_cross"])
def test_cross(name: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    rank = data.draw(st.integers(1, 3), label="rank")
    axis = data.draw(fwd.axis(rank), label="axis")
    shapes = [list(data.draw(fwd.shapes(rank, rank, max_size=4), label="shape"))] * 2
    if data.draw(st.booleans(), label="broadcast"):
        shapes[1] = [data.draw(st.sampled_from([1, size]), label="other") for size in shapes[0]]
    shapes = [[*shape] for shape in shapes]
    for shape in shapes:
        shape[axis] = 3
    x, z = (array(data, n, dtype, tuple(s)) for n, s in zip("xz", shapes, strict=True))
    batch = ["x", "z"] if axis % rank and shapes[0] == shapes[1] and shapes[0][0] != 3 else []
    more = data.draw(st.sampled_from([f", dim={axis}"] * 3 + [""]), label="dim")
    batch = batch if more else []  # which may be 3 for some of its sizes
    call = f"torch.{name.replace('linalg_', 'linalg.')}(x, z{more})"
    products(data, call, x=x, z=z, batch=batch)


@covers("aten::chain_matmul", "aten::linalg_multi_dot")
def test_several(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    count = data.draw(st.integers(1, 4), label="count")
    lengths = sizes(data, *"abcdef"[: count + 1])
    shapes = [lengths[i : i + 2] for i in range(count)]
    chain = count == 1 or data.draw(st.booleans(), label="chain")
    if not chain:
        vectors = data.draw(st.sampled_from([(), (0,), (-1,), (0, -1)]), label="vectors")
        for place in vectors:
            shapes[place] = [shapes[place][1 if place == 0 else 0]]
    inputs = {n: array(data, n, dtype, tuple(s)) for n, s in zip("xyzw", shapes, strict=False)}
    listed = ", ".join(inputs)
    call = f"torch.chain_matmul({listed})" if chain else f"torch.linalg.multi_dot([{listed}])"
    # torch.export chooses the order of three and more for one size of the batch.
    products(data, call, batch=["x"] if len(shapes[0]) == 2 and count < 3 else [], **inputs)


@covers("aten::{name}", name=["matrix_power", "linalg_matrix_power"])
def test_matrix_power(name: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 6), label="n")
    dtype = data.draw(fwd.dtypes(ANY if n < 2 else NUMBERS), label="dtype")
    lead = data.draw(fwd.shapes(0, 2, max_size=3), label="lead")
    (size,) = sizes(data, "size", most=3)
    x = draw_array(data, "x", dtype, (*lead, size, size), low=-1, high=1)
    products(data, f"torch.{name.replace('linalg_', 'linalg.')}(x, {n})", x=x,
             batch=["x"] if lead else [])  # fmt: skip
