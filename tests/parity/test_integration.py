"""Integrals by the trapezoidal rule against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, INTEGERS, check, covers, number, operand

from fwd_core.ir import DType, Tensor
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

#: Torch rounds after each of four steps, of which the engine rounds some.
AREAS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="sums of products that cancel"),
    DType.FLOAT16: Tolerance(1e-2, 6e-2, reason="torch rounds sums of two to float16"),
    DType.BFLOAT16: Tolerance(5e-2, 5e-1, reason="torch rounds them to bfloat16"),
}
NAMES = ["trapezoid", "trapz", "cumulative_trapezoid"]


@covers("aten::{name}", name=NAMES, each={"points": ["x", "dx"]})
def test_integrals(name: str, points: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, max_size=4), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    y = operand(data, "y", ANY, shape)
    if points == "dx":
        dx = number(data, "dx", (1, 2.5, -1) if name != "trapz" else (1.0, 2.5))
        batch = ["y"] if axis % len(shape) else []
        check(data, f"torch.{name}(y, dx={dx}, dim={axis})", y=y, batch=batch, may_raise=True,
              tolerance=AREAS)  # fmt: skip
        return
    few = (shape[axis],) if data.draw(st.booleans(), label="one axis") else shape
    if data.draw(st.integers(0, 5), label="another length at 5") == 5:
        few = (few[0] + 1, *few[1:])
    # Of two half dtypes torch rounds sums to one of them before it promotes to float32.
    kind = y.dtype if isinstance(y, Tensor) else DType.of(str(y.dtype))
    mine = (kind, *INTEGERS, DType.BOOL) if kind.is_float else ANY
    x = operand(data, "x", mine, few)
    call = f"torch.{name}(y, x, dim={axis})"
    check(data, call, y=y, x=x, may_raise=True, tolerance=AREAS)
