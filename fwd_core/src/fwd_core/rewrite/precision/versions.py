"""Values in several element types: each conversion is made once, where it is first needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.operator import Operator
from fwd_core.rewrite.precision import limits


class Versions:
    """Which values stand for a value of the original graph, by element type.

    A constant or a filled tensor is made anew in the type that is asked for; anything else is
    cast. Nodes whose result changes its type are replaced, and removed by :meth:`finish`.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._have: dict[Value, dict[DType, Value]] = {}
        self._replaced: list[tuple[Node, tuple[Value, ...]]] = []
        #: Values that may hold finite numbers beyond half's range, which a cast must clamp.
        self.wide: set[Value] = set()

    def dtype(self, value: Value) -> DType:
        """The type that the value is computed in now; casts of it do not count."""
        return next(iter(self._have.get(value, {value.type.dtype: value})))

    def present(self, value: Value, dtype: DType) -> Value | None:
        """The value in a type, if it exists already."""
        return self._have.get(value, {value.type.dtype: value}).get(dtype)

    def is_material(self, value: Value) -> bool:
        """Whether the value can be made in any type: a constant or a filled tensor."""
        producer = value.producer
        return producer is not None and isinstance(producer.op, (ops.Constant, ops.Full))

    def get(self, value: Value, dtype: DType, before: Node | None) -> Value:
        """The value in a type; if it must be made, a node is inserted before ``before``."""
        have = self._have.setdefault(value, {value.type.dtype: value})
        if dtype not in have:
            have[dtype] = self._made(value, next(iter(have.values())), dtype, before)
        return have[dtype]

    def put(self, value: Value, stand_in: Value) -> None:
        """Let a value of the original graph be had in the type of a cast of it."""
        self._have.setdefault(value, {value.type.dtype: value})[stand_in.type.dtype] = stand_in

    def stand(self, value: Value, source: Value) -> None:
        """Say that a value of the original graph is a cast of another, which holds as much."""
        self._have[value] = {source.type.dtype: source, value.type.dtype: value}

    def retype(self, node: Node, op: Operator) -> None:
        """Replace a node by an operator whose results may have other element types."""
        types = op.infer()
        found = types if isinstance(types, tuple) else (types,)
        if found == tuple(value.type for value in node.outputs):
            self.graph.change_operator(node, op)
            return
        name = node.name if len(node.outputs) == 1 else node.name.rpartition(".")[0]
        new = self.graph.add_all(op, name=name, location=node.location, before=node)
        for old, value in zip(node.outputs, new, strict=True):
            if old.type == value.type:
                self.graph.replace_uses(old, value, keep_name=False)
            self._have[old] = {value.type.dtype: value}
        self._replaced.append((node, new))

    def finish(self) -> None:
        """Give the graph's outputs their types back, and remove what was replaced.

        Values that replace others take over their names.
        """
        graph = self.graph
        outputs = [self.get(value, value.type.dtype, None) for value in graph.outputs]
        graph.set_outputs(outputs, graph.output_names, graph.output_structure)
        for node, new in reversed(self._replaced):
            self._succeed(node, new)
        for value, have in self._have.items():
            source = value.producer
            made = [version for version in have.values() if version is not value]
            if source is None or source.graph is None or not self.is_material(value):
                continue
            if len(made) == 1 and not value.users and value not in outputs:
                self._succeed(source, made)

    def _succeed(self, node: Node, new: Sequence[Value]) -> None:
        names = [value.name for value in node.outputs]
        self.graph.remove(node)
        for value, name in zip(new, names, strict=True):
            self.graph.rename(value, name)

    def _made(self, value: Value, source: Value, dtype: DType, before: Node | None) -> Value:
        graph, producer = self.graph, value.producer
        place = producer.location if producer is not None else None
        name = f"{value.name}/{dtype}"
        if (constant := value.constant) is not None:
            tensor = limits.clamped(constant, dtype)
            return graph.constant(tensor, name=name, location=place, before=before)
        op: Operator
        if producer is not None and isinstance(producer.op, ops.Full):
            number = limits.clamped_number(float(producer.op.value), dtype)
            op = dataclasses.replace(producer.op, value=number, dtype=dtype)
            return graph.add(op, name=name, location=place, before=before)
        if value in self.wide:
            low, high = dtype.limits
            limited = ops.Clamp(source, low, high)
            source = graph.add(limited, name=f"{name}/clamp", location=place, before=before)
        return graph.add(ops.Cast(source, dtype), name=name, location=place, before=before)
