"""Graphs in single static assignment form: values, nodes, and the rules that keep them whole."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import GraphError
from fwd_core.ir.derived import Derived
from fwd_core.ir.fixed import FixedArgument
from fwd_core.ir.location import Location
from fwd_core.ir.operator import Operator
from fwd_core.ir.structure import Structure, leaf_count
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

if TYPE_CHECKING:
    from typing_extensions import Self


class Value:
    """One tensor of a graph. Made by :class:`Graph` only; equal only to itself.

    Attributes:
        name: Unique in its graph and stable: calibration caches are keyed by it.
        type: Element type and shape.
        producer: The node that computes it, ``None`` for an input of the graph.
        users: Nodes that read it, with how many of their operands do.
    """

    __slots__ = ("graph", "name", "producer", "type", "users")

    def __init__(self, graph: Graph, name: str, type: TensorType, producer: Node | None) -> None:  # noqa: A002
        self.graph = graph
        self.name = name
        self.type = type
        self.producer = producer
        self.users: dict[Node, int] = {}

    def __repr__(self) -> str:
        return f"%{self.name}"

    @property
    def constant(self) -> Tensor | None:
        """The contents, if the value is a constant of the graph."""
        from fwd_core.ir.ops.creation import Constant

        if self.producer is not None and isinstance(self.producer.op, Constant):
            return self.graph.constants[self.producer.op.digest]
        return None


class Node:
    """An operator applied at one place of a graph."""

    __slots__ = ("_next", "_previous", "graph", "location", "op", "outputs")

    def __init__(self, graph: Graph, op: Operator, location: Location) -> None:
        self.graph: Graph | None = graph
        self.op = op
        self.location = location
        self.outputs: tuple[Value, ...] = ()
        self._previous: Node | None = None
        self._next: Node | None = None

    @property
    def name(self) -> str:
        """Name of the first output."""
        return self.outputs[0].name

    @property
    def output(self) -> Value:
        """The only output.

        Raises:
            GraphError: The node has several.
        """
        if len(self.outputs) != 1:
            raise GraphError(f"{self} has {len(self.outputs)} outputs, not one")
        return self.outputs[0]

    def __repr__(self) -> str:
        return f"{self.op.kind()} {self.name}"


class Graph:
    """Inputs, nodes in execution order, named outputs, and the constants they use.

    Args:
        name: What it is called in printed form.

    Example:
        >>> from fwd_core.ir import DType, Graph, TensorType, ops
        >>> graph = Graph("demo")
        >>> x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 3)))
        >>> y = graph.add(ops.Relu(x), name="relu")
        >>> graph.set_outputs([y], ["y"])
        >>> print(graph)
        graph demo(%x: float32[2, 3]) {
          %relu = Relu(%x) : float32[2, 3]
          return y=%relu
        }
    """

    def __init__(self, name: str = "main") -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.output_names: list[str] = []
        #: How the source model nests its outputs and inputs; ``None`` means a flat tuple.
        self.output_structure: Structure | None = None
        self.input_structure: Structure | None = None
        #: Arguments of the source model that are no tensors. They are not in ``input_structure``.
        self.fixed: tuple[FixedArgument, ...] = ()
        #: Inputs that are computed of others before each run. They are not in ``input_structure``.
        self.derived: tuple[Derived, ...] = ()
        self.constants: dict[str, Tensor] = {}
        self._values: dict[str, Value] = {}
        self._ordinals: dict[str, int] = {}
        self._first: Node | None = None
        self._last: Node | None = None
        self._count = 0

    # --- reading --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Node]:
        """Nodes in order. Removing the node just yielded, and adding before it, is safe."""
        node = self._first
        while node is not None:
            following = node._next
            yield node
            node = following

    def __reversed__(self) -> Iterator[Node]:
        node = self._last
        while node is not None:
            preceding = node._previous
            yield node
            node = preceding

    def walk(self) -> Iterator[Node]:
        """All nodes in order, and after each those of the graphs inside it."""
        for node in self:
            yield node
            for inner in node.op.graphs():
                yield from inner.walk()

    def __str__(self) -> str:
        from fwd_core.ir.printer import text

        return text(self)

    def value(self, name: str) -> Value:
        """The value of that name.

        Raises:
            KeyError: There is none.
        """
        return self._values[name]

    def find(self, name: str) -> Value | None:
        """The value of that name, or ``None``."""
        return self._values.get(name)

    def values(self) -> Iterator[Value]:
        """All values: inputs first, then in order of computation."""
        yield from self.inputs
        for node in self:
            yield from node.outputs

    def verify(self) -> Self:
        """Check every rule of the IR and return the graph.

        Raises:
            GraphError: A rule is broken; the message names the node.
        """
        from fwd_core.ir.verify import verify

        verify(self)
        return self

    # --- building -------------------------------------------------------------------------------

    def unique_name(self, wanted: str) -> str:
        """``wanted``, or ``wanted_1``, ``wanted_2`` … if it is taken."""
        if wanted not in self._values:
            return wanted
        ordinal = self._ordinals.get(wanted, 0)
        while True:  # the remembered ordinal makes a chain of equal names linear, not quadratic
            ordinal += 1
            name = f"{wanted}_{ordinal}"
            if name not in self._values:
                self._ordinals[wanted] = ordinal
                return name

    def add_input(self, name: str, type: TensorType) -> Value:  # noqa: A002
        """Append an input.

        Raises:
            GraphError: The name is taken.
        """
        if name in self._values:
            raise GraphError(f"input {name!r} exists already in graph {self.name!r}")
        value = self._new_value(name, type, None)
        self.inputs.append(value)
        return value

    def add(
        self,
        op: Operator,
        *,
        name: str = "",
        location: Location | None = None,
        before: Node | None = None,
    ) -> Value:
        """Append an operator with one output, or insert it before a node.

        Args:
            op: The operator, with operands of this graph.
            name: Wanted name of its output, made unique.
            location: Where in the user's model it comes from.
            before: The node to insert before; ``None`` appends.

        Raises:
            GraphError: An operand belongs to another graph, ``infer()`` refuses, or the
                operator has several outputs (then :meth:`add_all` is the call).
        """
        types = op.infer()
        if isinstance(types, tuple):
            raise GraphError(f"{op.kind()} has {len(types)} outputs: use add_all")
        return self._insert(op, [(name or type(op).__name__.lower(), types)], location, before)[0]

    def add_all(
        self,
        op: Operator,
        *,
        name: str = "",
        location: Location | None = None,
        before: Node | None = None,
    ) -> tuple[Value, ...]:
        """Like :meth:`add` for several outputs, called ``<name>.0``, ``<name>.1`` …."""
        types = op.infer()
        if not isinstance(types, tuple):
            return (self.add(op, name=name, location=location, before=before),)
        wanted = name or type(op).__name__.lower()
        return self._insert(
            op, [(f"{wanted}.{i}", one) for i, one in enumerate(types)], location, before
        )

    def add_named(
        self, op: Operator, names: Sequence[str], *, location: Location | None = None
    ) -> tuple[Value, ...]:
        """Append an operator whose outputs have exactly these names, as a file says them.

        Raises:
            GraphError: As :meth:`add`, or a name is taken, or there are more or fewer outputs.
        """
        types = op.infer()
        found = types if isinstance(types, tuple) else (types,)
        if len(names) != len(found):
            raise GraphError(f"{op.kind()} has {len(found)} outputs, not {len(names)}")
        for name in names:
            if name in self._values:
                raise GraphError(f"value {name!r} exists already in graph {self.name!r}")
        return self._insert(op, list(zip(names, found, strict=True)), location, None)

    def constant(
        self,
        data: Tensor | NDArray[np.generic],
        *,
        name: str = "constant",
        location: Location | None = None,
        before: Node | None = None,
    ) -> Value:
        """Add a constant; equal contents are stored once."""
        from fwd_core.ir.ops.creation import Constant

        tensor = data if isinstance(data, Tensor) else Tensor(data)
        self.constants.setdefault(tensor.digest, tensor)
        op = Constant(tensor.digest, tensor.type)
        return self.add(op, name=name, location=location, before=before)

    def set_outputs(
        self,
        values: Iterable[Value],
        names: Iterable[str],
        structure: Structure | None = None,
    ) -> None:
        """Declare the outputs: one value may appear twice, and may be an input.

        Raises:
            GraphError: Counts differ, a name repeats, or a value is of another graph; the
                graph is unchanged.
        """
        outputs, output_names = list(values), list(names)
        if len(outputs) != len(output_names):
            raise GraphError(f"{len(outputs)} outputs but {len(output_names)} names")
        if len(set(output_names)) != len(output_names):
            raise GraphError(f"output names repeat: {output_names}")
        if structure is not None and leaf_count(structure) != len(outputs):
            raise GraphError(f"the structure {structure} does not hold {len(outputs)} outputs")
        for value in outputs:
            self._require_own(value, "is an output")
        self.outputs, self.output_names = outputs, output_names
        self.output_structure = structure

    def rename(self, value: Value, wanted: str) -> None:
        """Give a value another name, made unique."""
        if value.name == wanted:
            return
        del self._values[value.name]
        value.name = self.unique_name(wanted)
        self._values[value.name] = value

    # --- changing -------------------------------------------------------------------------------

    def replace_uses(self, old: Value, new: Value, *, keep_name: bool = True) -> None:
        """Make every reader of ``old``, and the graph's outputs, read ``new`` instead.

        With ``keep_name`` a ``new`` that a node computes takes over ``old``'s name, so that
        names stay as the importer gave them; ``old`` gets a derived one. Where ``new`` is
        computed from ``old`` this would make a circle: the caller keeps such readers back.

        Raises:
            GraphError: The types differ, so readers would no longer be right, or a value is
                of another graph.
        """
        if new.type != old.type:
            raise GraphError(f"{new} is {new.type}, but {old} that it replaces is {old.type}")
        self._require_own(old, "is replaced")
        self._require_own(new, f"replaces {old}")
        for user in list(old.users):
            self._set_operator(user, user.op.map_operands(lambda v: new if v is old else v))
        self.outputs = [new if value is old else value for value in self.outputs]
        if keep_name and new.producer is not None and old.producer is not None:
            name = old.name
            self.rename(old, f"{name}.replaced")
            self.rename(new, name)

    def change_operator(self, node: Node, op: Operator) -> None:
        """Put another operator with the same output types at a node's place.

        Raises:
            GraphError: The operator gives other types, or has operands of another graph; the
                graph is unchanged.
        """
        types = op.infer()
        found = types if isinstance(types, tuple) else (types,)
        if found != tuple(value.type for value in node.outputs):
            held = ", ".join(str(value.type) for value in node.outputs)
            raise GraphError(
                f"{op.kind()} cannot take the place of {node}", expected=held, got=types
            )
        for operand in op.operands():
            self._require_own(operand, f"is an operand of {op.kind()}")
        self._set_operator(node, op)

    def remove(self, node: Node) -> None:
        """Take out a node that nothing reads.

        Raises:
            GraphError: An output is still read, or the node is not in this graph; the graph is
                unchanged.
        """
        if node.graph is not self:
            raise GraphError(f"{node} is not in graph {self.name!r}")
        for value in node.outputs:
            if value.users or any(value is output for output in self.outputs):
                readers = [repr(user) for user in value.users] or ["the graph's outputs"]
                raise GraphError(f"{node} cannot go: {value} is read by {', '.join(readers)}")
        self._count_uses(node, node.op, -1)
        for value in node.outputs:
            del self._values[value.name]
        self._unlink(node)
        node.graph = None

    def remove_input(self, value: Value) -> None:
        """Take out an input that nothing reads.

        Raises:
            GraphError: It is read, or is no input of this graph; the graph is unchanged.
        """
        if value.graph is not self or not any(value is one for one in self.inputs):
            raise GraphError(f"{value} is no input of graph {self.name!r}")
        if value.users or any(value is output for output in self.outputs):
            raise GraphError(f"input {value} cannot go: it is read")
        self.inputs = [one for one in self.inputs if one is not value]
        del self._values[value.name]

    def replace_node(
        self,
        node: Node,
        values: Value | Sequence[Value],
        *,
        renamed: Container[Node | None] | None = None,
    ) -> None:
        """Replace all outputs of a node by other values, then remove it.

        Args:
            node: The node.
            values: One for each of its outputs.
            renamed: Values of these nodes take over the names; by default all do.

        Raises:
            GraphError: There are more or fewer values than outputs, or types differ.
        """
        new = (values,) if isinstance(values, Value) else tuple(values)
        if len(new) != len(node.outputs):
            raise GraphError(f"{node} has {len(node.outputs)} outputs, not {len(new)}")
        for old, value in zip(node.outputs, new, strict=True):
            self.replace_uses(old, value, keep_name=renamed is None or value.producer in renamed)
        self.remove(node)

    def collect_constants(self) -> None:
        """Drop stored constants that no node uses."""
        from fwd_core.ir.ops.creation import Constant

        used: set[str] = set()
        for node in self:
            if isinstance(node.op, Constant):
                used.add(node.op.digest)
            for inner in node.op.graphs():
                inner.collect_constants()
        self.constants = {key: value for key, value in self.constants.items() if key in used}

    # --- inside ---------------------------------------------------------------------------------

    def _insert(
        self,
        op: Operator,
        results: list[tuple[str, TensorType]],
        location: Location | None,
        before: Node | None,
    ) -> tuple[Value, ...]:
        for operand in op.operands():
            self._require_own(operand, f"is an operand of {op.kind()}")
        if before is not None and before.graph is not self:
            raise GraphError(f"{before}, to insert before, is not in graph {self.name!r}")
        node = Node(self, op, location if location is not None else Location())
        node.outputs = tuple(
            self._new_value(self.unique_name(name), one, node) for name, one in results
        )
        self._count_uses(node, op, 1)
        self._link(node, before)
        return node.outputs

    def _require_own(self, value: Value, role: str) -> None:
        if value.graph is not self or self._values.get(value.name) is not value:
            theirs = "no longer in it" if value.graph is self else f"of graph {value.graph.name!r}"
            raise GraphError(f"{value} {role} in graph {self.name!r}, but is {theirs}")

    def _new_value(self, name: str, type: TensorType, producer: Node | None) -> Value:  # noqa: A002
        value = Value(self, name, type, producer)
        self._values[name] = value
        return value

    def _set_operator(self, node: Node, op: Operator) -> None:
        self._count_uses(node, node.op, -1)
        node.op = op
        self._count_uses(node, op, 1)

    def _count_uses(self, node: Node, op: Operator, step: int) -> None:
        for operand in op.operands():
            count = operand.users.get(node, 0) + step
            if count:
                operand.users[node] = count
            else:
                del operand.users[node]

    def _link(self, node: Node, before: Node | None) -> None:
        previous = self._last if before is None else before._previous
        node._previous, node._next = previous, before
        if previous is None:
            self._first = node
        else:
            previous._next = node
        if before is None:
            self._last = node
        else:
            before._previous = node
        self._count += 1

    def _unlink(self, node: Node) -> None:
        if node._previous is None:
            self._first = node._next
        else:
            node._previous._next = node._next
        if node._next is None:
            self._last = node._previous
        else:
            node._next._previous = node._previous
        self._count -= 1
