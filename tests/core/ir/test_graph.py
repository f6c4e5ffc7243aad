"""Building graphs and changing them."""

from __future__ import annotations

import numpy as np
import pytest
from toy_ops import Halves, Twice

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Graph, Location, Node, TensorType, Value, ops

KIND = TensorType(DType.FLOAT32, (4,))
OTHER = TensorType(DType.FLOAT32, (5,))


def _producer(value: Value) -> Node:
    assert value.producer is not None
    return value.producer


def _names(graph: Graph) -> list[str]:
    return [node.name for node in graph]


@pytest.fixture
def graph() -> Graph:
    """x -> relu -> neg -> abs, with abs as output."""
    graph = Graph("demo")
    x = graph.add_input("x", KIND)
    relu = graph.add(ops.Relu(x), name="relu")
    neg = graph.add(ops.Neg(relu), name="neg")
    out = graph.add(ops.Abs(neg), name="abs")
    graph.set_outputs([out], ["y"])
    return graph.verify()


class TestReading:
    def test_order_and_length(self, graph: Graph) -> None:
        assert len(graph) == 3
        assert _names(graph) == ["relu", "neg", "abs"]
        assert [node.name for node in reversed(graph)] == ["abs", "neg", "relu"]
        assert [value.name for value in graph.values()] == ["x", "relu", "neg", "abs"]

    def test_values_by_name(self, graph: Graph) -> None:
        assert graph.value("neg").name == "neg"
        assert graph.find("neg") is graph.value("neg")
        assert graph.find("nothing") is None
        with pytest.raises(KeyError, match="nothing"):
            graph.value("nothing")

    def test_uses_are_counted_per_operand(self, graph: Graph) -> None:
        relu = graph.value("relu")
        twice = graph.add(ops.Mul(relu, relu))
        assert relu.users == {_producer(graph.value("neg")): 1, _producer(twice): 2}

    def test_values_and_nodes_print_their_names(self, graph: Graph) -> None:
        assert repr(graph.value("neg")) == "%neg"
        assert repr(_producer(graph.value("neg"))) == "fwd.Neg neg"

    def test_constants_are_known(self, graph: Graph) -> None:
        constant = graph.constant(np.ones(4, np.float32))
        assert constant.constant is not None
        assert graph.value("x").constant is None
        assert graph.value("relu").constant is None


class TestBuilding:
    def test_names_are_made_unique(self, graph: Graph) -> None:
        names = [graph.add(ops.Relu(graph.value("x"))).name for _ in range(3)]
        assert names == ["relu_1", "relu_2", "relu_3"]
        assert graph.unique_name("free") == "free"

    def test_equal_constants_are_stored_once(self, graph: Graph) -> None:
        a, b = (graph.constant(np.ones(4, np.float32)) for _ in range(2))
        c = graph.constant(np.zeros(4, np.float32), name="zeros")
        assert (a.name, b.name, c.name) == ("constant", "constant_1", "zeros")
        assert a.constant is b.constant
        assert len(graph.constants) == 2

    def test_insertion_before_a_node(self, graph: Graph) -> None:
        x = graph.value("x")
        graph.add(ops.Sign(x), name="first", before=_producer(graph.value("relu")))
        graph.add(ops.Sign(x), name="middle", before=_producer(graph.value("abs")))
        assert _names(graph) == ["first", "relu", "neg", "middle", "abs"]
        assert [node.name for node in reversed(graph)] == _names(graph)[::-1]

    def test_several_outputs(self, graph: Graph) -> None:
        first, second = graph.add_all(Halves(graph.value("x")), name="split")
        assert (first.name, second.name) == ("split.0", "split.1")
        assert _producer(first) is _producer(second)
        with pytest.raises(GraphError, match=r"toy.Halves split.0 has 2 outputs, not one"):
            _ = _producer(first).output
        with pytest.raises(GraphError, match="toy.Halves has 2 outputs: use add_all"):
            graph.add(Halves(graph.value("x")))
        assert len(graph.add_all(ops.Relu(graph.value("x")))) == 1

    def test_exact_names(self, graph: Graph) -> None:
        x = graph.value("x")
        graph.add_named(Halves(x), ["a", "b"], location=Location("m"))
        assert _producer(graph.value("b")).location == Location("m")
        with pytest.raises(GraphError, match="value 'a' exists already in graph 'demo'"):
            graph.add_named(ops.Relu(x), ["a"])
        with pytest.raises(GraphError, match="fwd.Relu has 1 outputs, not 2"):
            graph.add_named(ops.Relu(x), ["c", "d"])

    def test_input_names_are_unique(self, graph: Graph) -> None:
        with pytest.raises(GraphError, match="input 'x' exists already in graph 'demo'"):
            graph.add_input("x", KIND)

    def test_operands_of_another_graph(self, graph: Graph) -> None:
        stranger = Graph("other").add_input("z", KIND)
        with pytest.raises(
            GraphError, match="%z is an operand of fwd.Relu in graph 'demo', but is of graph 'oth"
        ):
            graph.add(ops.Relu(stranger))
        assert not stranger.users

    def test_operands_that_are_gone(self, graph: Graph) -> None:
        spare = graph.add(ops.Sign(graph.value("x")), name="spare")
        graph.remove(_producer(spare))
        with pytest.raises(GraphError, match="%spare is an operand of fwd.Relu .* no longer in it"):
            graph.add(ops.Relu(spare))

    def test_insertion_before_a_stranger(self, graph: Graph) -> None:
        other = Graph("other")
        node = _producer(other.add(ops.Relu(other.add_input("z", KIND))))
        with pytest.raises(GraphError, match="relu, to insert before, is not in graph 'demo'"):
            graph.add(ops.Relu(graph.value("x")), before=node)
        assert len(graph) == 3


class TestOutputs:
    def test_an_input_may_be_an_output_twice(self, graph: Graph) -> None:
        x = graph.value("x")
        graph.set_outputs([x, x, graph.value("abs")], ["a", "b", "c"])
        graph.verify()

    @pytest.mark.parametrize(
        ("count", "names", "structure", "text"),
        [
            (1, ["a", "b"], None, "1 outputs but 2 names"),
            (2, ["a", "a"], None, r"output names repeat: \['a', 'a'\]"),
            (2, ["a", "b"], "*", r"the structure \* does not hold 2 outputs"),
        ],
    )
    def test_mistakes_change_nothing(
        self, graph: Graph, count: int, names: list[str], structure: str | None, text: str
    ) -> None:
        with pytest.raises(GraphError, match=text):
            graph.set_outputs([graph.value("x")] * count, names, structure)
        assert (graph.output_names, graph.outputs) == (["y"], [graph.value("abs")])

    def test_values_of_another_graph(self, graph: Graph) -> None:
        stranger = Graph("other").add_input("z", KIND)
        with pytest.raises(GraphError, match="%z is an output in graph 'demo', but is of graph 'o"):
            graph.set_outputs([stranger], ["z"])


class TestChanging:
    def test_replacement_takes_over_the_name(self, graph: Graph) -> None:
        new = graph.add(
            ops.Sign(graph.value("x")), name="new", before=_producer(graph.value("abs"))
        )
        old = graph.value("neg")
        graph.replace_uses(old, new)
        assert (new.name, old.name) == ("neg", "neg.replaced")
        assert not old.users
        assert graph.value("neg") is new
        graph.remove(_producer(old))
        assert _names(graph.verify()) == ["relu", "neg", "abs"]

    def test_replacement_may_keep_both_names(self, graph: Graph) -> None:
        graph.replace_uses(graph.value("neg"), graph.value("relu"), keep_name=False)
        assert _names(graph.verify()) == ["relu", "neg", "abs"]

    def test_an_input_that_replaces_keeps_its_name(self, graph: Graph) -> None:
        graph.replace_uses(graph.value("relu"), graph.value("x"))
        assert list(_producer(graph.value("neg")).op.operands()) == [graph.value("x")]
        graph.verify()

    def test_outputs_follow_replacement(self, graph: Graph) -> None:
        old = graph.value("abs")
        new = graph.add(ops.Sign(graph.value("x")), name="sign")
        graph.set_outputs([old, old], ["a", "b"])
        graph.replace_uses(old, new)
        assert graph.outputs == [new, new]
        assert new.name == "abs"
        graph.verify()

    def test_replacement_by_another_type(self, graph: Graph) -> None:
        other = graph.add_input("z", OTHER)
        with pytest.raises(GraphError, match=r"%z is float32\[5\], but %neg .* is float32\[4\]"):
            graph.replace_uses(graph.value("neg"), other)

    def test_replacement_by_a_stranger(self, graph: Graph) -> None:
        stranger = Graph("other").add_input("z", KIND)
        with pytest.raises(GraphError, match="%z replaces %neg in graph 'demo', but is of graph"):
            graph.replace_uses(graph.value("neg"), stranger)
        with pytest.raises(GraphError, match="%z is replaced in graph 'demo', but is of graph"):
            graph.replace_uses(stranger, graph.value("neg"))

    def test_change_of_an_operator(self, graph: Graph) -> None:
        node = _producer(graph.value("neg"))
        graph.change_operator(node, ops.Add(graph.value("x"), graph.value("x")))
        assert graph.value("x").users == {_producer(graph.value("relu")): 1, node: 2}
        assert not graph.value("relu").users
        graph.verify()

    def test_change_to_other_types(self, graph: Graph) -> None:
        with pytest.raises(GraphError, match="fwd.Cast cannot take the place of fwd.Neg neg"):
            graph.change_operator(
                _producer(graph.value("neg")), ops.Cast(graph.value("x"), DType.INT32)
            )
        stranger = Graph("other").add_input("z", KIND)
        with pytest.raises(GraphError, match="%z is an operand of fwd.Relu in graph 'demo'"):
            graph.change_operator(_producer(graph.value("neg")), ops.Relu(stranger))
        graph.verify()

    def test_removal_of_what_is_read(self, graph: Graph) -> None:
        for name, reader in (("neg", "fwd.Abs abs"), ("abs", "the graph's outputs")):
            with pytest.raises(GraphError, match=f"%{name} is read by {reader}"):
                graph.remove(_producer(graph.value(name)))
        assert len(graph.verify()) == 3

    def test_removal_frees_name_and_operands(self, graph: Graph) -> None:
        node = _producer(graph.add(ops.Sign(graph.value("relu")), name="spare"))
        graph.remove(node)
        assert graph.find("spare") is None
        assert node.graph is None
        assert list(graph.value("relu").users) == [_producer(graph.value("neg"))]
        with pytest.raises(GraphError, match="fwd.Sign spare is not in graph 'demo'"):
            graph.remove(node)
        graph.verify()

    def test_replacement_of_a_node(self, graph: Graph) -> None:
        parts = graph.add_all(Halves(graph.value("x")), name="split")
        joined = graph.add(ops.Concat(parts, 0), name="joined")
        graph.set_outputs([joined], ["y"])
        node = _producer(parts[0])
        halves = [
            graph.add(ops.Slice(graph.value("x"), 0, start, 2), before=node) for start in (0, 2)
        ]
        with pytest.raises(GraphError, match="split.0 has 2 outputs, not 1"):
            graph.replace_node(node, halves[0])
        graph.replace_node(node, halves)
        assert [value.name for value in halves] == ["split.0", "split.1"]
        graph.verify()

    def test_walking_survives_removal_and_insertion(self, graph: Graph) -> None:
        seen = []
        for node in graph:
            seen.append(node.name)
            if node.name == "neg":
                graph.add(ops.Sign(graph.value("x")), name="extra", before=node)
                graph.replace_node(node, graph.value("relu"))
        assert seen == ["relu", "neg", "abs"]
        # The name goes along: what took a node's place is called as the node was.
        assert _names(graph.verify()) == ["neg", "extra", "abs"]

    def test_renaming(self, graph: Graph) -> None:
        value = graph.value("neg")
        graph.rename(value, "neg")
        assert value.name == "neg"
        graph.rename(value, "abs")
        assert value.name == "abs_1"
        assert graph.find("neg") is None
        graph.verify()

    def test_inputs_that_nothing_reads_go(self, graph: Graph) -> None:
        spare = graph.add_input("spare", KIND)
        with pytest.raises(GraphError, match="input %x cannot go: it is read"):
            graph.remove_input(graph.value("x"))
        with pytest.raises(GraphError, match="%relu is no input of graph"):
            graph.remove_input(graph.value("relu"))
        graph.remove_input(spare)
        assert [value.name for value in graph.verify().inputs] == ["x"]
        assert graph.find("spare") is None

    def test_unused_constants_are_dropped_inside_too(self, graph: Graph) -> None:
        used = graph.constant(np.ones(4, np.float32))
        unused = graph.constant(np.zeros(4, np.float32))
        body = Graph("body")
        inside = body.add_input("x", KIND)
        body.set_outputs([inside], ["y"])
        spare = body.constant(np.full(4, 2, np.float32))
        graph.add(Twice(graph.value("x"), body))
        for holder, value in ((graph, unused), (body, spare)):
            holder.remove(_producer(value))
        graph.collect_constants()
        assert used.constant is not None
        assert list(graph.constants) == [used.constant.digest]
        assert not body.constants
        graph.verify()
