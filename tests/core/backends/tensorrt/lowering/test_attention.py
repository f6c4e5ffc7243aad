"""Attention: which form is chosen, and what masks become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, compiled, graph_of, layers, network, numbers

from fwd_core.backends.tensorrt.lowering.attention import _causal
from fwd_core.ir import DType, TensorType, ops

HALF = TensorType(DType.FLOAT16, (2, 4, 16, 32))
SINGLE = HALF.with_dtype(DType.FLOAT32)


def _attend(*values: Any, **attributes: Any) -> ops.Attention:
    return ops.Attention(*values, **attributes)


def test_halves_use_the_fused_layer_and_one_kernel() -> None:
    graph, _ = graph_of(_attend, HALF, HALF, HALF)
    kernels = [kernel for kernel in compiled(graph) if kernel.is_product]
    assert len(kernels) == 1
    assert "mha" in kernels[0].name


@pytest.mark.parametrize(("kind", "features"), [(SINGLE, None), (HALF, LIKE_8)])
def test_other_types_and_flavours_compose_it(kind: TensorType, features: Any) -> None:
    graph, _ = graph_of(_attend, kind, kind, kind)
    with network(graph, features) as ctx:
        assert len(layers(ctx, "IMatrixMultiplyLayer")) == 2
        [softmax] = layers(ctx, "ISoftMaxLayer")
        assert softmax.get_input(0).dtype.name == "FLOAT"
        assert softmax.axes == 1 << 3


def test_the_scale_is_one_over_the_root_of_the_features() -> None:
    # Where softmax cannot be computed on the host, the scaled query can.
    query = np.ones((1, 16), np.float32)
    graph, _ = graph_of(_attend, query, query, query)
    with network(graph) as ctx:
        [scaled, _] = (layer.get_input(0) for layer in layers(ctx, "IMatrixMultiplyLayer"))
        np.testing.assert_array_equal(numbers(ctx, scaled), query / 4)


@pytest.mark.parametrize(("length", "source"), [(3, 3), (2, 4), (4, 2)])
def test_a_causal_mask_counts_from_the_first_key(length: int, source: int) -> None:
    kinds = [TensorType(DType.FLOAT32, (n, 8)) for n in (length, source, source)]
    graph, (result,) = graph_of(lambda *x: _attend(*x, causal=True), *kinds)
    with network(graph) as ctx:
        op = result.producer.op  # type: ignore[union-attr]
        assert isinstance(op, ops.Attention)
        found = numbers(ctx, _causal(ctx, op, 2))
    np.testing.assert_array_equal(found, np.tri(length, source))


def test_a_bool_mask_becomes_additive_and_empty_rows_become_zero() -> None:
    mask = TensorType(DType.BOOL, (2, 1, 16, 16))
    graph, (result,) = graph_of(_attend, HALF, HALF, HALF, mask)
    with network(graph) as ctx:
        kinds = [layer.get_output(0).dtype.name for layer in layers(ctx, "ISelectLayer")]
        assert kinds == ["HALF", "HALF"]  # of the mask, then of the result
        assert ctx[result].shape == HALF.shape


@pytest.mark.parametrize("kind", [HALF, SINGLE])
def test_an_additive_mask_may_empty_rows_too(kind: TensorType) -> None:
    mask = TensorType(kind.dtype, (2, 1, 16, 16))
    graph, (result,) = graph_of(_attend, kind, kind, kind, mask)
    with network(graph) as ctx:
        [chosen] = layers(ctx, "ISelectLayer")
        assert tuple(chosen.get_output(0).shape) == tuple(ctx[result].shape)


def test_a_known_mask_that_keeps_something_is_not_looked_at() -> None:
    mask = np.where(np.tri(16) > 0, 0, -np.inf).astype(np.float32)
    graph, _ = graph_of(_attend, SINGLE, SINGLE, SINGLE, mask)
    with network(graph) as ctx:
        assert not layers(ctx, "ISelectLayer")


def test_a_causal_mask_alone_empties_no_row() -> None:
    graph, _ = graph_of(lambda *x: _attend(*x, causal=True), SINGLE, SINGLE, SINGLE)
    with network(graph) as ctx:
        assert len(layers(ctx, "ISelectLayer")) == 1  # the mask


def test_float32_and_half_take_the_same_masks() -> None:
    for kind in (SINGLE, HALF):
        mask = TensorType(kind.dtype, (2, 1, 1, 16))
        graph, (result,) = graph_of(_attend, kind, kind, kind, mask)
        with network(graph) as ctx:
            assert tuple(ctx[result].shape) == kind.shape
