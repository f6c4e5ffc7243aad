"""Type promotion, by torch's rules.

https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc: tensors with
axes, tensors without, and Python numbers are three priorities; a lower one matters only if its
category (bool, integer, float) is higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

import torch

from fwd_core.ir import DimExpr, DType, Value
from fwd_ops_torch.tensors import dtype_of, torch_dtype

Operand = Union[Value, int, float, bool, DimExpr]


def result_dtype(operands: Sequence[Operand]) -> DType:
    """The dtype that torch computes an operator on these operands in."""
    groups: list[torch.dtype | None] = [None, None, None]
    for operand in operands:
        if isinstance(operand, Value):
            group, dtype = (0 if operand.type.rank else 1), torch_dtype(operand.type.dtype)
        else:
            group, dtype = 2, _of_number(operand)
        held = groups[group]
        groups[group] = dtype if held is None else torch.promote_types(held, dtype)
    with_axes, scalars, numbers = groups
    result = _combine(with_axes, _combine(scalars, numbers))
    if result is None:
        raise ValueError("no operands to promote")
    return dtype_of(result)


def _of_number(number: int | float | bool | DimExpr) -> torch.dtype:
    if isinstance(number, bool):
        return torch.bool
    if isinstance(number, float):
        return torch.get_default_dtype()
    return torch.int64


def _combine(higher: torch.dtype | None, lower: torch.dtype | None) -> torch.dtype | None:
    if higher is None or lower is None:
        return higher if lower is None else lower
    if higher.is_floating_point:
        return higher
    if higher is torch.bool or lower.is_floating_point:
        return torch.promote_types(higher, lower)
    return higher
