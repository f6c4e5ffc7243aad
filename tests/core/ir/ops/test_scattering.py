"""Types of operators that put elements at indexed places."""

from __future__ import annotations

import pytest
from values import B, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import ops


def test_scatter_elements() -> None:
    index = value(B, 2, dtype="int64")
    assert ops.ScatterElements(value(B, 3), index, value(B, 2), 1).infer() == kind(B, 3)
    with pytest.raises(GraphError, match="fwd.ScatterElements: no such axis"):
        ops.ScatterElements(value(B, 3), index, value(B, 2), 2).infer()
    with pytest.raises(GraphError, match="fwd.ScatterElements axis 1: sizes differ"):
        ops.ScatterElements(value(B, 3), index, value(B, 3), 1).infer()
    with pytest.raises(GraphError, match="fwd.ScatterElements: more indices than elements on axis"):
        ops.ScatterElements(value(2, 1), value(2, 2, dtype="int64"), value(2, 2), 0).infer()
    with pytest.raises(GraphError, match="fwd.ScatterElements: element type not taken"):
        ops.ScatterElements(value(B, 3), value(B, 2), value(B, 2), 1).infer()


def test_combinations_are_of_numbers() -> None:
    x, index = value(3, dtype="bool"), value(2, dtype="int64")
    assert ops.ScatterElements(x, index, value(2, dtype="bool"), 0).infer() == kind(3, dtype="bool")
    with pytest.raises(GraphError, match="fwd.ScatterElements: element type not taken"):
        ops.ScatterElements(x, index, value(2, dtype="bool"), 0, "sum").infer()


def test_scatter_nd() -> None:
    index = value(B, 2, dtype="int32")
    assert ops.ScatterND(value(4, 5, 3), index, value(B, 3)).infer() == kind(4, 5, 3)
    with pytest.raises(GraphError, match="fwd.ScatterND axis 1 of updates: sizes differ"):
        ops.ScatterND(value(4, 5, 3), index, value(B, 2)).infer()
    with pytest.raises(GraphError, match="fwd.ScatterND: the number of coordinates must be fixed"):
        ops.ScatterND(value(4, 5), value(2, B, dtype="int32"), value(2)).infer()
    with pytest.raises(GraphError, match="fwd.ScatterND: coordinates for 1 … 1 axes"):
        ops.ScatterND(value(4), index, value(B)).infer()
