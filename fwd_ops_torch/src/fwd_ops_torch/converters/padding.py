"""Converters of padding."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, is_less, ops
from fwd_core.ir.dims import maximum
from fwd_ops_torch.converting import ConversionContext, converts

#: By the numbers of ATen/native/PadNd.h.
_MODES = ("reflect", "replicate", "circular", "constant")
_IR_MODES = {"reflect": "reflect", "replicate": "edge"}


@converts("aten::constant_pad_nd")
def constant_pad_nd(
    ctx: ConversionContext, x: Value, pad: Sequence[Dim], value: float = 0
) -> Value:
    """aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor. Negative pads cut."""
    before, after = _pads(x, pad)
    for size, low, high in zip(x.type.shape, before, after, strict=True):
        cut = maximum(0, -low) + maximum(0, -high)
        if is_less(size, cut) is True:
            raise ConversionError(
                f"{ctx.operator}: more is cut than there is", expected=x.type, got=list(pad)
            )
        ctx.require_enough("pad", cut, size)
    number = ctx.fitted(value, x.type.dtype)
    return ctx.emit(ops.Pad(x, before, after, "constant", number))


@converts("aten::pad_sequence")
def pad_sequence(
    ctx: ConversionContext,
    sequences: Sequence[Value],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Value:
    """aten::pad_sequence(Tensor[] sequences, bool batch_first=False, float padding_value=0., str padding_side="right") -> Tensor.

    As many rows in each as the longest has; the dtype of the first.
    """
    if padding_side not in ("left", "right"):
        raise ConversionError(
            "pad_sequence: unknown padding_side", expected="left, right", got=padding_side
        )
    if not sequences or any(not one.type.rank for one in sequences):
        raise ConversionError(
            "pad_sequence: one sequence or more, each with an axis",
            got=[str(one.type) for one in sequences],
        )
    first = sequences[0].type
    most = functools.reduce(maximum, (one.type.shape[0] for one in sequences))
    number = ctx.fitted(padding_value, first.dtype)
    rows = []
    for one in sequences:
        if one.type.rank != first.rank:
            raise ConversionError(
                "pad_sequence: as many axes in each", expected=first, got=one.type
            )
        for want, have in zip(first.shape[1:], one.type.shape[1:], strict=True):
            ctx.require_equal("sizes after the first", want, have)
        less = most - one.type.shape[0]
        before, after = (less, 0) if padding_side == "left" else (0, less)
        rest = (0,) * (first.rank - 1)
        given = ctx.cast(one, first.dtype)
        padded = ctx.emit(ops.Pad(given, (before, *rest), (after, *rest), "constant", number))
        rows.append(ctx.emit(ops.Unsqueeze(padded, (0 if batch_first else 1,)), "row"))
    return ctx.emit(ops.Concat(tuple(rows), 0 if batch_first else 1))


@converts("aten::pad")
def pad_(
    ctx: ConversionContext,
    x: Value,
    pad: Sequence[Dim],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    """aten::pad(Tensor self, SymInt[] pad, str mode="constant", float? value=None) -> Tensor.

    Modes constant, and reflect, replicate and circular of the last 1, 2 or 3 axes.
    """
    return _padded(ctx, x, pad, mode, value)


@converts("aten::_pad_enum")
def pad_enum(
    ctx: ConversionContext, x: Value, pad: Sequence[Dim], mode: int, value: float | None = None
) -> Value:
    """aten::_pad_enum(Tensor self, SymInt[] pad, int mode, float? value=None) -> Tensor."""
    if not 0 <= mode < len(_MODES):
        raise ConversionError(
            "_pad_enum: unknown mode", expected=f"0 … {len(_MODES) - 1}", got=mode
        )
    return _padded(ctx, x, pad, _MODES[mode], value)


@converts("aten::reflection_pad1d", "aten::reflection_pad2d", "aten::reflection_pad3d")
def reflection_pad(ctx: ConversionContext, x: Value, padding: Sequence[Dim]) -> Value:
    """aten::reflection_pad2d(Tensor self, SymInt[4] padding) -> Tensor. Also 1-d and 3-d. Not bool."""
    _require_axes(ctx, x, padding, int(ctx.operator[-2]))
    return _extended(ctx, x, padding, "reflect")


@converts("aten::replication_pad1d", "aten::replication_pad2d", "aten::replication_pad3d")
def replication_pad(ctx: ConversionContext, x: Value, padding: Sequence[Dim]) -> Value:
    """aten::replication_pad2d(Tensor self, SymInt[4] padding) -> Tensor. Also 1-d and 3-d. Not bool."""
    _require_axes(ctx, x, padding, int(ctx.operator[-2]))
    return _extended(ctx, x, padding, "replicate")


@converts("aten::_pad_circular")
def pad_circular(ctx: ConversionContext, x: Value, pad: Sequence[Dim]) -> Value:
    """aten::_pad_circular(Tensor self, SymInt[] pad) -> Tensor. Any dtype; negative pads cut."""
    return _circular(ctx, x, pad)


def _padded(
    ctx: ConversionContext, x: Value, pad: Sequence[Dim], mode: str, value: float | None
) -> Value:
    if mode == "constant":
        return constant_pad_nd(ctx, x, pad, 0 if value is None else value)
    if value:
        raise ConversionError(f"pad: mode {mode!r} takes no value", got=value)
    if mode not in _MODES:
        raise ConversionError("pad: unknown mode", expected=", ".join(_MODES), got=mode)
    if len(pad) not in (2, 4, 6) or x.type.rank - len(pad) // 2 not in (1, 2):
        raise ConversionError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 axes, with 1 or 2 axes before them",
            expected="2, 4 or 6 sizes",
            got=f"{len(pad)} sizes for {x.type}",
        )
    if mode == "circular":
        return _circular(ctx, x, pad)
    return _extended(ctx, x, pad, mode)


def _require_axes(ctx: ConversionContext, x: Value, pad: Sequence[Dim], spatial: int) -> None:
    if len(pad) != 2 * spatial or x.type.rank - spatial not in (1, 2):
        raise ConversionError(
            f"{ctx.operator}: {2 * spatial} sizes, and 1 or 2 axes before the padded ones",
            got=f"{len(pad)} sizes for {x.type}",
        )


def _extended(ctx: ConversionContext, x: Value, pad: Sequence[Dim], mode: str) -> Value:
    """Pad by what is there, then cut: what negative pads cut off may be what others repeat."""
    if x.type.dtype is DType.BOOL:
        raise ConversionError(f"{ctx.operator}: mode {mode!r} is not for bool", got=x.type)
    before, after = _pads(x, pad)
    for axis in range(x.type.rank - len(pad) // 2 - 1, x.type.rank):
        left = x.type.shape[axis] + before[axis] + after[axis]
        if is_equal(x.type.shape[axis], 0) is True or is_less(left, 1) is True:
            raise ConversionError(
                f"{ctx.operator}: nothing to repeat, or nothing left",
                got=f"padding {list(pad)} of {x.type}",
            )
        size, widest = x.type.shape[axis], maximum(before[axis], after[axis])
        ctx.require_enough("padding", 1 - before[axis] - after[axis], size)
        ctx.require_enough("padding", widest + 1 if mode == "reflect" else 1, size)
    added = [tuple(maximum(0, entry) for entry in side) for side in (before, after)]
    result = ctx.emit(ops.Pad(x, added[0], added[1], _IR_MODES[mode]))  # type: ignore[arg-type]
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        cut = maximum(0, -low) + maximum(0, -high)
        if cut != 0:
            length = result.type.shape[axis] - cut
            result = ctx.emit(ops.Slice(result, axis, maximum(0, -low), length), "cut")
    return result


def _circular(ctx: ConversionContext, x: Value, pad: Sequence[Dim]) -> Value:
    """Per axis, what negative pads leave, with its end before it and its beginning after it."""
    before, after = _pads(x, pad)
    for axis, pair in enumerate(zip(before, after, strict=True)):
        size = x.type.shape[axis]
        first, low, high = maximum(0, -pair[0]), maximum(0, pair[0]), maximum(0, pair[1])
        left = size - first - maximum(0, -pair[1])
        if is_less(left, maximum(low, high)) is True or is_less(left, 0) is True:
            raise ConversionError(
                f"{ctx.operator}: circular padding adds an axis once at most",
                expected=f"at most {left} elements",
                got=f"padding {list(pad)} of {x.type}",
            )
        ctx.require_enough("pad", maximum(low, high) + size - left, size)
        if left != size:
            x = ctx.emit(ops.Slice(x, axis, first, left), "cut")
        parts = [x]
        if low != 0:
            parts.insert(0, ctx.emit(ops.Slice(x, axis, left - low, low), "before"))
        if high != 0:
            parts.append(ctx.emit(ops.Slice(x, axis, 0, high), "after"))
        x = x if len(parts) == 1 else ctx.emit(ops.Concat(tuple(parts), axis))
    return x


def _pads(x: Value, pad: Sequence[Dim]) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """Torch lists pairs from the last axis backwards."""
    rank = x.type.rank
    if len(pad) % 2 or len(pad) > 2 * rank:
        raise ConversionError(
            "pad: pairs of sizes, for at most all axes", expected=x.type, got=list(pad)
        )
    before: list[Dim] = [0] * rank
    after: list[Dim] = [0] * rank
    for i in range(0, len(pad), 2):
        axis = rank - 1 - i // 2
        before[axis], after[axis] = pad[i], pad[i + 1]
    return tuple(before), tuple(after)
