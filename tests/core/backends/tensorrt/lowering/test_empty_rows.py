"""Where zeros are chosen for sequences of which a mask leaves no key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("tensorrt_rtx")

from padded_attention import assert_right, attention_and_projection, projected
from tensorrt_networks import LIKE_8, compiled, layers, network

from fwd_core import Builder, core_pack
from fwd_core.backends.tensorrt.features import Features
from fwd_core.ir import DType, Graph, Value, ops
from fwd_core.plugins import Plugins
from fwd_core.rewrite.precision import to_half


def _selects(graph: Graph, features: Features | None = LIKE_8, **more: bool) -> list[str]:
    """Names of the layers that choose, in order, without the mask's own, which is of 5 keys."""
    with network(graph, features, **more) as ctx:
        layers = [ctx.network.get_layer(i) for i in range(ctx.network.num_layers)]
        return [
            layer.metadata
            for layer in layers
            if layer.type.name == "SELECT" and layer.get_output(0).shape[-1] != 5
        ]


@pytest.mark.parametrize("half", [False, True])
def test_zeros_are_chosen_after_the_projections_product(half: bool) -> None:
    graph = attention_and_projection(3, projected)
    if half:
        to_half(graph)
    assert _selects(graph) == ["projection"]


@pytest.mark.parametrize("features", [LIKE_8, None], ids=["8", "typed"])
@pytest.mark.parametrize("dtype", [DType.BOOL, DType.FLOAT32])
def test_none_are_chosen_where_any_numbers_will_do(features: Features | None, dtype: DType) -> None:
    graph = attention_and_projection(3, projected, dtype)
    assert _selects(graph, features, exact_padding=False) == []


@pytest.mark.parametrize("dtype", [DType.BOOL, DType.FLOAT32])
def test_masks_are_finite_then(dtype: DType) -> None:
    """Of minus infinity alone softmax would make NaN."""
    graph = attention_and_projection(3, projected, dtype)
    with network(graph, LIKE_8, exact_padding=False) as ctx:
        found = [one for one in layers(ctx, "IElementWiseLayer") if one.op.name == "MAX"]
        assert len(found) == (dtype is DType.FLOAT32)


def test_the_option_says_whether_zeros_are_chosen() -> None:
    names = {}
    for way in ("any", "zeros"):
        graph = attention_and_projection(3, projected)
        names[way] = [one.name for one in compiled(graph, "float16", empty_sequences=way)]
    assert names["any"] != names["zeros"]
    default = compiled(attention_and_projection(3, projected), "float16")
    assert [one.name for one in default] == names["any"]


def _read_twice(graph: Graph, value: Value) -> Value:
    return graph.add(ops.Add(projected(graph, value), graph.add(ops.Reshape(value, (3, 5, 16)))))


def _moved(graph: Graph, value: Value) -> Value:
    swapped = graph.add(ops.Transpose(value, (2, 1, 0, 3)))
    return graph.add(ops.Relu(graph.add(ops.Reshape(swapped, (4, 5, 12)))))


def _alone(graph: Graph, value: Value) -> Value:
    return graph.add(ops.Relu(value))


@pytest.mark.parametrize("after", [_read_twice, _moved, _alone])
def test_what_is_read_otherwise_gets_its_zeros_in_the_values(
    after: Callable[[Graph, Value], Value],
) -> None:
    assert _selects(attention_and_projection(3, after)) == ["attention"]


def test_a_mask_of_each_query_has_its_zeros_after_attention() -> None:
    graph = attention_and_projection(3, projected, queries=5)
    assert _selects(graph) == ["attention"]


@pytest.mark.parametrize("dtype", [DType.BOOL, DType.FLOAT32])
def test_numbers_are_those_of_the_definition(dtype: DType) -> None:
    pytest.importorskip("openvino")
    builder = Builder(backend="openvino", plugins=Plugins({"core": core_pack}))
    with builder.compile(attention_and_projection(3, projected, dtype)) as engine:
        assert_right(engine, dtype, 1e-4)
