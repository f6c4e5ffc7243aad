"""Types of reductions."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import ops
from fwd_core.ir.ops.reduction import Reduction

NUMBERS: list[type[Reduction]] = [
    ops.ReduceSum,
    ops.ReduceMean,
    ops.ReduceMax,
    ops.ReduceMin,
    ops.ReduceProd,
]
FLAGS: list[type[Reduction]] = [ops.ReduceAny, ops.ReduceAll]


@pytest.mark.parametrize("cls", NUMBERS + FLAGS)
def test_shapes(cls: type[Reduction]) -> None:
    dtype = "bool" if cls in FLAGS else "float32"
    x = value(B, 3, H, dtype=dtype)
    assert cls(x, (1,)).infer() == kind(B, H, dtype=dtype)
    assert cls(x, (2, 0)).infer() == kind(3, dtype=dtype)
    assert cls(x, (2, 0), keepdims=True).infer() == kind(1, 3, 1, dtype=dtype)
    assert cls(x, ()).infer() == kind(B, 3, H, dtype=dtype)
    with pytest.raises(GraphError, match=rf"{cls.kind()}: an axis repeats\n  got:      \[1, 1\]"):
        cls(x, (1, 1)).infer()
    with pytest.raises(GraphError, match=f"{cls.kind()}: no such axis\n  expected: 0 <= axis < 3"):
        cls(x, (-1,)).infer()


@pytest.mark.parametrize("cls", NUMBERS)
def test_numbers(cls: type[Reduction]) -> None:
    with pytest.raises(GraphError, match=f"{cls.kind()}: element type not taken"):
        cls(value(3, dtype="bool"), (0,)).infer()
    if cls is not ops.ReduceMean:
        assert cls(value(3, dtype="int64"), (0,)).infer() == kind(dtype="int64")


def test_mean_is_of_floats() -> None:
    with pytest.raises(GraphError, match="fwd.ReduceMean: element type not taken"):
        ops.ReduceMean(value(3, dtype="int64"), (0,)).infer()


@pytest.mark.parametrize("cls", FLAGS)
def test_flags(cls: type[Reduction]) -> None:
    with pytest.raises(GraphError, match=f"{cls.kind()}: element type not taken\n  expected: bool"):
        cls(value(3), (0,)).infer()
