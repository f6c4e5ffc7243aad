"""Index tensors for parity tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from parity_cases import draw_array

from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd

INDICES = (DType.INT64, DType.INT32)


def index(
    data: st.DataObject, name: str, size: int, shape: tuple[int, ...], *, negative: bool = False,
    dtypes: tuple[DType, ...] = INDICES,
) -> Any:  # fmt: skip
    dtype = data.draw(fwd.dtypes(dtypes), label=f"dtype of {name}")
    return draw_array(data, name, dtype, shape, low=-size if negative else 0, high=size - 1)
