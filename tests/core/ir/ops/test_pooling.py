"""Types of pooling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Operator, ops
from fwd_core.ir.dims import Dim, evaluate
from fwd_core.ir.ops.pooling import pooled_shape


def _max(x: tuple[Dim, ...] = (B, 3, 8, 8), dtype: str = "float32", **more: Any) -> Operator:
    spatial = len(x) - 2
    fields: dict[str, Any] = {
        "kernel": (3,) * spatial,
        "stride": (2,) * spatial,
        "padding": (0,) * spatial,
        "dilation": (1,) * spatial,
        **more,
    }
    return ops.MaxPool(value(*x, dtype=dtype), **fields)


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        (_max(), (B, 3, 3, 3)),
        (_max(padding=(1, 1)), (B, 3, 4, 4)),
        (_max(ceil_mode=True), (B, 3, 4, 4)),
        (_max(dilation=(2, 1)), (B, 3, 2, 3)),
        (_max(x=(1, 2, 9)), (1, 2, 4)),
        (_max(x=(1, 2, 5, 5, 5)), (1, 2, 2, 2, 2)),
        (_max(x=(1, 2, H, 8)), (1, 2, (H - 3) // 2 + 1, 3)),
        # the last window would start in the padding: torch leaves it out
        (_max(x=(1, 1, 5), kernel=(2,), stride=(3,), padding=(1,), ceil_mode=True), (1, 1, 2)),
        (_max(x=(1, 1, 4), kernel=(2,), stride=(3,), padding=(1,), ceil_mode=True), (1, 1, 2)),
    ],
)
def test_max_pool(op: Operator, wanted: tuple[Dim, ...]) -> None:
    assert op.infer() == kind(*wanted)


def test_max_pool_takes_integers() -> None:
    assert _max(x=(1, 2, 9), dtype="int32").infer() == kind(1, 2, 4, dtype="int32")
    with pytest.raises(GraphError, match="fwd.MaxPool: element type not taken"):
        _max(x=(1, 2, 9), dtype="bool").infer()


def test_average_pool() -> None:
    op = ops.AveragePool(value(B, 3, 8), (2,), (2,), (1,), ceil_mode=True)
    assert op.infer() == kind(B, 3, 5)
    with pytest.raises(GraphError, match="fwd.AveragePool: element type not taken"):
        ops.AveragePool(value(B, 3, 8, dtype="int32"), (2,), (2,), (1,)).infer()


def test_adaptive_average_pool() -> None:
    assert ops.AdaptiveAveragePool(value(B, 3, H, 7), (1, H)).infer() == kind(B, 3, 1, H)
    with pytest.raises(GraphError, match="fwd.AdaptiveAveragePool: wrong rank\n  expected: rank 4"):
        ops.AdaptiveAveragePool(value(B, 3, 7), (1, 1)).infer()
    with pytest.raises(GraphError, match="fwd.AdaptiveAveragePool: element type not taken"):
        ops.AdaptiveAveragePool(value(B, 3, 7, dtype="int8"), (1,)).infer()


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_max(x=(3, 8)), r"pooling: one entry per spatial axis of \[N, C, \*spatial\]"),
        (_max(x=(1, 2, 3, 4, 5, 6)), "pooling: one entry per spatial axis"),
        (_max(stride=(1,)), "pooling: one entry per spatial axis"),
        (_max(padding=(2, 2)), "pooling: padding is more than half the kernel\n  got:      2 of 3"),
        (_max(stride=(0, 1)), "pooling kernel, stride and dilation: 1 or more"),
        (_max(kernel=(0, 1)), "pooling kernel, stride and dilation: 1 or more"),
        (ops.AdaptiveAveragePool(value(1, 2, 3), (-1,)), "AdaptiveAveragePool: a size is negative"),
        (_max(x=(1, 2, 2, 8)), "the kernel is larger than the padded input"),
    ],
)
def test_errors(op: Operator, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        op.infer()


@given(
    st.integers(1, 20),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 2),
    st.integers(1, 3),
    st.booleans(),
)
def test_count_is_the_number_of_windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> None:
    span = (kernel - 1) * dilation + 1
    if padding > span // 2 or span > size + 2 * padding:
        return
    starts = 0
    while (begin := starts * stride) + (1 if ceil_mode and starts else span) <= size + 2 * padding:
        if ceil_mode and starts and begin >= size + padding:
            break  # torch: no window starts in the padding after the input
        if ceil_mode and starts and begin - stride + span >= size + 2 * padding:
            break  # the last one reached the end
        starts += 1
    arguments = ((kernel,), (stride,), (padding,), (dilation,), ceil_mode)
    (count,) = pooled_shape(value(1, 1, size), *arguments)[2:]
    assert count == starts
    (dynamic,) = pooled_shape(value(1, 1, H), *arguments)[2:]
    if size >= 8:
        assert evaluate(dynamic, {"h": size}) == count
