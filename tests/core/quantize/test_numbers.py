"""What a graph computes once it is quantized, on OpenVINO."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bounds import bound_graph
from hypothesis import given
from hypothesis import strategies as st
from nets import Net
from on_openvino import build

from fwd_core.ir import Graph, Value, ops
from fwd_core.quantize.placement import Placement, place, quantizable

_LAYERS = ["conv", "norm", "grouped", "up", "relu", "add", "pool", "average", "join", "swap"]
_FLAT = ["linear", "matmul", "relu", "add", "join", "swap"]


@st.composite
def recipes(draw: st.DrawFn) -> tuple[int, list[str], list[str]]:
    """A seed, and layers of images and then of features."""
    images = draw(st.lists(st.sampled_from(_LAYERS), max_size=7))
    flat = draw(st.lists(st.sampled_from(_FLAT), max_size=4))
    return draw(st.integers(0, 1000)), images, [*flat, "linear"]


def _made(recipe: tuple[int, list[str], list[str]]) -> Graph:
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


def _ranges(recipe: tuple[int, list[str], list[str]], x: np.ndarray[Any, Any]) -> dict[str, float]:
    graph = _made(recipe)
    names = quantizable(graph)
    graph.set_outputs([graph.value(name) for name in names], [f"y{i}" for i in range(len(names))])
    arrays = build(graph).run_list([x])
    return {name: float(abs(one).max()) for name, one in zip(names, arrays, strict=True)}


def _placed(
    recipe: tuple[int, list[str], list[str]], x: np.ndarray[Any, Any], part: float = 1.0
) -> tuple[Placement, Any, Any, Any]:
    """The placement, what is computed with pairs and without, and how far those may differ."""
    ranges = {name: amax * part for name, amax in _ranges(recipe, x).items()}
    graph = _made(recipe)
    placement = place(graph, ranges)
    exact, bound = build(bound_graph(graph.verify())).run_list([x])
    (got,) = build(graph).run_list([x])
    return placement, got, exact, bound


def _image(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((2, 4, 8, 8)).astype(np.float32)


@given(recipes())
def test_no_number_is_off_by_more_than_the_steps_allow(
    recipe: tuple[int, list[str], list[str]],
) -> None:
    x = _image(recipe[0])
    placement, got, exact, bound = _placed(recipe, x)
    (plain,) = build(_made(recipe)).run_list([x])
    np.testing.assert_allclose(exact, plain, rtol=1e-3, atol=1e-3 * abs(plain).max())
    assert (abs(got - exact) <= bound).all()
    always_zero = {name for name, why in placement.unquantized.items() if why == "it was always 0"}
    assert set(placement.unquantized) == always_zero
    if not always_zero:
        assert placement.coverage == 1.0


#: One product: worst cases of several multiply, which no numbers come near.
_RECIPE = (0, ["relu"], ["linear"])


def test_the_bound_is_close_enough_to_tell() -> None:
    placement, got, exact, bound = _placed(_RECIPE, _image(0))
    assert placement.coverage == 1.0
    off = abs(got - exact)
    assert off.max() > 0
    assert (off <= bound).all()
    assert bound.max() < abs(exact).max()


@pytest.mark.parametrize("part", [0.1, 1e-3])
def test_ranges_that_cut_numbers_off_exceed_it(part: float) -> None:
    _, got, exact, bound = _placed(_RECIPE, _image(0), part)
    assert (abs(got - exact) > bound).any()
