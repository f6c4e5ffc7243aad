"""Types of normalizations and softmax."""

from __future__ import annotations

from typing import Any

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Operator, ops


def _batch(x: Any = None, **more: Any) -> Operator:
    fields: dict[str, Any] = {
        "mean": value(3),
        "variance": value(3),
        "scale": value(3),
        "shift": None,
        "epsilon": 1e-5,
        **more,
    }
    return ops.BatchNorm(value(B, 3, H) if x is None else x, **fields)


def test_batch_norm() -> None:
    assert _batch().infer() == kind(B, 3, H)
    assert _batch(value(B, 3), scale=None).infer() == kind(B, 3)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_batch(value(3)), "fwd.BatchNorm: x needs rank 2 or more"),
        (
            _batch(mean=value(4)),
            "fwd.BatchNorm: sizes differ(, or may)?\n  expected: 3\n  got:      4",
        ),
        (_batch(shift=value(3, 1)), "fwd.BatchNorm: wrong rank"),
        (_batch(scale=value(3, dtype="float16")), "fwd.BatchNorm: operands need one element type"),
        (_batch(value(B, 3, dtype="int32")), "fwd.BatchNorm: element type not taken"),
    ],
)
def test_batch_norm_errors(op: Operator, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        op.infer()


def test_layer_norm() -> None:
    x = value(B, 4, 3)
    assert ops.LayerNorm(x, None, None, 1, 1e-5).infer() == kind(B, 4, 3)
    assert ops.LayerNorm(x, value(4, 3), value(4, 3), 2, 1e-5).infer() == kind(B, 4, 3)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (
            ops.LayerNorm(value(B, 3), None, None, 0, 0.0),
            "fwd.LayerNorm: axes out of range\n  got:",
        ),
        (ops.LayerNorm(value(B, 3), None, None, 3, 0.0), "fwd.LayerNorm: axes out of range"),
        (ops.LayerNorm(value(B, 3), value(4), None, 1, 0.0), "fwd.LayerNorm: sizes differ"),
        (ops.LayerNorm(value(B, 3), None, value(1, 3), 1, 0.0), "fwd.LayerNorm: wrong rank"),
        (
            ops.LayerNorm(value(B, 3), value(3, dtype="float16"), None, 1, 0.0),
            "fwd.LayerNorm: operands need one element type",
        ),
        (ops.LayerNorm(value(3, dtype="int8"), None, None, 1, 0.0), "element type not taken"),
    ],
)
def test_layer_norm_errors(op: Operator, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        op.infer()


def test_softmax() -> None:
    assert ops.Softmax(value(B, 3), 1).infer() == kind(B, 3)
    for axis in (2, -1):
        with pytest.raises(
            GraphError,
            match=f"fwd.Softmax: no such axis\n  expected: 0 <= axis < 2\n  got:      {axis}",
        ):
            ops.Softmax(value(B, 3), axis).infer()
    with pytest.raises(GraphError, match="fwd.Softmax: no such axis"):
        ops.Softmax(value(), 0).infer()
    with pytest.raises(GraphError, match="fwd.Softmax: element type not taken"):
        ops.Softmax(value(3, dtype="int64"), 0).infer()
