"""Bessel functions against eager torch."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import covers, plugins
from parity_unary import call_of, unary

from fwd_core.ir import DType
from fwd_core.testing import assert_parity
from fwd_core.testing.compare import Tolerance
from fwd_ops_torch.testing import module_from_source

#: Torch computes the modified functions of half dtypes in these dtypes, or not at all.
BESSEL = {
    DType.FLOAT32: Tolerance(4e-6, 1e-6, reason="polynomials that are right to 6e-7"),
    DType.FLOAT16: Tolerance(2e-3, 2e-3, reason="rounded once to float16"),
    DType.BFLOAT16: Tolerance(1e-2, 1e-2, reason="rounded once to bfloat16"),
}
FIRST = ["i0", "i0e", "i1", "i1e", "modified_bessel_i0", "modified_bessel_i1",
         "spherical_bessel_j0"]  # fmt: skip
SECOND = ["modified_bessel_k0", "modified_bessel_k1", "scaled_modified_bessel_k0",
          "scaled_modified_bessel_k1"]  # fmt: skip


@covers("aten::i0", "aten::i0_")
def test_i0(data: st.DataObject) -> None:
    unary(data, call_of(data, "i0"), limits=(-9, 9), tolerance=BESSEL)


@covers("aten::special_{name}", name=FIRST)
def test_first_kind(name: str, data: st.DataObject) -> None:
    unary(data, f"torch.ops.aten.special_{name}(x)", limits=(-9, 9), tolerance=BESSEL)


@covers("aten::special_{name}", name=SECOND)
def test_second_kind(name: str, data: st.DataObject) -> None:
    unary(data, f"torch.ops.aten.special_{name}(x)", limits=(-1, 9), tolerance=BESSEL)


RELATIVE = Tolerance(1e-5, 1e-36, reason="the exponential's argument, up to 80, is rounded")


@pytest.mark.parametrize("name", FIRST[:-1] + SECOND)
def test_all_sizes(name: str) -> None:
    sizes = np.geomspace(1e-6, 80, 4000)
    x = np.concatenate([sizes, -sizes] if name in FIRST else [sizes]).astype(np.float32)
    module = module_from_source(f"torch.special.{name}(x)", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins(), tolerance=RELATIVE)


@pytest.mark.parametrize("name", FIRST[:4] + SECOND)
def test_special_numbers(name: str) -> None:
    x = [0.0, -0.0, math.nan] + ([1e30, -1e30] if name.endswith("e") else [])
    module = module_from_source(f"torch.special.{name}(x)", "x")
    assert_parity(module, (np.array(x, np.float32),), forms=["exported"], plugins=plugins())
