"""Graphs as one file each: constants as tensors, everything else as JSON. No pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fwd_core import files
from fwd_core.errors import EngineFileError
from fwd_core.ir.attribute_json import Decoder, Encoder
from fwd_core.ir.derived import Derived
from fwd_core.ir.fixed import FixedArgument
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.location import Frame, Location
from fwd_core.ir.operator import Operator
from fwd_core.ir.tensor import Tensor

FORMAT, VERSION = "forward-graph", 1


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph to one safetensors file, atomically.

    Raises:
        EngineFileError: The folder does not exist or cannot be written.
    """
    document, tensors = to_parts(graph)
    arrays = {key: tensor.data for key, tensor in tensors.items()}
    files.write(path, document, arrays, format=FORMAT, version=VERSION)


def load(
    path: str | os.PathLike[str], operators: Mapping[str, type[Operator]] | None = None
) -> Graph:
    """Read a graph. Constants stay mapped from the file.

    Args:
        path: The file.
        operators: Operator classes by qualified name; by default those of the core. A graph
            with operators of other packs needs ``Plugins.operators``.

    Raises:
        EngineFileError: The file is missing, damaged or altered, of another format or version,
            or uses operators that are not there.
    """
    document, arrays = files.read(path, format=FORMAT, version=VERSION)
    return from_parts(document, arrays, operators)


def copied(graph: Graph, operators: Mapping[str, type[Operator]] | None = None) -> Graph:
    """The same graph again, with the same arrays, for what changes one.

    Args:
        graph: What is copied.
        operators: As for :func:`load`.
    """
    document, tensors = to_parts(graph)
    arrays = {key: tensor.data for key, tensor in tensors.items()}
    return from_parts(document, arrays, operators)


def to_parts(graph: Graph) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The graph as a JSON document and the constants it names."""
    tensors: dict[str, Tensor] = {}
    return _Writer(tensors).graph(graph), tensors


def from_parts(
    document: Mapping[str, Any],
    arrays: Mapping[str, Any],
    operators: Mapping[str, type[Operator]] | None = None,
) -> Graph:
    """The graph of :func:`to_parts`; ``arrays`` hold the constants' storage by digest."""
    if operators is None:
        from fwd_core.ir.ops import core_operators

        operators = {cls.kind(): cls for cls in core_operators()}
    return _Reader(arrays, operators).graph(document)


class _Writer(Encoder):
    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.tensors = tensors

    def graph(self, graph: Graph) -> dict[str, Any]:
        self.tensors.update(graph.constants)
        places: dict[Location, int] = {}
        nodes = [self._node(node, places) for node in graph]
        return {
            "name": graph.name,
            "inputs": [[value.name, self.type(value.type)] for value in graph.inputs],
            "nodes": nodes,
            "outputs": [
                [name, value.name]
                for name, value in zip(graph.output_names, graph.outputs, strict=True)
            ],
            "output_structure": graph.output_structure,
            "input_structure": graph.input_structure,
            "fixed": [[one.position, one.name, one.text] for one in graph.fixed],
            "derived": [one.to_json() for one in graph.derived],
            "locations": [
                [
                    place.module,
                    place.operator,
                    _frame(place.user),
                    _frame(place.frame),
                    *place.joined,
                ]
                for place in places
            ],
            "symbols": self.symbols(),
        }

    def _node(self, node: Node, places: dict[Location, int]) -> list[Any]:
        fields: dict[str, Any] = {}
        for field in node.op.operand_fields():
            held = getattr(node.op, field.name)
            many = field.kind == "many"
            fields[field.name] = [v.name for v in held] if many else held and held.name
        for name, value in node.op.attributes().items():
            fields[name] = self.attribute(value)
        place = places.setdefault(node.location, len(places))
        return [node.op.kind(), [value.name for value in node.outputs], fields, place]


class _Reader(Decoder):
    def __init__(self, arrays: Mapping[str, Any], operators: Mapping[str, type[Operator]]) -> None:
        super().__init__()
        self.arrays = arrays
        self.operators = operators

    def graph(self, document: Mapping[str, Any]) -> Graph:
        self.declare(document["symbols"])
        graph = Graph(document["name"])
        values: dict[str, Value] = {}
        for name, kind in document["inputs"]:
            values[name] = graph.add_input(name, self.type(kind))
        places = [
            Location(module, operator, _unframe(user), _unframe(frame), tuple(joined))
            for module, operator, user, frame, *joined in document["locations"]
        ]
        for kind, names, fields, place in document["nodes"]:
            op = self._operator(kind, fields, values)
            if kind == "fwd.Constant":
                digest = fields["digest"]
                tensor = Tensor(self.arrays[digest], self.type(fields["type"]["type"]).dtype)
                tensor.__dict__["digest"] = digest  # trusted: the file's own hash holds for all
                graph.constants[digest] = tensor
            for value in graph.add_named(op, names, location=places[place]):
                values[value.name] = value
        graph.set_outputs(
            [values[value] for _, value in document["outputs"]],
            [name for name, _ in document["outputs"]],
            document["output_structure"],
        )
        graph.input_structure = document["input_structure"]
        graph.fixed = tuple(FixedArgument(*one) for one in document.get("fixed", ()))
        graph.derived = tuple(Derived.from_json(one) for one in document.get("derived", ()))
        return graph

    def _operator(self, kind: str, fields: dict[str, Any], values: dict[str, Value]) -> Operator:
        if (cls := self.operators.get(kind)) is None:
            raise EngineFileError(
                f"the graph uses operator {kind}, which no loaded pack defines",
                hint=f"install the pack that defines {kind.split('.', maxsplit=1)[0]!r} operators",
            )
        arguments: dict[str, Any] = {}
        for field in cls.operand_fields():
            held = fields[field.name]
            if field.kind == "many":
                arguments[field.name] = tuple(values[name] for name in held)
            else:
                arguments[field.name] = None if held is None else values[held]
        for name in cls.attribute_fields():
            arguments[name] = self.attribute(fields[name])
        return cls(**arguments)


def _frame(frame: Frame | None) -> list[Any] | None:
    return None if frame is None else [frame.file, frame.line, frame.function]


def _unframe(entry: list[Any] | None) -> Frame | None:
    return None if entry is None else Frame(*entry)
