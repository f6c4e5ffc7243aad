"""Types of functions of one tensor, activations among them; what decompositions compute."""

from __future__ import annotations

import pytest
from values import B, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Emitter, Graph, Operator, TensorType, ops
from fwd_core.ir.ops.unary import FloatUnary, NumberUnary


def _of(base: type[Operator]) -> list[type[Operator]]:
    found = [cls for cls in ops.core_operators() if issubclass(cls, base)]
    assert found
    return found


@pytest.mark.parametrize("cls", _of(FloatUnary) + _of(NumberUnary))
def test_unary_keeps_the_type(cls: type[Operator]) -> None:
    for dtype in ("float32", "bfloat16"):
        assert cls(value(B, 3, dtype=dtype)).infer() == kind(B, 3, dtype=dtype)  # type: ignore[call-arg]
    assert cls(value()).infer() == kind()  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", _of(FloatUnary))
def test_float_functions_refuse_integers(cls: type[Operator]) -> None:
    for dtype in ("int32", "bool"):
        with pytest.raises(
            GraphError,
            match=rf"{cls.kind()}: element type not taken\n  expected: bfloat16, float16, float32, "
            rf"float64\n  got:      {dtype}\[2\]",
        ):
            cls(value(2, dtype=dtype)).infer()  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", _of(NumberUnary))
def test_number_functions_take_integers_and_refuse_bool(cls: type[Operator]) -> None:
    assert cls(value(2, dtype="uint8")).infer() == kind(2, dtype="uint8")  # type: ignore[call-arg]
    with pytest.raises(GraphError, match=rf"{cls.kind()}: element type not taken"):
        cls(value(2, dtype="bool")).infer()  # type: ignore[call-arg]


@pytest.mark.parametrize("operator", [ops.Expm1, ops.Log1p, ops.Mish])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_halves_are_decomposed_in_float32(operator: type[Operator], dtype: str) -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.of(dtype), (B, 3)))
    node = operator(x)  # type: ignore[call-arg]
    result = node.decompose(Emitter(graph, base="y"))
    assert result is not None
    assert result.type == node.infer() == x.type  # type: ignore[union-attr]
    computed = {value.type.dtype for each in graph for value in each.outputs} - {DType.BOOL}
    wide = dtype in ("float32", "float64")
    assert computed == ({x.type.dtype} if wide else {x.type.dtype, DType.FLOAT32})
