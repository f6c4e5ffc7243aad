"""torch.export programs, raw or decomposed, as graphs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind

from fwd_core.errors import ConversionError, ForwardError, UnsupportedModelError
from fwd_core.importing import ImportRequest, resolve_dynamic
from fwd_core.ir import Graph
from fwd_core.ir.structure import unflatten
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.boundary import (
    bind_inputs,
    finish,
    guard,
    input_leaves,
    match_arguments,
)
from fwd_ops_torch.importers.fx import FxInterpreter, location_of
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.pytrees import call_structure, structure_of
from fwd_ops_torch.importers.scan import scan_fx
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.sniff import kind_of
from fwd_ops_torch.importers.symbols import SymbolTable


class ExportImporter:
    """Reads ``ExportedProgram`` objects and ``.pt2`` files."""

    name = "torch-export"
    priority = 20

    def accepts(self, source: object) -> bool:
        """Whether the source is an exported program or its file."""
        return isinstance(source, torch.export.ExportedProgram) or kind_of(source) == "export"

    def load(self, source: object, request: ImportRequest) -> Graph:
        """The program as a graph. See :class:`fwd_core.importing.Importer`.

        Raises:
            UnsupportedModelError: Operators that cannot be converted, or a file that torch
                cannot load.
            ConversionError: An operator's arguments or shapes do not fit, or the program
                changes its own state.
            InputError: Example inputs or dynamic dims do not fit the program.
        """
        if isinstance(source, torch.export.ExportedProgram):
            return import_program(source, request, "exported", owned=False)
        assert isinstance(source, (str, os.PathLike))
        path = os.fspath(source)
        try:
            program = torch.export.load(path)
        except Exception as error:  # noqa: BLE001 - torch raises many kinds for damaged or newer files
            raise UnsupportedModelError(
                f"{path} looks like a torch.export program, but torch cannot load it",
                details=[line for line in str(error).splitlines()[:3] if line.strip()],
                hint="it may be damaged, or written by a newer torch",
            ) from None
        title = os.path.splitext(os.path.basename(path))[0]
        return import_program(program, request, title, owned=True)


def import_program(
    program: torch.export.ExportedProgram, request: ImportRequest, title: str, *, owned: bool
) -> Graph:
    """A program as a graph.

    Args:
        program: Raw or decomposed.
        request: Example inputs and dynamic dims.
        title: Name of the graph.
        owned: Whether nobody else holds the program's tensors.
    """
    session = Session(title, request, owned=owned)
    placeholders = _user_inputs(program)
    arguments = _arguments(program, request.inputs, placeholders)
    tensors, structure = input_leaves(arguments)
    shapes = resolve_dynamic(request.dynamic, {n: tuple(t.shape) for n, t in tensors.items()})
    symbols = SymbolTable()
    leaves = iter(tensors)
    for node, (name, example) in zip(placeholders, _flat(arguments), strict=True):
        if isinstance(example, torch.Tensor):
            symbols.bind(next(leaves), node.meta["val"], example, shapes)
        else:
            symbols.check_constant(name, node.meta.get("val"), example)
    seen = bind_inputs(session, arguments, tensors, structure, shapes)
    env: dict[Any, Any] = {}
    _bind_state(session, program, env)
    flat, _ = torch.utils._pytree.tree_flatten(
        list(seen), is_leaf=lambda item: isinstance(item, TensorRef)
    )
    env.update(zip(placeholders, flat, strict=True))
    try:
        results = FxInterpreter(session, symbols).run(program.graph_module, env)
    except (CannotContinueError, ForwardError) as error:
        if session.problems:
            scan_fx(session, program.graph_module, set(placeholders), location_of)
        raise guard(session, error) from None
    try:
        finish(
            session, unflatten(structure_of(program.call_spec.out_spec), _outputs(program, results))
        )
    except ForwardError as error:
        raise guard(session, error) from None
    return session.graph


def _user_inputs(program: torch.export.ExportedProgram) -> list[Any]:
    wanted = {
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT
    }
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    return [node for node in nodes if node.name in wanted]


def _arguments(
    program: torch.export.ExportedProgram,
    given: Sequence[Any] | Mapping[str, Any],
    placeholders: Sequence[Any],
) -> list[tuple[str, Any]]:
    """Example inputs by the names of the program's arguments, nested as it takes them."""
    positional, keywords = call_structure(program.call_spec.in_spec)
    names: list[str] = []
    rest = iter(placeholders)
    for count in [*positional, *keywords.values()]:
        nodes = [next(rest) for _ in range(count)]
        names.append(nodes[0].name if count == 1 else _common(nodes, len(names)))
    for offset, keyword in enumerate(keywords):
        names[len(positional) + offset] = keyword
    return match_arguments(given, names, [True] * len(names))


def _common(nodes: Sequence[Any], position: int) -> str:
    # torch.export names the leaves of one argument x_0, x_1 …: what stands before is the argument.
    heads = {node.name.rsplit("_", 1)[0] for node in nodes}
    return heads.pop() if len(heads) == 1 else f"input_{position}"


def _flat(arguments: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in arguments:
        leaves, _ = torch.utils._pytree.tree_flatten(value)
        found += [(name, leaf) for leaf in leaves]
    return found


def _bind_state(
    session: Session, program: torch.export.ExportedProgram, env: dict[Any, Any]
) -> None:
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    state = {**program.constants, **program.state_dict}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            continue
        if spec.target is None or not isinstance(state.get(spec.target), torch.Tensor):
            raise UnsupportedModelError(
                f"the program holds {spec.kind.name.lower()} {spec.target!r}, which is no tensor"
            )
        env[nodes[spec.arg.name]] = session.attribute(spec.target, state[spec.target])


def _outputs(program: torch.export.ExportedProgram, results: Sequence[Any]) -> list[Any]:
    """The user's outputs among the graph's; writes to state are refused, to inputs left out."""
    specs = program.graph_signature.output_specs
    changed = [str(s.target) for s in specs if s.kind is OutputKind.BUFFER_MUTATION]
    if changed:
        raise ConversionError(
            f"the model changes its own state while it runs: {', '.join(changed)}",
            hint="call model.eval() before export; return new state as an output instead",
        )
    return [
        result
        for spec, result in zip(specs, results, strict=True)
        if spec.kind is OutputKind.USER_OUTPUT
    ]
