"""Quantized graphs run integer kernels, as OpenVINO tells, and compute what they say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openvino")

from on_openvino import Pack, build
from openvino_kernels import CAPABILITIES, integer_kernels, products
from quantized_graphs import GRAPHS, Quantizing, residual

from fwd_core import Builder, Plugins, hookimpl
from fwd_core.backends.openvino.lowering import FAMILIES, quantization
from fwd_core.ir import Dim, DType, Value, ops, symbol
from fwd_core.plugins import registers as reg

BATCH = symbol("batch", 1, 2, 4)

#: Products that are in one kernel with others: the two of attention.
TOGETHER = {"transformer": 1}


@integer_kernels
@pytest.mark.parametrize("mode", ["float32", "float16"])
@pytest.mark.parametrize("batch", [8, BATCH], ids=["static", "dynamic"])
@pytest.mark.parametrize("name", GRAPHS)
def test_products_are_of_integers(name: str, batch: Dim, mode: str) -> None:
    if mode == "float16" and not {"BF16", "FP16"} & set(CAPABILITIES):
        pytest.skip(f"this CPU has no half type, only {CAPABILITIES}")
    make, count = GRAPHS[name]
    found = products(build(make(batch), mode))
    assert count - TOGETHER.get(name, 0) <= len(found) <= count, found
    assert [kernel for kernel in found if not kernel.is_of_integers] == []


@integer_kernels
def test_what_relu_leaves_may_be_unsigned() -> None:
    found = products(build(residual(unsigned=True)))
    assert [kernel.dtype for kernel in found[1:]] == ["u8", "u8", "u8"] or {
        kernel.dtype for kernel in found
    } == {"u8"}, found  # without AMX all is made unsigned
    assert len(found) == 4


@integer_kernels
@pytest.mark.parametrize(
    ("low", "high", "dtype", "zero"),
    [
        (-127, 127, DType.INT8, 0),
        (-64, 63, DType.INT8, 0),
        (0, 127, DType.UINT8, 0),
        (0, 255, DType.UINT8, 128),
        (0, 255, DType.UINT8, 3),
        (-128, 127, DType.INT8, -5),
    ],
)
def test_other_ranges_and_zero_points(low: int, high: int, dtype: DType, zero: int) -> None:
    """Fewer levels than 255 would have no kernels; a zero point is taken out of the product."""
    q = Quantizing("ranges", 2, 16, 12, 12)

    def pair(x: Value) -> Value:
        scale = q.graph.constant(np.float32(4 / high))
        point = q.graph.constant(np.int32(zero))
        held = q.graph.add(ops.Quantize(x, scale, point, None, low, high, dtype))
        return q.graph.add(ops.Dequantize(held, scale, point))

    h = q.graph.add(ops.Relu(q.convolution(pair(q.x))))
    graph = q.finish(q.convolution(pair(h)))
    found = products(build(graph))
    assert len(found) == 2
    assert [kernel for kernel in found if not kernel.is_of_integers] == []


class Composed(Pack):
    """The backend without lowerings of quantization: all is computed in floats."""

    @hookimpl
    def fwd_register_lowerings(self, register: reg.LoweringRegister) -> None:
        for module in FAMILIES:
            if module is not quantization:
                register.add_module(module)


COMPOSED = Plugins({"composed": Composed()})


@pytest.mark.parametrize("name", GRAPHS)
def test_integer_kernels_compute_what_the_graph_says(name: str) -> None:
    make, _ = GRAPHS[name]
    shape = make(2).inputs[0].type.static_shape()
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    (fast,) = build(make(2)).run_list([x])
    slow = Builder(backend="openvino", plugins=COMPOSED).compile(make(2)).run_list([x])[0]
    noise = float(np.mean((fast - slow) ** 2)) / float(np.mean(slow**2))
    # A number next to a tie may be rounded the other way, which is a step of 1 / 127.
    assert noise < 1e-4
