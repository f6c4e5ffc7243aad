"""Comparing what an engine returns with what it should: structure, count, dtype, shape, values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, Union

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import ForwardError, OptionError
from fwd_core.ir.dtypes import DType
from fwd_core.ir.structure import describe, flatten, leaf_count, leaf_names
from fwd_core.ir.tensor import Tensor

Array = NDArray[Any]


class ParityError(ForwardError, AssertionError):
    """Two things that should agree do not: the message says which part, where, and by how much."""


@dataclass(frozen=True)
class Tolerance:
    """How far floats may be apart: ``|got - expected| <= atol + rtol * |expected|``.

    Attributes:
        rtol: Relative part.
        atol: Absolute part.
        reason: Why they may differ by that much.

    Raises:
        OptionError: A part is negative or no number, or there is no reason.
    """

    rtol: float
    atol: float
    _: KW_ONLY
    reason: str

    def __post_init__(self) -> None:
        if not (self.rtol >= 0 and self.atol >= 0):
            raise OptionError(
                "a tolerance has two parts that are 0 or more",
                got=f"rtol={self.rtol}, atol={self.atol}",
            )
        if not self.reason.strip():
            raise OptionError("a tolerance needs a reason", hint="say where the difference is from")

    def __str__(self) -> str:
        return f"rtol={self.rtol:g}, atol={self.atol:g} ({self.reason})"


#: Not a bit apart.
EXACT = Tolerance(0, 0, reason="nothing is rounded")
_SINGLE = Tolerance(1e-5, 1e-6, reason="a few dozen roundings of float32, in another order")
_HALF = Tolerance(4e-3, 4e-3, reason="a few roundings of float16")
_BRAIN = Tolerance(3e-2, 3e-2, reason="a few roundings of bfloat16")
#: By output dtype; integers and bool are always compared exactly.
DEFAULTS: Mapping[DType, Tolerance] = {
    DType.FLOAT64: _SINGLE,  # backends compute it in float32
    DType.FLOAT32: _SINGLE,
    DType.FLOAT16: _HALF,
    DType.BFLOAT16: _BRAIN,
}
Tolerances = Union[Tolerance, Mapping[DType, Tolerance], None]


def tolerance_for(dtype: DType, mode: str, given: Tolerances = None) -> Tolerance:
    """The tolerance that counts for outputs of a dtype.

    Args:
        dtype: Of the output.
        mode: The engine's mode; ``float16`` computes in the device's half type, which is
            bfloat16 on some CPUs.
        given: One for all floats, or by dtype; dtypes that it leaves out have the default.
    """
    if not dtype.is_float:
        return EXACT
    if isinstance(given, Tolerance):
        return given
    if given is not None and dtype in given:
        return given[dtype]
    return DEFAULTS[dtype] if mode == "float32" else _BRAIN


def assert_equal(
    got: object,
    expected: object,
    *,
    tolerance: Tolerances = None,
    mode: str = "float32",
    names: Sequence[str] | None = None,
    call: str | None = None,
) -> None:
    """Compare two nests of tuples, lists and dicts of arrays.

    Args:
        got: What was computed: NumPy arrays, or :class:`~fwd_core.ir.Tensor` where NumPy has no
            such dtype.
        expected: What should have been, likewise.
        tolerance: For floats, as in :func:`tolerance_for`.
        mode: The engine's mode.
        names: Names of the outputs; by default they follow from the structure.
        call: What to paste to see the failure again.

    Raises:
        ParityError: They differ. Count and structure are compared first, then for each output
            dtype, shape and values.
        OptionError: An element type is none of Forward's.
    """
    have, have_structure = flatten(got)
    want, want_structure = flatten(expected)
    hint = None if call is None else f"to see it again: {call}"
    if len(have) != len(want):
        raise ParityError("the number of outputs differs", expected=len(want), got=len(have),
                          hint=hint)  # fmt: skip
    if have_structure != want_structure:
        raise ParityError(
            "the outputs are nested otherwise",
            expected=describe(want_structure),
            got=describe(have_structure),
            hint=hint,
        )
    labels = names if names is not None else leaf_names(want_structure, "output")
    assert len(labels) == leaf_count(want_structure)
    for name, one, other in zip(labels, have, want, strict=True):
        _compare_one(name, as_tensor(one), as_tensor(other), tolerance, mode, hint)


def as_tensor(leaf: object) -> Tensor:
    """An array, NumPy scalar or number as a tensor.

    Raises:
        OptionError: Forward has no such element type.
    """
    try:
        return leaf if isinstance(leaf, Tensor) else Tensor(np.asarray(leaf))
    except ValueError as error:
        raise OptionError(
            f"outputs cannot be compared: {error}",
            hint="pass bfloat16 as fwd_core.ir.Tensor(words, DType.BFLOAT16)",
        ) from None


def _compare_one(
    name: str, got: Tensor, expected: Tensor, given: Tolerances, mode: str, hint: str | None
) -> None:
    if got.dtype is not expected.dtype:
        raise ParityError(f"output {name!r}: the dtype differs", expected=expected.type,
                          got=got.type, hint=hint)  # fmt: skip
    if got.shape != expected.shape:
        raise ParityError(f"output {name!r}: the shape differs", expected=expected.type,
                          got=got.type, hint=hint)  # fmt: skip
    tolerance = tolerance_for(got.dtype, mode, given)
    worst = _worst(got.numpy(), expected.numpy(), tolerance)
    if worst is None:
        return
    where = f" at {list(worst.place)}" if worst.place else ""
    details = [f"{worst.wrong} of {worst.total} elements differ by more than {tolerance}"]
    if np.isfinite(worst.difference):
        details.append(f"greatest difference {worst.difference:.3g}")
    raise ParityError(
        f"output {name!r}: values differ",
        expected=f"{_shown(worst.expected)}{where} of {expected.type}",
        got=_shown(worst.got),
        details=details,
        hint=hint,
    )


class _Worst(NamedTuple):
    place: tuple[int, ...]
    got: Any
    expected: Any
    wrong: int
    total: int
    difference: float


def _worst(got: Array, expected: Array, tolerance: Tolerance) -> _Worst | None:
    """The element that is furthest beyond the tolerance; NaN equals NaN, and infinities equal."""
    if got.dtype.kind != "f":
        wrong = got != expected
        beyond = wrong.astype(np.float64)
        # Python integers, because the difference of two int64 may not fit in one.
        difference = max(
            (abs(int(a) - int(b)) for a, b in zip(got[wrong], expected[wrong], strict=True)),
            default=0,
        )
        distance = float(difference)
    else:
        a, b = got.astype(np.float64), expected.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
            apart = np.where(np.isnan(apart), np.inf, apart)
            allowed = tolerance.atol + tolerance.rtol * np.abs(b)
            beyond = np.where(np.isfinite(b), apart - allowed, np.where(apart > 0, np.inf, 0.0))
        wrong = beyond > 0
        distance = float(np.max(apart, initial=0.0))
    if not np.any(wrong):
        return None
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(beyond)), beyond.shape))
    count = int(np.count_nonzero(wrong))
    return _Worst(place, got[place], expected[place], count, got.size, distance)


def _shown(element: Any) -> str:
    return repr(element.item())
