"""The gamma function's logarithm and its derivatives against eager torch."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, INTEGERS, covers, number, plugins
from parity_unary import unary, written_or_not

from fwd_core.ir import DType
from fwd_core.testing import assert_parity
from fwd_core.testing.compare import Tolerance
from fwd_ops_torch.testing import module_from_source

#: Composed of terms that cancel, or nearly so beside a pole, where an input's last bit shows.
GAMMA = {
    DType.FLOAT32: Tolerance(1e-5, 4e-6, reason="terms of the reflection formula cancel"),
    DType.FLOAT16: Tolerance(2e-3, 2e-3, reason="rounded once to float16"),
    DType.BFLOAT16: Tolerance(1e-2, 1e-2, reason="rounded once to bfloat16"),
}


@covers("aten::lgamma", "aten::lgamma_", each={"written": [False, True]})
def test_lgamma(written: bool, data: st.DataObject) -> None:
    unary(data, written_or_not("lgamma", written), limits=(-6, 12), tolerance=GAMMA)


@covers("aten::digamma", "aten::digamma_", each={"written": [False, True]})
def test_digamma(written: bool, data: st.DataObject) -> None:
    unary(data, written_or_not("digamma", written), limits=(0, 12), tolerance=GAMMA)


@covers("aten::special_{name}", name=["gammaln", "digamma", "psi"])
def test_other_names(name: str, data: st.DataObject) -> None:
    unary(data, f"torch.ops.aten.special_{name}(x)", limits=(0, 12), tolerance=GAMMA)


CALLS = {
    "polygamma": "torch.ops.aten.polygamma({n}, x)",
    "special_polygamma": "torch.special.polygamma({n}, x)",
}


@covers("aten::{name}", name=CALLS)
def test_polygamma(name: str, data: st.DataObject) -> None:
    n = number(data, "n", (0, 1, 2, 3, 4, -1))
    unary(data, CALLS[name].format(n=n), limits=(0.25, 12), tolerance=GAMMA)


@covers("aten::polygamma_", exported=False)
def test_polygamma_in_place(data: st.DataObject) -> None:
    call = f"x.clone().polygamma_({number(data, 'n', (0, 1, 2, 3))})"
    # torch.export takes it for an operator of somebody else.
    unary(data, call, FLOATS, (0.25, 12), GAMMA, forms=("traced", "scripted"))


MULTI = {
    "mvlgamma": "torch.ops.aten.mvlgamma(x, {p})",
    "mvlgamma_": "torch.ops.aten.mvlgamma_(x.clone(), {p})",
    "special_multigammaln": "torch.special.multigammaln(x, {p})",
}


@covers("aten::{name}", name=MULTI)
def test_mvlgamma(name: str, data: st.DataObject) -> None:
    p = number(data, "p", (1, 2, 3, 5, 0))
    dtypes = (*FLOATS, *INTEGERS)
    unary(data, MULTI[name].format(p=p), dtypes, limits=(2.25, 12), tolerance=GAMMA)


TIGHT = Tolerance(2e-6, 1e-30, reason="relative to the result, however small that is")


def test_lgamma_of_positive_numbers() -> None:
    near = np.geomspace(1e-7, 0.4, 500)
    x = np.concatenate([np.geomspace(1e-30, 1e36, 4000), 1 - near, 1 + near, 2 - near, 2 + near])
    module = module_from_source("torch.lgamma(x)", "x")
    assert_parity(module, (x.astype(np.float32),), forms=["exported"], plugins=plugins(),
                  tolerance=TIGHT)  # fmt: skip


def test_lgamma_below_zero() -> None:
    """Between the poles the result passes 0, so what counts is the greatest of its terms."""
    x = -np.random.default_rng(0).uniform(0, 60, 4000).astype(np.float32)
    module = module_from_source("torch.lgamma(x)", "x")
    absolute = Tolerance(2e-6, 4e-5, reason="terms of up to 190 cancel")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins(), tolerance=absolute)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_derivatives(n: int) -> None:
    x = np.geomspace(1e-3, 1e4, 3000).astype(np.float32)
    module = module_from_source(f"torch.polygamma({n}, x)", "x")
    near_zero = Tolerance(4e-6, 1e-6 if n == 0 else 1e-30, reason="digamma is 0 at 1.46")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins(), tolerance=near_zero)


@pytest.mark.parametrize("n", [0, 1])
def test_derivatives_below_zero(n: int) -> None:
    x = (-np.arange(40)[:, None] - np.linspace(0.05, 0.95, 50)).astype(np.float32)
    module = module_from_source(f"torch.polygamma({n}, x)", "x")
    near_poles = Tolerance(1e-4, 2e-5, reason="the place between two poles is rounded by torch")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins(), tolerance=near_poles)


def test_poles_and_endless_numbers() -> None:
    x = np.array([0.0, -0.0, -1, -2, -300, -1e30, math.inf, -math.inf, math.nan], np.float32)
    module = module_from_source("[torch.lgamma(x), torch.digamma(x)]", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins())
    x = np.array([0.0, math.nan], np.float32)
    module = module_from_source("[torch.polygamma(1, x), torch.polygamma(2, x)]", "x")
    assert_parity(module, (x,), forms=["exported"], plugins=plugins())
