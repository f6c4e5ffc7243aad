from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import build

from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import logger
from fwd_core.backends.tensorrt.profiles import add_profile, profile_shapes
from fwd_core.errors import BuildError
from fwd_core.ir import Dim, DType, Graph, TensorType, ops, symbol

B, H = symbol("b", 1, 2, 8), symbol("h", 16, 32, 64)


def _kind(*shape: Any) -> TensorType:
    return TensorType(DType.FLOAT32, shape)


def _builder() -> Any:
    trt = load("tensorrt_rtx").trt
    return trt.Builder(logger(trt))


def test_shapes_come_from_the_ranges_of_the_symbols() -> None:
    assert profile_shapes(_kind(B, 3, H * 2)) == [(1, 3, 32), (2, 3, 64), (8, 3, 128)]


def test_one_profile_holds_every_dynamic_input() -> None:
    builder = _builder()
    config = builder.create_builder_config()
    add_profile(builder, config, {"x": _kind(B, 3), "y": _kind(4), "z": _kind(B + 1)})
    assert config.num_optimization_profiles == 1


def test_static_inputs_need_none() -> None:
    builder = _builder()
    config = builder.create_builder_config()
    add_profile(builder, config, {"x": _kind(4, 3)})
    assert config.num_optimization_profiles == 0


@pytest.mark.parametrize("size", [20 - B, B - 5], ids=str)
def test_a_size_that_shrinks_or_is_negative_has_no_range(size: Dim) -> None:
    builder = _builder()
    config = builder.create_builder_config()
    message = r"input 'x': a size does not grow with its symbols(.|\n)*0 <= min <= opt <= max"
    with pytest.raises(BuildError, match=message):
        add_profile(builder, config, {"x": _kind(size)})


def test_an_empty_batch_is_a_size() -> None:
    graph = Graph()
    x = graph.add_input("x", _kind(symbol("n", 0, 1, 4), 3))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    assert len(build(graph).payload()) > 0
