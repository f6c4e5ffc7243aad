from __future__ import annotations

from fwd_core.backends.tensorrt.names import binding_names
from fwd_core.ir import DType, Graph, TensorType


def _graph(inputs: list[str], outputs: list[str]) -> Graph:
    graph = Graph()
    values = [graph.add_input(name, TensorType(DType.FLOAT32, (1,))) for name in inputs]
    graph.set_outputs([values[0]] * len(outputs), outputs)
    return graph


def test_names_are_those_of_the_graph() -> None:
    assert binding_names(_graph(["x", "y"], ["a", "b"])) == (["x", "y"], ["a", "b"])


def test_no_output_is_called_as_an_input_or_another_output_is() -> None:
    graph = _graph(["x", "x_1"], ["x", "x_2", "y"])
    inputs, outputs = binding_names(graph)
    assert inputs == ["x", "x_1"]
    assert outputs == ["x_3", "x_2", "y"]
