"""Functions of the normal distribution's tails against eager torch."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import covers, plugins
from parity_unary import unary

from fwd_core.ir import DType
from fwd_core.testing import assert_parity
from fwd_core.testing.compare import Tolerance
from fwd_ops_torch.testing import module_from_source

SPECIAL = {
    DType.FLOAT32: Tolerance(4e-6, 1e-6, reason="exp(x^2) turns the rounding of x^2 into more"),
}
LIMITS = {"erfcx": (-4, 9), "log_ndtr": (-9, 9), "ndtri": (-0.1, 1.1)}


@covers("aten::special_{name}", name=LIMITS)
def test_special(name: str, data: st.DataObject) -> None:
    call = f"torch.ops.aten.special_{name}(x)"
    unary(data, call, limits=LIMITS[name], tolerance=SPECIAL)


#: Numbers to try, and how right the function is to be, relative to itself.
WIDE = {
    "erfcx": (np.linspace(-9, 100, 4000), 2e-5),
    "log_ndtr": (np.linspace(-100, 5, 4000), 2e-6),
    "ndtri": (
        np.concatenate([np.geomspace(1e-37, 0.5, 4000)[:-9], np.linspace(0.51, 1, 400)]),
        2e-6,
    ),
}


@pytest.mark.parametrize("name", WIDE)
def test_all_sizes(name: str) -> None:
    x, relative = WIDE[name]
    module = module_from_source(f"torch.special.{name}(x)", "x")
    near_zero = Tolerance(relative, 1e-7, reason="log_ndtr and ndtri pass or near 0")
    assert_parity(module, (x.astype(np.float32),), forms=["exported"], plugins=plugins(),
                  tolerance=near_zero)  # fmt: skip


@pytest.mark.parametrize("name", WIDE)
def test_special_numbers(name: str) -> None:
    x = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, math.inf, -math.inf, math.nan], np.float32)
    module = module_from_source(f"torch.special.{name}(x)", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins(), tolerance=SPECIAL)
