"""The graph with its padding removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fwd_core.errors import OptionError
from fwd_core.ir import (
    Derived,
    Dim,
    DType,
    Emitter,
    Graph,
    Node,
    TensorType,
    Value,
    is_equal,
    ops,
    symbol,
)
from fwd_core.ir.dims import bounds, evaluate, symbols
from fwd_core.rewrite.cleanup.dead_code import RemoveDeadCode
from fwd_plugins_bert.packing.maker import NAME, NAME_OF_PADDING
from fwd_plugins_bert.packing.tokens import ELEMENTS, Axes, Tracker
from fwd_plugins_bert.padding import padding, source

ROWS, PLACES, TOKENS = "packed.rows", "packed.places", "tokens"
_IN_ORDER, _SWAPPED = Axes(0, 1), Axes(1, 0)
_SWAP = (1, 0, 2)


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

    The graph gets two more inputs, which engines make of the mask. Outputs keep their shapes; in
    places of padding those that are computed for each token are 0.

    Args:
        graph: After import; a fused operator of a pack is left as it is.
        mask: Name of the input, [batch, length], that tells tokens from padding.
        marks_padding: Whether it is not 0 where there is padding, instead of where there is not.

    Raises:
        OptionError: There is no such input, it has another shape, attention is masked by another
            or the other way round, or nothing works on tokens.
    """
    given = _input(graph, mask)
    _require_used(graph, given, marks_padding)
    tracker = Tracker(given)
    packer = _Packer(graph, given, tracker, marks_padding)
    for node in list(graph):
        tracker.visit(node)
        packer.visit(node)
    if not packer.products:
        raise OptionError(
            "variable_length: no linear layer of this model works on [batch, length, features]",
            expected=f"layers on values of {given.type.shape[0]} x {given.type.shape[1]} tokens",
            hint="leave variable_length out",
        )
    packer.finish()
    RemoveDeadCode().apply(graph)
    return Removal(tuple(packer.names), packer.products)


def _input(graph: Graph, name: str) -> Value:
    found = next((value for value in graph.inputs if value.name == name), None)
    flat = [str(value) for value in graph.inputs if value.type.rank == 2]
    if found is None:
        raise OptionError(
            f"variable_length: the model has no input {name!r}",
            expected=f"the padding mask, [batch, length]: one of {', '.join(flat) or 'none here'}",
            hint="variable_length='NAME' names the mask, '~NAME' one that marks padding",
        )
    if found.type.rank != 2:
        raise OptionError(
            f"variable_length: input {name!r} is no padding mask",
            expected="[batch, length]",
            got=found.type,
        )
    return found


def _require_used(graph: Graph, mask: Value, marks_padding: bool) -> None:
    """Refuse a mask where attention is seen to be masked by another, or the other way round."""
    found = (padding(value) for value in _masks(graph))
    sources = (source(one) for one in found if one is not None)
    seen = {(value, marks) for value, marks in sources if value in graph.inputs}
    if not seen or (mask, marks_padding) in seen:
        return
    names = sorted(f"{'~' if marks else ''}{value.name}" for value, marks in seen)
    what = {True: "padding", False: "tokens"}
    if any(value is mask for value, _ in seen):
        told = f"input {mask.name!r} marks {what[not marks_padding]}, not {what[marks_padding]}"
    else:
        told = f"attention is not masked by input {mask.name!r}"
    raise OptionError(
        f"variable_length: {told}",
        expected=" or ".join(names),
        got=f"{'~' if marks_padding else ''}{mask.name}",
        hint=f"variable_length={names[0]!r}",
    )


def _masks(graph: Graph) -> Iterator[Value]:
    """What is given to attention as a mask, or added to scores before a softmax."""
    for node in graph:
        if isinstance(node.op, ops.Attention) and node.op.mask is not None:
            yield node.op.mask
        if isinstance(node.op, ops.Softmax) and node.op.x.producer is not None:
            scores = node.op.x.producer.op
            if isinstance(scores, ops.Add):
                yield from (scores.a, scores.b)


class _Packer:
    def __init__(self, graph: Graph, mask: Value, tracker: Tracker, marks_padding: bool) -> None:
        self.names: list[str] = []
        self.products = 0
        self._graph, self._mask, self._tracker = graph, mask, tracker
        self._marks_padding = marks_padding
        batch, length = mask.type.shape
        self._places_count = batch * length
        rows = TensorType(DType.INT32, (_tokens(graph, self._places_count),))
        self._rows = graph.add_input(graph.unique_name(ROWS), rows)
        kind = TensorType(DType.INT32, mask.type.shape)
        self._places = graph.add_input(graph.unique_name(PLACES), kind)
        #: Values in the places of the batch, and the same for tokens alone.
        self._packed: dict[Value, Value] = {}
        self._apart: list[Value] = []

    def visit(self, node: Node) -> None:
        """Compute a node for tokens alone, if it works on each by itself."""
        if not self._wanted(node):
            self._follow(node)
            return
        axes = self._tracker[node.output]
        assert axes is not None
        emit = Emitter.before(node)
        op = node.op.map_operands(lambda value: self._operand(value, emit))
        packed = emit(op, "packed")
        apart = emit(ops.Gather(packed, self._places, 0), "places")
        if axes == _SWAPPED:
            apart = emit(ops.Transpose(apart, _SWAP), "swapped")
        self._graph.replace_uses(node.output, apart)
        self._packed[apart] = packed
        self._tracker.set(apart, axes)
        self._apart.append(apart)
        self.names.append(apart.name)
        self.products += isinstance(op, (ops.Linear, ops.MatMul))

    def finish(self) -> None:
        """Zeros for padding in outputs, and who makes the new inputs."""
        graph, mask = self._graph, self._mask
        outputs = [value for value in self._apart if value in graph.outputs]
        if outputs:
            emit = Emitter(graph, base=mask.name)
            kept = mask if mask.type.dtype is DType.BOOL else emit(ops.Cast(mask, DType.BOOL))
            kept = emit(ops.Not(kept)) if self._marks_padding else kept
            kept = emit(ops.Unsqueeze(kept, (2,)))
            orders = {_IN_ORDER: kept, _SWAPPED: emit(ops.Transpose(kept, _SWAP))}
            changed: dict[Value, Value] = {}
            for value in outputs:
                axes = self._tracker[value]
                assert axes is not None
                zero = graph.constant(np.zeros((), value.type.dtype.storage), name="padding")
                changed[value] = emit(ops.Where(orders[axes], value, zero), f"{value.name}.kept")
            values = [changed.get(value, value) for value in graph.outputs]
            graph.set_outputs(values, graph.output_names, graph.output_structure)
        maker = NAME_OF_PADDING if self._marks_padding else NAME
        gives = (self._rows.name, self._places.name)
        graph.derived = (*graph.derived, Derived(maker, (mask.name,), gives))

    def _follow(self, node: Node) -> None:
        """Two axes that are swapped are the same tokens."""
        op = node.op
        if isinstance(op, ops.Transpose) and op.order == _SWAP and op.x in self._packed:
            self._packed[node.output] = self._packed[op.x]

    def _wanted(self, node: Node) -> bool:
        op = node.op
        if len(node.outputs) != 1 or not self._of_tokens(node.output):
            return False
        if isinstance(op, ops.Linear):
            return self._of_tokens(op.x)
        if isinstance(op, ops.LayerNorm):
            return op.axes == 1 and self._of_tokens(op.x)
        if isinstance(op, ops.MatMul):
            flat = op.b.type.rank == 2 and self._tracker[op.b] is None
            return flat and not op.transpose_a and self._of_tokens(op.a)
        if not isinstance(op, ELEMENTS) or not any(one in self._packed for one in op.operands()):
            return False
        if isinstance(op, (ops.Quantize, ops.Dequantize)) and op.axis is not None:
            return False
        return all(self._of_tokens(one) or _for_all(one) for one in op.operands())

    def _of_tokens(self, value: Value) -> bool:
        return value.type.rank == 3 and self._tracker[value] in (_IN_ORDER, _SWAPPED)

    def _operand(self, value: Value, emit: Emitter) -> Value:
        if value in self._packed:
            return self._packed[value]
        if not self._of_tokens(value):
            if value.type.rank != 3:
                return value
            return emit(ops.Reshape(value, value.type.shape[1:]), "row")
        features = value.type.shape[2]
        ordered = value
        if self._tracker[value] == _SWAPPED:
            ordered = emit(ops.Transpose(value, _SWAP), "ordered")
        flat = emit(ops.Reshape(ordered, (self._places_count, features)), "flat")
        self._packed[value] = emit(ops.Gather(flat, self._rows, 0), "rows")
        return self._packed[value]


def _for_all(value: Value) -> bool:
    """Whether it is the same for all tokens: at most an axis of features."""
    shape = value.type.shape
    return len(shape) <= 3 and all(is_equal(size, 1) for size in shape[:-1])


def _tokens(graph: Graph, places: Dim) -> Dim:
    """The number of tokens, tuned for half of the places."""
    taken = {one.name for value in graph.inputs for one in value.type.symbols}
    name = next(name for name in (TOKENS, f"packed_{TOKENS}") if name not in taken)
    most = bounds(places)[1]
    tuned = evaluate(places, {one.name: one.opt for one in symbols(places)})
    return symbol(name, 1, max(1, tuned // 2), most)
