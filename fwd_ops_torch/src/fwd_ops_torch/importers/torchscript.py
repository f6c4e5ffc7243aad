"""TorchScript files and modules, traced or scripted, as graphs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from fwd_core.errors import ForwardError, UnsupportedModelError
from fwd_core.importing import ImportRequest, ModelResults
from fwd_core.ir import Graph
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.schemas import Argument
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.archives import require_whole
from fwd_ops_torch.importers.boundary import (
    declare_inputs,
    finish,
    match_arguments,
)
from fwd_ops_torch.importers.failures import failure
from fwd_ops_torch.importers.interpreter import Interpreter, ModuleRef
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.running import results_of
from fwd_ops_torch.importers.scan_script import scan_script
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.sniff import kind_of, refuse, refuse_object
from fwd_ops_torch.importers.surroundings import kept_random_states
from fwd_ops_torch.importers.unchanged import in_evaluation


class TorchScriptImporter:
    """Reads what ``torch.jit.save`` writes, and ``ScriptModule`` objects."""

    name = "torchscript"
    priority = 30

    def accepts(self, source: object) -> bool:
        """Whether the source is a script module or a TorchScript file."""
        return jit.is_script_module(source) or kind_of(source) == "torchscript"

    def load(self, source: object, request: ImportRequest) -> Graph:
        """The method ``forward``, in evaluation mode, as a graph; of several the first that fits.

        See :class:`fwd_core.importing.Importer`.

        Raises:
            UnsupportedModelError: Operators or control flow that cannot be converted, a file
                that torch cannot load, or a module without a method ``forward``.
            ConversionError: An operator's arguments or shapes do not fit.
            InputError: Example inputs do not fit the model.
        """
        owned = isinstance(source, (str, os.PathLike))
        module = _read(source) if isinstance(source, (str, os.PathLike)) else source
        assert isinstance(module, torch.jit.ScriptModule)
        owner = jit.raw(module)
        method, parameters, arguments = _entry(owner, source, request)
        session = Session(_title(source), request, owned=owned)
        inputs = dict(
            zip([n for n, _ in arguments], declare_inputs(session, arguments), strict=True)
        )
        everything = [inputs.get(p.name, p.default) for p in parameters]
        interpreter = Interpreter(session, loaded=not jit.was_traced_here(module))
        try:
            result = interpreter.run(ModuleRef(owner, ""), everything, method)
        except (CannotContinueError, ForwardError) as error:
            decisions, graph = interpreter.decisions, jit.inlined_graph(owner, method)
            raise failure(session, error, lambda: scan_script(session, graph, decisions)) from None
        try:
            finish(session, result)
        except ForwardError as error:
            raise failure(session, error) from None
        return session.graph

    def results(self, source: object, request: ImportRequest) -> ModelResults:
        """What torch gives, in evaluation mode. See :class:`fwd_core.importing.Importer`."""
        owned = isinstance(source, (str, os.PathLike))
        module = jit.load(source) if isinstance(source, (str, os.PathLike)) else source
        assert isinstance(module, torch.jit.ScriptModule)
        owner = jit.raw(module)
        with kept_random_states():  # values that are made up are drawn
            method, _, arguments = _entry(owner, source, request)
        names = [name for name, _ in arguments]

        def call(values: list[Any]) -> Any:
            with in_evaluation(module):
                return jit.run(owner, method, dict(zip(names, values, strict=True)))

        return results_of(call, arguments, pytree=False, host=owned)


def _entry(
    owner: Any, source: object, request: ImportRequest
) -> tuple[str, Sequence[Argument], list[tuple[str, Any]]]:
    """The method to run, its parameters, and the example inputs as its arguments by name.

    torch.nn's recurrent layers have no ``forward`` when they are scripted, but one for tensors and
    one for packed sequences.
    """
    first: ForwardError | None = None
    for method in jit.forward_methods(owner):
        told = jit.method_schema(owner, method)
        parameters = schemas.of(told).arguments[1:]
        try:
            arguments = match_arguments(
                request.inputs,
                [parameter.name for parameter in parameters],
                [not parameter.has_default for parameter in parameters],
                [argument.real_type for argument in told.arguments[1:]],
            )
        except ForwardError as error:
            first = first or error
        else:
            return method, parameters, arguments
    if first is not None:
        raise first
    raise UnsupportedModelError(
        f"{_title(source)} has no method forward",
        got=", ".join(owner._method_names()) or "no methods",
        hint="script or trace a module whose forward is the model",
    )


def _read(path: str | os.PathLike[str]) -> torch.jit.ScriptModule:
    require_whole(path)
    return jit.load(path)


def _title(source: object) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.path.splitext(os.path.basename(os.fspath(source)))[0] or "model"
    name: str = getattr(source, "original_name", type(source).__name__)
    return name


class Refuser:
    """Takes paths and PyTorch's objects that no other importer takes, to say what is wrong."""

    name = "torch-errors"
    priority = -100
    hidden = True

    def accepts(self, source: object) -> bool:
        """Whether the source is a path, or an object that is mistaken for a model."""
        return isinstance(source, (str, os.PathLike)) or refuse_object(source) is not None

    def load(self, source: object, request: ImportRequest) -> Graph:
        """Always raises.

        Raises:
            UnsupportedModelError: Says what the source is and what to do.
        """
        del request
        if isinstance(source, (str, os.PathLike)):
            raise refuse(source)
        error = refuse_object(source)
        assert error is not None
        raise error
