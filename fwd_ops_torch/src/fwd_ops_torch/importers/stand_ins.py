"""Types of what an operator would give that is not converted, so that the import can go on.

Torch's own shape function is asked for several values of the dynamic sizes. Sizes that follow none
of them as a sum do not become a guess: what comes after would be told of sizes that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from fwd_core.ir import Dim, DimExpr, Symbol, TensorType
from fwd_core.ir.dims import evaluate, product, symbol, symbols
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.tensors import torch_dtype, type_of

Point = Mapping[str, int]


class NoStandInError(Exception):
    """What an operator would give is not known."""


def result_types(schema: Schema, arguments: Mapping[str, Any]) -> Any:
    """The types of an operator's results, nested as they are.

    Raises:
        NoStandInError: They are not known, or no tensors. Torch's shape function may raise any
            other exception.
    """
    sizes = list(_sizes(list(arguments.values())))
    points = _points(symbols(*sizes))
    function = schema.callable()
    found = [
        function(**{name: _meta(value, point) for name, value in arguments.items()})
        for point in points
    ]
    return _types(found, points, sizes)


def _points(free: Sequence[Symbol]) -> list[Point]:
    """The greatest sizes, and greater ones, one by one and all: small ones may be too small."""
    start = {one.name: one.max for one in free}
    points: list[Point] = [start]
    for one in free:
        points += [{**start, one.name: one.max + 1}, {**start, one.name: 2 * one.max + 5}]
    if free:
        points.append({one.name: 3 * one.max + 7 + 2 * i for i, one in enumerate(free)})
    return points


def _types(found: Sequence[Any], points: Sequence[Point], sizes: Sequence[Dim]) -> Any:
    first = found[0]
    if isinstance(first, torch.Tensor):
        kind = type_of(first)
        if any(one.dim() != first.dim() for one in found):
            raise NoStandInError
        listed = zip(*(one.shape for one in found), strict=True)
        return TensorType(kind.dtype, tuple(_size(each, points, sizes) for each in listed))
    if not isinstance(first, (tuple, list)) or len({len(one) for one in found}) > 1:
        raise NoStandInError
    return type(first)(_types(items, points, sizes) for items in zip(*found, strict=True))


def _size(values: Sequence[int], points: Sequence[Point], sizes: Sequence[Dim]) -> Dim:
    """The size that has these values at these points: a sum, or one that the operands have."""
    if len(set(values)) == 1:
        return values[0]
    for candidate in (*sizes, _sum(values, points, symbols(*sizes))):
        if all(evaluate(candidate, at) == value for at, value in zip(points, values, strict=True)):
            return candidate
    raise NoStandInError


def _sum(values: Sequence[int], points: Sequence[Point], free: Sequence[Symbol]) -> Dim:
    total: Dim = values[0]
    for place, one in enumerate(free):  # the points after the first raise one symbol by 1 each
        factor = values[1 + 2 * place] - values[0]
        total = total + factor * (symbol(one.name, one.min, one.opt, one.max) - one.max)
    return total


def _sizes(given: Any) -> Iterator[Dim]:
    """The dynamic sizes among arguments, and how many elements their tensors have."""
    if isinstance(given, TensorRef):
        yield from (dim for dim in given.type.shape if isinstance(dim, DimExpr))
        if isinstance(count := product(given.type.shape), DimExpr):
            yield count
    elif isinstance(given, (list, tuple)):
        for item in given:
            yield from _sizes(item)
    elif isinstance(given, DimExpr):
        yield given


def _meta(value: Any, point: Point) -> Any:
    if isinstance(value, TensorRef):
        shape = [evaluate(dim, point) for dim in value.type.shape]
        return torch.empty(shape, dtype=torch_dtype(value.type.dtype), device="meta")
    if isinstance(value, (list, tuple)):
        return [_meta(item, point) for item in value]
    if isinstance(value, torch.device):
        return torch.device("meta")
    return evaluate(value, point) if isinstance(value, DimExpr) else value
