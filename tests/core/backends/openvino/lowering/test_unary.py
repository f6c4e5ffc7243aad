"""Lowerings of functions of one tensor against NumPy, and torch where NumPy lacks the function."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Union

import numpy as np
import pytest
from on_openvino import Array, assert_same, dynamic_types, run

from fwd_core.ir import ops
from fwd_core.ir.ops.unary import FloatUnary, NumberUnary

pytest.importorskip("openvino")
torch = pytest.importorskip("torch")

#: Ordinary magnitudes first, then what often goes wrong.
FLOATS = np.concatenate(
    [
        np.random.default_rng(0).normal(0, 3, 1000),
        [0.0, -0.0, 0.5, -0.5, 2.5, -2.5, 60.0, -60.0, math.inf, -math.inf, math.nan],
    ]
).astype(np.float32)
#: OpenVINO's vector functions are polynomials; torch's differ from the true value as much.
RTOL, ATOL = 5e-6, 4e-7
#: So far off is OpenVINO's mish, where x is -8.
MISH_ATOL = 2e-6


def through_torch(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    return lambda x: function(torch.from_numpy(x)).numpy()


Unary = Union[type[FloatUnary], type[NumberUnary]]
FLOAT_UNARY: list[
    tuple[type[FloatUnary] | type[NumberUnary], dict[str, Any], Callable[[Array], Array]]
] = [
    (ops.Exp, {}, np.exp),
    (ops.Log, {}, np.log),
    (ops.Sqrt, {}, np.sqrt),
    (ops.Reciprocal, {}, lambda x: 1 / x),
    (ops.Erf, {}, through_torch(torch.erf)),
    (ops.Sin, {}, np.sin),
    (ops.Cos, {}, np.cos),
    (ops.Tanh, {}, np.tanh),
    (ops.Sigmoid, {}, through_torch(torch.sigmoid)),
    (ops.Floor, {}, np.floor),
    (ops.Ceil, {}, np.ceil),
    (ops.Silu, {}, through_torch(torch.nn.functional.silu)),
    (ops.Gelu, {}, through_torch(torch.nn.functional.gelu)),
    (
        ops.Gelu,
        {"approximate": "tanh"},
        through_torch(lambda x: torch.nn.functional.gelu(x, approximate="tanh")),
    ),
    (ops.LeakyRelu, {"alpha": 0.3}, through_torch(lambda x: torch.where(x > 0, x, 0.3 * x))),
    (ops.Abs, {}, np.abs),
    (ops.Neg, {}, np.negative),
    (ops.Sign, {}, through_torch(torch.sign)),
    (ops.Tan, {}, np.tan),
    (ops.Asin, {}, np.arcsin),
    (ops.Acos, {}, np.arccos),
    (ops.Atan, {}, np.arctan),
    (ops.Sinh, {}, np.sinh),
    (ops.Cosh, {}, np.cosh),
    (ops.Asinh, {}, np.arcsinh),
    (ops.Acosh, {}, np.arccosh),
    (ops.Atanh, {}, np.arctanh),
    (ops.Round, {}, np.round),
    (ops.Expm1, {}, np.expm1),
    (ops.Log1p, {}, np.log1p),
    (ops.Mish, {}, through_torch(torch.nn.functional.mish)),
    (ops.Elu, {}, through_torch(torch.nn.functional.elu)),
    (ops.Elu, {"alpha": 0.5}, through_torch(lambda x: torch.nn.functional.elu(x, 0.5))),
    (
        ops.Elu,
        {"alpha": -1.5, "scale": 2.0},
        through_torch(lambda x: 2 * torch.nn.functional.elu(x, -1.5)),
    ),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("operator", "attributes", "reference"),
    FLOAT_UNARY,
    ids=lambda item: getattr(item, "__name__", str(item)),
)
def test_float_unary(
    operator: Unary,
    attributes: dict[str, Any],
    reference: Callable[[Array], Array],
    dynamic: bool,
) -> None:
    with np.errstate(all="ignore"):
        expected = reference(FLOATS)
    (got,) = run(
        lambda graph, x: graph.add(operator(x, **attributes)),
        FLOATS,
        types=dynamic_types([FLOATS]) if dynamic else None,
    )
    atol = MISH_ATOL if operator is ops.Mish else ATOL
    assert_same(got, expected, rtol=RTOL, atol=atol)
