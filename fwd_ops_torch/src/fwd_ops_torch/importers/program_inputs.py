"""Example inputs of exported programs, matched with arguments and nested as programs take them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.export.graph_signature import InputKind

from fwd_core.errors import ConversionError, InputError
from fwd_core.ir import Dim
from fwd_core.ir.structure import LEAF, describe, flatten
from fwd_ops_torch.importers.boundary import match_arguments
from fwd_ops_torch.importers.examples import described
from fwd_ops_torch.importers.pytrees import arranged, call_specs, structure_of
from fwd_ops_torch.importers.symbols import SymbolTable


def user_inputs(program: torch.export.ExportedProgram) -> list[Any]:
    """The placeholders of the program's arguments, one per leaf."""
    wanted = {
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT
    }
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    return [node for node in nodes if node.name in wanted]


def match_program(
    program: torch.export.ExportedProgram,
    given: Sequence[Any] | Mapping[str, Any],
    placeholders: Sequence[Any],
    dynamic: Iterable[str] = (),
) -> list[tuple[str, Any]]:
    """Example inputs by the names of the program's arguments, nested as it takes them.

    Args:
        program: The program.
        given: Example inputs, by position or by name.
        placeholders: Those of the program's arguments.
        dynamic: Names of inputs with dynamic sizes, as the user spells them.

    Raises:
        InputError: Too many, too few, of other names, or nested otherwise.
    """
    positional, keywords = call_specs(program.call_spec.in_spec)
    specs = [*positional, *keywords.values()]
    by_name = isinstance(given, Mapping)
    names = _written(program)
    if names is None or len(names) != len(specs):
        names = _of_placeholders(specs, placeholders, [*given, *dynamic] if by_name else dynamic)
        names[len(positional) :] = keywords
    matched = match_arguments(given, names, [True] * len(names))
    return [
        (name, _arranged(name, value, spec))
        for (name, value), spec in zip(matched, specs, strict=True)
    ]


def bind_symbols(
    placeholders: Sequence[Any],
    arguments: Sequence[tuple[str, Any]],
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, tuple[Dim, ...]],
) -> SymbolTable:
    """What the program's symbols stand for, after checking that it can take the example inputs.

    Raises:
        InputError: A tensor stands where the program has a value that it fixed, or the other way
            round; a value, size, dtype or rank is not the program's.
    """
    symbols = SymbolTable()
    names = iter(tensors)
    for node, (argument, example) in zip(placeholders, _leaves(arguments), strict=True):
        exported = node.meta.get("val")
        if isinstance(exported, torch.Tensor) != isinstance(example, torch.Tensor):
            raise InputError(
                f"example input {argument!r} does not fit the exported program",
                expected=described(exported),
                got=described(example),
            )
        if isinstance(example, torch.Tensor):
            symbols.bind(next(names), exported, example, shapes)
        else:
            symbols.check_constant(argument, exported, example)
    return symbols


def _arranged(name: str, value: Any, spec: Any) -> Any:
    try:
        return arranged(value, spec)
    except ValueError:
        raise InputError(
            f"example input {name!r} is not nested as the exported program takes it",
            expected=_nesting(spec),
            got=described(value) if flatten(value)[1] == LEAF else describe(flatten(value)[1]),
            hint="engines take tensors in tuples, lists and dicts",
        ) from None


def _nesting(spec: Any) -> str:
    try:
        return describe(structure_of(spec))
    except ConversionError:
        return str(getattr(spec.type, "__name__", spec.type))


def _written(program: torch.export.ExportedProgram) -> list[str] | None:
    """Names of the arguments as ``forward`` has them; programs of older torch do not hold them."""
    for entry in program.module_call_graph:
        if not entry.fqn and entry.signature is not None:
            names: list[str] | None = getattr(entry.signature, "forward_arg_names", None)
            return None if names is None else list(names)
    return None


def _of_placeholders(
    specs: Sequence[Any], placeholders: Sequence[Any], told: Iterable[object]
) -> list[str]:
    """Names of the arguments after the placeholders.

    torch makes their letters small: where the user spells one with capitals, that is its name.
    """
    spelled = {name.lower(): name for name in told if isinstance(name, str)}
    names: list[str] = []
    rest = iter(placeholders)
    for spec in specs:
        nodes = [next(rest) for _ in range(spec.num_leaves)]
        name = nodes[0].name if len(nodes) == 1 else _common(nodes, len(names))
        names.append(spelled.get(name, name))
    return names


def _common(nodes: Sequence[Any], position: int) -> str:
    # torch.export names the leaves of one argument x_0, x_1 …: what stands before is the argument.
    heads = {node.name.rsplit("_", 1)[0] for node in nodes}
    return heads.pop() if len(heads) == 1 else f"input_{position}"


def _leaves(arguments: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in arguments:
        leaves, _ = torch.utils._pytree.tree_flatten(value)
        found += [(name, leaf) for leaf in leaves]
    return found
