"""Types of resampling at other sizes, and which resizing the sizes alone describe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import ops
from fwd_core.ir.ops.resize import known_weights, nearest_indices

X = value(B, 3, 4, 6)


def _resize(x: Any = X, size: Any = (8, 3), mode: Any = "nearest", **more: Any) -> ops.Resize:
    return ops.Resize(x, size, mode, **more)


def test_the_spatial_sizes_are_those_that_are_given() -> None:
    assert _resize().infer() == kind(B, 3, 8, 3)
    assert _resize(value(B, 3, H), (H * 2,), "linear").infer() == kind(B, 3, H * 2)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_resize(size=(8,)), "fwd.Resize: a size per spatial axis"),
        (_resize(scales=(2.0,)), "fwd.Resize: a size per spatial axis"),
        (_resize(mode="area"), "fwd.Resize: unknown mode\n  got:      area"),
        (_resize(align_corners=True), "fwd.Resize: nearest modes align no corners"),
        (_resize(size=(-1, 2)), "fwd.Resize: a size is negative"),
        (
            _resize(value(B, 3, 4, 6, dtype="int64"), mode="linear"),
            "fwd.Resize: element type not taken",
        ),
    ],
)
def test_refusals(op: ops.Resize, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        op.infer()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("op", "plain"),
    [
        (_resize(), True),
        (_resize(scales=(2.0, 0.5)), True),
        (_resize(size=(8, 7), scales=(2.0, 1.3)), False),
        (_resize(size=(5, 6)), False),  # 4 to 5: neighbours change at rounded positions
        (_resize(size=(5, 7), mode="linear"), True),
        (_resize(size=(5, 7), mode="linear", scales=(1.3, 1.3)), False),
        (_resize(size=(5, 7), mode="linear", scales=(1.3, 1.3), align_corners=True), True),
        (_resize(size=(4, 6), mode="linear", scales=(1.2, 1.1)), True),  # its sizes stay
        (_resize(size=(4, 6), mode="cubic", scales=(1.2, 1.1)), False),
        (_resize(value(B, 3, 1, 1), (41, 82)), True),
        (_resize(value(B, 3, 2, 2), (82, 82)), False),  # 41 * float32(1 / 41) is less than 1
        (_resize(value(B, 3, H), (H * 2,)), True),
        (_resize(value(B, 3, H), (H + 1,)), False),
        (_resize(value(B, 3, H), (H + 1,), "linear"), True),
        (_resize(value(B, 3, H), (H * 2,), "linear", scales=(2.0,)), True),
        (_resize(value(B, 3, H), (H // 2,), "linear", scales=(0.5,)), False),
    ],
)
def test_whether_sizes_tell_all(op: ops.Resize, plain: bool) -> None:
    assert op.plain is plain


def test_nearest_positions_are_rounded_as_in_float32() -> None:
    assert list(nearest_indices("nearest", 2, 82, None)[40:43]) == [0, 0, 1]
    assert list(nearest_indices("nearest_exact", 4, 2, None)) == [1, 3]
    assert list(nearest_indices("nearest", 3, 4, 1.3)) == [0, 0, 1, 2]


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_weights_add_up_to_one(mode: str) -> None:
    rest = np.linspace(0, 1, 9)
    total = sum(weights for _, weights in known_weights(mode, rest))
    np.testing.assert_allclose(total, 1)
