"""Counted elements against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, check, covers, draw_array, number, operand, plugins

from fwd_core.ir import DType, Tensor
from fwd_core.testing import assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source


@covers("aten::histc")
def test_histc(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    dtype = data.draw(fwd.dtypes((*FLOATS, DType.INT32)), label="dtype")
    # Whole numbers: others may fall on either side of an edge, as they are rounded.
    counts = draw_array(data, "x", DType.INT64, shape, low=-4, high=4)
    tensor = Tensor(counts.astype(np.float64)).astype(dtype)
    x = tensor if dtype is DType.BFLOAT16 else tensor.data
    bins = number(data, "bins", (1, 2, 5, 8, 0))
    low, high = number(data, "min", (0, -3, 2, -1.5)), number(data, "max", (0, 3, 2, 4.5))
    check(data, f"torch.histc(x, {bins}, {low}, {high})", x=x, batch=["x"], may_raise=True)


def test_histc_leaves_out_what_is_outside() -> None:
    x = np.array([-1, 0, 0.5, 1, 2, 2.1, np.nan, np.inf, -np.inf], np.float32)
    module = module_from_source("torch.histc(x, 4, 0, 2)", "x")
    assert_parity(module, (x,), plugins=plugins())


@pytest.mark.parametrize(("bins", "low", "high"), [(1, -3, 0), (5, -3, 4.5), (7, -1.5, 4.5)])
def test_histc_counts_what_is_at_its_ends(bins: int, low: float, high: float) -> None:
    x = np.array([-4, -3, low, 0, 0, high, 5], np.float32)
    module = module_from_source(f"torch.histc(x, {bins}, {low}, {high})", "x")
    assert_parity(module, (x,), plugins=plugins())


@covers("aten::nonzero_static")
def test_nonzero_static(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(0, 3, max_size=4), label="shape")
    x = operand(data, "x", ANY, shape, low=-1, high=1)
    size, filler = number(data, "size", (0, 1, 3, 9, -1)), number(data, "filler", (-1, 7))
    call = f"torch.nonzero_static(x, size={size}, fill_value={filler})"
    check(data, call, x=x, batch=["x"], may_raise=True)
