"""What is computed for tokens alone, and whose tokens these are, found before any change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fwd_core.ir import Graph, Node, Value, is_equal, ops
from fwd_plugins_bert.packing import refusals
from fwd_plugins_bert.packing.elements import ELEMENTS
from fwd_plugins_bert.packing.pieces import State, changed
from fwd_plugins_bert.packing.products import MixedError
from fwd_plugins_bert.packing.tokens import Tracker

SWAP = (1, 0, 2)


@dataclass
class Plan:
    """What becomes of nodes.

    Attributes:
        orders: Of values that are tokens, whether they are [length, batch, features].
        alone: Nodes that are computed for tokens alone.
        beside: Nodes that are computed for tokens alone as well: the mask makes them right in
            padding, which others read.
        turned: Nodes that swap batch and length.
        reads: Nodes that take single places, whether one only, and of what.
        outputs: What is known of the graph's outputs.
        products: How many nodes are products with weights.
    """

    orders: dict[Value, bool] = field(default_factory=dict)
    alone: set[Node] = field(default_factory=set)
    beside: set[Node] = field(default_factory=set)
    turned: set[Node] = field(default_factory=set)
    reads: dict[Node, tuple[bool, State]] = field(default_factory=dict)
    outputs: list[State] = field(default_factory=list)
    products: int = 0


def made(graph: Graph, mask: Value, marks_padding: bool) -> Plan:
    """The plan for a graph.

    Inputs of the mask's sizes are taken to be its tokens until that lets tokens meet padding, or
    nothing is seen of the mask beside them.

    Raises:
        OptionError: Tokens would meet padding, or nothing works on tokens of this mask.
    """
    swapped = _candidates(graph, mask)
    first: MixedError | None = None
    loose: set[Value] = set()
    masked: set[Value] = set()  # Of these attention was seen that the mask is not of.
    while True:
        attempt = _Attempt(Tracker(mask, marks_padding, swapped))
        try:
            attempt.run(graph)
        except MixedError as told:
            first = first or told
            if isinstance(told.node.op, (ops.Attention, ops.Softmax)):
                masked |= told.roots
            other = _otherwise(mask, swapped, told.roots, masked)
            if other is None:
                raise refusals.mixed(graph, mask, first) from None
            swapped = other
            continue
        unseen = attempt.roots & set(swapped) - attempt.tracker.confirmed
        if unseen:
            loose |= unseen
            swapped = {one: turned for one, turned in swapped.items() if one not in unseen}
        elif attempt.plan.products:
            return attempt.plan
        elif first is not None:
            raise refusals.mixed(graph, mask, first)
        else:
            raise refusals.nothing(graph, mask, bool(loose))


def _candidates(graph: Graph, mask: Value) -> dict[Value, bool]:
    """Inputs that may be tokens of the mask, and whether the length comes first."""
    batch, length = mask.type.shape
    found = {}
    for value in graph.inputs:
        if value is mask or value.type.rank < 2 or length == 1:
            continue
        for turned, sizes in ((False, (batch, length)), (True, (length, batch))):
            pairs = zip(value.type.shape[:2], sizes, strict=True)
            if value not in found and all(is_equal(a, b) is True for a, b in pairs):
                found[value] = turned
    return found


def _otherwise(
    mask: Value, swapped: dict[Value, bool], roots: frozenset[Value], masked: set[Value]
) -> dict[Value, bool] | None:
    """Another reading of inputs whose tokens are mixed; ``None`` if there is none."""
    batch, length = mask.type.shape
    if is_equal(batch, length) is True and any(
        one in roots and not swapped[one] for one in swapped
    ):
        return {one: turned or one in roots for one, turned in swapped.items()}
    left = {one: turned for one, turned in swapped.items() if one not in roots & masked}
    return left if len(left) < len(swapped) else None


class _Attempt:
    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.plan = tracker, Plan()
        #: Inputs whose tokens are computed alone.
        self.roots: set[Value] = set()
        #: Values of which there are the rows of tokens.
        self._packed: set[Value] = set()

    def run(self, graph: Graph) -> None:
        """Follow all nodes.

        Raises:
            MixedError: One lets tokens meet padding.
        """
        for node in graph:
            self.tracker.visit(node)
            self._visit(node)
        plan, tracker = self.plan, self.tracker
        plan.reads = {node: (one, tracker[node.op.x]) for node, one in tracker.reads.items()}  # type: ignore[attr-defined]
        plan.outputs = [tracker[value] for value in graph.outputs]

    def _visit(self, node: Node) -> None:
        op = node.op
        if len(node.outputs) != 1 or not self._of_tokens(node.output):
            return
        if isinstance(op, ops.Transpose):
            if op.order == SWAP and op.x in self._packed:
                self.plan.turned.add(node)
                self._packed.add(node.output)
            return
        if not self._wanted(node):
            return
        for value in (*op.operands(), node.output):
            if self._of_tokens(value):
                self._packed.add(value)
        state = self.tracker[node.output]
        if isinstance(op, ELEMENTS) and not state.wrong:
            self.plan.beside.add(node)
            return
        self.plan.alone.add(node)
        self.plan.products += isinstance(op, (ops.Linear, ops.MatMul))
        self.tracker[node.output] = State(
            tuple(
                tuple(replace(one, wrong=one.kind == "position") for one in changed(axis))
                for axis in state.axes
            )
        )
        self.roots |= self.tracker[node.output].roots

    def _wanted(self, node: Node) -> bool:
        op = node.op
        if isinstance(op, ops.Linear):
            return self._of_tokens(op.x)
        if isinstance(op, ops.LayerNorm):
            return op.axes == 1 and self._of_tokens(op.x)
        if isinstance(op, ops.MatMul):
            flat = op.b.type.rank == 2 and not self.tracker[op.b].positions
            return flat and not op.transpose_a and self._of_tokens(op.a)
        if not isinstance(op, ELEMENTS) or not any(one in self._packed for one in op.operands()):
            return False
        if isinstance(op, (ops.Quantize, ops.Dequantize)) and op.axis is not None:
            return False
        return all(self._of_tokens(one) or _for_all(one) for one in op.operands())

    def _of_tokens(self, value: Value) -> bool:
        found = self.tracker.order(value)
        if found is not None:
            self.plan.orders[value] = found
        return found is not None


def _for_all(value: Value) -> bool:
    """Whether it is the same for all tokens: at most an axis of features."""
    shape = value.type.shape
    return len(shape) <= 3 and all(is_equal(size, 1) for size in shape[:-1])
