"""What is to be quantized, decided before anything is changed.

Two walks: forward, which products can compute in int8; backward from those, which tensors must
be had in int8 for it, and where the pair of each is best placed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.quantize import rules
from fwd_core.quantize.attention import is_attention
from fwd_core.quantize.ranges import Groups, Ranges
from fwd_core.quantize.weights import weight_axis, weight_problem
from fwd_core.rewrite.batch_norm import folded_product


@dataclass(frozen=True)
class Read:
    """One operand of a node that is read in int8."""

    node: Node
    field: str


@dataclass
class Plan:
    """What :func:`made` decides.

    Attributes:
        pairs: Tensors that get a Quantize and a Dequantize, and who reads those.
        weights: Constants that do, by the axis of their scales.
        quantized: Nodes that compute in int8 or hand it on, with what they are.
        floats: Nodes of floats that do not, with the reason.
        unquantized: Tensors that would be quantized but cannot be, with the reason.
        groups: Tensors that share one scale.
        instead: Tensors that get a pair once others are kept in float.
        around_zero: Tensors whose integers must be those around 0: they multiply other tensors
            from the place of a weight, or in attention.
        at_zero: Tensors whose integer 0 must stand for 0: no kernel of a transposed convolution
            takes another.
    """

    pairs: dict[Value, list[Read]] = field(default_factory=dict)
    weights: dict[tuple[Value, Union[int, None]], list[Read]] = field(default_factory=dict)
    quantized: dict[str, str] = field(default_factory=dict)
    floats: dict[str, str] = field(default_factory=dict)
    unquantized: dict[str, str] = field(default_factory=dict)
    groups: Groups = field(default_factory=Groups)
    instead: set[Value] = field(default_factory=set)
    around_zero: set[Value] = field(default_factory=set)
    at_zero: set[Value] = field(default_factory=set)


def made(
    graph: Graph,
    ranges: Ranges,
    skipped: Mapping[str, str],
    *,
    attention: bool,
    adds_floats: bool = True,
) -> Plan:
    """Decide for a graph; it is not changed.

    Args:
        graph: The graph.
        ranges: Of its tensors.
        skipped: Nodes that stay in float, with the pattern that says so.
        attention: As for :func:`~fwd_core.quantize.placement.place`.
        adds_floats: As a backend says of its kernels.
    """
    return _Planner(graph, ranges, skipped, attention, adds_floats).run()


class _Planner:
    def __init__(
        self,
        graph: Graph,
        ranges: Ranges,
        skipped: Mapping[str, str],
        attention: bool,
        adds_floats: bool,
    ) -> None:
        self.graph = graph
        self.ranges = ranges
        self.skipped = skipped
        self.kept = frozenset(skipped)
        self.attention = attention
        self.adds_floats = adds_floats
        self.plan = Plan()
        self.outputs = frozenset(graph.outputs)
        self.places = {value: place for place, value in enumerate(graph.values())}
        #: Tensors that the model itself has quantized.
        self.given: set[Value] = set()
        #: Tensors that kernels of products write: a pair on them costs nothing.
        self.near: set[Value] = set()
        self.products: dict[Node, list[str]] = {}

    def run(self) -> Plan:
        for node in self.graph:
            self._forward(node)
        for node in reversed(self.graph):
            self._backward(node)
        for node in self.graph:
            self._explain(node)
        return self.plan

    # --- forward --------------------------------------------------------------------------------

    def _forward(self, node: Node) -> None:
        op = node.op
        if isinstance(op, ops.Dequantize):
            self.given.add(node.output)
            self.near.add(node.output)
        elif isinstance(op, rules.PRODUCTS) or (isinstance(op, ops.Attention) and self.attention):
            if not node.output.type.dtype.is_float:
                return
            why = self._refusal(node)
            if why is not None:
                self.plan.floats[node.name] = why
                return
            self.products[node] = self._fields(node)
            if not isinstance(op, ops.Attention):
                self.near.add(node.output)
        elif sources := rules.passed_on(op):
            if all(one in self.given for one in sources):
                self.given.add(node.output)
            if any(one in self.near for one in sources):
                self.near.add(node.output)
        elif isinstance(op, ops.Add):
            if op.a in self.near or op.b in self.near:
                self.near.add(node.output)
        elif isinstance(op, (*rules.ACTIVATIONS, ops.AveragePool)) or self._folded(node):
            if next(iter(op.operands())) in self.near:
                self.near.add(node.output)

    def _fields(self, node: Node) -> list[str]:
        if isinstance(node.op, ops.Attention):
            return ["query", "key", "value"]
        return ["a", "b"] if isinstance(node.op, ops.MatMul) else ["x", "weight"]

    def _refusal(self, node: Node) -> str | None:
        """Why a product stays in float, if it does."""
        if node.name in self.skipped:
            return f"kept in float by {self.skipped[node.name]!r}"
        if node.output.type.dtype is not DType.FLOAT32:
            return f"computes in {node.output.type.dtype}"
        operands = {name: getattr(node.op, name) for name in self._fields(node)}
        if all(value.constant is not None for value in operands.values()):
            return "multiplies constants"
        if isinstance(node.op, ops.MatMul) and not self.attention and is_attention(node):
            return rules.ATTENTION
        for value in operands.values():
            if value in self.given:
                continue
            constant = value.constant  # of zeros is no problem to a weight
            why = self.ranges.problem(value) if constant is None else weight_problem(constant)
            if why is not None:
                self.plan.unquantized[value.name] = why
                return f"{value} stays in float: {why}"
        return None

    # --- backward -------------------------------------------------------------------------------

    def _backward(self, node: Node) -> None:
        op = node.op
        if node in self.products:
            self._want_operands(node)
        elif node.name in self.skipped:
            return
        elif rules.passed_on(op):
            self._pass(node)
        elif isinstance(op, ops.AveragePool):
            if node.output in self.plan.pairs and op.x in self.near and self._can(op.x):
                self._want(op.x, Read(node, "x"))
                self.plan.quantized[node.name] = "average"
        elif isinstance(op, ops.Add):
            self._add(node, op)

    def _want_operands(self, node: Node) -> None:
        given = True
        for name in self.products[node]:
            value = getattr(node.op, name)
            if value in self.given:
                continue
            given = False
            if value.constant is None:
                self._want(value, Read(node, name))
                if name != self.products[node][0] or isinstance(node.op, ops.Attention):
                    self.plan.around_zero.add(value)
                elif isinstance(node.op, ops.ConvolutionTranspose):
                    self.plan.at_zero.add(value)
                continue
            axis = weight_axis(node.op, name, value.type.rank)
            self.plan.weights.setdefault((value, axis), []).append(Read(node, name))
        kind = type(node.op).__name__
        self.plan.quantized[node.name] = f"{kind}, as the model has it" if given else kind

    def _pass(self, node: Node) -> None:
        """Move a pair over an operator to its operands, if all that read it read int8."""
        result = node.output
        sources = dict.fromkeys(rules.passed_on(node.op))
        if result in self.given:
            self.plan.quantized[node.name] = "hands on int8"
            return
        if result in self.outputs or result not in self.plan.pairs:
            return
        readers = {(read.node, read.field) for read in self.plan.pairs[result]}
        if sum(result.users.values()) != self._operand_count(result, readers):
            return
        # Padding is part of the convolution that reads it, unless a pair stands between.
        if not isinstance(node.op, ops.Pad) and not any(self._is_int8(one) for one in sources):
            return
        if not all(one in self.given or self._can(one) for one in sources):
            return
        if any(one in self.given for one in sources):
            return  # its scale is the model's own
        del self.plan.pairs[result]
        name = "values" if isinstance(node.op, ops.Concat) else "x"
        for one in sources:
            self._want(one, Read(node, name))
            self.plan.groups.join(one, result)
        self.plan.quantized[node.name] = "hands on int8"

    @staticmethod
    def _operand_count(value: Value, readers: set[tuple[Node, str]]) -> int:
        count = 0
        for node, name in readers:
            held = getattr(node.op, name)
            count += sum(one is value for one in (held if isinstance(held, tuple) else (held,)))
        return count

    def _is_int8(self, value: Value) -> bool:
        """Whether a kernel of a product writes the tensor, or one reads it in int8."""
        if value in self.near:
            return True
        reading = (node for node in value.users if node in self.products)
        return any(
            getattr(node.op, name) is value for node in reading for name in self.products[node]
        )

    def _add(self, node: Node, op: ops.Add) -> None:
        """Quantize what is added, if the sum is quantized.

        Of an addition to a product the other operand decides the type that the fused kernel
        writes. Of two products the later one fuses the addition, since the other must be there
        by then. Where neither fuses, as behind an activation, both are read in int8.
        """
        if op.a is op.b or op.a.type != op.b.type:
            return
        if not self._becomes_int8(node.output):
            self._add_floats(node, op)
            return
        fusing = [name for name in ("a", "b") if self._fuses(node, getattr(op, name))]
        names = ["a", "b"] if not fusing else ["b" if fusing == ["a"] else "a"]
        if len(fusing) == 2:
            names = ["a" if self.places[op.a] < self.places[op.b] else "b"]
            self.plan.instead.update((op.a, op.b))
        values = {name: getattr(op, name) for name in names}
        if any(value.constant is not None for value in values.values()):
            return
        if not fusing and not all(self._is_int8(value) for value in values.values()):
            return
        if not all(value in self.given or self._can(value) for value in values.values()):
            return
        for name, value in values.items():
            if value not in self.given:
                self._want(value, Read(node, name))
        self.plan.quantized[node.name] = "residual addition" if fusing else "addition"

    def _add_floats(self, node: Node, op: ops.Add) -> None:
        """Keep a convolution in float if no kernel of 8 bits adds the floats that follow it.

        What is added is read in int8 all the same where others read it so: the sum that makes it
        is one of 8 bits then.
        """
        if self.adds_floats:
            return
        for name, other in (("a", "b"), ("b", "a")):
            product = self._product(node, getattr(op, name))
            if product is None or not isinstance(product.op, rules.CONVOLUTIONS):
                continue
            del self.products[product]
            self.plan.floats[product.name] = rules.FLOAT_SUM
            value = getattr(op, other)
            reading = any(user in self.products for user in value.users)
            if value.constant is None and value not in self.given and reading and self._can(value):
                self._want(value, Read(node, other))

    def _fuses(self, node: Node, value: Value) -> bool:
        """Whether an operand comes straight, and only here, out of a product in int8."""
        return self._product(node, value) is not None

    def _product(self, node: Node, value: Value) -> Node | None:
        made = value.producer
        if made is None or value.users != {node: 1} or value in self.outputs:
            return None
        found = made if made in self.products else self._folded(made)
        return found if found in self.products else None

    def _folded(self, node: Node) -> Node | None:
        """The product that a batch normalization is, or will be, a part of."""
        before = folded_product(node)
        return None if before is None or {node.name, before.name} & self.kept else before

    def _becomes_int8(self, value: Value) -> bool:
        while value not in self.plan.pairs:
            users = list(value.users)
            alone = len(users) == 1 and value not in self.outputs
            if not alone or not isinstance(users[0].op, rules.ACTIVATIONS):
                return False
            value = users[0].output
        return True

    def _can(self, value: Value) -> bool:
        why = self.ranges.problem(value)
        if why is not None:
            self.plan.unquantized[value.name] = why
        return why is None

    def _want(self, value: Value, read: Read) -> None:
        reads = self.plan.pairs.setdefault(value, [])
        if read not in reads:
            reads.append(read)

    # --- reasons --------------------------------------------------------------------------------

    def _explain(self, node: Node) -> None:
        """Note why a node that is left computes in float."""
        plan, op = self.plan, node.op
        if node.name in plan.quantized or node.name in plan.floats:
            return
        if isinstance(op, (ops.Constant, ops.Full, ops.Arange, ops.Quantize, ops.Dequantize)):
            return
        if not any(value.type.dtype is DType.FLOAT32 for value in node.outputs):
            return
        if node.name in self.skipped:
            plan.floats[node.name] = f"kept in float by {self.skipped[node.name]!r}"
        else:
            plan.floats[node.name] = rules.reason(op)
