"""Convolutions against torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from on_openvino import Array, assert_same, dynamic_types, run

from fwd_core.errors import BuildError
from fwd_core.ir import Graph, TensorType, Value, ops, symbol

pytest.importorskip("openvino")
torch = pytest.importorskip("torch")


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(x: Array, weight: Array, bias: Array | None, op: dict[str, object]) -> Array:
    spatial = x.ndim - 2
    before, after = op["padding_before"], op["padding_after"]
    assert isinstance(before, tuple)
    assert isinstance(after, tuple)
    around = [(0, 0), (0, 0), *zip(before, after, strict=True)]
    function = [torch.conv1d, torch.conv2d, torch.conv3d][spatial - 1]
    result = function(
        torch.from_numpy(np.pad(x, around)),
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
        stride=op["stride"],
        dilation=op["dilation"],
        groups=op["groups"],
    )
    return np.asarray(result.numpy())


@given(
    spatial=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 4]),
    multiplier=st.integers(1, 2),
    bias=st.booleans(),
    constant=st.booleans(),
    dynamic=st.booleans(),
    data=st.data(),
)
def test_convolution(
    spatial: int,
    groups: int,
    multiplier: int,
    bias: bool,
    constant: bool,
    dynamic: bool,
    data: st.DataObject,
) -> None:
    def each(low: int, high: int) -> tuple[int, ...]:
        return data.draw(st.tuples(*[st.integers(low, high)] * spatial))

    kernel, sizes = each(1, 3), each(5, 7)
    op = {
        "stride": each(1, 3),
        "padding_before": each(0, 2),
        "padding_after": each(0, 2),
        "dilation": each(1, 2),
        "groups": groups,
    }
    x, weight = normal(0, 2, 4, *sizes), normal(1, 4 * multiplier, 4 // groups, *kernel)
    shift = normal(2, 4 * multiplier)
    arrays = [x] if constant else [x, weight, shift]

    def make(graph: Graph, x: Value, *rest: Value) -> Value:
        w, b = rest or (graph.constant(weight), graph.constant(shift))
        return graph.add(ops.Convolution(x, w, b if bias else None, **op))  # type: ignore[arg-type]

    types = None
    if dynamic:
        types = [TensorType(dynamic_types([x])[0].dtype, dynamic_types([x])[0].shape)]
        types[0] = types[0].with_shape(
            4 if axis == 1 else symbol(f"n{axis}", 1 if axis == 0 else 5, size, 9)
            for axis, size in enumerate(x.shape)
        )
        types += [types[0].with_shape(array.shape) for array in arrays[1:]]
    (got,) = run(make, *arrays, types=types)
    # Sums of up to 108 products of normal numbers.
    assert_same(got, reference(x, weight, shift if bias else None, op), atol=5e-5)


@pytest.mark.parametrize("constant", [True, False])
def test_dilation_of_an_axis_where_the_kernel_is_one_element(constant: bool) -> None:
    x, weight = normal(0, 1, 1, 2, 1, 1), normal(1, 1, 1, 2, 1, 1)

    def make(graph: Graph, x: Value, *rest: Value) -> Value:
        w = rest[0] if rest else graph.constant(weight)
        one, none = (1, 1, 1), (0, 0, 0)
        return graph.add(ops.Convolution(x, w, None, one, none, none, (1, 2, 1)))

    (got,) = run(make, *([x] if constant else [x, weight]))
    assert_same(got, (x * weight).sum((1, 2), keepdims=True), atol=1e-6)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("width", [3, 4])
@pytest.mark.parametrize("spatial", [2, 3])
def test_steps_over_one_channel_to_one_column(
    spatial: int, width: int, dynamic: bool, constant: bool
) -> None:
    """OpenVINO errs here on CPUs with AVX-512."""
    sizes, kernel = (2, 6, width)[-spatial:], (2, 3, 3)[-spatial:]
    x, weight = normal(0, 1, 1, *sizes), normal(1, 2, 1, *kernel)
    none, ones = (0,) * spatial, (1,) * spatial
    op = {"stride": (*ones[1:], 2), "padding_before": none, "padding_after": none,
          "dilation": ones, "groups": 1}  # fmt: skip

    def make(graph: Graph, x: Value, *rest: Value) -> Value:
        w = rest[0] if rest else graph.constant(weight)
        return graph.add(ops.Convolution(x, w, None, **op))  # type: ignore[arg-type]

    arrays = [x] if constant else [x, weight]
    types = [TensorType(dynamic_types([one])[0].dtype, one.shape) for one in arrays]
    if dynamic:
        types[0] = types[0].with_shape((*x.shape[:-1], symbol("w", 3, width, 9)))
    (got,) = run(make, *arrays, types=types)
    assert_same(got, reference(x, weight, None, op), atol=1e-5)


def test_weight_of_dynamic_shape_is_refused_before_anything_is_compiled() -> None:
    k = symbol("k", 1, 3, 3)
    x, weight = np.zeros((1, 2, 8), np.float32), np.zeros((4, 2, 3), np.float32)
    types = dynamic_types([x, weight])
    types[0], types[1] = types[0].with_shape(x.shape), types[1].with_shape((4, 2, k))
    with pytest.raises(
        BuildError, match=r"(?s)fwd.Convolution.*the weight's shape must be fixed.*\[4, 2, k\]"
    ):
        run(
            lambda graph, x, w: graph.add(ops.Convolution(x, w, None, (1,), (0,), (0,), (1,))),
            x,
            weight,
            types=types,
        )
