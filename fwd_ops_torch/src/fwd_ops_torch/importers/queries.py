"""Questions about a tensor that are answered while importing: its shape, dtype and device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers import sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.undecided import depends_on_data
from fwd_ops_torch.tensors import scalar_type, torch_dtype

#: Returned by :func:`answer` for operators that are no questions.
UNKNOWN = object()


def answer(schema: Schema, arguments: Mapping[str, Any]) -> Any:
    """The Python value that the operator returns, or :data:`UNKNOWN`.

    A number that depends on the contents of a tensor is returned as ``Undecided``: whether that
    is an error depends on its use.
    """
    question = _QUESTIONS.get(schema.name)
    if question is None:
        return UNKNOWN
    values = list(arguments.values())
    if not values or not isinstance(values[0], TensorRef):
        return UNKNOWN  # len(list), int(float) and their like
    return question(*values)


def _size(ref: TensorRef, dim: int | None = None) -> Dim | list[Dim]:
    shape = ref.type.shape
    if dim is None:
        return list(shape)
    if not -len(shape) <= dim < len(shape):
        raise ConversionError(
            "size: dimension out of range", expected=f"{-len(shape)} … {len(shape) - 1}", got=dim
        )
    return shape[dim]


def _length(ref: TensorRef) -> Dim:
    shape = ref.type.shape
    if not shape:
        raise ConversionError("len() of a 0-d tensor", got=ref.type)
    return shape[0]


def _number(convert: Callable[[Any], Any]) -> Callable[[TensorRef], Any]:
    def read(ref: TensorRef) -> Any:
        known = sizes.known_number(ref)
        if known is None:
            return depends_on_data(str(ref.type))
        return convert(known) if isinstance(known, (bool, int, float)) else known

    return read


def _dtype(ref: TensorRef) -> int:
    return scalar_type(torch_dtype(ref.type.dtype))


def _requires_grad(ref: TensorRef) -> bool:
    constant = ref.constant
    return constant is not None and constant.requires_grad


_NUMBERS: dict[str, Callable[..., Any]] = {
    "aten::item": _number(lambda number: number),
    "aten::_local_scalar_dense": _number(lambda number: number),
    "aten::Int": _number(int),
    "aten::IntImplicit": _number(int),
    "aten::Float": _number(float),
    "aten::FloatImplicit": _number(float),
    "aten::Bool": _number(bool),
    "aten::ScalarImplicit": _number(lambda number: number),
}
#: Questions about the contents of a tensor.
NUMBERS = frozenset(_NUMBERS)
_QUESTIONS: dict[str, Callable[..., Any]] = {
    "aten::size": _size,
    "aten::sym_size": _size,
    "prim::shape": _size,
    "aten::dim": lambda ref: ref.type.rank,
    "aten::ndimension": lambda ref: ref.type.rank,
    "prim::ndim": lambda ref: ref.type.rank,
    "aten::numel": lambda ref: ref.type.numel,
    "aten::sym_numel": lambda ref: ref.type.numel,
    "aten::len": _length,
    "prim::dtype": _dtype,
    "prim::device": lambda _ref: torch.device("cpu"),
    "prim::layout": lambda _ref: 0,
    "prim::is_cuda": lambda _ref: False,
    "prim::is_cpu": lambda _ref: True,
    "prim::is_nested": lambda _ref: False,
    "prim::is_sparse": lambda _ref: False,
    "prim::is_quantized": lambda _ref: False,
    "prim::is_meta": lambda _ref: False,
    "prim::is_mkldnn": lambda _ref: False,
    "prim::requires_grad": _requires_grad,
    "aten::is_floating_point": lambda ref: ref.type.dtype.is_float,
    "aten::is_complex": lambda _ref: False,
    "aten::is_signed": lambda ref: torch_dtype(ref.type.dtype).is_signed,
    **_NUMBERS,
}
