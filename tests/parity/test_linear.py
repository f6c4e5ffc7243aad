"""Matrix products against eager torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, INTEGERS, check, covers, draw_array, number

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

MIXED = {"dtype": "mixed-precision products are for CUDA only: declared unsupported"}
#: Products of numbers up to 4, up to 7 at a time: partial sums reach 112, and cancel.
SUMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-4, reason="sums of 7 products up to 16 in another order"),
    DType.FLOAT16: Tolerance(
        1e-2, 0.25, reason="float16 near 112 is spaced by 1/16; torch adds in it"
    ),
    DType.BFLOAT16: Tolerance(
        5e-2, 2.0, reason="bfloat16 near 112 is spaced by 1/2; torch adds in it"
    ),
}


def sizes(data: st.DataObject, *names: str, least: int = 0) -> list[int]:
    return [data.draw(st.integers(least, 7), label=name) for name in names]


def product(data: st.DataObject, call: str, **inputs: Any) -> None:
    batch = inputs.pop("batch", [])
    check(data, call, batch=batch, tolerance=SUMS, may_raise=True, **inputs)


#: What torch multiplies: floats mostly, because they are the ones that round.
NUMBERS = (*FLOATS, *FLOATS, *INTEGERS)


@covers("aten::{name}", name=["matmul", "linalg_matmul"])
def test_matmul(name: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    rows, inner, columns = sizes(data, "rows", "inner", "columns", least=0)
    first, second = data.draw(fwd.broadcastable(2, 2, max_size=3), label="batches")
    left = data.draw(st.sampled_from([(inner,), (rows, inner), (*first, rows, inner)]))
    right = data.draw(st.sampled_from([(inner,), (inner, columns), (*second, inner, columns)]))
    x, z = draw_array(data, "x", dtype, left), draw_array(data, "z", dtype, right)
    batch = ["x"] if len(left) > max(2, len(right)) else []
    call = data.draw(st.sampled_from(["x @ z", "torch.matmul(x, z)"]), label="call")
    call = "torch.linalg.matmul(x, z)" if name == "linalg_matmul" else call
    product(data, call, x=x, z=z, batch=batch)


@covers("aten::mm", "aten::bmm", without=MIXED)
def test_mm(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    batch, rows, inner, columns = sizes(data, "batch", "rows", "inner", "columns")
    several = data.draw(st.booleans(), label="several")
    lead = (batch,) * several
    x = draw_array(data, "x", dtype, (*lead, rows, inner))
    z = draw_array(data, "z", dtype, (*lead, inner, columns))
    batched = ["x", "z"] if several else ["x"]
    product(data, f"torch.{'b' * several}mm(x, z)", x=x, z=z, batch=batched)


@covers("aten::mv")
def test_mv(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    rows, inner = sizes(data, "rows", "inner")
    x, v = draw_array(data, "x", dtype, (rows, inner)), draw_array(data, "v", dtype, (inner,))
    product(data, "torch.mv(x, v)", x=x, v=v, batch=["x"])


@covers("aten::{name}", name=["dot", "vdot"])
def test_dot(name: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    (inner,) = sizes(data, "inner")
    other = data.draw(st.sampled_from([inner, inner, inner, inner + 1]), label="other")
    x, z = draw_array(data, "x", dtype, (inner,)), draw_array(data, "z", dtype, (other,))
    product(data, f"torch.{name}(x, z)", x=x, z=z, batch=["x", "z"])


@covers("aten::linear")
def test_linear(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    lead = data.draw(fwd.shapes(0, 3, max_size=3), label="lead")
    inner, columns = sizes(data, "in", "out", least=1)
    x = draw_array(data, "x", dtype, (*lead, inner))
    vector = data.draw(st.integers(0, 4), label="vector at 2") == 2
    w = draw_array(data, "w", dtype, (inner,) if vector else (columns, inner))
    shapes = [()] if vector else [(columns,), (columns,), (1,), ()]
    bias = draw_array(data, "bias", dtype, data.draw(st.sampled_from(shapes), label="of bias"))
    call = data.draw(st.sampled_from(["F.linear(x, {w}, {b})", "F.linear(x, {w})"]), label="call")
    batch = ["x"] if lead else []
    if data.draw(st.booleans(), label="constants"):
        product(data, call.format(w="self.w", b="self.bias"), x=x, batch=batch,
                buffers={"w": w, "bias": bias})  # fmt: skip
    else:
        product(data, call.format(w="w", b="bias"), x=x, w=w, bias=bias, batch=batch)


FACTORS = (1, 0, 2, -0.5)


@covers("aten::addmm", "aten::addmm_", without=MIXED, each={"written": ["", "_"]})
def test_addmm(written: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    rows, inner, columns = sizes(data, "rows", "inner", "columns")
    shapes = [(rows, columns)] if written else [(rows, columns), (columns,), (1, columns), ()]
    shape = data.draw(st.sampled_from(shapes), label="shape")
    beta, alpha = number(data, "beta", FACTORS), number(data, "alpha", FACTORS)
    x = draw_array(data, "x", dtype, shape)
    if beta == 0 and dtype is DType.FLOAT32 and np.size(x):
        x.flat[0] = np.nan  # torch does not read self then
    if not dtype.is_float:
        inner = max(inner, 1)  # where nothing is summed torch takes factors that it refuses else
    a = draw_array(data, "a", dtype, (rows, inner))
    b = draw_array(data, "b", dtype, (inner, columns))
    start = "x.clone().addmm_(" if written else "torch.addmm(x, "
    if data.draw(st.booleans(), label="constant matrix"):
        call = f"{start}a, self.b, beta={beta}, alpha={alpha})"
        product(data, call, x=x, a=a, buffers={"b": b})
    else:
        product(data, f"{start}a, b, beta={beta}, alpha={alpha})", x=x, a=a, b=b)


@covers("aten::baddbmm", "aten::baddbmm_", without=MIXED, each={"written": ["", "_"]})
def test_baddbmm(written: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    batch, rows, inner, columns = sizes(data, "batch", "rows", "inner", "columns")
    whole = (batch, rows, columns)
    shape = data.draw(st.sampled_from([whole] if written else [whole, (columns,), (1, columns)]))
    beta, alpha = number(data, "beta", FACTORS), number(data, "alpha", FACTORS)
    x = draw_array(data, "x", dtype, shape)
    a = draw_array(data, "a", dtype, (batch, rows, inner))
    b = draw_array(data, "b", dtype, (batch, inner, columns))
    start = "x.clone().baddbmm_(" if written else "torch.baddbmm(x, "
    batched = ["x", "a", "b"] if shape == whole else ["a", "b"]
    product(data, f"{start}a, b, beta={beta}, alpha={alpha})", x=x, a=a, b=b, batch=batched)


@covers("aten::addbmm", "aten::addbmm_", each={"written": ["", "_"]})
def test_addbmm(written: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    batch, rows, inner, columns = sizes(data, "batch", "rows", "inner", "columns")
    whole = (rows, columns)
    shape = data.draw(st.sampled_from([whole] if written else [whole, (columns,), (), (rows, 1)]))
    beta, alpha = number(data, "beta", FACTORS), number(data, "alpha", FACTORS)
    x = draw_array(data, "x", dtype, shape)
    a = draw_array(data, "a", dtype, (batch, rows, inner), low=-2, high=2)
    b = draw_array(data, "b", dtype, (batch, inner, columns), low=-2, high=2)
    start = "x.clone().addbmm_(" if written else "torch.addbmm(x, "
    product(data, f"{start}a, b, beta={beta}, alpha={alpha})", x=x, a=a, b=b, batch=["a", "b"])


@covers("aten::addmv", "aten::addmv_", each={"written": ["", "_"]})
def test_addmv(written: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(NUMBERS), label="dtype")
    rows, inner = sizes(data, "rows", "inner")
    # Where nothing is summed torch warns that it would resize a smaller one.
    shapes = [(rows,)] if written or not inner or not rows else [(rows,), (), (1,)]
    shape = data.draw(st.sampled_from(shapes), label="x of")
    beta, alpha = number(data, "beta", FACTORS), number(data, "alpha", FACTORS)
    x = draw_array(data, "x", dtype, shape)
    m, v = draw_array(data, "m", dtype, (rows, inner)), draw_array(data, "v", dtype, (inner,))
    start = "x.clone().addmv_(" if written else "torch.addmv(x, "
    batch = ["x", "m"] if shape == (rows,) else ["m"]
    product(data, f"{start}m, v, beta={beta}, alpha={alpha})", x=x, m=m, v=v, batch=batch)


@covers("aten::addr", "aten::addr_", each={"written": ["", "_"]})
def test_addr(written: str, data: st.DataObject) -> None:
    kinds = [data.draw(fwd.dtypes(ANY), label=f"dtype {name}") for name in "xvw"]
    if data.draw(st.booleans(), label="one dtype"):
        kinds = kinds[:1] * 3
    rows, columns = sizes(data, "rows", "columns")
    whole = (rows, columns)
    shape = data.draw(st.sampled_from([whole] if written else [whole, (columns,), (), (rows, 1)]))
    factors = (True, False, 2) if kinds == [DType.BOOL] * 3 else FACTORS
    beta, alpha = number(data, "beta", factors), number(data, "alpha", factors)
    x = draw_array(data, "x", kinds[0], shape)
    v, w = draw_array(data, "v", kinds[1], (rows,)), draw_array(data, "w", kinds[2], (columns,))
    start = "x.clone().addr_(" if written else "torch.addr(x, "
    batch = ["x", "v"] if len(shape) == 2 else ["v"]
    product(data, f"{start}v, w, beta={beta}, alpha={alpha})", x=x, v=v, w=w, batch=batch)


@covers("aten::_addmm_activation")
def test_addmm_activation(data: st.DataObject) -> None:
    gelu = data.draw(st.booleans(), label="gelu")
    dtype = data.draw(fwd.dtypes(FLOATS if gelu else NUMBERS), label="dtype")
    rows, inner, columns = sizes(data, "rows", "inner", "columns")
    shape = data.draw(st.sampled_from([(rows, columns), (columns,)]), label="shape")
    beta, alpha = number(data, "beta", FACTORS), number(data, "alpha", FACTORS)
    x = draw_array(data, "x", dtype, shape)
    a, b = (
        draw_array(data, name, dtype, of)
        for name, of in (("a", (rows, inner)), ("b", (inner, columns)))
    )
    call = f"torch._addmm_activation(x, a, b, beta={beta}, alpha={alpha}, use_gelu={gelu})"
    product(data, call, x=x, a=a, b=b, batch=["a"] if shape == (columns,) else ["x", "a"])
