"""Transposed convolutions: what the layer is told, by its definition, gives torch's result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")
torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tensorrt_networks import graph_of, layers, network, numbers

from fwd_core.backends.tensorrt.lowering.convolution import _spread_at_run_time
from fwd_core.ir import DType, TensorType, ops

Array = NDArray[Any]
FUNCTIONS = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def told(layer: Any, x: Array, out: tuple[int, ...], bias: Array | None) -> Array:
    """IDeconvolutionLayer by its definition, then what is filled in up to ``out`` and the bias."""
    size, stride = tuple(layer.kernel_size_nd), tuple(layer.stride_nd)
    kernel = layer.kernel.reshape(x.shape[1], layer.num_output_maps // layer.num_groups, *size)
    before, after = tuple(layer.pre_padding), tuple(layer.post_padding)
    rates, flat = tuple(layer.dilation_nd), x.ndim == 3
    image = torch.from_numpy(x[:, :, None] if flat else x)
    function = FUNCTIONS[len(size) - 1]
    whole = function(
        image, torch.from_numpy(kernel.copy()), None, stride, 0, 0, layer.num_groups, rates
    ).numpy()
    for axis, (low, high) in enumerate(zip(before, after, strict=True), 2):
        whole = np.take(whole, range(low, whole.shape[axis] - high), axis)
    whole = whole[:, :, 0] if flat else whole
    missing = [(0, want - have) for want, have in zip(out, whole.shape, strict=True)]
    result: Array = np.pad(whole, missing)
    own = np.asarray(layer.bias).reshape(-1)
    assert bias is None or not own.size or np.array_equal(own, bias)
    column = (1, -1, *(1 for _ in result.shape[2:]))
    return result if bias is None else result + bias.reshape(column)


@settings(max_examples=40)
@given(spatial=st.integers(1, 3), groups=st.sampled_from([1, 2, 3]), maps=st.integers(1, 2),
       each=st.integers(1, 2), with_bias=st.booleans(), data=st.data())  # fmt: skip
def test_what_the_layer_is_told(
    spatial: int, groups: int, maps: int, each: int, with_bias: bool, data: st.DataObject
) -> None:
    def entries(low: int, high: int) -> tuple[int, ...]:
        return data.draw(st.tuples(*[st.integers(low, high)] * spatial))

    kernel, stride, dilation = entries(1, 3), entries(1, 3), entries(1, 3)
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(data.draw(st.integers(0, r // 2)) for r in reach)
    more = tuple(
        data.draw(st.integers(0, max(pair) - 1)) for pair in zip(stride, dilation, strict=True)
    )
    x, weight = normal(0, 2, groups * each, *entries(1, 4)), normal(1, groups * each, maps, *kernel)
    bias = normal(2, groups * maps) if with_bias else None

    def make(x: Any, w: Any, b: Any = None) -> ops.ConvolutionTranspose:
        return ops.ConvolutionTranspose(x, w, b, stride, padding, more, dilation, groups)

    operands = [TensorType(DType.FLOAT32, x.shape), weight, *([bias] if with_bias else [])]
    graph, (result,) = graph_of(make, *operands)
    with network(graph) as ctx:
        [layer] = layers(ctx, "IDeconvolutionLayer")
        strided = any(step > 1 for step in layer.stride_nd)
        assert not (strided and any(rate > 1 for rate in layer.dilation_nd))
        got = told(layer, x, result.type.static_shape(), bias)
    wanted = FUNCTIONS[spatial - 1](
        *(torch.from_numpy(array) for array in (x, weight)),
        None if bias is None else torch.from_numpy(bias),
        stride, padding, more, groups, dilation,
    )  # fmt: skip
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-4)


def test_a_kernel_that_is_given_is_spread_like_a_constant_one() -> None:
    weight = np.arange(1, 13, dtype=np.float32).reshape(1, 2, 2, 3)
    graph, _ = graph_of(lambda x: ops.Transpose(x, (0, 1, 2, 3)), weight)
    with network(graph) as ctx:
        held = ctx.constant(graph.outputs[0].producer.op.x.constant)
        spread, shape = _spread_at_run_time(ctx, held, weight.shape, (3, 2))
        found = numbers(ctx, spread)
    assert shape == (1, 2, 4, 5)
    wanted = np.zeros(shape)
    wanted[:, :, ::3, ::2] = weight
    np.testing.assert_array_equal(found, wanted)
