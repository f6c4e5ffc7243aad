"""What constants alone decide is computed once, and stays as it was computed."""

from __future__ import annotations

import numpy as np
import pytest
from on_openvino import Array, assert_same, build, graph_of

from fwd_core.backends.openvino.constants import fold
from fwd_core.ir import DType, Graph, TensorType, Value, ops

pytest.importorskip("openvino")

X = np.array([3, 4], np.int32)


def thrice(made: object, x: Array = X) -> list[Array]:
    """The outputs of three runs of one engine; ``made`` makes the operand of an addition."""

    def make(graph: Graph, x: Value) -> Value:
        return graph.add(ops.Add(made(graph), x))  # type: ignore[operator]

    engine = build(graph_of(make, [TensorType(DType.of(x.dtype), x.shape)]))
    return [engine.run_list([x])[0].copy() for _ in range(3)]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda g, c: g.add(ops.BitAnd(c, g.constant(np.array([6, 3], np.int32)))), [2, 1]),
        (lambda g, c: g.add(ops.CumSum(c, 0)), [2, 7]),
        (lambda g, c: g.add(ops.CumSum(g.add(ops.Add(c, c)), 0)), [4, 14]),
    ],
    ids=["bitand", "cumsum", "after a folded one"],
)
def test_runs_do_not_add_up(make: object, expected: list[int]) -> None:
    """The CPU device would add in place, in the memory of the constant."""
    given = np.array([2, 5], np.int32)
    outputs = thrice(lambda graph: make(graph, graph.constant(given)))  # type: ignore[operator]
    for output in outputs:
        assert_same(output, np.array(expected, np.int32) + X)


@pytest.mark.parametrize("value", [-3.0, 2.0, -np.inf, np.nan])
def test_magnitudes_of_constants_have_no_sign(value: float) -> None:
    """OpenVINO would drop the Abs of a constant that it has yet to compute."""
    x = np.array([3, 4], np.float32)
    outputs = thrice(
        lambda graph: graph.add(ops.Abs(graph.add(ops.Full((2,), value, DType.FLOAT32)))), x
    )
    for output in outputs:
        assert_same(output, np.abs(np.full(2, value, np.float32)) + x)


def test_infinite_constants_are_infinite_in_bfloat16() -> None:
    def make(graph: Graph, x: Value) -> Value:
        return graph.add(ops.Full((2,), -np.inf, DType.BFLOAT16))

    engine = build(graph_of(make, [TensorType(DType.FLOAT32, (2,))]))
    (result,) = engine.run_list([np.zeros(2, np.float32)])
    assert list(np.asarray(result).view(np.uint16)) == [0xFF80, 0xFF80]


def test_only_what_nothing_else_folds_is_computed() -> None:
    import openvino
    from openvino import opset15

    x = opset15.parameter([2], openvino.Type.f32)
    one = opset15.constant(np.ones(2, np.float32))
    two = opset15.add(one, one)
    model = openvino.Model([opset15.result(opset15.add(two, x))], [x], "folded")
    assert fold(model) == 0
    less = opset15.squared_difference(two, one)
    model = openvino.Model([opset15.result(opset15.add(less, x))], [x], "ours")
    assert fold(model) == 1
    assert fold(model) == 0
    kinds = sorted(node.get_type_name() for node in model.get_ops())
    assert kinds == ["Add", "Constant", "Parameter", "Result"]
