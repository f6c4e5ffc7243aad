"""How functions of two operands are called in parity tests: tensors, numbers, in place."""

from __future__ import annotations

from hypothesis import strategies as st
from parity_cases import ANY, QUICK, check, number, on_one_grid, operand

from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd
from fwd_core.testing.compare import Tolerances

#: How a function of two tensors, or a tensor and a number, is called.
PLAIN = ("tensors", "number", "number, by overload")
KINDS = (*PLAIN, "in place", "in place with a number", "in place with a number, by overload")


def binary(
    data: st.DataObject,
    name: str,
    kind: str,
    *,
    dtypes: tuple[DType, ...] = ANY,
    numbers: tuple[object, ...] = (2, -3, 1.5, True, 0),
    more: str = "",
    low: float = -4,
    high: float = 4,
    limits: tuple[float, float] | None = None,
    zeros: bool = True,
    overload: str = "Scalar",
    first: str | None = None,
    tolerance: Tolerances = None,
    mixes: bool = False,
    compares: bool = False,
) -> None:
    """A function of two tensors that broadcast, or of a tensor and a number, or in place.

    Args:
        data: Draws the operands.
        name: The function's name in ``torch``.
        kind: One of :data:`KINDS`, or ``number first``.
        dtypes: Of the tensors, each drawn for itself.
        numbers: Drawn for the number.
        more: Further arguments, as text that begins with a comma.
        low: Least element of the first tensor; ``high`` its greatest.
        high: See ``low``.
        limits: The same for the second tensor, if they differ.
        zeros: Whether integers of the second operand may be zero.
        overload: Name of the overload that takes a number.
        first: Name of the overload that takes a number first.
        tolerance: For float outputs.
        mixes: As for :func:`parity_cases.check`.
        compares: Whether a number that was rounded changes the result at once.
    """
    given = number(data, "number", numbers)
    if "number" in kind:
        shape = data.draw(fwd.shapes(), label="shape")
        leads = kind == "number first"
        x = operand(data, "x", dtypes, shape, low=low, high=high, zeros=zeros or not leads)
        mode = "_mode" if "rounding" in more else ""
        if leads:
            called = f"torch.{name}" if first is None else f"torch.ops.aten.{name}.{first}"
            call = f"{called}({given}, x{more})"
        elif kind == "number, by overload":
            call = f"torch.ops.aten.{name}.{overload}{mode}(x, {given}{more})"
        elif kind == "in place with a number, by overload":
            call = f"torch.ops.aten.{name}_.{overload}{mode}(x.clone(), {given}{more})"
        elif kind == "number":
            call = f"torch.{name}(x, {given}{more})"
        else:
            call = f"y = x.clone()\ny.{name}_({given}{more})\nreturn y"
        # TorchScript makes bool numbers integers, which eager torch does not.
        forms = ("exported",) if isinstance(given, bool) else QUICK
        check(data, call, x=x, batch=["x"], may_raise=True, forms=forms,
              tolerance=tolerance)  # fmt: skip
        return
    left, right = data.draw(fwd.left_padded() | fwd.broadcastable(), label="shapes")
    least, most = limits if limits is not None else (low, high)
    x = operand(data, "x", dtypes, left, low=low, high=high)
    z = operand(data, "z", dtypes, right, low=least, high=most, zeros=zeros)
    x, z = on_one_grid(x, z) if compares else (x, z)
    written = f"y = x.clone()\ny.{name}_(z{more})\nreturn y"
    call = f"torch.{name}(x, z{more})" if kind == "tensors" else written
    batch = ["x", "z"] if len(left) == len(right) else ["x"] if len(left) > len(right) else []
    batched = batch if all(len(one) and one[0] > 1 for one in (left, right)) else []
    check(
        data,
        call,
        x=x,
        z=z,
        batch=batched,
        may_raise=True,
        tolerance=tolerance,
        mixes=mixes,
    )
