"""What float16 means, read from the compiled layers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from blocks import residual_block, transformer_block
from tensorrt_networks import compiled

from fwd_core.backends.tensorrt.layers import CompiledLayer, half_share
from fwd_core.ir import Dim, DType, Graph, TensorType, ops, symbol
from fwd_core.rewrite.batch_norm import FoldBatchNorm

BATCH = symbol("batch", 1, 2, 4)
BATCHES = pytest.mark.parametrize("batch", [2, BATCH], ids=["static", "dynamic"])


def _of(kernels: list[CompiledLayer], node: str) -> list[CompiledLayer]:
    return [kernel for kernel in kernels if node in kernel.nodes]


def _share_in_half(kernels: list[CompiledLayer]) -> float:
    found = half_share(kernels)
    assert found.products >= 7
    assert found.opaque == 0
    return found.share


@BATCHES
def test_convolutions_and_their_arithmetic_are_half(batch: Dim) -> None:
    kernels = compiled(residual_block(batch), "float16", gpu="sm_89")
    assert _share_in_half(kernels) == 1
    convolutions = _of(kernels, "block1.conv2")
    assert len(convolutions) == 1
    # Batch normalization and relu are part of the convolution's own kernel.
    assert {"block1.conv2.bn", "block1.relu2"} <= set(convolutions[0].nodes)
    assert {tensor.dtype for tensor in convolutions[0].outputs} == {"Half"}


@BATCHES
def test_a_convolution_that_took_in_its_normalization_is_found_by_its_own_name(batch: Dim) -> None:
    graph = residual_block(batch)
    assert FoldBatchNorm().apply(graph) == 7
    [convolution] = _of(compiled(graph, "float16", gpu="sm_89"), "block1.conv2")
    assert convolution.nodes == ("block1.conv2", "block1.conv2.bn", "block1.relu2")
    assert convolution.is_product


@BATCHES
@pytest.mark.parametrize("fused", [False, True])
def test_matrix_products_are_half(fused: bool, batch: Dim) -> None:
    kernels = compiled(transformer_block(batch, fused=fused), "float16", gpu="sm_89")
    assert _share_in_half(kernels) >= 0.95


@BATCHES
@pytest.mark.parametrize("fused", [False, True])
def test_norms_compute_in_float32(fused: bool, batch: Dim) -> None:
    kernels = compiled(transformer_block(batch, fused=fused), "float16", gpu="sm_89")
    means = [kernel for kernel in kernels if "Mean" in kernel.name]
    assert len(means) == 5
    for kernel in means:
        # What a generated kernel does is in its name: the mean is of what was cast to float32.
        before = kernel.name.split("Mean")[0]
        assert "Cast" in before or {tensor.dtype for tensor in kernel.inputs} == {"Float"}
    parameters = [t for kernel in kernels for t in kernel.constants if t.shape == (1, 1, 128)]
    assert len(parameters) == 10
    assert {tensor.dtype for tensor in parameters} == {"Float"}


def test_softmax_computes_in_float32() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (64, 128)))
    weight = graph.constant(np.ones((128, 128), np.float32))
    y = graph.add(ops.Softmax(graph.add(ops.Linear(x, weight), name="fc"), 1), name="softmax")
    y = graph.add(ops.Linear(y, weight), name="fc2")
    graph.set_outputs([y], ["y"])
    kernels = compiled(graph, "float16")
    [softmax] = _of(kernels, "softmax")
    steps = softmax.name.removeprefix("__myl_")
    assert steps.index("Cast") < steps.index("Exp") < steps.rindex("Cast")


@pytest.mark.parametrize("fused", [False, True])
def test_attention_of_a_transformer_is_one_kernel(fused: bool) -> None:
    kernels = compiled(transformer_block(2, fused=fused), "float16", gpu="sm_89")
    attention = [kernel for kernel in kernels if "mha" in kernel.name]
    assert len(attention) == 2 if fused else len(attention) >= 1
    for kernel in attention:
        assert {tensor.dtype for tensor in kernel.inputs} == {"Half"}


def test_float32_means_float32() -> None:
    kernels = compiled(transformer_block(2, fused=True), "float32", gpu="sm_89")
    assert _share_in_half(kernels) == 0
    kinds = {t.dtype for kernel in kernels for t in kernel.outputs}
    assert kinds <= {"Float", "Int64", "Int32", "Bool"}


def test_a_table_of_a_language_model_is_held_in_half() -> None:
    kernels = compiled(transformer_block(2, fused=True), "float16", gpu="sm_89")
    tables = [t for kernel in kernels for t in kernel.constants if t.shape == (500, 128)]
    assert [table.dtype for table in tables] == ["Half"]
