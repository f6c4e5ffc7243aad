"""Questions about a tensor that are answered while importing: its shape, dtype and device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DimExpr, DType, Value, is_equal
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers import sizes
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.undecided import Undecided, depends_on_data, depends_on_size
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


def _offset(ref: TensorRef) -> Undecided:
    return Undecided(
        f"says where in its memory a tensor begins ({ref.type})",
        "use no numbers of strides and offsets",
        data=False,
    )


def _number(kind: type | None) -> Callable[[TensorRef], Any]:
    """What reads a number, of a kind or of that of the tensor."""
    return lambda ref: number(ref, kind)


def _implicit(kind: type | None) -> Callable[[TensorRef], Any]:
    """What takes a tensor for a number where the model does not say so: torch wants no axes."""

    def take(ref: TensorRef) -> Any:
        if ref.type.rank:
            raise ConversionError(
                "a tensor with axes is no number",
                expected="a 0-d tensor",
                got=ref.type,
                hint="TorchScript takes a sum of a number and a tensor for one of numbers, unless "
                "the tensor comes first",
            )
        if kind is int and ref.type.dtype.is_float:
            raise ConversionError("a tensor of floats is no integer", got=ref.type)
        return number(ref, kind)

    return take


def number(ref: TensorRef, kind: type | None) -> Any:
    """The number that a tensor of one element holds, as ``bool``, ``int`` or ``float``.

    Args:
        ref: The tensor.
        kind: What it is taken for; by default what its dtype says.
    """
    known = sizes.known_number(ref)
    if known is None:
        return _read_later(ref, kind)
    if isinstance(known, DimExpr):
        return _is_not_zero(known) if kind is bool else known
    return known if kind is None else kind(known)


def _read_later(ref: TensorRef, kind: type | None) -> Undecided:
    """A number that is known when the engine runs, if the tensor has one element for certain."""
    content = ref.read()
    one = content if isinstance(content, Value) and ref.type.numel == 1 else None
    if one is not None and sizes.follows_from_sizes(one):
        doubt = depends_on_size(f"{ref.type} computed of sizes")
        return dataclasses.replace(doubt, value=one, kind=kind or own_kind(ref))
    return depends_on_data(str(ref.type), one, kind or own_kind(ref))


def own_kind(ref: TensorRef) -> type:
    """``bool``, ``int`` or ``float``: what a tensor's numbers are in Python."""
    dtype = ref.type.dtype
    return bool if dtype is DType.BOOL else float if dtype.is_float else int


def _is_not_zero(size: DimExpr) -> Any:
    answer = is_equal(size, 0)
    return depends_on_size(f"whether {size} is 0") if answer is None else not answer


def _dtype(ref: TensorRef) -> int:
    return scalar_type(torch_dtype(ref.type.dtype))


def _requires_grad(ref: TensorRef) -> bool:
    constant = ref.constant
    return constant is not None and constant.requires_grad


_NUMBERS: dict[str, Callable[..., Any]] = {
    "aten::item": _number(None),
    "aten::_local_scalar_dense": _number(None),
    "aten::Int": _number(int),
    "aten::IntImplicit": _implicit(int),
    "aten::Float": _number(float),
    "aten::FloatImplicit": _implicit(float),
    "aten::Bool": _number(bool),
    "aten::is_nonzero": _number(bool),
    "aten::ScalarImplicit": _implicit(None),
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
    "aten::sym_storage_offset": _offset,
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
    # Torch's encoder asks it for its fused kernel on nested tensors. The ordinary path, which gives
    # the same but for rows of padding, is taken here whatever it answers.
    "aten::_nested_tensor_from_mask_left_aligned": lambda _ref, _mask: False,
    **_NUMBERS,
}
