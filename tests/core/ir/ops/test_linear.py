"""Types of matrix products."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Graph, ops, text


class TestMatMul:
    @pytest.mark.parametrize(
        ("a", "b", "flags", "wanted"),
        [
            ((2, 3), (3, 4), (False, False), (2, 4)),
            ((3, 2), (3, 4), (True, False), (2, 4)),
            ((2, 3), (4, 3), (False, True), (2, 4)),
            ((3, 2), (4, 3), (True, True), (2, 4)),
            ((B, 1, 2, 3), (5, 3, 4), (False, False), (B, 5, 2, 4)),
            ((B, H, 8), (B, H, 8), (False, True), (B, H, H)),
            ((0, 3), (3, 0), (False, False), (0, 0)),
        ],
    )
    def test_shapes(
        self,
        a: tuple[int, ...],
        b: tuple[int, ...],
        flags: tuple[bool, bool],
        wanted: tuple[int, ...],
    ) -> None:
        assert ops.MatMul(value(*a), value(*b), *flags).infer() == kind(*wanted)

    def test_errors(self) -> None:
        with pytest.raises(
            GraphError, match=r"fwd.MatMul: rank 2 or more\n  got:      float32\[3\]"
        ):
            ops.MatMul(value(2, 3), value(3)).infer()
        with pytest.raises(
            GraphError, match=r"float32\[2, 3\] times float32\[4, 5\]: sizes differ(, or may)?"
        ):
            ops.MatMul(value(2, 3), value(4, 5)).infer()
        with pytest.raises(
            GraphError, match=r"sizes differ(, or may)?\n  expected: h\n  got:      8"
        ):
            ops.MatMul(value(2, H), value(8, 5)).infer()
        with pytest.raises(GraphError, match="fwd.MatMul: shapes .* do not broadcast: 2 against 3"):
            ops.MatMul(value(2, 1, 1), value(3, 1, 1)).infer()
        with pytest.raises(GraphError, match="fwd.MatMul: operands need one element type"):
            ops.MatMul(value(2, 3), value(3, 4, dtype="float16")).infer()
        with pytest.raises(GraphError, match="fwd.MatMul: element type not taken"):
            ops.MatMul(value(2, 2, dtype="bool"), value(2, 2, dtype="bool")).infer()


class TestLinear:
    def test_shapes(self) -> None:
        weight, bias = value(4, 3), value(4)
        assert ops.Linear(value(3), weight).infer() == kind(4)
        assert ops.Linear(value(B, 5, 3), weight, bias).infer() == kind(B, 5, 4)

    def test_errors(self) -> None:
        weight = value(4, 3)
        with pytest.raises(GraphError, match="fwd.Linear: x needs rank 1 or more"):
            ops.Linear(value(), weight).infer()
        with pytest.raises(GraphError, match="fwd.Linear weight: wrong rank\n  expected: rank 2"):
            ops.Linear(value(3), value(3)).infer()
        with pytest.raises(GraphError, match="fwd.Linear input features: sizes differ(, or may)?"):
            ops.Linear(value(2, 4), weight).infer()
        with pytest.raises(GraphError, match="fwd.Linear bias: wrong rank"):
            ops.Linear(value(3), weight, value(4, 1)).infer()
        with pytest.raises(GraphError, match="fwd.Linear bias: sizes differ"):
            ops.Linear(value(3), weight, value(3)).infer()
        with pytest.raises(GraphError, match="fwd.Linear: element type not taken"):
            ops.Linear(value(3, dtype="int32"), value(4, 3, dtype="int32")).infer()
        with pytest.raises(GraphError, match="fwd.Linear: operands need one element type"):
            ops.Linear(value(3), value(4, 3, dtype="float16")).infer()

    def test_decomposition(self) -> None:
        graph = Graph()
        x = graph.add_input("x", kind(B, 3))
        weight, bias = graph.add_input("w", kind(4, 3)), graph.add_input("b", kind(4))
        assert ops.Linear(x, weight, bias).decompose(Emitter(graph, base="l")) is not None
        assert "MatMul(%0, %1, transpose_a=False, transpose_b=True)" in text(graph, names=False)
        assert [node.name for node in graph.verify()] == ["l/matmul", "l/add"]
        vector = graph.add_input("v", kind(3))
        assert ops.Linear(vector, weight).decompose(Emitter(graph, base="m")) is None
        assert len(graph) == 2, "a refusal leaves nothing behind"
