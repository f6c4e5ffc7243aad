"""Types of reading at the positions of a grid."""

from __future__ import annotations

from typing import Any

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import ops


def _sample(x: Any, grid: Any, mode: Any = "linear") -> ops.GridSample:
    return ops.GridSample(x, grid, mode, "zeros", False)


def test_the_result_has_the_places_of_the_grid() -> None:
    assert _sample(value(B, 3, 4, H), value(B, 5, H, 2)).infer() == kind(B, 3, 5, H)
    assert _sample(value(1, 3, 4, 4, 4), value(1, 5, 6, 7, 3)).infer() == kind(1, 3, 5, 6, 7)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_sample(value(B, 3, 4), value(B, 5, 1)), "fwd.GridSample: wrong rank"),
        (_sample(value(B, 3, 4, 4), value(B, 5, 2)), "fwd.GridSample grid: wrong rank"),
        (_sample(value(B, 3, 4, 4), value(B, 5, 5, 3)), "fwd.GridSample coordinates: sizes diff"),
        (_sample(value(B, 3, 4, 4), value(2, 5, 5, 2)), "fwd.GridSample batch: sizes differ"),
        (
            _sample(value(1, 3, 4, 4), value(1, 5, 5, 2, dtype="float16")),
            "fwd.GridSample: operands need one element type",
        ),
        (
            _sample(value(1, 3, 4, 4, 4), value(1, 5, 5, 5, 3), "cubic"),
            "fwd.GridSample: cubic needs two spatial axes",
        ),
    ],
)
def test_refusals(op: ops.GridSample, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        op.infer()
    assert text in str(caught.value)
