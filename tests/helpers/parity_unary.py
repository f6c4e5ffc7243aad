"""Parity cases of functions of one tensor."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from parity_cases import ANY, QUICK, check, draw_array

from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd
from fwd_core.testing.compare import Tolerances


def unary(
    data: st.DataObject,
    call: str,
    dtypes: Sequence[DType] = ANY,
    limits: tuple[float, float] = (-4, 4),
    tolerance: Tolerances = None,
    forms: Sequence[str] = QUICK,
) -> None:
    """A call of a function of ``x``, of any shape and one of some dtypes."""
    dtype = data.draw(fwd.dtypes(dtypes), label="dtype")
    shape = data.draw(fwd.shapes(), label="shape")
    x = draw_array(data, "x", dtype, shape, low=limits[0], high=limits[1])
    check(data, call, x=x, batch=["x"], may_raise=True, tolerance=tolerance, forms=forms)


def written_or_not(name: str, written: bool, arguments: str = "") -> str:
    """A call of ``aten::name``, or of its form in place on a copy."""
    given = f", {arguments}" if arguments else ""
    return (
        f"torch.ops.aten.{name}_(x.clone(){given})"
        if written
        else (f"torch.ops.aten.{name}(x{given})")
    )


def call_of(data: st.DataObject, name: str, arguments: str = "") -> str:
    """Either of the two, drawn."""
    return written_or_not(name, data.draw(st.booleans(), label="in place"), arguments)
