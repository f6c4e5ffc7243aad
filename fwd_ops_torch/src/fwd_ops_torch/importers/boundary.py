"""Where a model meets the outside: example inputs to graph inputs, results to graph outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fwd_core.errors import ConversionError, ForwardError, InputError
from fwd_core.importing import resolve_dynamic
from fwd_core.ir import Dim, DimExpr, Location, Tensor, TensorType
from fwd_core.ir.structure import Structure, flatten, leaf_names, unflatten
from fwd_ops_torch.importers import sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.undecided import Undecided
from fwd_ops_torch.tensors import dtype_of, from_host, torch_dtype

#: Names and example values of a model's arguments, in the model's order.
Named = Sequence[tuple[str, Any]]


def as_example(value: Any) -> Any:
    """Example inputs as torch tensors: arrays are wrapped, tensor types are made up."""
    if isinstance(value, TensorType):
        shape = value.static_shape()
        dtype = torch_dtype(value.dtype)
        return (
            torch.zeros(shape, dtype=dtype)
            if not value.dtype.is_float
            else torch.rand(shape).to(dtype)
        )
    if isinstance(value, Tensor):
        return from_host(value)
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value if value.flags.writeable else value.copy())
    if isinstance(value, np.generic):
        return torch.from_numpy(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value)(as_example(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_example(item) for key, item in value.items()}
    return value


def match_arguments(
    given: Sequence[Any] | Mapping[str, Any], names: Sequence[str], required: Sequence[bool]
) -> list[tuple[str, Any]]:
    """Example inputs with the names of the arguments that they are for.

    Args:
        given: By position or by name.
        names: The model's arguments.
        required: Whether each has no default.

    Raises:
        InputError: Too many, too few, or names that the model does not have.
    """
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        chosen = {name: given[name] for name in names if name in given}
    else:
        unknown = [f"input {i + 1}" for i in range(len(names), len(given))]
        chosen = dict(zip(names, given, strict=False))
    missing = [
        name for name, must in zip(names, required, strict=True) if must and name not in chosen
    ]
    if unknown or missing:
        told = ([f"missing {', '.join(missing)}"] if missing else []) + (
            [f"the model has no {', '.join(unknown)}"] if unknown else []
        )
        raise InputError(
            f"example inputs: {'; '.join(told)}",
            expected=f"({', '.join(names)})",
            got=", ".join(given) if isinstance(given, Mapping) else f"{len(given)} inputs",
        )
    return [(name, as_example(value)) for name, value in chosen.items()]


def input_leaves(arguments: Named) -> tuple[dict[str, torch.Tensor], Structure]:
    """Example tensors by the names that they will have as inputs, and how they nest.

    Python numbers, strings and None among the arguments are fixed when the engine is built.

    Raises:
        InputError: A number is nested among tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    members: list[Structure] = []
    for name, value in arguments:
        leaves, structure = flatten(value)
        kinds = {isinstance(leaf, torch.Tensor) for leaf in leaves}
        if kinds == {True, False}:
            raise InputError(
                f"input {name!r} nests tensors with other values",
                hint="give the other values as arguments of their own: they are fixed at build",
            )
        if kinds != {True}:
            continue
        members.append(structure)
        for leaf_name, leaf in zip(leaf_names(structure, name), leaves, strict=True):
            unique, ordinal = leaf_name, 0
            while unique in tensors:
                ordinal += 1
                unique = f"{leaf_name}_{ordinal}"
            tensors[unique] = leaf
    return tensors, {"tuple": members}


def declare_inputs(session: Session, arguments: Named) -> list[Any]:
    """Add graph inputs for all example tensors; the arguments as the model will see them.

    Raises:
        InputError: Dynamic dims do not fit the example inputs.
        ConversionError: A dtype is not supported.
    """
    tensors, structure = input_leaves(arguments)
    shapes = resolve_dynamic(
        session.request.dynamic, {name: tuple(t.shape) for name, t in tensors.items()}
    )
    return bind_inputs(session, arguments, tensors, structure, shapes)


def bind_inputs(
    session: Session,
    arguments: Named,
    tensors: Mapping[str, torch.Tensor],
    structure: Structure,
    shapes: Mapping[str, tuple[Dim, ...]],
) -> list[Any]:
    """Like :func:`declare_inputs` for shapes that are resolved already."""
    refs = iter(
        [
            TensorRef(session.graph.add_input(name, TensorType(dtype_of(t.dtype), shapes[name])))
            for name, t in tensors.items()
        ]
    )
    session.graph.input_structure = structure
    seen: list[Any] = []
    for _name, value in arguments:
        leaves, nested = flatten(value)
        replaced = [next(refs) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        seen.append(unflatten(nested, replaced))
    return seen


def finish(session: Session, result: Any) -> None:
    """Make a model's result the graph's outputs, after checking that all went well.

    Raises:
        UnsupportedModelError: Problems were found; all are listed.
        ConversionError: The model returns something that is no tensor, or nothing.
    """
    session.problems.check()
    session.check_state()
    leaves, structure = flatten(result)
    names = leaf_names(structure, "output")
    values = []
    for name, leaf in zip(names, leaves, strict=True):
        if isinstance(leaf, Undecided):
            raise leaf.error(f"the model's output {name!r}")
        if isinstance(leaf, (bool, int, float, DimExpr)):
            leaf = sizes.from_number(session.graph, leaf, Location("", "output"))
        if not isinstance(leaf, TensorRef):
            raise ConversionError(
                f"the model's output {name!r} is no tensor", got=type(leaf).__name__
            )
        values.append(session.value(leaf))
    if not values:
        raise ConversionError("the model returns no tensor")
    session.graph.set_outputs(values, names, structure)


def guard(session: Session, error: Exception) -> Exception:
    """The error to raise for one that ended an import: known problems go first."""
    if session.problems and not isinstance(error, InputError):
        try:
            session.problems.check()
        except ForwardError as listed:
            return listed
    if isinstance(error, CannotContinueError):
        return ConversionError("the import cannot go on", details=[str(error.__cause__ or error)])
    return error
