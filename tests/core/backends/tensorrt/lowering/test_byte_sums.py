"""Sums beside convolutions of 8 bits, as TensorRT 8.6 is given them."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("tensorrt_rtx")

from quantized_graphs import Quantizing
from tensorrt_networks import network

from fwd_core.backends.tensorrt.library import load
from fwd_core.ir import Graph, Value, ops


def _kinds(graph: Graph, *, float_sums: bool) -> list[str]:
    """Kinds of the layers, with the sums of TensorRT 8.6 or without."""
    base = load("tensorrt_rtx").features
    # 8.6 is told apart by its integers, on which nothing else in these graphs depends.
    types = base.optional_types - (set() if float_sums else {"INT64"})
    with network(graph, replace(base, optional_types=types)) as ctx:
        found = [ctx.network.get_layer(i) for i in range(ctx.network.num_layers)]
        return [one.type.name for one in found]


def _residual(made: Quantizing, *, first: bool = True) -> tuple[Value, Value]:
    """An input in 8 bits, and a sum of it and of a convolution."""
    x = made.pair(made.x)
    if first:
        x = made.pair(made.graph.add(ops.Relu(made.convolution(x))))
    y = made.convolution(x)
    return x, made.graph.add(ops.Relu(made.graph.add(ops.Add(y, x))))


def test_a_sum_of_floats_is_kept_apart_from_its_convolution() -> None:
    made = Quantizing("last", 2, 16, 8, 8)
    _, total = _residual(made)
    graph = made.finish(total)
    assert _kinds(graph, float_sums=False).count("ACTIVATION") == 3  # two relu, one that is none
    assert _kinds(graph, float_sums=True).count("ACTIVATION") == 2


def test_a_sum_of_bytes_is_left_to_tensorrt() -> None:
    made = Quantizing("inner", 2, 16, 8, 8)
    _, total = _residual(made)
    graph = made.finish(made.convolution(made.pair(total)))
    assert _kinds(graph, float_sums=False).count("ACTIVATION") == 2


def test_a_sum_that_is_read_as_floats_too_is_kept_apart() -> None:
    made = Quantizing("both", 2, 16, 8, 8)
    _, total = _residual(made)
    y = made.convolution(made.pair(total))
    graph = made.finish(made.graph.add(ops.Add(made.graph.add(ops.Exp(total)), y)))
    # The relu of the sum feeds floats and bytes; the last sum adds floats.
    assert _kinds(graph, float_sums=False).count("ACTIVATION") == 4


def test_a_residual_of_floats_is_kept_apart() -> None:
    made = Quantizing("floats", 2, 16, 8, 8)
    y = made.convolution(made.pair(made.x))
    total = made.graph.add(ops.Add(made.x, y))
    graph = made.finish(made.convolution(made.pair(total)))
    assert _kinds(graph, float_sums=False).count("ACTIVATION") == 1


def test_products_of_floats_are_left_alone() -> None:
    made = Quantizing("plain", 2, 16, 8, 8)
    weight = made.number(16, 16, 1, 1)
    y = made.graph.add(ops.Convolution(made.x, weight, None, (1, 1), (0, 0), (0, 0), (1, 1)))
    graph = made.finish(made.graph.add(ops.Add(y, made.x)))
    assert _kinds(graph, float_sums=False).count("ACTIVATION") == 0
