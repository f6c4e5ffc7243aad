"""GELU in the forms that people write becomes one operator, and its likes stay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from fusing import compare, normal, number, only, reasons, weight

from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert.fusions.gelu import FuseGelu
from fwd_plugins_bert.fusions.gelu_bias import FuseGeluBias
from fwd_plugins_bert.ops import GeluBias

X = (normal(3, 40) * 3,)
KIND = [TensorType(DType.FLOAT32, (3, 40))]


class Write:
    """Writes arithmetic into a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def mul(self, a: Value | float, b: Value | float) -> Value:
        return self.graph.add(ops.Mul(self.value(a), self.value(b)))

    def div(self, a: Value, b: float) -> Value:
        return self.graph.add(ops.Div(a, self.value(b)))

    def add(self, a: Value | float, b: Value | float) -> Value:
        return self.graph.add(ops.Add(self.value(a), self.value(b)))

    def pow(self, a: Value, b: float) -> Value:
        return self.graph.add(ops.Pow(a, self.value(b)))

    def erf(self, x: Value) -> Value:
        return self.graph.add(ops.Erf(x))

    def erfc(self, x: Value) -> Value:
        return self.graph.add(ops.Sub(self.value(1.0), self.erf(x)))

    def neg(self, x: Value) -> Value:
        return self.graph.add(ops.Neg(x))

    def tanh(self, x: Value) -> Value:
        return self.graph.add(ops.Tanh(x))

    def value(self, a: Value | float) -> Value:
        return a if isinstance(a, Value) else number(self.graph, a)


ROOT = math.sqrt(2.0)
SLOPE = math.sqrt(2 / math.pi)
Form = Callable[[Write, Value], Value]


def _cubic(w: Write, x: Value) -> Value:
    return w.add(x, w.mul(w.mul(w.mul(x, x), x), 0.044715))


EXACT: dict[str, Form] = {
    "x/2 first": lambda w, x: w.mul(w.mul(x, 0.5), w.add(w.erf(w.div(x, ROOT)), 1.0)),
    "half of the gate": lambda w, x: w.mul(x, w.mul(0.5, w.add(1.0, w.erf(w.mul(x, 1 / ROOT))))),
    "half at the end": lambda w, x: w.mul(w.mul(x, w.add(w.erf(w.div(x, ROOT)), 1.0)), 0.5),
    "erfc": lambda w, x: w.mul(w.mul(0.5, x), w.erfc(w.div(w.neg(x), ROOT))),
    "erfc, sign last": lambda w, x: w.mul(x, w.mul(w.erfc(w.neg(w.div(x, ROOT))), 0.5)),
    "erfc of a product": lambda w, x: w.mul(w.mul(w.erfc(w.mul(x, -1 / ROOT)), x), 0.5),
    "gate over 2": lambda w, x: w.mul(w.div(w.add(w.erf(w.div(x, ROOT)), 1.0), 2.0), x),
}
TANH: dict[str, Form] = {
    "power": lambda w, x: w.mul(
        w.mul(0.5, x),
        w.add(1.0, w.tanh(w.mul(SLOPE, w.add(x, w.mul(0.044715, w.pow(x, 3.0)))))),
    ),
    "products": lambda w, x: w.mul(
        w.mul(
            w.add(1.0, w.tanh(w.mul(w.add(x, w.mul(w.mul(w.mul(x, x), x), 0.044715)), SLOPE))), x
        ),
        0.5,
    ),
    "fast": lambda w, x: w.mul(
        w.mul(0.5, x),
        w.add(
            1.0,
            w.tanh(w.mul(w.mul(x, 0.7978845608), w.add(1.0, w.mul(w.mul(x, 0.044715), x)))),
        ),
    ),
}


@pytest.mark.parametrize(
    ("form", "approximate"),
    [(EXACT[name], "none") for name in EXACT] + [(TANH[name], "tanh") for name in TANH],
    ids=[*EXACT, *TANH],
)
@pytest.mark.parametrize("of", ["input", "product"])
def test_written_out(form: Form, approximate: str, of: str) -> None:
    def make(graph: Graph, x: Value) -> Value:
        if of == "product":  # whose factors are not the activation's
            x = graph.add(ops.Mul(x, graph.add(ops.Tanh(x))))
        return form(Write(graph), x)

    counts, left = compare(make, X, [FuseGelu()])
    assert counts == {"gelu": 1}
    assert only(left, ops.Gelu).approximate == approximate
    assert len(left) == (1 if of == "input" else 3)


def test_what_multiplies_it_stays() -> None:
    def make(graph: Graph, x: Value) -> Value:
        return graph.add(ops.Mul(EXACT["x/2 first"](Write(graph), x), weight(graph, 40)))

    counts, left = compare(make, X, [FuseGelu()])
    assert counts == {"gelu": 1}
    assert [type(op) for op in left] == [ops.Gelu, ops.Mul]


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (lambda w, x: w.mul(w.mul(x, 0.25), w.add(w.erf(w.div(x, ROOT)), 1.0)), ["0.25"]),
        (lambda w, x: w.mul(w.mul(x, 0.5), w.add(w.erf(w.div(x, 1.5)), 1.0)), []),
        (lambda w, x: w.mul(w.mul(x, 0.5), w.erfc(w.div(x, ROOT))), []),
        (lambda w, x: w.mul(w.mul(x, 0.5), w.add(w.erf(w.div(x, -ROOT)), 1.0)), []),
        (lambda w, x: w.mul(w.mul(x, 0.25), w.erfc(w.div(x, -ROOT))), ["0.25"]),
        (lambda w, x: w.mul(w.mul(x, 0.5), w.add(w.erf(w.div(x, ROOT)), 1.5)), []),
        (lambda w, x: w.mul(w.mul(w.tanh(x), 0.5), w.add(w.erf(w.div(x, ROOT)), 1.0)), []),
        (
            lambda w, x: w.mul(
                w.mul(x, 0.5),
                w.add(1.0, w.tanh(w.mul(SLOPE, w.add(x, w.mul(0.0447, w.pow(x, 3.0)))))),
            ),
            [],
        ),
        (
            lambda w, x: w.mul(
                w.mul(x, 0.5),
                w.add(1.0, w.tanh(w.mul(SLOPE, w.add(x, w.mul(0.044715, w.pow(x, 2.0)))))),
            ),
            [],
        ),
    ],
)
def test_what_is_none(form: Form, told: list[str]) -> None:
    found = reasons(lambda graph, x: form(Write(graph), x), KIND, FuseGelu())
    assert found == [f"the factor is {factor}, not 1/2" for factor in told]


class TestBias:
    def _linear(self, graph: Graph, x: Value, bias: bool = True) -> Value:
        return graph.add(
            ops.Linear(x, weight(graph, 6, 40), weight(graph, 6) if bias else None), name="linear"
        )

    @pytest.mark.parametrize("approximate", ["none", "tanh"])
    def test_it_leaves_the_product(self, approximate: Any) -> None:
        counts, left = compare(
            lambda graph, x: graph.add(ops.Gelu(self._linear(graph, x), approximate)),
            X,
            [FuseGeluBias()],
        )
        assert counts == {"gelu-bias": 1}
        fused = only(left, GeluBias)
        assert fused.approximate == approximate
        assert only(left, ops.Linear).bias is None

    def test_it_may_be_added(self) -> None:
        def make(graph: Graph, x: Value) -> Value:
            product = self._linear(graph, x, bias=False)
            return graph.add(ops.Gelu(graph.add(ops.Add(weight(graph, 6), product))))

        counts, left = compare(make, X, [FuseGeluBias()])
        assert counts == {"gelu-bias": 1}
        assert [type(op) for op in left] == [ops.Linear, GeluBias]

    def test_what_others_read_keeps_it(self) -> None:
        def make(graph: Graph, x: Value) -> Any:
            linear = self._linear(graph, x)
            return [graph.add(ops.Gelu(linear)), linear]

        assert reasons(make, KIND, FuseGeluBias()) == ["others read what GELU is taken of"]

    def test_without_a_bias_nothing_is_done(self) -> None:
        def make(graph: Graph, x: Value) -> Value:
            return graph.add(ops.Gelu(self._linear(graph, x, bias=False)))

        assert reasons(make, KIND, FuseGeluBias()) == []
