"""How near the functions of a backend come, where that is less than a few roundings.

Such a tolerance counts only for graphs that hold the operator, and only on that backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor
from fwd_core.testing.compare import Tolerance, as_tensor

_SINE = Tolerance(0.0, 5e-7, reason="the GPU's own sine is within 2**-21.4 in half a turn")
_TANGENT = Tolerance(3e-5, 1e-6, reason="estimated: a quotient of the GPU's own sine and cosine")
_TANH = Tolerance(1.2e-5, 1.2e-5, reason="TensorRT 8's tanh, measured: 1e-5 of the result")
#: By backend and kind of operator.
APPROXIMATIONS: Mapping[str, Mapping[str, Tolerance]] = {
    "tensorrt": {
        "fwd.Sin": _SINE,
        "fwd.Cos": _SINE,
        "fwd.Tan": _TANGENT,
        "fwd.Tanh": _TANH,
        "fwd.Gelu": _TANH,
        "fwd.Mish": _TANH,
        "fwd.Rnn": _TANH,
        "fwd.Lstm": _TANH,
        "fwd.Gru": _TANH,
    }
}
#: Operators of an angle, by backend, and the greatest angle that is brought within a turn.
_ANGLES: Mapping[str, tuple[frozenset[str], float]] = {
    "tensorrt": (frozenset({"fwd.Sin", "fwd.Cos", "fwd.Tan"}), 1e5)
}
#: Backends that compute half precision in float16, with its range, also where CI runs others.
_HALF = frozenset({"tensorrt"})
#: The greatest number whose exponential float16 holds.
_LOG_HALF = float(np.log(np.finfo(np.float16).max))


def approximated(
    tolerances: Mapping[DType, Tolerance], backend: str, operators: Iterable[str]
) -> Mapping[DType, Tolerance]:
    """Tolerances that are at least what the operators of a graph need on a backend."""
    known = APPROXIMATIONS.get(backend, {})
    for kind in sorted(set(operators) & set(known)):
        floor = known[kind]
        tolerances = {
            dtype: kept if _covers(kept, floor) else _wider(kept, floor)
            for dtype, kept in tolerances.items()
        }
    return tolerances


def beyond(
    backend: str,
    operators: Iterable[str],
    inputs: Iterable[Tensor],
    shape: tuple[int, ...],
    mode: str = "float32",
) -> NDArray[np.bool_]:
    """Elements of an output that are of a number which a backend cannot compute with.

    Said of outputs of the shape of an input that holds such numbers, element by element: of angles
    beyond those that it brings within a turn; of infinities where torch's gelu depends on the
    device (NaN on the CPU, infinity or 0 on CUDA); and in half precision of numbers that are not
    normal numbers of float16, or whose exponential is not.
    """
    kinds = set(operators)
    tests: list[Callable[[NDArray[np.float64]], NDArray[np.bool_]]] = []
    angles, greatest = _ANGLES.get(backend, (frozenset(), np.inf))
    if angles & kinds:
        tests.append(lambda x: np.isfinite(x) & (np.abs(x) > greatest))
    if backend in _HALF and "fwd.Gelu" in kinds:
        tests.append(np.isinf)
    if backend in _HALF and mode != "float32":
        tests.append(_not_half)
        if "fwd.Exp" in kinds:
            tests.append(lambda x: np.abs(x) > _LOG_HALF)
    found = np.zeros(shape, np.bool_)
    for tensor in inputs:
        if tensor.dtype.is_float and tensor.shape == shape:
            numbers = tensor.numpy().astype(np.float64)
            for test in tests:
                found |= test(numbers)
    return found


def uncompared(
    backend: str, operators: Iterable[str], inputs: Iterable[Tensor], expected: Tensor, mode: str
) -> NDArray[np.bool_]:
    """Elements of an output that are not compared: see :func:`beyond`.

    In half precision also results that float16 does not reach; those near 0 have their tolerance.
    """
    places = beyond(backend, operators, inputs, expected.shape, mode)
    if backend in _HALF and mode != "float32" and expected.dtype.is_float:
        numbers = expected.numpy().astype(np.float64)
        places |= _not_half(numbers) & (np.abs(numbers) > 1)
    return places


def _not_half(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Finite numbers, other than 0, beyond the normal ones of float16."""
    size = np.abs(numbers)
    limits = np.finfo(np.float16)
    outside = (size > float(limits.max)) | (size < float(limits.tiny))
    found: NDArray[np.bool_] = np.isfinite(numbers) & (numbers != 0) & outside
    return found


def without(expected: Tensor, got: object, places: NDArray[np.bool_]) -> Tensor:
    """What was expected, with what an engine gave at places that are not compared."""
    given = as_tensor(got)
    if not places.any() or given.type != expected.type:
        return expected
    return Tensor(np.where(places, given.data, expected.data), expected.dtype)


def _covers(kept: Tolerance, floor: Tolerance) -> bool:
    return kept.rtol >= floor.rtol and kept.atol >= floor.atol


def _wider(kept: Tolerance, floor: Tolerance) -> Tolerance:
    rtol, atol = max(kept.rtol, floor.rtol), max(kept.atol, floor.atol)
    return Tolerance(rtol, atol, reason=f"{kept.reason}; {floor.reason}")
