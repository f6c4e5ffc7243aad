"""The graph with its padding removed."""

from __future__ import annotations

from dataclasses import dataclass

from fwd_core.ir import (
    Derived,
    Dim,
    DType,
    Emitter,
    Graph,
    Node,
    Operator,
    TensorType,
    Value,
    ops,
    symbol,
)
from fwd_core.ir.dims import bounds, evaluate, symbols
from fwd_core.rewrite.cleanup.dead_code import RemoveDeadCode
from fwd_plugins_bert.packing import plan, refusals
from fwd_plugins_bert.packing.maker import NAME, NAME_OF_PADDING
from fwd_plugins_bert.packing.plan import SWAP, Plan
from fwd_plugins_bert.packing.zeros import Zeros

ROWS, PLACES, TOKENS = "packed.rows", "packed.places", "tokens"


@dataclass(frozen=True)
class Removal:
    """What was done to a graph.

    Attributes:
        packed: Names of the nodes that work on real tokens only.
        products: How many of them are products with weights.
    """

    packed: tuple[str, ...]
    products: int


def remove_padding(graph: Graph, mask: str, *, marks_padding: bool = False) -> Removal:
    """Let what works on each token alone work on real tokens only, in place.

    The graph gets two more inputs, which engines make of the mask. Outputs keep their shapes; where
    padding would have had something of tokens' results, they are 0. A graph that is refused is
    left as it was.

    Args:
        graph: After import; a fused operator of a pack is left as it is.
        mask: Name of the input, [batch, length], that tells tokens from padding.
        marks_padding: Whether it is not 0 where there is padding, instead of where there is not.

    Raises:
        OptionError: There is no such input, it has another shape, attention is masked by another
            or the other way round, tokens would meet padding, or nothing works on tokens.
    """
    given = refusals.mask_of(graph, mask)
    refusals.require_used(graph, given, marks_padding)
    wanted = plan.made(graph, given, marks_padding)
    packer = _Packer(graph, given, wanted, marks_padding)
    for node in list(graph):
        packer.visit(node)
    packer.finish()
    RemoveDeadCode().apply(graph)
    return Removal(tuple(packer.names), wanted.products)


class _Packer:
    def __init__(self, graph: Graph, mask: Value, wanted: Plan, marks_padding: bool) -> None:
        self.names: list[str] = []
        self._graph, self._mask, self._plan = graph, mask, wanted
        self._marks_padding = marks_padding
        self._zeros = Zeros(mask, marks_padding)
        batch, length = mask.type.shape
        self._places_count = batch * length
        rows = TensorType(DType.INT32, (_tokens(graph, self._places_count),))
        self._rows = graph.add_input(graph.unique_name(ROWS), rows)
        kind = TensorType(DType.INT32, mask.type.shape)
        self._places = graph.add_input(graph.unique_name(PLACES), kind)
        #: Values in the places of the batch, and the same for tokens alone.
        self._packed: dict[Value, Value] = {}
        self._orders = dict(wanted.orders)

    def visit(self, node: Node) -> None:
        """Compute a node for tokens alone, if that is planned."""
        op = node.op
        if node in self._plan.turned:
            assert isinstance(op, ops.Transpose)
            self._packed[node.output] = self._packed[op.x]
        elif node in self._plan.beside:
            self._packed[node.output] = self._alone(node, Emitter.before(node))
        elif node in self._plan.alone:
            emit, turned = Emitter.before(node), self._orders[node.output]
            packed = self._alone(node, emit)
            apart = emit(ops.Gather(packed, self._places, 0), "places")
            if turned:
                apart = emit(ops.Transpose(apart, SWAP), "swapped")
            self._graph.replace_uses(node.output, apart)
            self._packed[apart], self._orders[apart] = packed, turned
            self.names.append(apart.name)

    def finish(self) -> None:
        """Zeros for padding where values leave, and who makes the new inputs."""
        graph = self._graph
        for node, (single, state) in self._plan.reads.items():
            emit, op = Emitter.before(node), node.op
            kept = self._zeros.kept(emit, state)
            if single:
                assert isinstance(op, ops.Slice)
                taken = emit(op, "taken")
                kept = emit(ops.Slice(kept, op.axis, op.start, op.length, op.step), "kept")
                graph.replace_uses(node.output, self._zeros.put(emit, taken, kept, "place"))
            else:
                x: Value = op.x  # type: ignore[attr-defined]
                zeroed = self._zeros.put(emit, x, kept, "kept")
                graph.change_operator(node, _reading(op, x, zeroed))
        emit = Emitter(graph, base=self._mask.name)
        changed: dict[Value, Value] = {}
        for value, state in zip(graph.outputs, self._plan.outputs, strict=True):
            if state.wrong and value not in changed:
                kept = self._zeros.kept(emit, state)
                changed[value] = self._zeros.put(emit, value, kept, f"{value.name}.kept")
        if changed:
            values = [changed.get(value, value) for value in graph.outputs]
            graph.set_outputs(values, graph.output_names, graph.output_structure)
        maker = NAME_OF_PADDING if self._marks_padding else NAME
        gives = (self._rows.name, self._places.name)
        graph.derived = (*graph.derived, Derived(maker, (self._mask.name,), gives))

    def _alone(self, node: Node, emit: Emitter) -> Value:
        op = node.op.map_operands(lambda value: self._operand(value, emit))
        return emit(op, "packed")

    def _operand(self, value: Value, emit: Emitter) -> Value:
        if value in self._packed:
            return self._packed[value]
        if value not in self._orders:
            if value.type.rank != 3:
                return value
            return emit(ops.Reshape(value, value.type.shape[1:]), "row")
        features = value.type.shape[2]
        ordered = emit(ops.Transpose(value, SWAP), "ordered") if self._orders[value] else value
        flat = emit(ops.Reshape(ordered, (self._places_count, features)), "flat")
        self._packed[value] = emit(ops.Gather(flat, self._rows, 0), "rows")
        return self._packed[value]


def _reading(op: Operator, x: Value, other: Value) -> Operator:
    return op.map_operands(lambda value: other if value is x else value)


def _tokens(graph: Graph, places: Dim) -> Dim:
    """The number of tokens, tuned for half of the places."""
    taken = {one.name for value in graph.inputs for one in value.type.symbols}
    name = next(name for name in (TOKENS, f"packed_{TOKENS}") if name not in taken)
    most = bounds(places)[1]
    tuned = evaluate(places, {one.name: one.opt for one in symbols(places)})
    return symbol(name, 1, max(1, tuned // 2), most)
