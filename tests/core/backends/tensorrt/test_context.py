"""What the context refuses, and how it says so; names; and what happens at the edges."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import LIKE_8, PLUGINS, build, graph_of, layers, network

from fwd_core import core_pack, hookimpl, lowering
from fwd_core.backends import BuildConfig
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.backends.tensorrt.inspector import nodes_in
from fwd_core.backends.tensorrt.layers import nodes_of
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.errors import BuildError
from fwd_core.ir import (
    DType,
    Frame,
    Graph,
    Location,
    Operator,
    TensorType,
    Value,
    operator,
    ops,
    symbol,
)
from fwd_core.plugins import Plugins
from fwd_core.rewrite.precision import PrecisionWarning

SINGLE = DType.FLOAT32
PLACE = Location("encoder.layer", "aten::swirl", Frame("model.py", 12, "forward"))


@operator
class Swirl(Operator, namespace="toy"):
    """An operator whose lowering is given by a test."""

    x: Value

    def infer(self) -> TensorType:
        return self.x.type


def _build_with(function: Callable[..., Any]) -> None:
    """Build a graph of one Swirl with that lowering."""

    def register(register: Any) -> None:
        register.add(lowering("tensorrt", Swirl)(function))

    pack = ModuleType("toy")
    pack.fwd_register_lowerings = hookimpl(register)  # type: ignore[attr-defined]
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 3, 4)))
    graph.set_outputs([graph.add(Swirl(x), name="swirl", location=PLACE)], ["y"])
    plugins = Plugins({"core": core_pack, "toy": pack})
    TensorRTBackend().build(graph, BuildConfig("float32", TensorRTOptions(), plugins))


@pytest.mark.parametrize(
    ("function", "layer", "words"),
    [
        # No layer at all.
        (lambda ctx, op: ctx("gather", ctx[op.x], ctx[op.x], -1), "gather", "IGatherLayer|gather"),
        # A setting that is only logged and keeps its old value.
        (
            lambda ctx, op: ctx("concatenation", [ctx[op.x]], axis=-1),
            "concatenation.axis = -1",
            "axis",
        ),
        (lambda ctx, op: ctx("softmax", ctx[op.x], axes=6), "softmax.axes = 6", "axes"),
        # A layer whose shape cannot be inferred.
        (
            lambda ctx, op: ctx.elementwise("SUM", ctx[op.x], ctx.scalar(1, SINGLE, 1)),
            "elementwise",
            "nbDims",
        ),
        # A hint that only the logger has.
        (
            lambda ctx, op: ctx.elementwise("SUM", ctx[op.x], ctx.scalar(1, DType.FLOAT16, 3)),
            "elementwise",
            "has type Float but second input has type Half",
        ),
    ],
    ids=["none", "setting", "second setting", "shape", "hint"],
)
def test_every_refusal_names_the_node_the_line_and_tensorrts_words(
    function: Callable[..., Any], layer: str, words: str
) -> None:
    with pytest.raises(BuildError) as raised:
        _build_with(function)
    text = str(raised.value)
    assert text.startswith("tensorrt_rtx refuses toy.Swirl(float32[2, 3, 4])\n")
    assert "at swirl encoder.layer aten::swirl (model.py:12 in forward)" in text
    assert layer in text
    assert any(word in text for word in words.split("|"))


def test_what_the_bindings_raise_is_told_too() -> None:
    with pytest.raises(BuildError, match=r"tensorrt refused toy.Swirl\n  at swirl encoder.layer"):
        _build_with(lambda ctx, op: ctx("shuffle", ctx[op.x], reshape_dims=(1,) * 9))


def test_a_refused_further_input_is_told() -> None:
    def function(ctx: Any, op: Swirl) -> Any:
        layer = ctx.add("shuffle", ctx[op.x])
        ctx.set_input(layer, 5, ctx[op.x])
        return ctx.output(layer)

    with pytest.raises(BuildError, match=r"input 5 of swirl/0:shuffle"):
        _build_with(function)


def test_more_axes_than_tensorrt_has_are_refused() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2,)))
    wide = graph.add(ops.Unsqueeze(x, tuple(range(8))), name="wide", location=PLACE)
    graph.set_outputs([wide], ["y"])
    message = (
        r"8 axes at most\n  at wide encoder.layer(.*)\n  got: +float32\[1, 1(.|\n)*Hint: merge"
    )
    with pytest.raises(BuildError, match=message):
        build(graph)
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (1,) * 9))
    graph.set_outputs([x], ["y"])
    with pytest.raises(BuildError, match=r"8 axes at most\n  at x\n"):
        build(graph)


def test_eight_axes_are_not_too_many() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (1, 2, 1, 2, 1, 2, 1, 2)))
    y = graph.add(ops.Transpose(graph.add(ops.Exp(x)), (7, 6, 5, 4, 3, 2, 1, 0)))
    graph.set_outputs([graph.add(ops.ReduceSum(y, (0, 3)))], ["y"])
    assert len(build(graph).payload()) > 0


# --- names ----------------------------------------------------------------------------------------


def test_tensors_are_called_as_values_are_and_layers_after_their_nodes() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 3)))
    y = graph.add(ops.Silu(x), name="block.silu")
    graph.set_outputs([y], ["out"])
    with network(graph) as ctx:
        assert ctx[y].name == "block.silu"
        made = [ctx.network.get_layer(index) for index in range(ctx.network.num_layers)]
        assert [layer.name for layer in made][:2] == [
            "block.silu/0:activation",
            "block.silu/1:elementwise",
        ]
        assert {layer.metadata for layer in made[:2]} == {"block.silu"}
        assert ctx.network.get_output(0).name == "out"


def test_a_layer_of_joined_nodes_is_called_after_all() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 3)))
    place = Location("conv", joined=("conv", "bn"))
    y = graph.add(ops.Silu(x), name="bn", location=place)
    y = graph.add(ops.Exp(y), name="bn/more", location=place)
    graph.set_outputs([y], ["out"])
    with network(graph) as ctx:
        made = [ctx.network.get_layer(index) for index in range(ctx.network.num_layers)]
        assert [layer.name for layer in made][:3] == [
            "conv/0:activation + bn/0:activation",
            "conv/1:elementwise + bn/1:elementwise",
            "bn/more/0:unary",
        ]
        told = [(nodes_in(layer.name), nodes_of(layer.metadata)) for layer in made]
        assert told[:3] == [(("conv", "bn"),) * 2, (("conv", "bn"),) * 2, (("bn/more",),) * 2]


def test_names_that_collide_with_inputs_and_outputs_give_way() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 3)))
    y = graph.add(ops.Relu(x), name="out")
    z = graph.add(ops.Exp(y), name="z")
    graph.set_outputs([z, x], ["out", "x"])
    with network(graph) as ctx:
        assert ctx.names == (["x"], ["out", "x_1"])
        assert ctx[y].name == "out_1"
        outputs = [ctx.network.get_output(index).name for index in range(2)]
        assert outputs == ["out", "x_1"]
    assert build(graph).manifest["bindings"] == {"inputs": ["x"], "outputs": ["out", "x_1"]}


# --- edges ----------------------------------------------------------------------------------------


def _edges(graph: Graph, features: Any = None) -> tuple[list[str], list[str]]:
    with network(graph, features) as ctx:
        inputs = [ctx.network.get_input(i).dtype.name for i in range(ctx.network.num_inputs)]
        outputs = [ctx.network.get_output(i).dtype.name for i in range(ctx.network.num_outputs)]
    return inputs, outputs


def test_inputs_and_outputs_have_the_types_of_the_source_model() -> None:
    graph = Graph()
    values = [graph.add_input(str(dtype), TensorType(dtype, (2,))) for dtype in DType]
    graph.set_outputs([graph.add(ops.Concat((x, x), 0)) for x in values], [f"y{x}" for x in DType])
    names = ["FLOAT", "FLOAT", "HALF", "BF16", "INT64", "INT32", "INT32", "INT8", "UINT8", "BOOL"]
    assert _edges(graph) == (names, names)
    names = ["FLOAT", "FLOAT", "HALF", "FLOAT", *["INT32"] * 5, "BOOL"]
    assert _edges(graph, LIKE_8) == (names, names)
    with pytest.warns(PrecisionWarning):
        assert len(build(graph).payload()) > 0


def test_outputs_may_be_inputs_constants_and_repeat() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, symbol("n", 1, 2, 4))))
    unused = graph.add_input("unused", TensorType(DType.INT64, ()))
    y = graph.add(ops.Relu(x))
    constant = graph.constant(np.arange(3))
    graph.set_outputs([x, y, y, constant, unused], ["a", "b", "c", "d", "e"])
    inputs, outputs = _edges(graph)
    assert inputs == ["FLOAT", "INT64"]
    assert outputs == ["FLOAT", "FLOAT", "FLOAT", "INT64", "INT64"]
    assert len(build(graph).payload()) > 0


def test_a_graph_of_constants_alone() -> None:
    graph = Graph()
    graph.set_outputs([graph.constant(np.array(3.5, np.float32))], ["y"])
    assert len(build(graph).payload()) > 0


def test_weights_become_no_layers_of_their_own() -> None:
    graph, _ = graph_of(
        lambda x, w: ops.Convolution(x, w, None, (1, 1), (0, 0), (0, 0), (1, 1)),
        TensorType(SINGLE, (1, 3, 5, 5)),
        np.ones((4, 3, 3, 3), np.float32),
    )
    with network(graph) as ctx:
        assert layers(ctx, "IConstantLayer") == []


def test_a_constant_that_several_read_is_one_layer() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2, 3)))
    ones = graph.constant(np.ones((2, 3), np.float32), name="ones")
    y = graph.add(ops.Add(graph.add(ops.Mul(x, ones)), ones))
    graph.set_outputs([y], ["y"])
    with network(graph) as ctx:
        [constant] = layers(ctx, "IConstantLayer")
        assert constant.get_output(0).name == "ones"


def test_operators_without_a_lowering_are_listed() -> None:
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2,)))
    graph.set_outputs([graph.add(Swirl(x), location=PLACE)], ["y"])
    message = r"1 operators cannot be lowered to tensorrt(.|\n)*toy.Swirl(.|\n)*model.py:12"
    with pytest.raises(BuildError, match=message):
        TensorRTBackend().build(graph, BuildConfig("float32", TensorRTOptions(), PLUGINS))
