"""What a graph computes once it is quantized, on OpenVINO."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from bounds import bound_graph
from hypothesis import given
from hypothesis import strategies as st
from net_recipes import Recipe, made, recipes
from on_openvino import build

from fwd_core.quantize.placement import Placement, place, quantizable


def _ranges(recipe: Recipe, x: np.ndarray[Any, Any]) -> dict[str, float]:
    graph = made(recipe)
    names = quantizable(graph)
    graph.set_outputs([graph.value(name) for name in names], [f"y{i}" for i in range(len(names))])
    arrays = build(graph).run_list([x])
    return {name: float(abs(one).max()) for name, one in zip(names, arrays, strict=True)}


def _placed(
    recipe: Recipe, x: np.ndarray[Any, Any], part: float = 1.0, unsigned: bool = False
) -> tuple[Placement, Any, Any, Any]:
    """The placement, what is computed with pairs and without, and how far those may differ."""
    ranges = {name: amax * part for name, amax in _ranges(recipe, x).items()}
    graph = made(recipe)
    placement = place(graph, ranges, unsigned=unsigned)
    exact, bound = build(bound_graph(graph.verify())).run_list([x])
    (got,) = build(graph).run_list([x])
    return placement, got, exact, bound


def _image(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((2, 4, 8, 8)).astype(np.float32)


@given(recipes(), st.booleans())
def test_no_number_is_off_by_more_than_the_steps_allow(recipe: Recipe, unsigned: bool) -> None:
    x = _image(recipe[0])
    placement, got, exact, bound = _placed(recipe, x, unsigned=unsigned)
    (plain,) = build(made(recipe)).run_list([x])
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
