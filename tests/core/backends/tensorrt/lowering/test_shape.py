"""Movements of elements, computed by TensorRT while it makes a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, computed, graph_of, layers, network

from fwd_core.ir import DType, TensorType, ops

X = np.arange(24).reshape(2, 3, 4)
DTYPES = ["float32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda x: ops.Reshape(x, (4, 6)), X.reshape(4, 6)),
        (lambda x: ops.Unsqueeze(x, (0, 2)), X[None, :, None]),
        (lambda x: ops.Transpose(x, (2, 0, 1)), X.transpose(2, 0, 1)),
        (lambda x: ops.Slice(x, 2, 1, 2, 2), X[:, :, 1:4:2]),
        (lambda x: ops.Slice(x, 1, 2, 3, -1), X[:, ::-1]),
        (lambda x: ops.Slice(x, 0, 1, 0), X[:, :0][:0]),
        (lambda x: ops.Concat((x, x), 1), np.concatenate([X, X], 1)),
        (lambda x: ops.Pad(x, (0, 0, -1), (0, 0, -1)), X[:, :, 1:3]),
    ],
    ids=["reshape", "unsqueeze", "transpose", "slice", "backwards", "nothing", "concat", "crop"],
)
def test_elements_land_where_they_should(
    make: Any, expected: Any, dtype: str, features: Any
) -> None:
    result = computed(make, X.astype(dtype), features=features)
    np.testing.assert_array_equal(result, expected.astype(dtype).reshape(result.shape))


@pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("mode", "numpy_mode"), [("constant", "constant"), ("edge", "edge"), ("reflect", "reflect")]
)
def test_padding(mode: Any, numpy_mode: Any, dtype: str, features: Any) -> None:
    x = np.arange(5).astype(dtype)
    result = computed(lambda x: ops.Pad(x, (2,), (3,), mode), x, features=features)
    np.testing.assert_array_equal(result, np.pad(x, (2, 3), numpy_mode))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_bools_are_padded_as_integers_where_slices_do_not_take_them(mode: Any) -> None:
    x = TensorType(DType.BOOL, (3, 2))
    graph, _ = graph_of(lambda x: ops.Pad(x, (1, 0), (2, 0), mode, 1), x)
    for features, name in ((None, "BOOL"), (LIKE_8, "INT32")):
        with network(graph, features) as ctx:
            [cut] = layers(ctx, "ISliceLayer")
            assert cut.get_input(0).dtype.name == name
            if mode == "constant":
                assert cut.get_input(4).dtype.name == name


def test_padding_with_a_number_is_an_input_of_the_slice() -> None:
    graph, _ = graph_of(lambda x: ops.Pad(x, (1, 0), (0, 2), "constant", -2.5), np.ones((2, 2)))
    with network(graph) as ctx:
        [cut] = layers(ctx, "ISliceLayer")
        assert cut.mode == ctx.trt.SampleMode.FILL
        assert tuple(cut.start) == (-1, 0)
        assert cut.num_inputs == 5
        assert cut.get_input(4).shape == ()


@pytest.mark.parametrize("shape", [(2, 3), (3,), (2, 1), ()])
def test_expansion(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    result = computed(lambda x: ops.Expand(x, (2, 2, 3)), x)
    np.testing.assert_array_equal(result, np.broadcast_to(x, (2, 2, 3)))


def test_squeezing() -> None:
    result = computed(lambda x: ops.Squeeze(x, (0, 2)), X[:1, :, :1])
    np.testing.assert_array_equal(result, X[0, :, 0])
