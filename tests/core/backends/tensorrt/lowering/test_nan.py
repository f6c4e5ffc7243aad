"""NaN and infinities, which the layers of TensorRT treat in ways of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, assert_types, build, graph_of, layers, network, read

from fwd_core.backends.tensorrt.features import Features
from fwd_core.ir import DType, Graph, Tensor, TensorType, Value, ops

NAN, INF = np.nan, np.inf
FLAVOURS = pytest.mark.parametrize("features", [None, LIKE_8], ids=["rtx", "like-8"])


def _is_nan(make: Any, *operands: Any, features: Features | None) -> list[bool]:
    """Where the result of an operator on constants is NaN, as TensorRT computes it."""
    graph = Graph("one")
    values = [graph.constant(np.array(one, np.float32)) for one in operands]
    result = graph.add(make(*values))
    same: Value = graph.add(ops.Equal(result, result))
    graph.set_outputs([same], ["same"])
    found: list[bool] = (read(graph.verify(), same, features) == 0).tolist()
    return found


@FLAVOURS
@pytest.mark.parametrize("operator", [ops.Maximum, ops.Minimum])
def test_extrema_of_two_keep_nan_of_either(operator: Any, features: Features | None) -> None:
    x, y = [NAN, 1.0, 2.0], [0.0, NAN, 1.0]
    assert _is_nan(operator, x, y, features=features) == [True, True, False]
    assert _is_nan(operator, x, [1.0], features=features) == [True, False, False]
    assert _is_nan(operator, [1.0], x, features=features) == [True, False, False]
    assert _is_nan(operator, [NAN], [1.0, INF], features=features) == [True, True]


@FLAVOURS
@pytest.mark.parametrize("bounds", [(1.0, None), (None, 1.0), (2.0, 1.0)])
def test_clamps_keep_nan(bounds: Any, features: Features | None) -> None:
    found = _is_nan(lambda x: ops.Clamp(x, *bounds), [NAN, 0.0, INF], features=features)
    assert found == [True, False, False]


@FLAVOURS
@pytest.mark.parametrize("operator", [ops.ReduceMax, ops.ReduceMin])
def test_reductions_find_nan(operator: Any, features: Features | None) -> None:
    for numbers, expected in ([[1.0, NAN, 3.0], True], [[NAN], True], [[1.0, 2.0, -INF], False]):
        found = _is_nan(lambda x: operator(x, (0,), True), numbers, features=features)
        assert found == [expected]


@FLAVOURS
def test_the_sign_of_nan_is_0(features: Features | None) -> None:
    graph = Graph("one")
    x = graph.constant(np.array([NAN, -2.0, 0.0, INF], np.float32))
    sign = graph.add(ops.Sign(x))
    graph.set_outputs([sign], ["sign"])
    assert read(graph.verify(), sign, features).tolist() == [0, -1, 0, 1]


@FLAVOURS
@pytest.mark.parametrize("dtype", [DType.FLOAT32, DType.FLOAT16])
def test_topk_is_of_finite_numbers(dtype: DType, features: Features | None) -> None:
    graph, (values, _) = graph_of(lambda x: ops.TopK(x, 2, 1), TensorType(dtype, (3, 4)))
    assert_types(graph, features)
    with network(graph, features) as ctx:
        (found,) = layers(ctx, "ITopKLayer")
        key = found.get_input(0)
        assert key.dtype.name == "FLOAT", "in which infinities have numbers beside them"
        (choice,) = layers(ctx, "ISelectLayer")
        assert choice.get_output(0).name == key.name
        assert ctx[values].dtype.name == ctx.computed(dtype)
    build(graph)


INFINITE = [
    Tensor(np.array(INF, np.float32)),
    Tensor(np.array([[-INF]], np.float32)),
    Tensor(np.array(NAN, np.float32)),
    Tensor(np.array(INF, np.float16)),
    Tensor(np.array(0xFF80, np.uint16), DType.BFLOAT16),
]


@pytest.mark.parametrize("number", INFINITE, ids=repr)
def test_single_infinities_are_gathered_where_they_would_be_clamped(number: Tensor) -> None:
    x = TensorType(number.dtype, (2, 3))
    graph, _ = graph_of(lambda x, number: ops.Equal(x, number), x, number)
    assert_types(graph, LIKE_8)
    with network(graph, LIKE_8) as ctx:
        (gathered,) = layers(ctx, "IGatherLayer")
        assert tuple(gathered.get_input(0).shape) == (2,)
        assert tuple(gathered.get_output(0).shape) == number.shape
    with network(graph) as ctx:
        assert layers(ctx, "IGatherLayer") == []
    kept, _ = graph_of(
        lambda x, one: ops.Equal(x, one), TensorType(DType.FLOAT32, (2,)), np.float32([INF, 1.0])
    )
    with network(kept, LIKE_8) as ctx:
        assert layers(ctx, "IGatherLayer") == [], "constants of several elements are kept"


def test_functions_of_single_constants_are_not_left_to_a_compiler_that_clamps() -> None:
    x = TensorType(DType.FLOAT32, (2,))
    graph = Graph("log")
    given = graph.add_input("x", x)
    log = graph.add(ops.Log(graph.constant(np.array([-3.0], np.float32))))
    graph.set_outputs([graph.add(ops.Mul(given, log))], ["y"])
    with network(graph.verify(), LIKE_8) as ctx:
        assert len(layers(ctx, "IGatherLayer")) == 1
    with network(graph) as ctx:
        assert layers(ctx, "IGatherLayer") == []


def test_what_fills_a_slice_is_a_constant() -> None:
    x = TensorType(DType.FLOAT32, (2,))
    graph, _ = graph_of(lambda x: ops.Pad(x, (1,), (1,), "constant", -INF), x)
    with network(graph, LIKE_8) as ctx:
        (cut,) = layers(ctx, "ISliceLayer")
        assert cut.num_inputs == 5
        assert layers(ctx, "IGatherLayer") == []
