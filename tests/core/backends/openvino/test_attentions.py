"""Two attentions that meet in arithmetic: OpenVINO must not end the process on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino")

from on_openvino import Array, assert_same

from fwd_core import Builder
from fwd_core.backends.openvino.attentions import attentions_meet
from fwd_core.engine import Engine
from fwd_core.ir import DType, Graph, TensorType, Value, ops

SHAPE = (1, 2, 8, 4)
NUMBERS = np.random.default_rng(0)
FEEDS = [NUMBERS.standard_normal(SHAPE, np.float32) for _ in "qkv"]
Make = Callable[[Graph, Value, Value, Value], Value]


def _whole(graph: Graph, q: Value, k: Value, v: Value) -> Value:
    return graph.add(ops.Attention(q, k, v))


def _written_out(graph: Graph, q: Value, k: Value, v: Value) -> Value:
    turned = graph.add(ops.Transpose(k, (0, 1, 3, 2)))
    half = graph.constant(np.array(0.5, np.float32))
    scores = graph.add(ops.Mul(graph.add(ops.MatMul(q, turned)), half))
    return graph.add(ops.MatMul(graph.add(ops.Softmax(scores, axis=3)), v))


def _graph(make: Make, outputs: str) -> Graph:
    graph = Graph()
    q, k, v = (graph.add_input(name, TensorType(DType.FLOAT32, SHAPE)) for name in "qkv")
    half = graph.constant(np.array(0.5, np.float32))
    a, b = make(graph, q, k, v), make(graph, k, q, v)
    found = {"a": a, "b": b}
    if "difference" in outputs:
        found["difference"] = graph.add(ops.Sub(b, graph.add(ops.Mul(a, half))))
    if "error" in outputs:
        off = found["difference"]
        found["error"] = graph.add(ops.Mul(off, off))
        found["signal"] = graph.add(ops.Mul(a, a))
    graph.set_outputs([found[name] for name in outputs.split()], outputs.split())
    return graph.verify()


def _expected() -> dict[str, Array]:
    def attention(q: Array, k: Array, v: Array) -> Array:
        scores = np.exp(q @ k.swapaxes(-1, -2) / 2)
        return scores / scores.sum(-1, keepdims=True) @ v

    q, k, v = FEEDS
    a, b = attention(q, k, v), attention(k, q, v)
    off = b - a / 2
    return {"a": a, "b": b, "difference": off, "error": off**2, "signal": a * a}


@pytest.mark.parametrize("make", [_whole, _written_out])
@pytest.mark.parametrize(
    ("outputs", "meet"),
    [
        ("a b difference", True),
        ("a difference", True),
        ("signal error difference", True),
        ("difference", False),
        ("a b", False),
    ],
)
def test_they_are_right(make: Make, outputs: str, meet: bool, tmp_path: Path) -> None:
    graph = _graph(make, outputs)
    assert attentions_meet(graph) is meet
    engine = Builder(backend="openvino").compile(graph)
    engine.save(tmp_path / "engine")
    for one in (engine, Engine.load(tmp_path / "engine")):
        for name, found in zip(outputs.split(), one.run_list(FEEDS), strict=True):
            assert_same(found, _expected()[name], rtol=1e-5, atol=1e-6)


def test_openvino_still_needs_it() -> None:
    """Fails when OpenVINO is repaired: then the module goes."""
    code = f"""
import numpy as np, openvino, openvino.opset13 as o
q, k, v = inputs = [o.parameter({SHAPE}, np.float32) for _ in "qkv"]
a, b = o.scaled_dot_product_attention(q, k, v), o.scaled_dot_product_attention(k, q, v)
openvino.compile_model(openvino.Model([a, b, o.subtract(a, b)], inputs), "CPU")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode != 0
