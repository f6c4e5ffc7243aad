"""The pack's hooks: what it registers, and for which backends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fusing import every, fuse, layer, normal, weight
from on_openvino import PLUGINS, graph_of
from steps import calls

import fwd_plugins_bert
import fwd_plugins_bert.pack
from fwd_core import Builder, Plugins, core_pack, hookimpl, lowering, rewrite
from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.ir.serialize import from_parts, to_parts
from fwd_plugins_bert import fusions
from fwd_plugins_bert.ops import ALL, GeluBias, SelfAttention, SkipNorm

X = normal(2, 5, 12)
KIND = [TensorType(DType.FLOAT32, (2, 5, 12))]


class Lowered:
    """Lowerings of one fused operator to OpenVINO, as a pack for it would have them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    def fwd_register_lowerings(self, register: Any) -> None:
        @lowering("openvino", GeluBias)
        def gelu_bias(ctx: Any, op: GeluBias) -> Any:
            self.seen.append(ctx.node.name)
            form = "tanh" if op.approximate == "tanh" else "erf"
            return ctx.opset.gelu(ctx.opset.add(ctx[op.x], ctx[op.bias]), form)

        register.add(gelu_bias)


def plugins(**more: object) -> Plugins:
    return Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack, **more})


def test_operators_and_rewrites_are_registered() -> None:
    packs = plugins()
    assert {operator.kind() for operator in ALL} <= set(packs.operators)
    ours = [name for name in packs.rewrites if packs.rewrites.owner(name) == "bert"]
    assert ours == [fusion.name for fusion in every()]
    assert all(packs.rewrites[name].stage == "fusion" for name in ours)
    assert [packs.rewrites[name].when is None for name in ours] == [True] * 9 + [False] * 7
    assert not packs.failures()


def test_the_installed_pack_is_found() -> None:
    assert "bert-attention" in Plugins.discover().rewrites


def test_fused_operators_are_made_where_they_are_lowered() -> None:
    lowered = Lowered()
    expected = Builder(backend="openvino", plugins=PLUGINS).compile(graph_of(layer, KIND))(X)
    assert expected.shape == X.shape
    for packs, seen in ((plugins(), 0), (plugins(mine=lowered), 1)):
        graph = graph_of(layer, KIND)
        Builder(backend="openvino", plugins=packs).compile(graph)
        kinds = [type(node.op) for node in graph]
        assert ops.Attention in kinds, "what is written out is recognised for every backend"
        assert (GeluBias in kinds) == bool(seen)
        assert SkipNorm not in kinds
        assert SelfAttention not in kinds
        assert len(lowered.seen) == seen


def test_names_of_outputs_stay() -> None:
    graph = graph_of(layer, KIND)
    before = graph.outputs[0].name
    fuse(graph, every())
    assert graph.outputs[0].name == before


def test_a_fused_graph_is_saved_and_loaded() -> None:
    graph = graph_of(layer, KIND)
    fuse(graph, every())
    document, tensors = to_parts(graph)
    arrays = {key: tensor.data for key, tensor in tensors.items()}
    again = from_parts(document, arrays, plugins().operators)
    assert str(again) == str(graph)
    before, after = (
        Builder(backend="openvino", plugins=plugins()).compile(one)(X) for one in (graph, again)
    )
    np.testing.assert_array_equal(before, after)


def test_refusals_name_place_and_reason() -> None:
    def make(graph: Graph, x: Value) -> Any:
        total = graph.add(ops.Add(x, graph.add(ops.Abs(x))))
        return [graph.add(ops.LayerNorm(total, None, None, 1, 1e-5), name="norm"), total]

    (told,) = fusions.refusals(graph_of(make, KIND), every())
    assert str(told) == "bert-skip-norm norm: others read the sum, as where norms come first"


def test_graphs_inside_are_fused_too() -> None:
    inner = Graph("then")
    y = inner.add_input("y", KIND[0])
    inner.set_outputs([layer(inner, y)], ["z"])
    other = Graph("else")
    other.set_outputs([other.add_input("y", KIND[0])], ["z"])
    graph = Graph("outside")
    flag = graph.add_input("flag", TensorType(DType.BOOL, ()))
    x = graph.add_input("x", KIND[0])
    outputs = graph.add_all(ops.If(flag, (x,), inner, other))
    graph.set_outputs(outputs, ["y"])
    counts = fuse(graph, every())
    assert counts == {"attention": 1, "skip-norm": 2, "self-attention": 1, "gelu-bias": 1}


def test_a_deep_encoder_takes_no_longer_than_it_is() -> None:
    def encoder(layers: int) -> Callable[[], None]:
        graph = Graph()
        value = graph.add_input("x", KIND[0])
        for _ in range(layers):
            value = layer(graph, value)
        graph.set_outputs([value], ["y"])

        def work() -> None:
            assert rewrite.run(graph, every())["bert-self-attention"] == layers

        return work

    calls(encoder(1))  # what is only done once
    assert calls(encoder(24)) < 2.1 * calls(encoder(12))


def _long(kind: type[ops.Add | ops.Mul], other: str, length: int) -> Graph:
    """Thousands of sums or products in a row, and a softmax, a norm and a product at their end."""
    graph = Graph()
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 8, 8)))
    ids = graph.add_input("ids", TensorType(DType.INT64, (2, 8)))
    value = graph.add(ops.Gather(weight(graph, 9, 8), ids, 0))
    for _ in range(length):
        value = graph.add(kind(value, value if other == "itself" else x))
    weights = graph.add(ops.Softmax(value, 2))
    product = graph.add(ops.MatMul(weights, x))
    mask = graph.add(ops.Attention(x, x, x, value))
    norm = graph.add(ops.LayerNorm(graph.add(ops.Add(value, x)), None, None, 1, 1e-5))
    late = graph.add(
        ops.Less(graph.add(ops.Cast(value, DType.INT64)), graph.add(ops.Unsqueeze(ids, (2,))))
    )
    graph.set_outputs([product, mask, norm, late], ["a", "b", "c", "d"])
    return graph


@pytest.mark.parametrize("kind", [ops.Add, ops.Mul])
@pytest.mark.parametrize("other", ["itself", "an input"])
def test_long_graphs_take_no_longer_than_they_are(kind: Any, other: str) -> None:
    def work(length: int) -> Callable[[], None]:
        graph = _long(kind, other, length)

        def fuse_all() -> None:
            rewrite.run(graph, every())
            fusions.refusals(graph, every())

        return fuse_all

    calls(work(10))  # what is only done once
    assert calls(work(2000)) < 2.1 * calls(work(1000))


def test_the_version_is_one() -> None:
    assert fwd_plugins_bert.__version__.count(".") == 2


def test_each_module_can_be_imported_first() -> None:
    """Whoever imports one part of the pack has not imported another before it."""
    script = (
        "import importlib, pkgutil, sys\n"
        "import fwd_plugins_bert as pack\n"
        "names = [one.name for one in pkgutil.walk_packages(pack.__path__, 'fwd_plugins_bert.')]\n"
        "for name in names:\n"
        "    for held in [one for one in sys.modules if one.startswith('fwd_plugins_bert')]:\n"
        "        del sys.modules[held]\n"
        "    importlib.import_module(name)\n"
        "print(len(names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40
