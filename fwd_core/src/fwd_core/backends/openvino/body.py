"""Graphs inside operators, as OpenVINO's models inside operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.backends.lowering import lower_nodes
from fwd_core.backends.openvino import constants
from fwd_core.backends.openvino.context import OpenVINOLowering, dimension
from fwd_core.backends.openvino.types import computed, element_type
from fwd_core.ir.dims import Symbol
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Value

if TYPE_CHECKING:
    from openvino import Model, Node, Output


class Body(OpenVINOLowering):
    """The context of lowerings within a graph that an operator holds.

    Its inputs and outputs have the types that are computed in, as all that is between the inputs
    and the outputs of the model around it.

    Args:
        around: The context of the operator.
        graph: The graph that it holds.

    Attributes:
        symbols: Inputs beside those of the graph, by the size that each is.
        results: OpenVINO's nodes of the outputs, once the model is made.
    """

    def __init__(self, around: OpenVINOLowering, graph: Graph) -> None:
        self.symbols: dict[Symbol, Output] = {}
        self.results: list[Node] = []
        super().__init__(graph, around.compute)
        self.lowerings = around.lowerings

    def model(self) -> Model:
        """OpenVINO's model of the graph.

        Raises:
            BuildError: A lowering failed.
        """
        import openvino

        lower_nodes(self, self.graph)
        self.results = [self.opset.result(self[value]) for value in self.graph.outputs]
        inputs = [one.get_node() for one in (*self.parameters, *self.symbols.values())]
        model = openvino.Model(self.results, inputs, self.graph.name)
        constants.fold(model)
        return model

    def _parameter(self, value: Value) -> Output:
        import openvino

        shape = openvino.PartialShape([dimension(dim) for dim in value.type.shape])
        node = self.opset.parameter(shape, element_type(computed(value.type.dtype)))
        self[value] = node.output(0)
        return self[value]

    def _size_from_outside(self, symbol: Symbol) -> Output:
        self.symbols[symbol] = self.opset.parameter([], element_type(DType.INT64)).output(0)
        return self.symbols[symbol]
