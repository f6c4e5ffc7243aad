"""Types of element-wise operators."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Operator, ops
from fwd_core.ir.ops import elementwise as family
from fwd_core.ir.ops.elementwise import Comparison, LogicalBinary, NumberBinary


def _of(base: type[Operator]) -> list[type[Operator]]:
    found = [
        cls
        for cls in vars(family).values()
        if isinstance(cls, type) and issubclass(cls, base) and not cls.abstract
    ]
    assert found
    return found


@pytest.mark.parametrize("cls", _of(NumberBinary))
def test_binary_broadcasts(cls: type[Operator]) -> None:
    assert cls(value(B, 1, 3), value(2, 1)).infer() == kind(B, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(GraphError, match=rf"{cls.kind()}: shapes \[2\] and \[3\] do not broadcast"):
        cls(value(2), value(3)).infer()  # type: ignore[call-arg]
    with pytest.raises(GraphError, match="do not broadcast: batch against h"):
        cls(value(B), value(H)).infer()  # type: ignore[call-arg]
    with pytest.raises(
        GraphError, match=r"operands need one element type\n  got: .*\n  Hint: insert Cast"
    ):
        cls(value(2), value(2, dtype="float16")).infer()  # type: ignore[call-arg]
    with pytest.raises(GraphError, match="element type not taken"):
        cls(value(2, dtype="bool"), value(2, dtype="bool")).infer()  # type: ignore[call-arg]


def test_true_division_is_of_floats() -> None:
    with pytest.raises(GraphError, match="fwd.Div: element type not taken"):
        ops.Div(value(2, dtype="int64"), value(2, dtype="int64")).infer()
    for cls in (ops.FloorDiv, ops.TruncDiv, ops.Mod):
        integers = cls(value(2, dtype="int64"), value(2, dtype="int64"))
        assert integers.infer() == kind(2, dtype="int64")


@pytest.mark.parametrize("cls", _of(Comparison))
def test_comparisons_give_bool(cls: type[Operator]) -> None:
    for dtype in ("float16", "int64", "bool"):
        found = cls(value(B, dtype=dtype), value(dtype=dtype)).infer()  # type: ignore[call-arg]
        assert found == kind(B, dtype="bool")
    with pytest.raises(GraphError, match="operands need one element type"):
        cls(value(2), value(2, dtype="int32")).infer()  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", _of(LogicalBinary))
def test_logic_is_of_bool(cls: type[Operator]) -> None:
    flags, numbers = value(2, 1, dtype="bool"), value(3)
    assert cls(flags, value(3, dtype="bool")).infer() == kind(2, 3, dtype="bool")  # type: ignore[call-arg]
    for pair in ((flags, numbers), (numbers, flags)):
        with pytest.raises(
            GraphError, match=rf"{cls.kind()}: element type not taken\n  expected: b"
        ):
            cls(*pair).infer()  # type: ignore[call-arg]


def test_not() -> None:
    assert ops.Not(value(B, dtype="bool")).infer() == kind(B, dtype="bool")
    with pytest.raises(GraphError, match="fwd.Not: element type not taken"):
        ops.Not(value(B)).infer()


def test_cast() -> None:
    for dtype in DType:
        assert ops.Cast(value(B, 2), dtype).infer() == kind(B, 2, dtype=dtype)


def test_where() -> None:
    condition = value(B, 1, dtype="bool")
    assert ops.Where(condition, value(3), value()).infer() == kind(B, 3)
    assert ops.Where(condition, value(dtype="bool"), value(dtype="bool")).infer() == kind(
        B, 1, dtype="bool"
    )
    with pytest.raises(GraphError, match=r"fwd.Where: element type not taken\n  expected: bool"):
        ops.Where(value(2), value(2), value(2)).infer()
    with pytest.raises(GraphError, match="fwd.Where: operands need one element type"):
        ops.Where(condition, value(2), value(2, dtype="int8")).infer()
    with pytest.raises(GraphError, match="fwd.Where: shapes .* do not broadcast"):
        ops.Where(condition, value(2), value(3)).infer()
