"""Numbers in 8 bits and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from values import B, kind

from fwd_core import Builder
from fwd_core.errors import GraphError
from fwd_core.ir import DType, Emitter, Graph, Tensor, TensorType, Value, ops


def _constant(numbers: Any, dtype: Any = np.float32) -> Value:
    return Graph().constant(np.array(numbers, dtype))


def _x(*shape: Any, dtype: DType = DType.FLOAT32) -> Value:
    return Graph().add_input("x", TensorType(dtype, shape))


def test_types() -> None:
    x, one, several = _x(B, 3, 4), _constant(0.5), _constant([1, 2, 3])
    assert ops.Quantize(x, one).infer() == TensorType(DType.INT8, (B, 3, 4))
    assert ops.Quantize(x, several, axis=1).infer() == TensorType(DType.INT8, (B, 3, 4))
    wide = ops.Quantize(x, one, _constant(3, np.int32), low=0, high=255, dtype=DType.UINT8)
    assert wide.infer() == TensorType(DType.UINT8, (B, 3, 4))
    q = _x(B, 3, dtype=DType.INT8)
    assert ops.Dequantize(q, one).infer() == kind(B, 3)
    half = ops.Dequantize(q, several, axis=1, dtype=DType.FLOAT16)
    assert half.infer() == TensorType(DType.FLOAT16, (B, 3))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ops.Quantize(_x(2, dtype=DType.INT32), _constant(1)), "element type not taken"),
        (lambda: ops.Quantize(_x(2), _constant(1), dtype=DType.INT32), "gives int8 or uint8"),
        (lambda: ops.Quantize(_x(2), _constant(1), low=0, high=255), "bounds within int8"),
        (lambda: ops.Quantize(_x(2), _constant(1), low=3, high=3), "low before high"),
        (lambda: ops.Quantize(_x(2), _constant([1, 1])), "wrong rank"),
        (lambda: ops.Quantize(_x(2), _constant(1), axis=0), "wrong rank"),
        (lambda: ops.Quantize(_x(2), _constant([1, 1, 1]), axis=0), "sizes differ"),
        (lambda: ops.Quantize(_x(2), _constant([1, 1]), axis=1), "no such axis"),
        (lambda: ops.Quantize(_x(2), _constant(0)), "greater than 0\n  got:      0.0 … 0.0"),
        (lambda: ops.Quantize(_x(2), _constant(np.inf)), "finite and greater than 0"),
        (
            lambda: ops.Quantize(_x(2), _constant(1), _constant([1, 1], np.int32)),
            "zero_point has the shape of scale",
        ),
        (lambda: ops.Quantize(_x(2), _constant(1), _constant(1)), "element type not taken"),
        (lambda: ops.Dequantize(_x(2), _constant(1)), "element type not taken"),
        (
            lambda: ops.Dequantize(_x(2, dtype=DType.INT8), _constant(1), dtype=DType.INT32),
            "gives floats",
        ),
    ],
)
def test_refused(make: Any, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        make().infer()


#: Ties at a scale of 0.5, what is beyond, and infinities.
X = np.array([[-np.inf, -64.25, -0.75], [-0.25, 0.25, 0.75], [1.24, 63.6, np.inf]], np.float32)
SCALES, ZEROS = np.array([0.5, 0.25, 2.0], np.float32), np.array([3, 0, -7], np.int32)


def _decomposed(graph: Graph, node_of: Any) -> Value:
    """What an operator becomes where a backend has no lowering for it."""
    value = graph.add(node_of)
    assert value.producer is not None
    emit = Emitter.before(value.producer)
    made = value.producer.op.decompose(emit)
    assert isinstance(made, Value)
    graph.replace_node(value.producer, made, renamed=emit.added)
    return made


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("low", "high", "made"), [(-128, 127, DType.INT8), (2, 200, DType.UINT8)])
def test_decompositions_compute_the_definition(
    axis: int | None, zero: bool, dtype: str, low: int, high: int, made: DType
) -> None:
    """As NumPy in float64 does, where rint rounds ties to even too."""
    pytest.importorskip("openvino")
    graph, kept = Graph("decomposed"), DType.of(dtype)
    x = graph.add_input("x", TensorType(kept, X.shape))
    chosen = 0 if axis is None else slice(None)
    scale = graph.constant(np.asarray(SCALES[chosen]))
    point = graph.constant(np.asarray(ZEROS[chosen])) if zero else None
    q = _decomposed(graph, ops.Quantize(x, scale, point, axis, low, high, made))
    y = _decomposed(graph, ops.Dequantize(q, scale, point, axis, kept))
    assert (q.type, y.type) == (TensorType(made, X.shape), TensorType(kept, X.shape))
    graph.set_outputs([q, y], ["q", "y"])
    kinds = {type(node.op) for node in graph.verify()}
    assert not kinds & {ops.Quantize, ops.Dequantize}
    given = Tensor(X).astype(kept)
    with Builder(backend="openvino").compile(graph) as engine:
        integers, floats = engine.run_list([given.data])

    along: Any = {None: (), 0: (3, 1), 1: (1, 3)}[axis]
    by, at = SCALES[chosen].reshape(along), ZEROS[chosen].reshape(along) if zero else 0
    wanted = np.clip(np.rint(given.numpy().astype(np.float64) / by) + at, low, high)
    np.testing.assert_array_equal(integers, wanted.astype(made.storage), strict=True)
    again = Tensor(((wanted - at) * by).astype(np.float32)).astype(kept)
    np.testing.assert_array_equal(floats, again.data, strict=True)
