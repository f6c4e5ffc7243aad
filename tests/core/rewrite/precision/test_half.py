from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from blocks import residual_block, transformer_block
from control_graphs import if_, is_positive
from toy_ops import Halves, Twice

from fwd_core.ir import DType, Graph, Operator, Tensor, TensorType, Value, operator, ops, symbol
from fwd_core.rewrite.precision import Rule, to_half

BATCH = symbol("batch", 1, 2, 4)
SINGLE, HALF = DType.FLOAT32, DType.FLOAT16
LOWEST = float(np.finfo(np.float32).min)


def _graph(make: Callable[[Graph, Value], Value | tuple[Value, ...]], *shape: int) -> Graph:
    """The half form of ``make(graph, x)`` on a float32 input."""
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, shape or (2, 4)))
    made = make(graph, x)
    results = made if isinstance(made, tuple) else (made,)
    graph.set_outputs(results, [f"y{index}" for index in range(len(results))])
    kinds = [value.type for value in graph.verify().outputs]
    to_half(graph)
    assert [value.type for value in graph.verify().outputs] == kinds
    assert [value.type for value in graph.inputs] == [TensorType(SINGLE, shape or (2, 4))]
    return graph


def _dtype(graph: Graph, name: str) -> DType:
    return graph.value(name).type.dtype


def _weight(graph: Graph, *shape: int) -> Value:
    return graph.constant(np.ones(shape, np.float32), name="weight")


def test_products_compute_in_half_between_casts() -> None:
    graph = _graph(lambda g, x: g.add(ops.Linear(x, _weight(g, 3, 4)), name="fc"))
    assert str(graph).splitlines()[1:] == [
        "  %x/float16 = Cast(%x, dtype=float16) : float16[2, 4]",
        f"  %weight = #{graph.value('weight').constant.digest[:12]} : float16[3, 4]",  # type: ignore[union-attr]
        "  %fc = Linear(%x/float16, %weight) : float16[2, 3]",
        "  %fc/float32 = Cast(%fc, dtype=float32) : float32[2, 3]",
        "  return y0=%fc/float32",
        "}",
    ]


@pytest.mark.parametrize("fused", [False, True])
def test_a_transformer_keeps_statistics_and_softmax(fused: bool) -> None:
    graph = transformer_block(BATCH, fused=fused)
    before = {node.name: node.op for node in graph}
    count = to_half(graph)
    graph.verify()
    kinds = {node.name: (type(node.op), node.output.type.dtype) for node in graph}
    for name, op in before.items():
        if name in kinds and isinstance(op, (ops.Linear, ops.MatMul, ops.Gelu, ops.Attention)):
            assert kinds[name] == (type(op), HALF), name
        if isinstance(op, (ops.LayerNorm, ops.Softmax)):
            assert kinds[name] == (type(op), SINGLE), name
    assert kinds["embedding"] == (ops.Gather, HALF)
    assert count == sum(1 for node in graph if _computes_in_half(node.op))
    assert _casts_repeat(graph) == []


def test_a_residual_network_is_half_up_to_its_last_mean() -> None:
    graph = residual_block(BATCH)
    to_half(graph)
    graph.verify()
    for node in graph:
        if isinstance(node.op, (ops.Convolution, ops.BatchNorm, ops.Relu, ops.Add, ops.MaxPool)):
            assert node.output.type.dtype is HALF, node
    assert _dtype(graph, "pool") is SINGLE
    assert _dtype(graph, "fc") is HALF
    assert _casts_repeat(graph) == []
    assert sum(isinstance(node.op, ops.Cast) for node in graph) == 4


def _computes_in_half(op: Operator) -> bool:
    return not isinstance(op, (ops.Cast, ops.Constant)) and any(
        value.type.dtype is HALF for value in op.operands()
    )


def _casts_repeat(graph: Graph) -> list[object]:
    casts = [(node.op.x, node.op.dtype) for node in graph if isinstance(node.op, ops.Cast)]
    return [cast for cast in casts if casts.count(cast) > 1]


def test_names_and_structure_stay() -> None:
    graph = transformer_block(BATCH, fused=False)
    names = {node.name for node in graph if not isinstance(node.op, ops.Constant)}
    graph.set_outputs(graph.outputs, graph.output_names, {"dict": [["a", "*"], ["b", "*"]]})
    to_half(graph)
    assert names <= {node.name for node in graph}
    assert graph.output_names == ["hidden", "pooled"]
    assert graph.output_structure == {"dict": [["a", "*"], ["b", "*"]]}


def test_a_second_time_changes_nothing() -> None:
    graph = transformer_block(BATCH, fused=False)
    to_half(graph)
    before = str(graph)
    to_half(graph)
    assert str(graph.verify()) == before


# --- numbers beyond half's range ------------------------------------------------------------------


@pytest.mark.parametrize("number", [-1e9, LOWEST, 1e5])
def test_constants_of_half_operators_are_clamped(number: float) -> None:
    def make(graph: Graph, x: Value) -> Value:
        product = graph.add(ops.MatMul(x, x, transpose_b=True))
        mask = graph.constant(np.array(number, np.float32), name="mask")
        return graph.add(ops.Maximum(product, mask))

    graph = _graph(make)
    held = graph.value("mask").constant
    assert held is not None
    assert held.dtype is HALF
    assert held.item() == np.copysign(65504, number)


@pytest.mark.parametrize("number", [float("-inf"), float("inf"), -65504.0, 1.0, 0.0])
def test_infinities_and_halves_stay_what_they_are(number: float) -> None:
    def make(graph: Graph, x: Value) -> Value:
        keep = graph.add(ops.Greater(x, graph.constant(np.array(0, np.float32))))
        other = graph.add(ops.Full((2, 4), number, SINGLE), name="full")
        return graph.add(ops.Where(keep, graph.add(ops.Tanh(x)), other), name="where")

    graph = _graph(make)
    full = graph.value("full").producer
    assert full is not None
    assert isinstance(full.op, ops.Full)
    assert full.op == full.op
    assert full.op.value == number
    assert full.op.dtype is HALF


def test_attributes_are_clamped() -> None:
    def make(graph: Graph, x: Value) -> tuple[Value, ...]:
        x = graph.add(ops.Tanh(x))
        padded = graph.add(ops.Pad(x, (0, 1), (0, 0), "constant", -1e9), name="pad")
        return padded, graph.add(ops.Clamp(x, -1e9, None), name="clamp")

    graph = _graph(make)
    pad, clamp = (graph.value(name).producer.op for name in ("pad", "clamp"))  # type: ignore[union-attr]
    assert isinstance(pad, ops.Pad)
    assert pad.value == -65504
    assert isinstance(clamp, ops.Clamp)
    assert (clamp.minimum, clamp.maximum) == (-65504, None)


def test_a_mask_that_was_computed_in_float32_is_clamped_before_its_cast() -> None:
    graph = transformer_block(2, fused=False)
    to_half(graph)
    cast = graph.value("mask.additive/float16").producer
    assert cast is not None
    assert isinstance(cast.op, ops.Cast)
    clamp = cast.op.x.producer
    assert clamp is not None
    assert isinstance(clamp.op, ops.Clamp)
    assert (clamp.op.minimum, clamp.op.maximum) == (-65504, 65504)


def test_a_constant_that_would_vanish_keeps_float32() -> None:
    def make(graph: Graph, x: Value) -> tuple[Value, ...]:
        size = graph.add(ops.Abs(graph.add(ops.Tanh(x))))
        tiny, small = (graph.constant(np.array(n, np.float32)) for n in (1e-12, 1e-3))
        first = graph.add(ops.Add(size, tiny), name="guarded")
        return graph.add(ops.Div(x, first)), graph.add(ops.Add(size, small), name="plain")

    graph = _graph(make)
    assert _dtype(graph, "guarded") is SINGLE
    assert _dtype(graph, "plain") is HALF


# --- what stays in float32 ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal, ops.Sin, ops.Floor]
    + [lambda x, r=r: r(x, (1,)) for r in (ops.ReduceSum, ops.ReduceMean, ops.ReduceProd)]
    + [lambda x: ops.Pow(x, x), lambda x: ops.Softmax(x, 1)],
)
def test_sensitive_operators_stay_in_float32(make: Any) -> None:
    graph = _graph(lambda g, x: g.add(make(g.add(ops.Tanh(x))), name="sensitive"))
    node = graph.value("sensitive").producer
    assert node is not None
    assert {value.type.dtype for value in (*node.op.operands(), *node.outputs)} == {SINGLE}


def test_arithmetic_on_what_was_left_in_float32_stays_there() -> None:
    def make(graph: Graph, x: Value) -> Value:
        x = graph.add(ops.Tanh(x), name="half")
        mean = graph.add(ops.ReduceMean(graph.add(ops.Mul(x, x)), (1,), True), name="mean")
        guarded = graph.add(ops.Add(mean, graph.constant(np.array(1e-6, np.float32))), name="sum")
        root = graph.add(ops.Reciprocal(graph.add(ops.Sqrt(guarded))), name="root")
        return graph.add(ops.Mul(x, root), name="scaled")

    graph = _graph(make)
    wanted = {"half": HALF, "mean": SINGLE, "sum": SINGLE, "root": SINGLE, "scaled": HALF}
    assert {name: _dtype(graph, name) for name in wanted} == wanted


def test_a_number_that_scales_positions_keeps_all_its_digits() -> None:
    def make(graph: Graph, x: Value) -> tuple[Value, Value]:
        short = graph.add_input("short", TensorType(DType.BOOL, ()))
        one, third = (graph.constant(np.array(number, np.float32)) for number in (1.0, 1.0 / 3.0))
        chosen = graph.add(ops.Where(short, one, third), name="chosen")
        scale = graph.add(ops.Where(graph.add(ops.Not(short)), third, chosen), name="scale")
        places = graph.add(ops.Arange(4, 0.0, 1.0, SINGLE), name="places")
        positions = graph.add(ops.Mul(places, scale), name="positions")
        index = graph.add(ops.Cast(graph.add(ops.Floor(positions)), DType.INT64))
        y = graph.add(ops.Linear(x, _weight(graph, 4, 4)))
        return graph.add(ops.Gather(y, index, 1)), graph.add(ops.Mul(y, scale), name="scaled")

    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 4)))
    graph.set_outputs(make(graph, x), ["picked", "scaled"])
    to_half(graph.verify())
    graph.verify()
    assert _dtype(graph, "scale") is SINGLE
    assert _dtype(graph, "positions") is SINGLE
    assert _dtype(graph, "scaled") is HALF, "beside tensors in half it is half"


def test_positions_keep_all_their_digits() -> None:
    def make(graph: Graph, x: Value) -> Value:
        steps = graph.add(ops.Arange(4096, dtype=DType.INT64))
        numbers = graph.add(ops.Cast(steps, SINGLE), name="positions")
        rows = graph.add(ops.Unsqueeze(numbers, (1,)), name="rows")
        slow = graph.constant(np.ones((1, 4), np.float32), name="frequencies")
        angles = graph.add(ops.MatMul(rows, slow), name="angles")
        return graph.add(ops.Mul(graph.add(ops.Cos(angles)), x), name="turned")

    graph = _graph(make, 4096, 4)
    assert _dtype(graph, "angles") is SINGLE
    assert _dtype(graph, "turned") is SINGLE


def test_integers_and_bools_are_untouched() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.INT64, (2, 4)))
    y = graph.add(ops.ReduceSum(graph.add(ops.Mul(x, x)), (1,)))
    graph.set_outputs([y, graph.add(ops.Equal(x, x))], ["y", "z"])
    before = str(graph)
    assert to_half(graph) == 0
    assert str(graph) == before


@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16])
def test_what_is_half_already_is_untouched(dtype: DType) -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(dtype, (2, 4)))
    graph.set_outputs([graph.add(ops.Softmax(graph.add(ops.Exp(x)), 1))], ["y"])
    before = str(graph)
    assert to_half(graph) == 0
    assert str(graph) == before


# --- casts that are there already -----------------------------------------------------------------


def test_a_cast_from_half_is_not_cast_back() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(HALF, (2, 4)))
    wide = graph.add(ops.Cast(x, SINGLE))
    graph.set_outputs([graph.add(ops.MatMul(wide, wide, transpose_b=True), name="y")], ["y"])
    to_half(graph.verify())
    product = graph.value("y").producer
    assert product is not None
    assert list(product.op.operands()) == [x, x]


def test_a_cast_to_half_is_the_half_that_is_there() -> None:
    def make(graph: Graph, x: Value) -> Value:
        product = graph.add(ops.MatMul(x, x, transpose_b=True), name="product")
        return graph.add(ops.Cast(product, HALF), name="cast")

    graph = _graph(make)
    assert graph.outputs == [graph.value("product")]


def test_comparisons_read_the_type_that_is_there() -> None:
    def make(graph: Graph, x: Value) -> tuple[Value, ...]:
        half = graph.add(ops.Tanh(x))
        return graph.add(ops.Less(x, x), name="single"), graph.add(
            ops.Less(half, half), name="half"
        )

    graph = _graph(make)
    found = {
        name: {value.type.dtype for value in graph.value(name).producer.op.operands()}  # type: ignore[union-attr]
        for name in ("single", "half")
    }
    assert found == {"single": {SINGLE}, "half": {HALF}}


# --- batch normalization --------------------------------------------------------------------------


def test_statistics_that_are_no_halves_are_folded_first() -> None:
    def make(graph: Graph, x: Value) -> Value:
        mean, variance, scale, shift = (
            graph.constant(np.full(3, number, np.float32)) for number in (10.0, 1e8, 5e3, 1.0)
        )
        return graph.add(ops.BatchNorm(x, mean, variance, scale, shift, 1e-12), name="norm")

    graph = _graph(make, 2, 3, 4)
    node = graph.value("norm").producer
    assert node is not None
    op = node.op
    assert isinstance(op, ops.BatchNorm)
    assert op.x.type.dtype is HALF
    scale, shift = op.scale.constant, op.shift.constant  # type: ignore[union-attr]
    assert scale is not None
    assert shift is not None
    np.testing.assert_array_equal(scale.data, np.full(3, 0.5, np.float16))
    np.testing.assert_array_equal(shift.data, np.full(3, -4.0, np.float16))


def test_statistics_that_are_computed_stay_in_float32() -> None:
    def make(graph: Graph, x: Value) -> Value:
        mean = graph.add(ops.ReduceMean(x, (0, 2)))
        return graph.add(ops.BatchNorm(x, mean, mean, None, None, 1e-5), name="norm")

    graph = _graph(make, 2, 3, 4)
    assert _dtype(graph, "norm") is SINGLE


# --- operators of packs ---------------------------------------------------------------------------


@operator
class Swirl(Operator, namespace="toy"):
    """An operator without a word on precision."""

    x: Value

    def infer(self) -> TensorType:
        return self.x.type


@operator
class HalfSwirl(Swirl, namespace="toy"):
    """An operator that says its own rule."""

    half_precision: ClassVar[Rule] = Rule.HALF


def test_operators_of_packs_say_their_own_rule() -> None:
    def make(graph: Graph, x: Value) -> tuple[Value, ...]:
        x = graph.add(ops.Tanh(x))
        return graph.add(Swirl(x), name="silent"), graph.add(HalfSwirl(x), name="said")

    graph = _graph(make)
    assert _dtype(graph, "silent") is SINGLE
    assert _dtype(graph, "said") is HALF


def test_graphs_inside_operators_and_several_results_are_left_alone() -> None:
    body = Graph("body")
    inner = body.add_input("x", TensorType(SINGLE, (4,)))
    body.set_outputs([body.add(ops.Tanh(inner))], ["y"])

    def make(graph: Graph, x: Value) -> tuple[Value, ...]:
        x = graph.add(ops.Tanh(x))
        halves = graph.add_all(Halves(graph.add(Twice(x, body), name="twice")), name="halves")
        return tuple(graph.add(ops.Tanh(half), name="after") for half in halves)

    graph = _graph(make, 4)
    assert [_dtype(graph, name) for name in ("twice", "halves.0", "halves.1")] == [SINGLE] * 3


def test_outputs_may_be_inputs_constants_and_repeat() -> None:
    def make(graph: Graph, x: Value) -> tuple[Value, ...]:
        half = graph.add(ops.Tanh(x))
        return x, half, half, graph.constant(np.ones(2, np.float32), name="ones")

    graph = _graph(make)
    assert graph.outputs[0] is graph.inputs[0]
    assert graph.outputs[1] is graph.outputs[2]
    assert graph.outputs[3].constant is not None


def test_a_chain_of_ten_thousand_is_quick() -> None:
    graph = Graph()
    x: Value = graph.add_input("x", TensorType(SINGLE, (2, 2)))
    for _ in range(10_000):
        x = graph.add(ops.Tanh(x))
    graph.set_outputs([x], ["y"])
    assert to_half(graph) == 10_000
    assert sum(isinstance(node.op, ops.Cast) for node in graph.verify()) == 2


def test_tensors_of_words_stay() -> None:
    words = Tensor(np.arange(4, dtype=np.uint16), DType.BFLOAT16)
    graph = Graph()
    value = graph.constant(words, name="words")
    graph.set_outputs([value], ["y"])
    to_half(graph)
    assert graph.value("words").constant is words


def test_branches_compute_in_half_between_their_edges() -> None:
    def product(graph: Graph, x: Value, y: Value) -> list[Value]:
        return [graph.add(ops.MatMul(x, y), name="product")]

    def root(graph: Graph, x: Value, _y: Value) -> list[Value]:
        return [graph.add(ops.Sqrt(x), name="root")]

    graph = Graph()
    x, y = (graph.add_input(name, TensorType(SINGLE, (4, 4))) for name in "xy")
    (chosen,) = graph.add_all(if_(is_positive(graph, x), product, root, x, y), name="if")
    graph.set_outputs([graph.add(ops.Mul(chosen, y), name="after")], ["out"])
    assert to_half(graph) == 1, "the product; what follows combines a branch left in float32"
    (node,) = [node for node in graph.verify() if isinstance(node.op, ops.If)]
    assert isinstance(node.op, ops.If)
    assert _dtype(node.op.then, "product") is HALF
    assert _dtype(node.op.otherwise, "root") is SINGLE
    assert [value.type.dtype for value in node.outputs] == [SINGLE]


def test_what_is_known_outside_is_known_in_branches_and_after_them() -> None:
    low = float(np.finfo(np.float32).min)

    def mask(graph: Graph, x: Value) -> list[Value]:
        return [graph.add(ops.Add(x, x), name="doubled")]

    def masked(graph: Graph, x: Value) -> list[Value]:
        number = graph.constant(np.array(low, np.float32), name="low")
        return [graph.add(ops.Expand(number, x.type.shape), name="filled")]

    graph = Graph()
    positions = graph.add_input("positions", TensorType(DType.INT64, (4, 4)))
    y = graph.add_input("y", TensorType(SINGLE, (4, 4)))
    counted = graph.add(ops.Cast(positions, SINGLE), name="counted")
    (chosen,) = graph.add_all(if_(is_positive(graph, y), mask, masked, counted), name="if")
    graph.set_outputs([graph.add(ops.MatMul(chosen, y), name="after")], ["out"])
    to_half(graph)
    (node,) = [node for node in graph.verify() if isinstance(node.op, ops.If)]
    assert isinstance(node.op, ops.If)
    assert _dtype(node.op.then, "doubled") is SINGLE, "positions keep all their digits"
    clamps = [node.op for node in graph if isinstance(node.op, ops.Clamp)]
    assert [one.minimum for one in clamps] == [-65504.0]
