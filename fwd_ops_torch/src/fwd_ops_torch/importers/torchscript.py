"""TorchScript files and modules, traced or scripted, as graphs."""

from __future__ import annotations

import os
from typing import Any

import torch

from fwd_core.errors import ForwardError
from fwd_core.importing import ImportRequest
from fwd_core.ir import Graph
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers import jit, prims
from fwd_ops_torch.importers.boundary import (
    declare_inputs,
    finish,
    guard,
    match_arguments,
)
from fwd_ops_torch.importers.interpreter import Interpreter, ModuleRef
from fwd_ops_torch.importers.locations import frames_of_range, locate
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.sniff import kind_of, refuse


class TorchScriptImporter:
    """Reads what ``torch.jit.save`` writes, and ``ScriptModule`` objects."""

    name = "torchscript"
    priority = 30

    def accepts(self, source: object) -> bool:
        """Whether the source is a script module or a TorchScript file."""
        return jit.is_script_module(source) or kind_of(source) == "torchscript"

    def load(self, source: object, request: ImportRequest) -> Graph:
        """The method ``forward``, in evaluation mode, as a graph.

        See :class:`fwd_core.importing.Importer`.

        Raises:
            UnsupportedModelError: Operators or control flow that cannot be converted, or a file
                that torch cannot load.
            ConversionError: An operator's arguments or shapes do not fit.
            InputError: Example inputs do not fit the model.
        """
        owned = isinstance(source, (str, os.PathLike))
        module = jit.load(source) if isinstance(source, (str, os.PathLike)) else source
        assert isinstance(module, torch.jit.ScriptModule)
        owner = jit.raw(module)
        schema = schemas.of(jit.method_schema(owner, "forward"))
        parameters = schema.arguments[1:]
        arguments = match_arguments(
            request.inputs,
            [parameter.name for parameter in parameters],
            [not parameter.has_default for parameter in parameters],
        )
        session = Session(_title(source), request, owned=owned)
        inputs = dict(
            zip([n for n, _ in arguments], declare_inputs(session, arguments), strict=True)
        )
        everything = [inputs.get(p.name, p.default) for p in parameters]
        try:
            result = Interpreter(session).run_method(ModuleRef(owner, ""), "forward", everything)
            finish(session, result)
        except CannotContinueError as error:
            _scan(session, module)
            raise guard(session, error) from None
        except ForwardError as error:
            raise guard(session, error) from None
        return session.graph


def _title(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.path.splitext(os.path.basename(os.fspath(source)))[0] or "model"
    name: str = getattr(source, "original_name", type(source).__name__)
    return name


def _scan(session: Session, module: torch.jit.ScriptModule) -> None:
    """List operators without a converter in the rest of a program that cannot be run further."""
    found = {problem.operator for problem in session.problems.listed()}
    for node in _nodes(module.inlined_graph):
        kind = node.kind()
        text = node.schema()
        if kind in session.table or kind in found or kind in prims.HANDLERS or text.startswith("("):
            continue
        schema = schemas.parse(text)
        if any(item.is_tensor for item in schema.returns):
            where = locate("", kind, frames_of_range(node.sourceRange()))
            session.problems.note_unknown(kind, where, session.table)


def _nodes(block: Any) -> Any:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


class FileRefuser:
    """Takes every path that no other importer takes, to say what is wrong with the file."""

    name = "torch-file-errors"
    priority = -100

    def accepts(self, source: object) -> bool:
        """Whether the source is a path."""
        return isinstance(source, (str, os.PathLike))

    def load(self, source: object, request: ImportRequest) -> Graph:
        """Always raises.

        Raises:
            UnsupportedModelError: Says what the file is and what to do.
        """
        del request
        assert isinstance(source, (str, os.PathLike))
        raise refuse(source)
