"""Windows of a dynamic length against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import QUICK, check, covers, plugins

from fwd_core.ir import DType
from fwd_core.testing import Tolerance, assert_parity
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.testing import module_from_source

WINDOWS = {
    DType.FLOAT32: Tolerance(2e-5, 2e-6, reason="cosines of other libraries"),
    DType.FLOAT16: Tolerance(4e-3, 4e-3, reason="torch rounds every step to float16"),
    DType.BFLOAT16: Tolerance(4e-2, 4e-2, reason="torch rounds every step to bfloat16"),
}
CALLS = {
    "hann": ["", ", {periodic}"],
    "hamming": ["", ", {periodic}", ", {periodic}, {alpha}", ", {periodic}, {alpha}, {beta}"],
    "blackman": ["", ", {periodic}"],
    "bartlett": ["", ", {periodic}"],
    "kaiser": ["", ", {periodic}", ", {periodic}, {wide}"],
}


@covers("aten::{name}_window", name=list(CALLS), each={"arguments": range(4)}, exported=False,
        examples=2)  # fmt: skip
def test_window(name: str, arguments: int, data: st.DataObject) -> None:
    given = CALLS[name][arguments % len(CALLS[name])].format(
        periodic=data.draw(st.booleans(), label="periodic"),
        alpha=data.draw(st.sampled_from([0.5, 0.6]), label="alpha"),
        beta=data.draw(st.sampled_from([0.4, 0.3]), label="beta"),
        wide=data.draw(st.sampled_from([6.0, 12.0]), label="beta of kaiser"),
    )
    dtypes = (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.INT64)
    kind = data.draw(st.none() | fwd.dtypes(dtypes), label="dtype")
    if kind in (DType.FLOAT16, DType.BFLOAT16) and name == "kaiser":
        kind = None  # torch rounds what i0 grows with
    told = "" if kind is None else f", dtype=torch.{kind}"
    x = np.zeros(data.draw(st.integers(1, 9), label="length"), np.float32)
    call = f"torch.{name}_window(x.shape[0]{given}{told})"
    # Of a dynamic length torch.export makes no window, and of a fixed one torch computes it.
    forms = ["traced", "scripted"]
    check(data, call, x=x, batch=["x"], tolerance=WINDOWS, forms=forms, may_raise=True)


@pytest.mark.parametrize("name", CALLS)
def test_a_window_of_a_fixed_length_is_a_constant(name: str) -> None:
    module = module_from_source(f"x * torch.{name}_window(x.shape[1], periodic=False)", "x")
    x = np.ones((2, 5), np.float32)
    parity = assert_parity(module, x, forms=QUICK, plugins=plugins())
    (graph,) = parity.graphs
    assert "Cos" not in str(graph)
    assert "Arange" not in str(graph)
