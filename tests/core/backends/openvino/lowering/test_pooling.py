"""Pooling against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from on_openvino import Array, assert_same, run

from fwd_core.ir import Dim, DType, TensorType, ops, symbol

pytest.importorskip("openvino")
torch = pytest.importorskip("torch")

MAX = [torch.max_pool1d, torch.max_pool2d, torch.max_pool3d]
AVERAGE = [torch.nn.functional.avg_pool1d, torch._C._nn.avg_pool2d, torch._C._nn.avg_pool3d]
ADAPTIVE = [
    torch.nn.functional.adaptive_avg_pool1d,
    torch.nn.functional.adaptive_avg_pool2d,
    torch.nn.functional.adaptive_avg_pool3d,
]


def dynamic_type(x: Array, least: int) -> list[TensorType]:
    """Dynamic batch and spatial sizes, each its own symbol."""
    shape: list[Dim] = [
        size if axis == 1 else symbol(f"n{axis}", 1 if axis == 0 else least, size, 12)
        for axis, size in enumerate(x.shape)
    ]
    return [TensorType(DType.of(x.dtype), tuple(shape))]


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of pooling, and the sizes of an input that has room for a window."""
    spatial = draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.tuples(*[st.integers(low, high)] * spatial)))

    kernel = each(1, 3)
    return {
        "kernel": kernel,
        "stride": each(1, 3),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "dilation": each(1, 2),
        "ceil_mode": draw(st.booleans()),
        "sizes": each(5, 8),
    }


@given(
    window=windows(),
    dtype=st.sampled_from([np.float32, np.int64, np.int32, np.uint8]),
    dynamic=st.booleans(),
)
def test_max_pool(window: dict[str, Any], dtype: type[np.generic], dynamic: bool) -> None:
    sizes = window.pop("sizes")
    x = np.random.default_rng(0).integers(-(2**31), 2**31, (2, 3, *sizes)).astype(dtype)
    expected = MAX[len(sizes) - 1](
        torch.from_numpy(x.astype(np.float64)), *(window[key] for key in window)
    )
    (got,) = run(
        lambda graph, x: graph.add(ops.MaxPool(x, **window)),
        x,
        types=dynamic_type(x, 5) if dynamic else None,
    )
    assert_same(got, expected.numpy().astype(dtype))


@given(window=windows(), count_include_pad=st.booleans(), dynamic=st.booleans())
def test_average_pool(window: dict[str, Any], count_include_pad: bool, dynamic: bool) -> None:
    sizes = window.pop("sizes")
    del window["dilation"]
    x = np.random.default_rng(0).normal(size=(2, 3, *sizes)).astype(np.float32)
    expected = AVERAGE[len(sizes) - 1](
        torch.from_numpy(x), *(window[key] for key in window), count_include_pad
    )
    (got,) = run(
        lambda graph, x: graph.add(
            ops.AveragePool(x, **window, count_include_pad=count_include_pad)
        ),
        x,
        types=dynamic_type(x, 5) if dynamic else None,
    )
    assert_same(got, expected.numpy(), atol=1e-6)


@given(spatial=st.integers(1, 3), data=st.data(), dynamic=st.booleans())
def test_adaptive_average_pool(spatial: int, data: st.DataObject, dynamic: bool) -> None:
    each = [st.integers(1, 7)] * spatial
    output, sizes = data.draw(st.tuples(*each)), data.draw(st.tuples(*each))
    x = np.random.default_rng(0).normal(size=(2, 3, *sizes)).astype(np.float32)
    expected = ADAPTIVE[spatial - 1](torch.from_numpy(x), output)
    (got,) = run(
        lambda graph, x: graph.add(ops.AdaptiveAveragePool(x, output)),
        x,
        types=dynamic_type(x, 1) if dynamic else None,
    )
    assert_same(got, expected.numpy(), atol=1e-6)


def test_adaptive_average_pool_to_a_dynamic_size() -> None:
    h = symbol("h", 2, 4, 8)
    x = np.random.default_rng(0).normal(size=(1, 2, 5, 4)).astype(np.float32)
    (got,) = run(
        lambda graph, x: graph.add(ops.AdaptiveAveragePool(x, (3, h - 1))),
        x,
        types=[TensorType(DType.FLOAT32, (1, 2, 5, h))],
    )
    assert_same(got, ADAPTIVE[1](torch.from_numpy(x), (3, 3)).numpy(), atol=1e-6)
