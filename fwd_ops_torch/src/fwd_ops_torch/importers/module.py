"""Plain ``nn.Module`` objects, through torch.export. They are never traced in silence."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fwd_core.errors import InputError, UnsupportedModelError
from fwd_core.importing import ImportRequest, ModelResults, resolve_dynamic
from fwd_core.ir import Dim, DimExpr, Frame, Graph
from fwd_core.ir.dims import multiple
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.batches import elsewhere
from fwd_ops_torch.importers.boundary import input_leaves, match_arguments
from fwd_ops_torch.importers.export import import_program
from fwd_ops_torch.importers.hushed import hushed
from fwd_ops_torch.importers.locations import locate
from fwd_ops_torch.importers.refused_exports import refusal, words
from fwd_ops_torch.importers.running import results_of, split
from fwd_ops_torch.importers.surroundings import kept_random_states
from fwd_ops_torch.importers.unchanged import unchanged


class ModuleImporter:
    """Exports an ``nn.Module`` and imports the program."""

    name = "torch-module"
    priority = 10

    def accepts(self, source: object) -> bool:
        """Whether the source is a module that is not TorchScript."""
        return isinstance(source, torch.nn.Module) and not jit.is_script_module(source)

    def load(self, source: object, request: ImportRequest) -> Graph:
        """The module's ``forward`` as a graph. See :class:`fwd_core.importing.Importer`.

        Raises:
            UnsupportedModelError: The module is in training mode, or torch.export refuses it.
            ConversionError: An operator's arguments or shapes do not fit.
            InputError: Example inputs or dynamic dims do not fit the model.
        """
        assert isinstance(source, torch.nn.Module)
        if source.training:
            raise UnsupportedModelError(
                f"{type(source).__name__} is in training mode", hint="call model.eval() first"
            )
        program = export(source, request)
        return import_program(program, request, type(source).__name__, owned=False)

    def results(self, source: object, request: ImportRequest) -> ModelResults:
        """What the module itself gives. See :class:`fwd_core.importing.Importer`."""
        assert isinstance(source, torch.nn.Module)
        with kept_random_states():  # values that are made up are drawn
            arguments = _arguments(source, request)
        module = _bare(source)
        by_name = isinstance(request.inputs, Mapping)
        names = [name for name, _ in arguments]

        def call(values: list[Any]) -> Any:
            positional, keywords = split(values, names, 0 if by_name else len(values))
            with unchanged(module) as buffers:
                return torch.func.functional_call(module, buffers, positional, keywords)

        return results_of(call, arguments, pytree=True)


def export(module: torch.nn.Module, request: ImportRequest) -> torch.export.ExportedProgram:
    """``torch.export.export`` with the dynamic dims that were asked for.

    Raises:
        UnsupportedModelError: Torch refuses the module; the message holds torch's words.
        InputError: Example inputs or dynamic dims do not fit the model, or the module itself
            fails on the example inputs.
    """
    given = request.inputs
    arguments = _arguments(module, request)
    tensors, _ = input_leaves(arguments)
    sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    shapes = resolve_dynamic(request.dynamic, sizes)
    dynamic = _dynamic_shapes(arguments, tensors, shapes)
    by_name = isinstance(given, Mapping)

    def call() -> tuple[tuple[Any, ...], dict[str, Any]]:
        own = _apart(arguments)
        return ((), own) if by_name else (tuple(own.values()), {})

    positional, keywords = call()
    try:
        with hushed():
            return torch.export.export(
                module,
                positional,
                keywords,
                dynamic_shapes=(dynamic if by_name else tuple(dynamic.values()))
                if dynamic
                else None,
            )
    except Exception as error:  # noqa: BLE001 - export raises many kinds, all of them about the user's model
        require_runs(module, *call())
        raise refusal(module, error, __file__, elsewhere(request.dynamic, sizes)) from None


def require_runs(
    module: torch.nn.Module, positional: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    """Run a module once, to tell a model that cannot be exported from inputs that do not fit it.

    The module's buffers stay as they are.

    Raises:
        InputError: It fails; the message holds torch's words and the user's line.
    """
    bare = _bare(module)
    buffers = {name: buffer.clone() for name, buffer in bare.named_buffers()}
    try:
        with torch.no_grad():
            torch.func.functional_call(bare, buffers, positional, keywords)
    except Exception as error:  # noqa: BLE001 - it is the user's own code that runs
        frames = traceback.extract_tb(error.__traceback__)[::-1]
        places = [Frame(frame.filename, frame.lineno or 0, frame.name) for frame in frames]
        raise InputError(
            f"{type(module).__name__} itself fails on the example inputs",
            where=locate("", "", places[:-1]),  # the last is ours
            details=words(error),
            hint="call the module with them yourself: PyTorch has to run what is to be built",
        ) from None


def _bare(module: torch.nn.Module) -> torch.nn.Module:
    """A module that torch can call with other buffers, which it refuses for DataParallel."""
    return module.module if isinstance(module, torch.nn.DataParallel) else module


def _arguments(module: torch.nn.Module, request: ImportRequest) -> list[tuple[str, Any]]:
    """Example inputs with the names of the module's arguments."""
    names, required, variadic = _parameters(module)
    given = request.inputs
    if variadic and not isinstance(given, Mapping):
        names += [f"input_{i}" for i in range(len(names), len(given))]
        required += [True] * (len(names) - len(required))
    return match_arguments(given, names, required)


def _apart(arguments: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Arguments whose tensors are nobody else's.

    torch.export takes two arguments that are one tensor, or one that is a parameter of the module,
    for one value, and its program reads only one of them. And models may write to their inputs.
    """

    def copy(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().clone().requires_grad_(tensor.requires_grad)

    own: dict[str, Any] = torch.utils._pytree.tree_map_only(torch.Tensor, copy, dict(arguments))
    return own


def _parameters(module: torch.nn.Module) -> tuple[list[str], list[bool], bool]:
    found = inspect.signature(module.forward).parameters.values()
    plain = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    required = [p.default is p.empty for p in plain]
    return [p.name for p in plain], required, any(p.kind is p.VAR_POSITIONAL for p in found)


def _dynamic_shapes(
    arguments: Sequence[tuple[str, Any]],
    tensors: Mapping[str, torch.Tensor],
    shapes: Mapping[str, tuple[Dim, ...]],
) -> dict[str, Any]:
    """``dynamic_shapes`` for every argument; empty when nothing is dynamic."""
    if not any(isinstance(dim, DimExpr) for shape in shapes.values() for dim in shape):
        return {}
    known: dict[str, Any] = {}
    specs = iter([{i: _dim(d, known) for i, d in enumerate(shapes[n])} for n in tensors])

    def spec(leaf: Any) -> Any:
        return next(specs) if isinstance(leaf, torch.Tensor) else None

    # Containers keep their classes: torch compares those of named tuples.
    return {name: torch.utils._pytree.tree_map(spec, value) for name, value in arguments}


def _dim(dim: Dim, known: dict[str, Any]) -> Any:
    if (found := multiple(dim)) is None:
        return torch.export.Dim.STATIC
    symbol, factor = found
    if symbol.name not in known:
        # Torch takes identifiers only.
        name = symbol.name if symbol.name.isidentifier() else f"dim_{len(known)}"
        known[symbol.name] = torch.export.Dim(name, min=symbol.min, max=symbol.max)
    return known[symbol.name] if factor == 1 else factor * known[symbol.name]
