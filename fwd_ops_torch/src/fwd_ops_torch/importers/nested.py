"""Nested tensors: sequences of unequal lengths, which traces of torch's encoder have inside.

The fast path of ``nn.TransformerEncoder`` takes padding away before its layers and puts zeros in
its place after them. Here the tensor stays padded, and the mask goes along: layers mask keys by it,
and what is in places of padding is never seen. Torch takes this path for tokens that come first
in each sequence, and a trace does not say so: what is kept is what the mask says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Location, is_equal
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.aliasing import TensorRef

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Makes a nested tensor of a padded one and a mask that is true for tokens.
MAKES = "aten::_nested_tensor_from_mask"
_LAYER = "aten::_transformer_encoder_layer_fwd"
_PADS = "aten::to_padded_tensor"
#: What is imported here, without a converter.
KINDS = frozenset({MAKES, _PADS})
#: Of a layer's ``mask_type``: one that says which keys are padding.
_PADDING_MASK = 1
_HINT = "make nn.TransformerEncoder with enable_nested_tensor=False, or hand over the nn.Module"


@dataclass(frozen=True)
class Nested:
    """[batch, length, features] with padding, and [batch, length], true for tokens."""

    padded: TensorRef
    keep: TensorRef


def is_nested(kind: str, inputs: Sequence[Any]) -> bool:
    """Whether an operator makes a nested tensor, or takes one."""
    return kind == MAKES or any(isinstance(one, Nested) for one in inputs)


def call(
    session: Session, kind: str, schema: Schema | None, inputs: Sequence[Any], where: Location
) -> Any:
    """The result of an operator that makes a nested tensor, or takes one.

    Raises:
        ConversionError: It is none that torch's encoder has.
    """
    if kind == MAKES:
        return _make(*inputs[:2])
    source = inputs[0]
    if kind == _PADS and isinstance(source, Nested):
        return _padded(session, source, *inputs[1:], where=where)
    names = [argument.name for argument in schema.arguments] if schema is not None else []
    given = dict(zip(names, inputs, strict=False))
    if kind != _LAYER or schema is None or given.get("mask") is not None:
        raise refusal(kind)
    assert isinstance(source, Nested)
    removed = _operator(session, "logical_not", "default", where, source.keep)
    given |= {"src": source.padded, "mask": removed, "mask_type": _PADDING_MASK}
    return Nested(session.call(schema, given, where), source.keep)


def refusal(what: str) -> ConversionError:
    """The error for what torch's encoder does not do to a nested tensor.

    Args:
        what: The operator that takes one, or the output that is one.
    """
    return ConversionError(
        f"{what} of nested tensors is not supported",
        expected="layers of nn.TransformerEncoder without a mask of their own, then padding again",
        hint=_HINT,
    )


def _make(padded: TensorRef, mask: TensorRef) -> Nested:
    fits = padded.type.rank == 3 and mask.type.rank == 2 and mask.type.dtype is DType.BOOL
    sizes = zip(mask.type.shape, padded.type.shape[:2], strict=False)
    if not fits or not all(is_equal(*pair) is True for pair in sizes):
        raise ConversionError(
            f"{MAKES}: a mask of the tokens",
            expected=f"bool[batch, length] of {padded.type}",
            got=mask.type,
        )
    return Nested(padded, mask)


def _padded(
    session: Session, source: Nested, padding: float, size: Any = None, *, where: Location
) -> Any:
    shape = source.padded.type.shape
    if size is None or not all(is_equal(*pair) is True for pair in zip(size, shape, strict=True)):
        raise ConversionError(
            f"{_PADS}: to another length than the tensor had before it was nested",
            expected=f"output_size={list(shape)}",
            got="no output_size, so the greatest length" if size is None else list(size),
            hint=_HINT,
        )
    keep = _operator(session, "unsqueeze", "default", where, source.keep, 2)
    return _operator(session, "where", "ScalarOther", where, keep, source.padded, padding)


def _operator(
    session: Session, name: str, overload: str, where: Location, *arguments: Any
) -> TensorRef:
    schema = schemas.of(getattr(getattr(torch.ops.aten, name), overload)._schema)
    names = [argument.name for argument in schema.arguments]
    made: TensorRef = session.call(schema, dict(zip(names, arguments, strict=False)), where)
    return made
