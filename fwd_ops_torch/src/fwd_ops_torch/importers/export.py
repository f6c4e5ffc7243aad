"""torch.export programs, raw or decomposed, as graphs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind, OutputSpec

from fwd_core.errors import ForwardError, UnsupportedModelError
from fwd_core.importing import ImportRequest, ModelResults, resolve_dynamic
from fwd_core.ir import Graph, Value
from fwd_core.ir.structure import unflatten
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.archives import require_whole
from fwd_ops_torch.importers.boundary import bind_inputs, finish, input_leaves
from fwd_ops_torch.importers.failures import failure
from fwd_ops_torch.importers.fx import FxInterpreter, location_of
from fwd_ops_torch.importers.hushed import hushed
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.program_inputs import bind_symbols, match_program, user_inputs
from fwd_ops_torch.importers.pytrees import call_specs, structure_of
from fwd_ops_torch.importers.registering import register_for
from fwd_ops_torch.importers.running import results_of, split
from fwd_ops_torch.importers.scan_fx import scan_fx
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.sniff import kind_of
from fwd_ops_torch.importers.surroundings import kept_random_states
from fwd_ops_torch.importers.unchanged import unchanged

#: Where torch's error says that its log has the reason, and a class that it cannot make again.
_ABOVE = "check the warnings above"
_UNREGISTERED = re.compile(r"Deserializing (\S+) in pytree is not registered")


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
            UnsupportedModelError: Operators that cannot be converted, or a file that is damaged
                or that torch cannot load.
            ConversionError: An operator's arguments or shapes do not fit, or the program
                changes its own state.
            InputError: Example inputs or dynamic dims do not fit the program.
        """
        if isinstance(source, torch.export.ExportedProgram):
            return import_program(source, request, "exported", owned=False)
        assert isinstance(source, (str, os.PathLike))
        path = os.fspath(source)
        require_whole(path)
        register_for(path)
        program = _read(path)
        title = os.path.splitext(os.path.basename(path))[0]
        return import_program(program, request, title, owned=True)

    def results(self, source: object, request: ImportRequest) -> ModelResults:
        """What the program gives in torch. See :class:`fwd_core.importing.Importer`."""
        if isinstance(source, torch.export.ExportedProgram):
            program = source
        else:
            assert isinstance(source, (str, os.PathLike))
            program = _read(os.fspath(source))
        told = request.dynamic if isinstance(request.dynamic, Mapping) else ()
        with kept_random_states():  # values that are made up are drawn
            arguments = match_program(program, request.inputs, user_inputs(program), told)
        positional, keywords = call_specs(program.call_spec.in_spec)
        names = [*map(str, range(len(positional))), *keywords]
        module = program.module()

        def call(values: list[Any]) -> Any:
            given, named = split(values, names, len(positional))
            with unchanged(module) as buffers:
                return torch.func.functional_call(module, buffers, given, named)

        return results_of(call, arguments, pytree=True)


def _read(path: str) -> torch.export.ExportedProgram:
    """The program of a file.

    Raises:
        UnsupportedModelError: Torch cannot load it; what it says beside its error is told too.
    """
    heard: list[str] = []
    try:
        with hushed() as heard:
            return torch.export.load(path)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for damaged or newer files
        own = [line for line in str(error).splitlines() if line.strip()]
        if heard and any(_ABOVE in line for line in own):
            own = [line for told in heard for line in told.splitlines() if line.strip()]
        if (missing := _UNREGISTERED.search("\n".join(own))) is not None:
            name = missing[1]
            raise UnsupportedModelError(
                f"{path} takes or gives {name}, a class that torch does not know here",
                details=own[:3],
                hint=f"`import {name.rpartition('.')[0]}` before it is built, where that registers "
                "the class; on the command line: give a file of torch.jit.trace(module, inputs, "
                "strict=False)",
            ) from None
        raise UnsupportedModelError(
            f"{path} looks like a torch.export program, but torch cannot load it",
            details=own[:3],
            hint="it may be damaged, or written by a newer torch",
        ) from None


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
    placeholders = user_inputs(program)
    told = request.dynamic if isinstance(request.dynamic, Mapping) else ()
    arguments = match_program(program, request.inputs, placeholders, told)
    tensors, structure = input_leaves(arguments)
    shapes = resolve_dynamic(request.dynamic, {n: tuple(t.shape) for n, t in tensors.items()})
    symbols = bind_symbols(placeholders, arguments, tensors, shapes)
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
        raise failure(
            session,
            error,
            lambda: scan_fx(session, program.graph_module, set(placeholders), location_of),
        ) from None
    outputs = _outputs(session, program, results)
    try:
        finish(session, unflatten(structure_of(program.call_spec.out_spec), outputs))
    except ForwardError as error:
        raise failure(session, error) from None
    return session.graph


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


def _is_kept(
    session: Session, program: torch.export.ExportedProgram, spec: OutputSpec, result: Any
) -> bool:
    """Whether what is written to a buffer is what it holds, as of batch norms in evaluation."""
    name = str(spec.target)
    state = program.state_dict.get(name, program.constants.get(name))
    if state is None or not isinstance(result, TensorRef):
        return False
    content = result.read()
    return isinstance(content, Value) and content is session.value(session.attribute(name, state))


def _outputs(
    session: Session, program: torch.export.ExportedProgram, results: Sequence[Any]
) -> list[Any]:
    """The user's outputs among the graph's; writes to state are noted, to inputs left out."""
    specs = program.graph_signature.output_specs
    nodes = {node.name: node for node in program.graph.nodes}
    for spec, result in zip(specs, results, strict=True):
        if spec.kind is OutputKind.BUFFER_MUTATION and not _is_kept(session, program, spec, result):
            session.note_change(str(spec.target), location_of(nodes[spec.arg.name]))
    return [
        result
        for spec, result in zip(specs, results, strict=True)
        if spec.kind is OutputKind.USER_OUTPUT
    ]
