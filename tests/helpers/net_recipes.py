"""Networks of drawn layers."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from nets import Net

from fwd_core.ir import Graph, Value, ops

#: A seed, layers of images, and layers of features behind them.
Recipe = tuple[int, list[str], list[str]]
_LAYERS = ["conv", "norm", "grouped", "up", "relu", "add", "pool", "average", "join", "swap"]
_FLAT = ["linear", "matmul", "relu", "add", "join", "swap"]


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """A seed, and layers of images and then of features."""
    images = draw(st.lists(st.sampled_from(_LAYERS), max_size=7))
    layers = st.lists(st.sampled_from(_FLAT), max_size=4)
    flat = draw(layers.filter(lambda one: one.count("matmul") < 2))  # each squares the numbers
    return draw(st.integers(0, 1000)), images, [*flat, "linear"]


def made(recipe: Recipe) -> Graph:
    """The network of a recipe; the same graph each time."""
    seed, images, flat = recipe
    net = Net(seed)
    x = net.input(2, 4, 8, 8)
    kept: list[Value] = [x]
    for index, layer in enumerate(images):
        x = _layer(net, x, f"{layer}{index}", layer, kept)
        kept.append(x)
    features = np.prod(x.type.static_shape()[1:], dtype=int)
    x = net.add(ops.Reshape(x, (2, int(features))), "flat")
    kept = [x]
    for index, layer in enumerate(flat):
        x = _layer(net, x, f"{layer}_{index}", layer, kept)
        kept.append(x)
    return net.finish(x)


def _layer(net: Net, x: Value, name: str, layer: str, kept: list[Value]) -> Value:
    same = [value for value in kept if value.type == x.type and value is not x]
    if layer == "conv":
        return net.conv(x, name, 4, 3, bias=True)
    if layer == "norm":
        return net.norm(net.conv(x, f"{name}.conv", 4, 1), name)
    if layer == "grouped":
        return net.conv(x, name, 4, 3, groups=2)
    if layer == "up":
        return net.up(x, name, 4, groups=2, bias=True)
    if layer == "relu":
        return net.add(ops.Relu(x), name)
    if layer == "add":
        return net.add(ops.Add(x, same[-1] if same else x), name)
    if layer == "join":
        return net.add(ops.Concat((x, same[-1] if same else x), 1), name)
    if layer == "swap":
        order = (1, 0) if x.type.rank == 2 else (0, 1, 3, 2)
        moved = net.add(ops.Transpose(x, order), f"{name}.moved")
        return net.add(ops.Transpose(moved, order), name)
    if layer == "linear":
        return net.linear(x, name, 6, bias=True)
    if layer == "matmul":
        return net.add(ops.MatMul(x, x, transpose_b=True), name)
    if min(x.type.static_shape()[2:]) < 2:
        return net.add(ops.Relu(x), name)
    return net.pool(x, name, ops.MaxPool if layer == "pool" else ops.AveragePool)
