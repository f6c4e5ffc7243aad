"""What cannot be packed, in words."""

from __future__ import annotations

from collections.abc import Iterator

from fwd_core.errors import OptionError
from fwd_core.ir import Graph, Value, is_equal, ops
from fwd_plugins_bert.packing.products import MixedError
from fwd_plugins_bert.padding import padding, source

_LEAVE = "leave variable_length out"


def mask_of(graph: Graph, name: str) -> Value:
    """The input that is the mask.

    Raises:
        OptionError: There is none of that name, or it is not [batch, length].
    """
    found = next((value for value in graph.inputs if value.name == name), None)
    flat = [value.name for value in graph.inputs if value.type.rank == 2]
    if found is None:
        seen = [_named(*one) for one in sorted(_seen(graph), key=lambda one: one[0].name)]
        raise OptionError(
            f"variable_length: the model has no input {name!r}",
            expected=f"the padding mask, [batch, length]: one of {', '.join(flat) or 'none here'}",
            hint=f"variable_length={seen[0]!r}, by which attention is masked"
            if seen
            else "variable_length='NAME' names the mask, '~NAME' one that marks padding",
        )
    if found.type.rank != 2:
        raise OptionError(
            f"variable_length: input {name!r} is no padding mask",
            expected="[batch, length]",
            got=found.type,
        )
    return found


def require_used(graph: Graph, mask: Value, marks_padding: bool) -> None:
    """Refuse a mask where attention is seen to be masked by another, or the other way round.

    Raises:
        OptionError: It is.
    """
    seen = _seen(graph)
    if not seen or (mask, marks_padding) in seen:
        return
    names = sorted(_named(value, marks) for value, marks in seen)
    what = {True: "padding", False: "tokens"}
    if any(value is mask for value, _ in seen):
        told = f"input {mask.name!r} marks {what[not marks_padding]}, not {what[marks_padding]}"
    else:
        told = f"attention is not masked by input {mask.name!r}"
    raise OptionError(
        f"variable_length: {told}",
        expected=" or ".join(names),
        got=_named(mask, marks_padding),
        hint=f"variable_length={names[0]!r}",
    )


def mixed(graph: Graph, mask: Value, told: MixedError) -> OptionError:
    """An operator lets tokens meet padding, which would change their results."""
    op, name = told.node.op, told.node.name
    if isinstance(op, ops.Attention):
        other = None if op.mask is None else _by(op.mask)
        masked = "has no mask" if op.mask is None else "has another mask"
        if told.causal:
            masked = "is causal, of queries that are not known to be tokens"
        elif other is not None and other[0] is mask:
            masked = "has a mask that leaves something of it"
        elif other is not None:
            masked = f"is masked by input {other[0].name!r}"
        return OptionError(
            f"variable_length: tokens would see padding in attention {name!r}, which {masked}",
            expected=f"a mask that is made of input {mask.name!r}",
            got=op.kind() if op.mask is None else op.mask.type,
            hint=f"give that mask to all attention of these tokens, or {_LEAVE}",
        )
    if isinstance(op, ops.Softmax):
        hint = f"add a mask that is made of input {mask.name!r} before it, or {_LEAVE}"
    else:
        hint = f"take padding away before it, as (x * mask[..., None]).sum(1) does, or {_LEAVE}"
    return OptionError(
        f"variable_length: {op.kind()} {name!r} mixes tokens and padding",
        expected=f"padding taken away by input {mask.name!r}, or operators on each token alone",
        got=", ".join(str(value.type) for value in op.operands()),
        hint=hint,
    )


def nothing(graph: Graph, mask: Value, apart: bool) -> OptionError:
    """No layer is known to work on tokens of this mask."""
    batch, length = mask.type.shape
    if other := _of_other_sizes(graph, mask):
        name = other[0].name
        return OptionError(
            f"variable_length: input {mask.name!r} need not have the batch and length of {name!r}",
            expected="sizes that are fixed in both, or dynamic in both under one name",
            got=", ".join(f"{one.name}: {one.type}" for one in (mask, *other)),
            hint=f"dynamic={{{mask.name!r}: sizes, {name!r}: sizes}} gives them the same; "
            f"or {_LEAVE}",
        )
    if apart:
        return OptionError(
            f"variable_length: nothing shows that input {mask.name!r} is the mask of these tokens",
            expected="attention that is masked by it, or a product with it",
            hint=_LEAVE,
        )
    return OptionError(
        "variable_length: no linear layer of this model works on [batch, length, features]",
        expected=f"layers on values of {batch} x {length} tokens",
        hint=_LEAVE,
    )


def _of_other_sizes(graph: Graph, mask: Value) -> list[Value]:
    """Inputs that have the sizes of the mask in some runs, and not in all."""
    found = []
    for value in graph.inputs:
        if value is not mask and value.type.rank >= 2:
            pairs = zip(value.type.shape[:2], mask.type.shape, strict=True)
            equal = [is_equal(a, b) for a, b in pairs]
            if None in equal and False not in equal:
                found.append(value)
    return found


def _named(mask: Value, marks_padding: bool) -> str:
    return f"{'~' if marks_padding else ''}{mask.name}"


def _seen(graph: Graph) -> set[tuple[Value, bool]]:
    """Inputs that attention is seen to be masked by, and whether they mark padding."""
    return {one for value in _masks(graph) if (one := _by(value)) is not None}


def _by(mask: Value) -> tuple[Value, bool] | None:
    """The input that a mask is made of, and whether it marks padding, where that can be told."""
    found = padding(mask)
    made = None if found is None else source(found)
    return made if made is not None and made[0] in mask.graph.inputs else None


def _masks(graph: Graph) -> Iterator[Value]:
    """What is given to attention as a mask, or added to scores before a softmax."""
    for node in graph:
        if isinstance(node.op, ops.Attention) and node.op.mask is not None:
            yield node.op.mask
        if isinstance(node.op, ops.Softmax) and node.op.x.producer is not None:
            scores = node.op.x.producer.op
            if isinstance(scores, ops.Add):
                yield from (scores.a, scores.b)
