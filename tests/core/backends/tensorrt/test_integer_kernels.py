"""Quantized graphs are compiled to integer kernels by TensorRT-RTX, as its compiled layers tell."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from quantized_graphs import GRAPHS, Quantizing, residual
from tensorrt_networks import compiled

from fwd_core.backends import Mode
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.ir import Dim, DType, Graph, ops, symbol

BATCH = symbol("batch", 1, 2, 4)
#: Three linear layers of one operand become one product, attention's two one kernel.
TOGETHER = {"transformer": 3}


def products(kernels: list[CompiledLayer]) -> list[str]:
    """What the products multiply."""
    return [kernel.product_dtype for kernel in kernels if kernel.is_product]


@pytest.mark.parametrize("mode", ["float32", "float16"])
@pytest.mark.parametrize("batch", [2, BATCH], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", GRAPHS)
def test_products_are_of_integers(name: str, batch: Dim, mode: Mode) -> None:
    make, count = GRAPHS[name]
    found = products(compiled(make(batch), mode, gpu="sm_89"))
    assert found == ["Int8"] * (count - TOGETHER.get(name, 0))


def test_between_convolutions_all_is_of_integers() -> None:
    """A residual addition and a pooling read integers and write them."""
    kernels = compiled(residual(), gpu="sm_89")
    [pool] = [kernel for kernel in kernels if kernel.kind == "maxpool"]
    assert {tensor.dtype for tensor in (*pool.inputs, *pool.outputs)} == {"Int8"}
    [add] = [kernel for kernel in kernels if "add" in kernel.nodes]
    assert "Int8" in {tensor.dtype for tensor in add.inputs}
    assert {tensor.dtype for tensor in add.outputs} == {"Int8"}


@pytest.mark.parametrize(
    ("low", "high", "dtype", "zero", "kind"),
    [
        (-127, 127, DType.INT8, None, "Int8"),
        (-8, 7, DType.INT8, 0, "Int8"),
        (0, 255, DType.UINT8, 128, "Int8"),
        (1, 254, DType.UINT8, 128, "Int8"),
        (0, 255, DType.UINT8, None, "Float"),
        (-128, 127, DType.INT8, 3, "Float"),
    ],
)
def test_only_what_is_symmetric_is_of_integers(
    low: int, high: int, dtype: DType, zero: int | None, kind: str
) -> None:
    graph = _pair_before_linear(low, high, dtype, zero)
    assert products(compiled(graph)) == [kind]


def _pair_before_linear(low: int, high: int, dtype: DType, zero: int | None) -> Graph:
    q = Quantizing("ranges", 4, 64)
    scale = q.graph.constant(np.float32(0.03))
    point = None if zero is None else q.graph.constant(np.int32(zero))
    held = q.graph.add(ops.Quantize(q.x, scale, point, None, low, high, dtype))
    return q.finish(q.linear(q.graph.add(ops.Dequantize(held, scale, point))))


def test_weights_around_128_are_integers() -> None:
    q = Quantizing("weights", 4, 64)
    point, scale = q.graph.constant(np.int32(128)), q.graph.constant(np.float32(0.03))
    held = q.graph.constant(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64))
    weight = q.graph.add(ops.Dequantize(held, scale, point))
    graph = q.finish(q.graph.add(ops.Linear(q.pair(q.x), weight)))
    [product] = [kernel for kernel in compiled(graph) if kernel.is_product]
    assert product.product_dtype == "Int8"


@pytest.mark.parametrize("transposed", [False, True])
def test_matrices_of_either_order(transposed: bool) -> None:
    """The scales are along the axis that is not summed over."""
    q = Quantizing("order", 4, 64)
    weight = q.weight(64, 128, axis=1) if not transposed else q.weight(128, 64)
    product = ops.MatMul(q.pair(q.x), weight, transpose_b=transposed)
    assert products(compiled(q.finish(q.graph.add(product)))) == ["Int8"]


def test_a_transposed_convolution_compiles() -> None:
    """TensorRT-RTX 1.7 computes it in floats, from weights that it holds in 8 bits."""
    q = Quantizing("transposed", 2, 16, 8, 8)
    weight = q.weight(16, 8, 2, 2, axis=1)
    made = ops.ConvolutionTranspose(q.pair(q.x), weight, None, (2, 2), (0, 0), (0, 0), (1, 1), 1)
    kernels = compiled(q.finish(q.graph.add(made)))
    assert [kernel for kernel in kernels if kernel.computes]
