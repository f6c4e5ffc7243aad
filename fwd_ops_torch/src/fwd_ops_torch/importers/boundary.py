"""Where a model meets the outside: example inputs to graph inputs, results to graph outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fwd_core.errors import ConversionError, InputError
from fwd_core.importing import resolve_dynamic
from fwd_core.ir import Dim, DimExpr, Location, TensorType
from fwd_core.ir.fixed import FixedArgument, value_text
from fwd_core.ir.structure import Structure, flatten, leaf_names, unflatten
from fwd_ops_torch.importers import nested, numbers, sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.batches import elsewhere
from fwd_ops_torch.importers.examples import Read, as_example, fitted
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.undecided import Undecided
from fwd_ops_torch.tensors import dtype_of

#: Names and example values of a model's arguments, in the model's order.
Named = Sequence[tuple[str, Any]]


def match_arguments(
    given: Sequence[Any] | Mapping[str, Any],
    names: Sequence[str],
    required: Sequence[bool],
    types: Sequence[Any] | None = None,
) -> list[tuple[str, Any]]:
    """Example inputs with the names of the arguments that they are for.

    Args:
        given: By position or by name.
        names: The model's arguments.
        required: Whether each has no default.
        types: Their types, if the model declares them: TorchScript's own objects.

    Raises:
        InputError: Too many, too few, names that the model does not have, or a value that is not
            of its argument's type.
    """
    if isinstance(given, Mapping):
        unknown = [repr(name) for name in given if name not in names]
        chosen = {name: given[name] for name in names if name in given}
    else:
        unknown = [f"input {i + 1}" for i in range(len(names), len(given))]
        chosen = dict(zip(names, given, strict=False))
    missing = [
        name for name, must in zip(names, required, strict=True) if must and name not in chosen
    ]
    if unknown or missing:
        told = ([f"missing {', '.join(map(repr, missing))}"] if missing else []) + (
            [f"the model has no {', '.join(unknown)}"] if unknown else []
        )
        raise InputError(
            f"example inputs: {'; '.join(told)}",
            expected=f"({', '.join(names)})",
            got=", ".join(map(str, given))
            if isinstance(given, Mapping)
            else f"{len(given)} inputs",
        )
    if types is None:
        return [(name, as_example(value, name)) for name, value in chosen.items()]
    declared = dict(zip(names, types, strict=True))
    return [(name, fitted(name, value, declared[name])) for name, value in chosen.items()]


def input_leaves(arguments: Named) -> tuple[dict[str, torch.Tensor], Structure]:
    """Example tensors by the names that they will have as inputs, and how they nest.

    Python numbers, strings and None among the arguments are fixed when the engine is built.

    Raises:
        InputError: A number is nested among tensors, or a tensor is sparse.
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
            tensors[unique] = _dense(unique, leaf)
    return tensors, {"tuple": members}


def _dense(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise InputError(
            f"example input {name!r} is no plain tensor",
            expected="a dense tensor",
            got=f"{tensor.layout}, {tensor.dtype}",
            hint="give tensor.to_dense(), or tensor.dequantize(): graphs have dense tensors only",
        )
    return tensor


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
    session.batch_elsewhere = elsewhere(
        session.request.dynamic, {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    )
    fixed: list[FixedArgument] = []
    seen: list[Any] = []
    for position, (name, value) in enumerate(arguments):
        leaves, nested = flatten(value)
        if not any(isinstance(leaf, torch.Tensor) for leaf in leaves):
            given = value.given if isinstance(value, Read) else value
            fixed.append(FixedArgument(position, name, value_text(given)))
            seen.append(value.seen if isinstance(value, Read) else value)
            continue
        replaced = [next(refs) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        seen.append(unflatten(nested, replaced))
    session.graph.fixed = tuple(fixed)
    return seen


def finish(session: Session, result: Any) -> None:
    """Make a model's result the graph's outputs, after checking that all went well.

    Raises:
        UnsupportedModelError: Problems were found; all are listed.
        ConversionError: The model returns something that is no tensor, or nothing.
    """
    session.check_state()
    session.problems.check()
    leaves, structure = flatten(result)
    names = leaf_names(structure, "output")
    values = []
    for name, leaf in zip(names, leaves, strict=True):
        if isinstance(leaf, Undecided):
            if leaf.value is None:
                raise leaf.error(f"the model's output {name!r}")
            leaf = numbers.tensor(session, leaf, Location("", "output"))
        if isinstance(leaf, (bool, int, float, DimExpr)):
            leaf = sizes.from_number(session.graph, leaf, Location("", "output"))
        if isinstance(leaf, nested.Nested):
            raise nested.refusal(f"the model's output {name!r}")
        if not isinstance(leaf, TensorRef):
            raise ConversionError(
                f"the model's output {name!r} is no tensor", got=type(leaf).__name__
            )
        values.append(session.value(leaf))
    session.problems.check()  # reading an output may have made views anew, after a write
    if not values:
        raise ConversionError("the model returns no tensor")
    session.graph.set_outputs(values, names, structure)
