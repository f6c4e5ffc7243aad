"""Turning a float32 graph to half, for backends that compute in the graph's types."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.operator import Operator
from fwd_core.rewrite.cleanup.dead_code import RemoveDeadCode
from fwd_core.rewrite.precision import limits
from fwd_core.rewrite.precision.double import narrow_float64
from fwd_core.rewrite.precision.fold import fold_statistics
from fwd_core.rewrite.precision.rules import TABLES, Rule, rule_of
from fwd_core.rewrite.precision.versions import Versions

SINGLE, HALF = DType.FLOAT32, DType.FLOAT16


def to_half(graph: Graph) -> int:
    """Let products, convolutions and arithmetic on float32 compute in float16.

    The types of the graph's inputs and outputs stay, and so do integers, bools and whatever is
    float16 or bfloat16 already. Where operators stay in float32 is said in
    :mod:`fwd_core.rewrite.precision.rules`. Constants beyond half's range are clamped to it,
    values made of them too, before a cast; infinities stay. Float64 is narrowed to float32 first.

    Args:
        graph: Changed in place.

    Returns:
        How many operators compute in half.
    """
    narrow_float64(graph)
    rewriting = _Rewriting(graph)
    rewriting.run()
    return rewriting.count


class _Rewriting:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.versions = Versions(graph)
        #: Operators that compute in half, also in graphs inside others.
        self.count = 0
        #: Values left in float32 on purpose.
        self.islands: set[Value] = set()
        #: Values that are made of integers only: positions must keep all their digits.
        self.counted: set[Value] = set()
        #: Which of the graph's outputs are known to be these, once it has been run.
        self.facts: list[list[bool]] = []

    def run(self) -> None:
        """Visit all nodes, and bring the graph's outputs back to their types."""
        for node in list(self.graph):
            inside = [self._inside(node, graph) for graph in node.op.graphs()]
            results = node.outputs
            self.visit(node)
            if isinstance(node.op, ops.If):
                self._note_branches(results, inside)
        self.facts = [[value in known for value in self.graph.outputs] for known in self._known()]
        self.versions.finish()
        RemoveDeadCode().apply(self.graph)  # constants that are now half
        self.graph.collect_constants()

    def _known(self) -> tuple[set[Value], set[Value], set[Value]]:
        return self.islands, self.counted, self.versions.wide

    def _inside(self, node: Node, graph: Graph) -> _Rewriting:
        """Rewrite a graph inside an operator, which keeps the types of its inputs and outputs."""
        inner = _Rewriting(graph)
        if isinstance(node.op, ops.If):
            for value, entry in zip(node.op.captured, graph.inputs, strict=True):
                for outside, inside in zip(self._known(), inner._known(), strict=True):
                    if value in outside:
                        inside.add(entry)
        inner.run()
        self.count += inner.count
        return inner

    def _note_branches(self, results: Sequence[Value], inside: list[_Rewriting]) -> None:
        """What is known of what either branch gives is known of the result."""
        for known, *facts in zip(self._known(), *[one.facts for one in inside], strict=True):
            for value, *told in zip(results, *facts, strict=True):
                if value.type.dtype is SINGLE and any(told):
                    known.add(value)

    def visit(self, node: Node) -> None:
        op = node.op
        floats = [value for value in op.operands() if value.type.dtype is SINGLE]
        if not floats:
            self._visit_source(node)
            return
        if isinstance(op, ops.BatchNorm):
            op = fold_statistics(self.graph, node, op) or op
            floats = [value for value in op.operands() if value.type.dtype is SINGLE]
        dtype = self._chosen(op, floats)
        if isinstance(op, ops.Cast) and op.dtype is HALF:
            self._visit_cast_to_half(node, op)
            return
        changed = self._with_operands(op, dtype, node)
        self.versions.retype(node, changed)
        if dtype is HALF:
            self.count += 1
        else:
            self._note(node, op, floats)

    def _visit_cast_to_half(self, node: Node, op: ops.Cast) -> None:
        half = self.versions.present(op.x, HALF)
        if half is not None:
            self.graph.replace_uses(node.output, half, keep_name=False)
            self.graph.remove(node)
            return
        self.versions.retype(node, self._with_operands(op, SINGLE, node))
        if op.x not in self.versions.wide:
            self.versions.put(op.x, node.output)

    def _visit_source(self, node: Node) -> None:
        """Where float32 begins: casts of other types, numbers in equal steps, constants."""
        op = node.op
        for value in node.outputs:
            if value.type.dtype is not SINGLE:
                continue
            if self.versions.is_material(value):
                self._note_material(value)
            elif isinstance(op, ops.Cast) and op.x.type.dtype is HALF:
                self.versions.stand(value, op.x)
            elif isinstance(op, ops.Arange) or (
                isinstance(op, ops.Cast) and not op.x.type.dtype.is_float
            ):
                self.counted.add(value)
                self.islands.add(value)

    def _note_material(self, value: Value) -> None:
        constant = value.constant
        if constant is not None:
            wide = limits.exceeds(constant, HALF)
        else:
            assert value.producer is not None
            assert isinstance(value.producer.op, ops.Full)
            number = float(value.producer.op.value)
            wide = limits.clamped_number(number, HALF) != number
        if wide:
            self.versions.wide.add(value)

    def _chosen(self, op: Operator, floats: list[Value]) -> DType:
        rule = rule_of(op)
        if any(True for _ in op.graphs()) or rule is Rule.FLOAT32:
            return SINGLE
        moving = [value for value in floats if not self.versions.is_material(value)]
        if isinstance(op, ops.Dequantize):
            return HALF if _fits(op) else SINGLE
        if rule is Rule.HALF:
            counted = bool(moving) and all(value in self.counted for value in moving)
            unfolded = isinstance(op, ops.BatchNorm) and op.epsilon != 0.0
            return SINGLE if counted or unfolded else HALF
        if any(self.versions.dtype(value) is HALF for value in moving):
            chosen = HALF
        elif all(value.type.rank == 0 for value in op.operands()):
            chosen = SINGLE  # one number costs nothing, and what it scales may be positions
        elif rule is Rule.ARITHMETIC:
            chosen = SINGLE if any(value in self.islands for value in moving) else HALF
        else:
            chosen = HALF if not moving and isinstance(op, TABLES) else SINGLE
        if chosen is HALF and rule is Rule.ARITHMETIC and self._loses(floats):
            return SINGLE
        return chosen

    def _loses(self, floats: list[Value]) -> bool:
        constants = [value.constant for value in floats]
        return any(tensor is not None and limits.vanishes(tensor, HALF) for tensor in constants)

    def _with_operands(self, op: Operator, dtype: DType, node: Node) -> Operator:
        def change(value: Value) -> Value:
            if value.type.dtype is not SINGLE:
                return value
            return self.versions.get(value, dtype, node)

        if isinstance(op, ops.Quantize):
            return dataclasses.replace(op, x=change(op.x))
        if isinstance(op, ops.Dequantize):
            return dataclasses.replace(op, dtype=dtype) if op.dtype is SINGLE else op
        changed = op.map_operands(change)
        if dtype is HALF and isinstance(changed, ops.Clamp):
            low, high = (
                None if bound is None else limits.clamped_number(float(bound), HALF)
                for bound in (changed.minimum, changed.maximum)
            )
            return dataclasses.replace(changed, minimum=low, maximum=high)
        if dtype is HALF and isinstance(changed, ops.Pad):
            value = limits.clamped_number(float(changed.value), HALF)
            return dataclasses.replace(changed, value=value)
        return changed

    def _note(self, node: Node, op: Operator, floats: list[Value]) -> None:
        """What is known of the results of an operator that stays in float32."""
        if isinstance(op, ops.If):
            return  # its branches say what is known
        rule = rule_of(op)
        moving = [value for value in floats if not self.versions.is_material(value)]
        results = [value for value in node.outputs if value.type.dtype is SINGLE]
        followed = rule is Rule.FOLLOW
        if not followed or any(value in self.islands for value in moving):
            self.islands.update(results)
        if moving and all(value in self.counted for value in moving):
            self.counted.update(results)
        passes_on = followed or rule is Rule.ARITHMETIC
        if passes_on and any(value in self.versions.wide for value in floats):
            self.versions.wide.update(results)


def _fits(op: ops.Dequantize) -> bool:
    """Whether all that integers can become is within half's range."""
    scale = op.scale.constant
    return scale is not None and float(np.max(scale.data, initial=0)) * 255 <= HALF.limits[1]
