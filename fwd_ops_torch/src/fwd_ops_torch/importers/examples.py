"""Example inputs as torch tensors, checked against what a TorchScript model declares."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fwd_core.errors import InputError
from fwd_core.ir import Tensor, TensorType
from fwd_ops_torch.importers.pytrees import rebuilt
from fwd_ops_torch.tensors import from_host, torch_dtype


@dataclass(frozen=True)
class Read:
    """A value that TorchScript reads as another one, as an int for a float.

    Attributes:
        given: The caller's value, which calls of the engine repeat.
        seen: What the model sees.
    """

    given: Any
    seen: Any


def as_example(value: Any, name: str = "input") -> Any:
    """Example inputs as torch tensors: arrays are wrapped, tensor types are made up.

    Raises:
        InputError: Torch has no dtype for an array's.
    """
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
    if isinstance(value, (np.ndarray, np.generic)):
        return _of_array(np.asarray(value), name)
    if isinstance(value, (tuple, list)):
        return rebuilt(value, [as_example(item, name) for item in value])
    if isinstance(value, Mapping):
        return {key: as_example(item, name) for key, item in value.items()}
    return value


def _of_array(array: Any, name: str) -> torch.Tensor:
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    try:
        return torch.from_numpy(array)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"example input {name!r}: torch has no dtype for this array",
            got=f"an array of {array.dtype!r}",
            details=[str(error)],
        ) from None


def fitted(name: str, value: Any, declared: Any) -> Any:
    """An example input as TorchScript reads it for an argument.

    Args:
        name: Name of the argument.
        value: The caller's value.
        declared: The argument's type, TorchScript's own object.

    Returns:
        The example, with numbers as the declared type has them.

    Raises:
        InputError: It is not of the declared type.
    """
    if isinstance(value, np.generic) and _kind(declared) in _NUMBERS:
        value = value.item()
    example = as_example(value, name)
    seen = _read(name, example, declared)
    return example if _holds_tensors(example) or _same(example, seen) else Read(example, seen)


def described(value: Any) -> str:
    """A value for a message."""
    if isinstance(value, torch.Tensor):
        return f"a tensor, {str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, (list, tuple, dict)) and _holds_tensors(value):
        return f"a {type(value).__name__} with tensors"
    return f"{type(value).__name__} {reprlib.repr(value)}"


def _read(name: str, value: Any, declared: Any) -> Any:
    """The value as the type has it."""
    kind = _kind(declared)
    if kind == "OptionalType":
        return None if value is None else _read(name, value, declared.getElementType())
    if kind == "UnionType":
        return _read_union(name, value, declared)
    if kind in _PLAIN:
        fits, convert = _PLAIN[kind]
        if fits(value):
            return convert(value)
    elif kind == "ListType":
        if isinstance(value, (list, tuple)):
            inner = declared.getElementType()
            return [_read(f"{name}[{i}]", item, inner) for i, item in enumerate(value)]
    elif kind == "TupleType":
        inner = declared.elements()
        if isinstance(value, (list, tuple)) and len(value) == len(inner):
            pairs = enumerate(zip(value, inner, strict=True))
            return tuple(_read(f"{name}[{i}]", item, kind) for i, (item, kind) in pairs)
    elif kind == "DictType":
        if isinstance(value, Mapping):
            inner = declared.getValueType()
            for key in value:
                _read(f"key of {name}", key, declared.getKeyType())
            return {key: _read(f"{name}[{key!r}]", item, inner) for key, item in value.items()}
    else:
        return value  # devices, dtypes, objects of classes: the model itself will say
    raise _unfit(name, value, declared)


def _read_union(name: str, value: Any, declared: Any) -> Any:
    for member in declared.containedTypes():
        try:
            return _read(name, value, member)
        except InputError:
            continue
    raise _unfit(name, value, declared)


def _unfit(name: str, value: Any, declared: Any) -> InputError:
    hint = None
    if _kind(declared) == "TensorType" and isinstance(value, (bool, int, float, list, tuple)):
        hint = "torch.tensor makes one of numbers"
    elif isinstance(value, torch.Tensor) and _kind(declared) in _NUMBERS:
        hint = "numbers are fixed when the engine is built: give a Python number"
    return InputError(
        f"example input {name!r} is not of the type that the model declares",
        expected=declared,
        got=described(value),
        hint=hint,
    )


def _kind(declared: Any) -> str:
    kind: str = declared.kind()
    return kind


def _is_number(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _is_whole(value: object) -> bool:
    return isinstance(value, (bool, int))


def _same(example: Any, seen: Any) -> bool:
    return type(example) is type(seen) and repr(example) == repr(seen)


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_tensors, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_tensors, value))
    return isinstance(value, torch.Tensor)


_NUMBERS = ("IntType", "FloatType", "BoolType", "NumberType")
#: What a type takes, and as what TorchScript reads it.
_PLAIN: dict[str, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    "TensorType": (lambda value: isinstance(value, torch.Tensor), lambda value: value),
    "IntType": (_is_whole, int),
    "FloatType": (_is_number, float),
    "BoolType": (_is_whole, bool),
    "NumberType": (_is_number, lambda value: value),
    "StringType": (lambda value: isinstance(value, str), str),
    "NoneType": (lambda value: value is None, lambda value: value),
}
