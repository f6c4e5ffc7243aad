"""A chain of 10,000 nodes goes through everything without running out of stack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_backend
from values import B, kind

from fwd_core import Builder
from fwd_core.ir import DType, Emitter, Graph, Node, Value, load, ops, save, text
from fwd_core.rewrite import NodeRewrite, run
from fwd_core.rewrite.cleanup import all_rewrites

LENGTH = 10_000


class NegToAbs(NodeRewrite):
    """Changes every second node."""

    name = "neg-to-abs"

    def rewrite(self, node: Node, emit: Emitter) -> Value | None:
        return emit(ops.Abs(node.op.x)) if isinstance(node.op, ops.Neg) else None


@pytest.fixture(scope="module")
def chain() -> Graph:
    """Relu, neg, relu, neg …, with one constant that all share."""
    graph = Graph("chain")
    value = graph.add_input("x", kind(B, 4))
    for ordinal in range(LENGTH):
        value = graph.add(ops.Relu(value) if ordinal % 2 else ops.Neg(value))
    graph.set_outputs([value], ["y"])
    return graph


def test_verify_print_save_load(chain: Graph, tmp_path: Path) -> None:
    assert len(chain.verify()) == LENGTH
    printed = text(chain)
    assert len(printed.splitlines()) == LENGTH + 3
    save(chain, tmp_path / "chain.graph")
    loaded = load(tmp_path / "chain.graph")
    assert text(loaded.verify()) == printed


def test_rewrites() -> None:
    graph = Graph("chain")
    value = graph.add_input("x", kind(B, 4))
    for ordinal in range(LENGTH):
        value = graph.add(ops.Relu(value) if ordinal % 2 else ops.Neg(value))
    graph.set_outputs([value], ["y"])
    assert run(graph, [NegToAbs()])["neg-to-abs"] == LENGTH // 2
    assert not any(run(graph, all_rewrites()).values())
    graph.verify()


def test_identities_and_dead_chains_go() -> None:
    graph = Graph("chain")
    x = graph.add_input("x", kind(B, 4))
    value = dead = x
    for _ in range(LENGTH // 2):
        value = graph.add(ops.Cast(value, DType.FLOAT32))
        dead = graph.add(ops.Neg(dead))
    graph.set_outputs([value], ["y"])
    run(graph, all_rewrites(), verify=True)
    assert len(graph) == 0
    assert graph.outputs == [x]


def test_replacing_a_value_that_everything_reads() -> None:
    graph = Graph("star")
    x = graph.add_input("x", kind(4))
    shared = graph.add(ops.Neg(x))
    leaves = [graph.add(ops.Add(shared, shared)) for _ in range(LENGTH)]
    graph.set_outputs(leaves[-1:], ["y"])
    other = graph.add(ops.Abs(x), before=shared.producer)
    graph.replace_uses(shared, other)
    assert len(other.users) == LENGTH
    graph.verify()


def test_build_and_run() -> None:
    layers: list[tuple[object, ...]] = [("relu",), ("add", np.ones(4, np.float32))] * (LENGTH // 2)
    x = np.zeros((2, 4), np.float32)
    engine = Builder(plugins=toy_backend.plugins()).build(toy_backend.Layers(layers), (x,))
    assert (engine(x) == LENGTH // 2).all()
