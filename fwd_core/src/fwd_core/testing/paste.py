"""Python expressions that make arrays and calls again, for failure messages."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir.tensor import Tensor

#: Arrays of more elements than this are packed.
_SPELLED = 32
_NAMES = re.compile(r"\b(nan|inf)\b")


def call_text(function: str, *args: object, **kwargs: object) -> str:
    """A call as text that can be pasted; arguments that are ``None`` are left out.

    Example:
        >>> call_text("check", [1, None], mode="float32", forms=None)
        "check([1, None], mode='float32')"
    """
    parts = [expression(value) for value in args]
    parts += [f"{name}={expression(value)}" for name, value in kwargs.items() if value is not None]
    return f"{function}({', '.join(parts)})"


def expression(value: object) -> str:
    """An expression for a value: arrays, nests of them, and anything whose repr is one line.

    Names that it needs: ``np`` for NumPy, ``Tensor`` and ``DType`` from ``fwd_core.ir``, and
    ``unpack`` from this module.
    """
    if isinstance(value, Tensor):
        return f"Tensor({expression(value.data)}, DType.{value.dtype.name})"
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {expression(v)}" for key, v in value.items()) + "}"
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        inner = ", ".join(expression(item) for item in value)
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if hasattr(value, "__array__"):  # a tensor of a framework
        return _array(np.asarray(value))
    text = repr(value)
    return text if "\n" not in text else f"<{type(value).__name__}>"


def _array(array: NDArray[Any]) -> str:
    if not array.size:
        return f"np.zeros({array.shape}, {array.dtype.name!r})"
    if array.size <= _SPELLED:
        spelled = _NAMES.sub(r"np.\1", repr(array.tolist()))
        return f"np.array({spelled}, {array.dtype.name!r})"
    return f"unpack({_packed(array)!r}, {array.dtype.name!r}, {array.shape})"


def _packed(array: NDArray[Any]) -> str:
    return base64.b85encode(zlib.compress(array.tobytes(), 9)).decode()


def unpack(text: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array of an expression made by :func:`expression`."""
    raw = zlib.decompress(base64.b85decode(text))
    return np.array(np.frombuffer(raw, dtype).reshape(shape))
