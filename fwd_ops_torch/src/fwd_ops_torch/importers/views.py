"""What an operator's schema says of its result: a fresh tensor, a view, or a write in place."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.errors import ConversionError
from fwd_core.ir import Location, Value, ops
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers import writes
from fwd_ops_torch.importers.aliasing import Content, Doubt, TensorRef, View
from fwd_ops_torch.tensors import torch_dtype

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

#: Operators whose result may or may not share memory with their operand, whatever the schema says.
MAYBE = frozenset(
    {
        "aten::contiguous",
        "aten::reshape",
        "aten::reshape_as",
        "aten::flatten",
        "aten::ravel",
    }
)
#: These return their operand with axes of size 1, although their schemas are silent.
AT_LEAST = frozenset({"aten::atleast_1d", "aten::atleast_2d", "aten::atleast_3d"})
#: These return views of several operands, or those themselves, although their schemas are silent.
OF_SEVERAL = frozenset({*AT_LEAST, "aten::broadcast_tensors"})
#: These return their operand itself when nothing changes, and a copy otherwise.
CASTS = frozenset({"aten::to", "aten::type_as"})
#: These return their operand itself when the shape stays, whatever their schemas say.
OF_SHAPES = frozenset({*AT_LEAST, "aten::flatten", "aten::sum_to_size"})
#: These return their operand itself, because it is not complex.
OF_REAL = frozenset(
    {
        "aten::positive",
        "aten::real",
        "aten::conj",
        "aten::conj_physical",
        "aten::resolve_conj",
        "aten::resolve_neg",
    }
)
#: These return their operand itself when they do not train, although their schemas are silent.
DROPOUTS = frozenset(
    {
        "aten::dropout",
        "aten::feature_dropout",
        "aten::alpha_dropout",
        "aten::feature_alpha_dropout",
    }
)
#: Operators whose results lie one after the other along ``dim``.
CUTS = frozenset(
    {
        "aten::chunk",
        "aten::split",
        "aten::split_with_sizes",
        "aten::unbind",
        "aten::tensor_split",
        "aten::hsplit",
        "aten::vsplit",
        "aten::dsplit",
    }
)
#: Operators in place that move no element, but change how their operand lies in its storage.
LAYOUTS = frozenset(
    {
        "aten::transpose_",
        "aten::t_",
        "aten::unsqueeze_",
        "aten::squeeze_",
        "aten::swapaxes_",
        "aten::swapdims_",
    }
)
#: ``torch.preserve_format`` as TorchScript's graphs write it.
_PRESERVE_IN_TORCHSCRIPT = 1


@dataclass(frozen=True)
class _Call:
    """One call of an operator that makes views."""

    session: Session
    schema: Schema
    arguments: Mapping[str, Any]
    where: Location

    def view(self, parent: TensorRef, operator: str = "") -> View:
        """Its result, as a view of its first argument."""
        name = self.schema.name
        scatter = writes.through(self.session, name, self.arguments, self.where)
        if scatter is not None:
            scatter = writes.constant_or(scatter, self.replay)
        return View(parent.snapshot(), self.replay, scatter, operator or name)

    def replay(self, content: Content) -> Content:
        """What it would return of other contents."""
        result = self.again(content)
        assert isinstance(result, TensorRef)
        return result.read()

    def again(self, content: Content) -> Any:
        """Call it once more, on other contents."""
        first = self.schema.arguments[0].name
        arguments = {**self.arguments, first: TensorRef(content)}
        return self.session.call(self.schema, arguments, self.where)

    def other(self, overload: str, **arguments: Any) -> _Call:
        """A call of another of torch's operators, as ``select.int``, at the same place."""
        name, _, kind = overload.partition(".")
        schema = schemas.of(getattr(getattr(torch.ops.aten, name), kind)._schema)
        return _Call(self.session, schema, arguments, self.where)


def wrap(
    session: Session, schema: Schema, arguments: Mapping[str, Any], result: Any, where: Location
) -> Any:
    """Results as tensor refs that alias what torch's would alias."""
    call = _Call(session, schema, arguments, where)
    if schema.written is not None:
        return _written(call, result)
    if not isinstance(result, (tuple, list)):
        return _one(call, result)
    parent = _viewed(call)
    if schema.name in OF_SEVERAL:
        several = _of_several(call, result)
    elif parent is None:
        several = [TensorRef(item) if _is_content(item) else item for item in result]
    else:
        several = list(map(TensorRef, result, _part_views(call, parent, result)))
    return tuple(several) if len(schema.returns) > 1 else several


def _one(call: _Call, result: Any) -> Any:
    if not _is_content(result):
        return result
    operand = next(iter(call.arguments.values()), None)
    if isinstance(operand, TensorRef) and _stays(call, operand, result):
        return operand
    parent, name = _viewed(call), call.schema.name
    if parent is None or (name in CASTS and _copies(call, parent, result)):
        return TensorRef(result)
    if name in MAYBE or name in CASTS:
        ref = TensorRef(result)
        ref.may_alias(parent, Doubt(name, call.where))
        return ref
    return TensorRef(result, call.view(parent))


def _stays(call: _Call, operand: TensorRef, result: Content) -> bool:
    """Whether torch returns the operand itself: what changes its layout later changes both."""
    name = call.schema.name
    if name in CASTS:
        return not _copies(call, operand, result) and not _lays_out(call)
    if name in DROPOUTS:
        return not call.arguments["train"]
    # sum_to_size([]) is a sum also of what has no axes, and the others give those some.
    kept = operand.type.rank > 0 and _keeps_shape(operand, result)
    return name in OF_REAL or (name in OF_SHAPES and kept)


def _keeps_shape(operand: TensorRef, result: Content) -> bool:
    return TensorRef(result).type.shape == operand.type.shape


def _of_several(call: _Call, results: Sequence[Content]) -> list[TensorRef]:
    """One result for each of a list of operands: that itself, or what may share memory with it."""
    (operands,) = call.arguments.values()
    refs = []
    for operand, result in zip(operands, results, strict=True):
        ref = operand
        if not _keeps_shape(operand, result):
            ref = TensorRef(result)
            ref.may_alias(operand, Doubt(call.schema.name, call.where))
        refs.append(ref)
    return refs


def _is_content(item: Any) -> bool:
    return isinstance(item, (Value, torch.Tensor))


def _viewed(call: _Call) -> TensorRef | None:
    """The operand that the results may be views of."""
    parent, schema = next(iter(call.arguments.values()), None), call.schema
    if not isinstance(parent, TensorRef):
        return None
    if schema.name in MAYBE or schema.name in CASTS or schema.name in AT_LEAST:
        return parent
    told = schema.returns and (schema.returns[0].alias or schema.returns[0].is_list)
    return parent if told and schema.arguments[0].alias else None


def _copies(call: _Call, parent: TensorRef, result: Content) -> bool:
    return call.arguments.get("copy", False) or _dtype(result) != _dtype(parent.read())


def _dtype(content: Content) -> torch.dtype:
    return torch_dtype(content.type.dtype) if isinstance(content, Value) else content.dtype


def _lays_out(call: _Call) -> bool:
    """Whether a cast asks for an order in memory, which the operand may have already or not."""
    wanted = call.arguments.get("memory_format")
    return wanted not in (None, torch.preserve_format, _PRESERVE_IN_TORCHSCRIPT)


def _part_views(call: _Call, parent: TensorRef, parts: Sequence[Content]) -> list[View]:
    """The parts of a list lie beside one another, so each is a view of a place of its own."""
    name = call.schema.name
    if (cuts := _cuts(call, parts)) is not None:
        return [cut.view(parent, name) for cut in cuts]
    picks = [functools.partial(_pick, call, index) for index in range(len(parts))]
    return [View(parent.snapshot(), pick, None, name) for pick in picks]


def _pick(call: _Call, index: int, content: Content) -> Content:
    part: TensorRef = call.again(content)[index]
    return part.read()


def _cuts(call: _Call, parts: Sequence[Content]) -> list[_Call] | None:
    """For each of the parts the call that makes it by itself."""
    name, given = call.schema.name, call.arguments
    if name not in CUTS:
        return None
    dim = _cut_axis(call)
    if name == "aten::unbind":
        return [call.other("select.int", dim=dim, index=index) for index in range(len(parts))]
    if (indices := _cut_places(given)) is not None:
        ends = itertools.pairwise([0, *indices, None])
        return [call.other("slice.Tensor", dim=dim, start=a, end=b) for a, b in ends]
    sizes = [TensorRef(part).type.shape[dim] for part in parts]
    starts = itertools.accumulate(sizes, initial=0)
    return [
        call.other("narrow.default", dim=dim, start=start, length=size)
        for start, size in zip(starts, sizes, strict=False)
    ]


def _cut_axis(call: _Call) -> int:
    """The axis that is cut: an argument, or what the operator's name says."""
    if "dim" in call.arguments:
        dim: int = call.arguments["dim"]
        return dim
    operand: TensorRef = call.arguments["self"]
    return {
        "aten::hsplit": min(operand.type.rank - 1, 1),
        "aten::vsplit": 0,
        "aten::dsplit": 2,
    }[call.schema.name]


def _cut_places(given: Mapping[str, Any]) -> Sequence[Any] | None:
    """The places where it is cut, if they are given."""
    held = given.get("tensor_indices_or_sections")
    if held is None:
        places: Sequence[Any] | None = given.get("indices")
        return places
    return held.constant.tolist() if held.type.rank else None


def _pure(call: _Call) -> _Call:
    """The call that returns a view, for one that makes its operand that view."""

    def taken(schema: Schema) -> list[tuple[str, bool]]:
        return [(argument.name, argument.is_list) for argument in schema.arguments]

    candidates = schemas.overloads(call.schema.name.rstrip("_"))
    (schema,) = (
        one for one in candidates if taken(one) == taken(call.schema) and not one.has_names
    )
    return _Call(call.session, schema, call.arguments, call.where)


def _written(call: _Call, result: Any) -> Any:
    schema, where = call.schema, call.where
    assert schema.written is not None
    target = call.arguments[schema.written.name]
    if not isinstance(target, TensorRef) or not isinstance(result, (Value, torch.Tensor)):
        raise ConversionError(f"{schema.name} writes to several tensors at once", where=where)
    if schema.name in LAYOUTS:
        target.become(_pure(call).view(target), result, where)
        return target
    want = target.type
    have = TensorRef(result).type
    if have.dtype is not want.dtype and torch.can_cast(
        torch_dtype(have.dtype), torch_dtype(want.dtype)
    ):
        # Torch computes in the promoted dtype and stores in the tensor's own.
        emit = writes.context(call.session, schema.name, where).emit
        result = emit(ops.Cast(call.session.materialize(result), want.dtype))
        have = result.type
    if have.shape != want.shape or have.dtype is not want.dtype:
        raise ConversionError(
            f"{schema.name} gives a result that does not fit the tensor it writes to",
            where=where,
            expected=want,
            got=have,
        )
    target.write(result, where)
    return target
