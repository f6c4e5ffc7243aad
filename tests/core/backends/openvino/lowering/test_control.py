"""Operators that hold graphs: one engine, each way through it."""

from __future__ import annotations

import numpy as np
import pytest
from control_graphs import IFS, Sample, if_, is_positive
from machine import MODES
from on_openvino import assert_same, build, graph_of, run

from fwd_core.errors import BuildError
from fwd_core.ir import DType, Graph, Tensor, TensorType, Value, ops, symbol

pytest.importorskip("openvino")

B = symbol("b", 1, 2, 6)


def forked(graph: Graph, x: Value) -> list[Value]:
    """By the sign of the sum exp(x), x or abs(x), and numbers and shapes of its size."""

    def then(graph: Graph, x: Value) -> list[Value]:
        less = graph.add(ops.Sub(x, graph.constant(np.float32(1) * np.ones((), np.float32))))
        inner = if_(is_positive(graph, less), exp, lambda _, x: [x], x)
        (y,) = graph.add_all(inner, name="inner")
        rows = graph.add(ops.Slice(y, 0, 0, 1))
        return [y, graph.add(ops.Expand(rows, (B, 3))), graph.add(ops.DimValue(B * 2))]

    def exp(graph: Graph, x: Value) -> list[Value]:
        return [graph.add(ops.Exp(x))]

    def otherwise(graph: Graph, x: Value) -> list[Value]:
        return [graph.add(ops.Abs(x)), x, graph.add(ops.DimValue(B + 1))]

    return list(graph.add_all(if_(is_positive(graph, x), then, otherwise, x), name="if"))


@pytest.mark.parametrize("mode", MODES)
def test_each_way_with_each_size(mode: str) -> None:
    engine = build(graph_of(forked, [TensorType(DType.FLOAT32, (B, 3))]), mode)
    rtol = 1e-6 if mode == "float32" else 1e-2  # a half type has 8 bits or more
    for rows in (2, 5):
        base = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3) / (rows * 3)
        for x in (base * 0.5, base * 0.5 + 1, -base - 1):
            y, expanded, size = engine.run_list([x])
            if x.sum() > 0:
                want = np.exp(x) if (x - 1).sum() > 0 else x
                assert_same(expanded, np.broadcast_to(want[:1], x.shape), rtol=rtol)
                assert size == rows * 2
            else:
                want = np.abs(x)
                assert_same(expanded, x, rtol=rtol)
                assert size == rows + 1
            assert_same(y, want, rtol=rtol, atol=0 if mode == "float32" else 1e-2)


@pytest.mark.parametrize("dtype", [one for one in DType if one is not DType.FLOAT64], ids=str)
def test_types(dtype: DType) -> None:
    def make(graph: Graph, condition: Value, x: Value, y: Value) -> list[Value]:
        def then(graph: Graph, x: Value, y: Value) -> list[Value]:
            return [graph.add(ops.Concat((x, y), 0)), x]

        def otherwise(graph: Graph, x: Value, y: Value) -> list[Value]:
            return [graph.add(ops.Concat((y, x), 0)), y]

        return list(graph.add_all(if_(condition, then, otherwise, x, y)))

    x, y = (Tensor(np.array(one, np.float32)).astype(dtype).data for one in ([1, 0], [0, 1]))
    kind = TensorType(dtype, (2,))
    engine = build(graph_of(make, [TensorType(DType.BOOL, ()), kind, kind]))
    for condition in (True, False):
        a, b = (x, y) if condition else (y, x)
        joined, alone = engine.run_list([np.array(condition), x, y])
        assert_same(joined, np.concatenate([a, b]))
        assert_same(alone, a)


@pytest.mark.parametrize("sample", IFS, ids=lambda one: one.id.replace(" ", "_"))
def test_every_sample_builds(sample: Sample) -> None:
    dtype = DType.of(sample.dtypes[0])
    if dtype is DType.FLOAT64:
        pytest.skip("narrowed before it comes here")
    kinds = [TensorType(dtype, tuple(shape)) for shape in sample.shapes(B)]

    def make(graph: Graph, condition: Value, *values: Value) -> list[Value]:
        return list(graph.add_all(sample.make(condition, *values)))

    assert build(graph_of(make, [TensorType(DType.BOOL, ()), *kinds])) is not None


def test_an_error_inside_names_its_node() -> None:
    def wide(graph: Graph, x: Value) -> list[Value]:
        far = graph.constant(np.array([2**40, 0]), name="far")
        return [graph.add(ops.Add(x, far), name="sum")]

    def make(graph: Graph, condition: Value, x: Value) -> list[Value]:
        return list(graph.add_all(if_(condition, wide, lambda _, x: [x], x), name="if"))

    with pytest.raises(BuildError, match=r"out of the range that OpenVINO computes in\n  at far"):
        run(make, np.array(True), np.array([1, 2]))
