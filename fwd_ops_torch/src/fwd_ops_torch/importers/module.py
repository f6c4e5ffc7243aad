"""Plain ``nn.Module`` objects, through torch.export. They are never traced in silence."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fwd_core.errors import UnsupportedModelError
from fwd_core.importing import ImportRequest, resolve_dynamic
from fwd_core.ir import Dim, DimExpr, Graph
from fwd_core.ir.dims import single_symbol
from fwd_core.ir.structure import flatten, unflatten
from fwd_ops_torch.importers import jit
from fwd_ops_torch.importers.boundary import input_leaves, match_arguments
from fwd_ops_torch.importers.export import import_program


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


def export(module: torch.nn.Module, request: ImportRequest) -> torch.export.ExportedProgram:
    """``torch.export.export`` with the dynamic dims that were asked for.

    Raises:
        UnsupportedModelError: Torch refuses the module; the message holds torch's words.
        InputError: Example inputs or dynamic dims do not fit the model.
    """
    names, required, variadic = _parameters(module)
    given = request.inputs
    if variadic and not isinstance(given, Mapping):
        names += [f"input_{i}" for i in range(len(names), len(given))]
        required += [True] * (len(names) - len(required))
    arguments = match_arguments(given, names, required)
    tensors, _ = input_leaves(arguments)
    shapes = resolve_dynamic(request.dynamic, {n: tuple(t.shape) for n, t in tensors.items()})
    keywords = dict(arguments) if isinstance(given, Mapping) else {}
    positional = () if keywords else tuple(value for _, value in arguments)
    dynamic = _dynamic_shapes(arguments, tensors, shapes)
    try:
        return torch.export.export(
            module,
            positional,
            keywords,
            dynamic_shapes=(dynamic if keywords else tuple(dynamic.values())) if dynamic else None,
        )
    except Exception as error:  # noqa: BLE001 - export raises many kinds, all of them about the user's model
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UnsupportedModelError(
            f"torch.export cannot export {type(module).__name__}",
            details=[f"{type(error).__name__}: {lines[0] if lines else ''}", *lines[1:8]],
            hint=(
                "export follows Python: control flow on data stops it, and so do fixed sizes; "
                "torch.jit.trace(module, inputs) gives a model that took one road"
            ),
        ) from None


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
    dynamic: dict[str, Any] = {}
    for name, value in arguments:
        leaves, structure = flatten(value)
        replaced = [next(specs) if isinstance(leaf, torch.Tensor) else None for leaf in leaves]
        dynamic[name] = unflatten(structure, replaced)
    return dynamic


def _dim(dim: Dim, known: dict[str, Any]) -> Any:
    symbol = single_symbol(dim)
    if symbol is None:
        return torch.export.Dim.STATIC
    if symbol.name not in known:
        known[symbol.name] = torch.export.Dim(symbol.name, min=symbol.min, max=symbol.max)
    return known[symbol.name]
