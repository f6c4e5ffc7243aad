"""Types of convolutions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Operator, ops
from fwd_core.ir.dims import Dim, evaluate
from fwd_core.ir.ops.convolution import window_count


def _conv(
    x: tuple[Dim, ...] = (B, 3, 8, 8), weight: tuple[Dim, ...] = (6, 3, 3, 3), **more: Any
) -> Operator:
    spatial = len(x) - 2
    fields: dict[str, Any] = {
        "stride": (1,) * spatial,
        "padding_before": (0,) * spatial,
        "padding_after": (0,) * spatial,
        "dilation": (1,) * spatial,
        "bias": None,
        **more,
    }
    return ops.Convolution(x=value(*x), weight=value(*weight), **fields)


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        (_conv(), (B, 6, 6, 6)),
        (_conv(padding_before=(1, 1), padding_after=(1, 1)), (B, 6, 8, 8)),
        (_conv(padding_before=(0, 1), padding_after=(1, 0)), (B, 6, 7, 7)),
        (_conv(stride=(2, 3)), (B, 6, 3, 2)),
        (_conv(dilation=(2, 3)), (B, 6, 4, 2)),
        (_conv(weight=(6, 1, 3, 3), groups=3), (B, 6, 6, 6)),
        (_conv(x=(B, 3, H, 8), stride=(2, 2)), (B, 6, (H - 3) // 2 + 1, 3)),
        (_conv(x=(1, 3, 8), weight=(6, 3, 3)), (1, 6, 6)),
        (_conv(x=(1, 3, 4, 5, 6), weight=(6, 3, 1, 2, 3)), (1, 6, 4, 4, 4)),
        (_conv(bias=value(6)), (B, 6, 6, 6)),
    ],
)
def test_shapes(op: Operator, wanted: tuple[Dim, ...]) -> None:
    assert op.infer() == kind(*wanted)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_conv(x=(3, 8)), "fwd.Convolution: wrong rank\n  expected: rank 3 or 4 or 5"),
        (_conv(weight=(6, 3, 3)), "fwd.Convolution weight: wrong rank\n  expected: rank 4"),
        (_conv(weight=(6, 4, 3, 3)), "fwd.Convolution channels: sizes differ(, or may)?"),
        (
            _conv(groups=3),
            "fwd.Convolution channels: sizes differ(, or may)?\n  expected: 9\n  got:",
        ),
        (_conv(stride=(1,)), "fwd.Convolution: 2 entries per spatial attribute"),
        (
            _conv(stride=(1, 0)),
            "fwd.Convolution stride, dilation and groups: 1 or more\n  got:      1, 0",
        ),
        (_conv(dilation=(0, 1)), "fwd.Convolution stride, dilation and groups: 1 or more"),
        (_conv(groups=0), "fwd.Convolution stride, dilation and groups: 1 or more"),
        (_conv(weight=(5, 1, 3, 3), groups=3), "fwd.Convolution maps over groups: sizes differ"),
        (_conv(bias=value(6, 1)), "fwd.Convolution bias: wrong rank"),
        (_conv(bias=value(5)), "fwd.Convolution bias: sizes differ"),
        (_conv(bias=value(6, dtype="float16")), "fwd.Convolution: operands need one element type"),
        (
            _conv(x=(1, 3, 4, 4), dilation=(2, 2)),
            "the kernel is larger than the padded input\n  expected: at most 4\n  got:      3 with "
            "dilation 2",
        ),
    ],
)
def test_errors(op: Operator, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        op.infer()


def test_integers_are_refused() -> None:
    x, weight = value(1, 3, 8, dtype="int8"), value(6, 3, 3, dtype="int8")
    op = ops.Convolution(x, weight, None, (1,), (0,), (0,), (1,))
    with pytest.raises(GraphError, match="fwd.Convolution: element type not taken"):
        op.infer()


@given(
    st.integers(0, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3)
)
def test_window_count_is_the_number_of_places(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    span = (kernel - 1) * dilation + 1
    starts = range(0, size + padding - span + 1, stride)
    if not starts:
        with pytest.raises(GraphError, match="the kernel is larger than the padded input"):
            window_count(size, kernel, stride, padding, dilation)
        return
    assert window_count(size, kernel, stride, padding, dilation) == len(starts)
    exact = (size + padding - span) % stride == 0
    assert window_count(size, kernel, stride, padding, dilation, ceil=True) == len(starts) + (
        not exact
    )


def test_window_count_of_a_dynamic_size() -> None:
    for ceil in (False, True):
        count = window_count(H, 3, 2, 2, 1, ceil=ceil)
        for size in (8, 9, 17):
            assert evaluate(count, {"h": size}) == window_count(size, 3, 2, 2, 1, ceil=ceil)


def _transposed(
    x: tuple[Dim, ...] = (B, 4, 5, 5), weight: tuple[Dim, ...] = (4, 3, 3, 3), **more: Any
) -> Operator:
    spatial = len(x) - 2
    fields: dict[str, Any] = {
        "stride": (1,) * spatial,
        "padding": (0,) * spatial,
        "output_padding": (0,) * spatial,
        "dilation": (1,) * spatial,
        "bias": None,
        **more,
    }
    return ops.ConvolutionTranspose(x=value(*x), weight=value(*weight), **fields)


@pytest.mark.parametrize(
    ("op", "wanted"),
    [
        (_transposed(), (B, 3, 7, 7)),
        (_transposed(groups=2, bias=value(6)), (B, 6, 7, 7)),
        (_transposed(stride=(2, 3), padding=(1, 0)), (B, 3, 9, 15)),
        (_transposed(stride=(2, 2), output_padding=(1, 0)), (B, 3, 12, 11)),
        (_transposed(dilation=(2, 1)), (B, 3, 9, 7)),
        (_transposed(x=(B, 4, H), weight=(4, 3, 2), stride=(2,)), (B, 3, 2 * H)),
    ],
)
def test_shapes_of_the_transpose(op: Operator, wanted: tuple[Dim, ...]) -> None:
    assert op.infer() == kind(*wanted)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (_transposed(x=(4, 5)), "fwd.ConvolutionTranspose: wrong rank"),
        (_transposed(stride=(1,)), "fwd.ConvolutionTranspose: 2 entries per spatial attribute"),
        (_transposed(x=(B, 3, 5, 5)), "fwd.ConvolutionTranspose channels: sizes differ"),
        (_transposed(groups=3), "fwd.ConvolutionTranspose channels over groups: sizes differ"),
        (_transposed(bias=value(4)), "fwd.ConvolutionTranspose bias: sizes differ"),
        (_transposed(output_padding=(0, 1)), "output_padding is less than the stride or the dil"),
        (_transposed(padding=(4, 0)), "nothing is left of the padded result"),
    ],
)
def test_what_the_transpose_refuses(op: Operator, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        op.infer()
    assert text in str(caught.value)
