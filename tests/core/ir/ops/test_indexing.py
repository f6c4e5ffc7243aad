"""Types of operators that pick by index."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, ops


@pytest.mark.parametrize("cls", [ops.Gather, ops.GatherElements, ops.GatherND])
def test_indices_are_int32_or_int64(
    cls: type[ops.Gather] | type[ops.GatherElements] | type[ops.GatherND],
) -> None:
    for dtype in ("float32", "bool", "int8"):
        with pytest.raises(
            GraphError, match=f"{cls.kind()}: element type not taken\n  expected: int32, int64"
        ):
            cls(value(3), value(1, dtype=dtype), 0).infer()


@pytest.mark.parametrize(
    ("shape", "indices", "axis", "wanted"),
    [
        ((5, 3), (B,), 0, (B, 3)),
        ((5, 3), (), 1, (5,)),
        ((5, 3, H), (B, 2), 1, (5, B, 2, H)),
    ],
)
def test_gather(
    shape: tuple[Dim, ...], indices: tuple[Dim, ...], axis: int, wanted: tuple[Dim, ...]
) -> None:
    assert ops.Gather(value(*shape), value(*indices, dtype="int32"), axis).infer() == kind(*wanted)


def test_gather_axis() -> None:
    with pytest.raises(GraphError, match="fwd.Gather: no such axis"):
        ops.Gather(value(3), value(1, dtype="int64"), 1).infer()


def test_gather_elements() -> None:
    indices = value(B, 9, dtype="int64")
    assert ops.GatherElements(value(4, 3), indices, 1).infer() == kind(B, 9)
    with pytest.raises(GraphError, match="fwd.GatherElements: wrong rank"):
        ops.GatherElements(value(4), indices, 0).infer()
    with pytest.raises(GraphError, match="fwd.GatherElements: no such axis"):
        ops.GatherElements(value(4, 3), indices, 2).infer()
    with pytest.raises(
        GraphError,
        match="more indices than elements on axis 1\n  expected: at most 3\n  got:      9",
    ):
        ops.GatherElements(value(4, 3), indices, 0).infer()


@pytest.mark.parametrize(
    ("shape", "indices", "batch_axes", "wanted"),
    [
        ((5, 3), (7, 2), 0, (7,)),
        ((5, 3), (7, 1), 0, (7, 3)),
        ((5, 3), (0,), 0, (5, 3)),
        ((B, 5, 3), (B, 7, 1), 1, (B, 7, 3)),
    ],
)
def test_gather_nd(
    shape: tuple[Dim, ...], indices: tuple[Dim, ...], batch_axes: int, wanted: tuple[Dim, ...]
) -> None:
    op = ops.GatherND(value(*shape), value(*indices, dtype="int64"), batch_axes)
    assert op.infer() == kind(*wanted)


@pytest.mark.parametrize(
    ("shape", "indices", "batch_axes", "text"),
    [
        ((5, 3), (), 0, r"the number of coordinates must be fixed\n  got:      \(\)"),
        ((5, 3), (2, B), 0, "the number of coordinates must be fixed"),
        ((5, 3), (7, 3), 0, r"3 coordinates after 0 batch axes\n  got:      float32\[5, 3\]"),
        ((5, 3), (7, 2), 1, "2 coordinates after 1 batch axes"),
        ((5, 3), (5, 1), 2, "1 coordinates after 2 batch axes"),
        ((B, 3), (4, 1), 1, "fwd.GatherND batch axis 0: sizes differ(, or may)?"),
    ],
)
def test_gather_nd_errors(
    shape: tuple[Dim, ...], indices: tuple[Dim, ...], batch_axes: int, text: str
) -> None:
    with pytest.raises(GraphError, match=text):
        ops.GatherND(value(*shape), value(*indices, dtype="int64"), batch_axes).infer()
