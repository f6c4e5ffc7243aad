"""Products of integers after one another, of all small batches, are near what floats give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net
from on_openvino import Array, build
from openvino_kernels import integer_kernels, products

from fwd_core import Engine
from fwd_core.ir import Dim, Graph, Value, ops, symbol
from fwd_core.quantize.fidelity import Fidelity
from fwd_core.quantize.placement import place
from fwd_core.rewrite import run
from fwd_core.rewrite.cleanup import all_rewrites

ROWS = (*range(1, 17), 24, 32, 64)
ROWS_OF_ANY = symbol("rows", 1, 8, 256)
#: Decibels. Two to four layers of bytes keep more; garbage is far below 0.
LEAST = 22.0

WIDTHS = [(4,) * 3, (16,) * 3, (64,) * 3, (256,) * 3, (64, 256, 10), (4, 8, 3), (300, 64, 64)]
WIDTHS += [(32,) * 4, (64, 128, 64, 10), (256,) * 4]


def _scaled(net: Net, x: Value) -> Value:
    return net.graph.add(ops.Mul(x, net.graph.constant(np.float32(0.7))))


BETWEEN: dict[str, Callable[[Net, Value], Value]] = {
    "nothing": lambda _net, x: x,
    "relu": lambda net, x: net.graph.add(ops.Relu(x)),
    "scale": _scaled,
    "gelu": lambda net, x: net.graph.add(ops.Gelu(x)),
}
#: Which of two layers have a bias.
BIASES = {"no bias": (False, False), "last": (False, True), "both": (True, True)}


def linears(
    shape: tuple[Dim, ...],
    widths: tuple[int, ...],
    between: str = "nothing",
    biases: tuple[bool, bool] = (False, False),
) -> Graph:
    """Layers of these widths; the shape is that of the rows."""
    net = Net()
    y = net.input(*shape, widths[0])
    for i, width in enumerate(widths[1:]):
        y = y if i == 0 else BETWEEN[between](net, y)
        y = net.linear(y, f"layer{i}", width, bias=biases[min(i, 1)])
    return net.finish(y)


def products_of_matrices(rows: Dim) -> Graph:
    """As above, but as MatMul."""
    net = Net()
    y = net.input(rows, 64)
    for i in range(3):
        y = net.add(ops.MatMul(y, net.constant(64, 64, name=f"weight{i}")), f"layer{i}")
    return net.finish(y)


def convolutions(batch: Dim, axes: int, kernel: int, bias: bool) -> Graph:
    """Three convolutions, and two linear layers of what they leave of each image."""
    net = Net()
    y = net.input(batch, 8, *(6,) * axes)
    for i in range(3):
        y = net.conv(y, f"conv{i}", 16, kernel, bias=bias)
        y = net.graph.add(ops.Relu(y)) if i else y
    y = net.graph.add(ops.ReduceMean(y, tuple(range(2, 2 + axes)), False))
    for i in range(2):
        y = net.linear(y, f"layer{i}", 16, bias=bias)
    return net.finish(y)


class Compared:
    """Graphs of bytes, each tensor in the range that it has in the graph of floats.

    Args:
        make: Makes the graph for a number of rows.
        x: Input of the most rows.
    """

    def __init__(self, make: Callable[[Dim], Graph], x: Array) -> None:
        self._make, self._x = make, x
        plain = make(ROWS_OF_ANY)
        names = [value.name for value in plain.values() if value.constant is None]
        plain.set_outputs([plain.value(name) for name in names[1:]], names[1:])
        self._floats = build(plain)
        tensors = zip(names, [x, *self._floats.run_list([x])], strict=True)
        self._ranges = {name: float(abs(tensor).max()) for name, tensor in tensors}

    def engine(self, rows: Dim, **options: object) -> Engine:
        """With all rewrites, which make constants of quantized weights."""
        graph = self._make(rows)
        place(graph, self._ranges)
        run(graph, all_rewrites(), verify=True)
        return build(graph, **options)

    def sqnr(self, rows: int, **options: object) -> float:
        """Decibels between integers and floats."""
        x = self._x[:rows]
        noise = Fidelity()
        (found,) = self.engine(rows, **options).run_list([x])
        noise.add(self._floats.run_list([x])[-1], found)
        return noise.sqnr


def numbers(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def all_near(found: dict[Any, float]) -> None:
    assert {case: round(db, 1) for case, db in found.items() if not db > LEAST} == {}


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_linear_layers_of_every_batch(widths: tuple[int, ...]) -> None:
    case = Compared(lambda rows: linears((rows,), widths), numbers(64, widths[0]))
    all_near({rows: case.sqnr(rows) for rows in ROWS})


@pytest.mark.parametrize("lead", [1, 2], ids=str)
@pytest.mark.parametrize("widths", [(4, 8, 3), (64,) * 4, (256,) * 3], ids=str)
def test_linear_layers_of_tokens(widths: tuple[int, ...], lead: int) -> None:
    case = Compared(lambda rows: linears((rows, lead), widths), numbers(64, lead, widths[0]))
    all_near({rows: case.sqnr(rows) for rows in ROWS})


@pytest.mark.parametrize("threads", [1, None])
@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("between", BETWEEN)
def test_what_stands_between_linear_layers(between: str, biases: str, threads: int | None) -> None:
    """One thread computes all small batches as several compute even ones."""
    case = Compared(
        lambda rows: linears((rows,), (64, 32, 48), between, BIASES[biases]), numbers(8, 64)
    )
    all_near({rows: case.sqnr(rows, threads=threads) for rows in (1, 3, 4, 6, 8)})


def test_matrix_products() -> None:
    case = Compared(products_of_matrices, numbers(16, 64))
    all_near({rows: case.sqnr(rows) for rows in (1, 3, 4, 6, 8, 16)})


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_convolutions(axes: int, kernel: int, bias: bool) -> None:
    x = numbers(8, 8, *(6,) * axes)
    case = Compared(lambda batch: convolutions(batch, axes, kernel, bias), x)
    all_near({batch: case.sqnr(batch) for batch in (1, 4, 8)})


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,)], ids=str)
@pytest.mark.parametrize("op", [ops.ReduceMean, ops.ReduceSum, ops.ReduceMax])
def test_reductions_of_three_axes(
    op: type[ops.Reduction], axes: tuple[int, ...], keepdims: bool, linear: bool
) -> None:
    """Each channel of what is reduced has a scale of its own."""

    def make(batch: Dim) -> Graph:
        net = Net()
        y = net.add(op(net.conv(net.input(batch, 8, 6), "conv", 16), axes, keepdims), "reduced")
        return net.finish(net.linear(y, "layer", 8) if linear else y)

    case = Compared(make, numbers(4, 8, 6))
    all_near({4: case.sqnr(4)})


@integer_kernels
@pytest.mark.parametrize("rows", [1, 4, 8, 16, 128, ROWS_OF_ANY], ids=str)
@pytest.mark.parametrize("between", BETWEEN)
def test_each_layer_is_a_kernel_of_integers(between: str, rows: Dim) -> None:
    """With what stands between the layers, and one more that makes bytes of the input."""
    biases = BIASES["both"]
    case = Compared(lambda n: linears((n,), (64,) * 4, between, biases), numbers(16, 64))
    engine = case.engine(rows)
    found = products(engine)
    assert [(kernel.kind, kernel.is_of_integers) for kernel in found] == [
        ("FullyConnected", True)
    ] * 3
