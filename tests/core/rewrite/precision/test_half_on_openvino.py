"""A half graph computes what the float32 graph does: run on OpenVINO, which takes both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from blocks import residual_block, transformer_block

from fwd_core import Builder, core_pack
from fwd_core.ir import Graph
from fwd_core.ir.serialize import from_parts, to_parts
from fwd_core.plugins import Plugins
from fwd_core.rewrite.precision import to_half

PLUGINS = Plugins({"core": core_pack})


def _run(graph: Graph, feeds: dict[str, Any]) -> dict[str, Any]:
    builder = Builder(backend="openvino", plugins=PLUGINS)
    with builder.compile(graph) as engine:
        return engine.run(feeds)


def _copy(graph: Graph) -> Graph:
    document, tensors = to_parts(graph)
    arrays = {key: tensor.data for key, tensor in tensors.items()}
    return from_parts(document, arrays, PLUGINS.operators)


def _feeds(masked: int) -> dict[str, Any]:
    numbers = np.random.default_rng(3)
    mask = np.ones((2, 64), np.int64)
    mask[1, masked:] = 0
    return {"ids": numbers.integers(0, 500, (2, 64)), "mask": mask}


@pytest.mark.parametrize(
    ("make", "feeds"),
    [
        (lambda: transformer_block(2, fused=False), _feeds(20)),
        (lambda: transformer_block(2, fused=True), _feeds(20)),
        (
            lambda: residual_block(2),
            {"image": np.random.default_rng(4).standard_normal((2, 3, 56, 56), np.float32)},
        ),
    ],
    ids=["composed", "fused", "residual"],
)
def test_half_is_near(make: Callable[[], Graph], feeds: dict[str, Any]) -> None:
    single = make()
    half = _copy(single)
    wanted = _run(single, feeds)
    assert to_half(half) > 10
    found = _run(half.verify(), feeds)
    for name, expected in wanted.items():
        assert found[name].dtype == expected.dtype
        a, b = found[name].ravel().astype(np.float64), expected.ravel().astype(np.float64)
        # 11 bits of precision through some ten products.
        assert a @ b / np.sqrt((a @ a) * (b @ b)) > 0.9999


@pytest.mark.parametrize("fused", [False, True])
def test_a_row_that_is_masked_everywhere_is_finite(fused: bool) -> None:
    graph = transformer_block(2, fused=fused)
    to_half(graph)
    assert all(np.isfinite(array).all() for array in _run(graph, _feeds(0)).values())
