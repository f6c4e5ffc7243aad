"""Matrix products against eager torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, number

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


@covers("aten::matmul")
def test_matmul(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    rows, inner, columns = sizes(data, "rows", "inner", "columns", least=0)
    first, second = data.draw(fwd.broadcastable(2, 2, max_size=3), label="batches")
    left = data.draw(st.sampled_from([(inner,), (rows, inner), (*first, rows, inner)]))
    right = data.draw(st.sampled_from([(inner,), (inner, columns), (*second, inner, columns)]))
    x, z = draw_array(data, "x", dtype, left), draw_array(data, "z", dtype, right)
    batch = ["x"] if len(left) > max(2, len(right)) else []
    call = data.draw(st.sampled_from(["x @ z", "torch.matmul(x, z)"]), label="call")
    product(data, call, x=x, z=z, batch=batch)


@covers("aten::mm", "aten::bmm", without=MIXED)
def test_mm(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    batch, rows, inner, columns = sizes(data, "batch", "rows", "inner", "columns")
    several = data.draw(st.booleans(), label="several")
    lead = (batch,) * several
    x = draw_array(data, "x", dtype, (*lead, rows, inner))
    z = draw_array(data, "z", dtype, (*lead, inner, columns))
    batched = ["x", "z"] if several else ["x"]
    product(data, f"torch.{'b' * several}mm(x, z)", x=x, z=z, batch=batched)


@covers("aten::linear")
def test_linear(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    lead = data.draw(fwd.shapes(0, 3, max_size=3), label="lead")
    inner, columns = sizes(data, "in", "out", least=1)
    x = draw_array(data, "x", dtype, (*lead, inner))
    vector = data.draw(st.integers(0, 4), label="vector at 2") == 2
    w = draw_array(data, "w", dtype, (inner,) if vector else (columns, inner))
    bias = draw_array(data, "bias", dtype, () if vector else (columns,))
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
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    rows, inner, columns = sizes(data, "rows", "inner", "columns")
    shapes = [(rows, columns)] if written else [(rows, columns), (columns,), (1, columns), ()]
    shape = data.draw(st.sampled_from(shapes), label="shape")
    beta, alpha = number(data, "beta", FACTORS), number(data, "alpha", FACTORS)
    x = draw_array(data, "x", dtype, shape)
    if beta == 0 and dtype is DType.FLOAT32 and np.size(x):
        x.flat[0] = np.nan  # torch does not read self then
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
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
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
