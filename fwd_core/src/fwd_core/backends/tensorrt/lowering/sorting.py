"""Operators that order the elements of an axis."""

from __future__ import annotations

import numpy as np

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.creation import size
from fwd_core.backends.tensorrt.numbers import activation, is_number
from fwd_core.ir import ops
from fwd_core.ir.dims import bounds
from fwd_core.ir.dtypes import DType
from fwd_core.plugins.markers import lowering

#: The greatest number of elements that a layer finds.
MOST = 3840
#: Layers look along the last axes only, says the reference of every version.
_LAST_AXES = 4


def _no_layer(ctx: TensorRTLowering, op: ops.TopK) -> str | None:
    """A layer finds 3840 elements at most, in no order of equal ones; TensorRT 8's, of floats."""
    if op.stable:
        return "a layer promises no order of equal elements"
    if bounds(op.k)[1] > MOST:
        return f"a layer finds {MOST} elements at most"
    if not op.x.type.dtype.is_float and not ctx.features.integer_topk:
        return f"{ctx.features.flavour} here orders floats, not integers"
    return None


@lowering("tensorrt", ops.TopK, unless=_no_layer)
def top_k(ctx: TensorRTLowering, op: ops.TopK) -> tuple[ITensor, ITensor]:
    """A layer of the same name. Its order of equal elements is written nowhere."""
    if not op.x.type.dtype.is_float:
        return _found(ctx, op, ctx[op.x])
    x = ctx[op.x]
    _, places = _found(ctx, op, _finite(ctx, op, x))
    return ctx("gather_v2", x, places, ctx.trt.GatherMode.ELEMENT, axis=op.axis), places


def _finite(ctx: TensorRTLowering, op: ops.TopK, x: ITensor) -> ITensor:
    """Numbers in the same order as the elements, and a greater one for NaN.

    Of an infinity at the wrong end and of NaN the layer of TensorRT 8 gives -1 as the place.
    """
    if ctx.computed(op.x.type.dtype) != "FLOAT":
        x = ctx.cast(x, "FLOAT")
    greatest = np.finfo(np.float32).max
    most = float(np.nextafter(greatest, np.float32(0)))
    number = is_number(ctx, x)
    x = activation(ctx, "CLIP", x, alpha=-most, beta=most)
    return ctx("select", number, x, ctx.scalar(float(greatest), DType.FLOAT32, op.x.type.rank))


def _found(ctx: TensorRTLowering, op: ops.TopK, x: ITensor) -> tuple[ITensor, ITensor]:
    shape, rank = op.x.type.shape, op.x.type.rank
    operation = getattr(ctx.trt.TopKOperation, "MAX" if op.largest else "MIN")
    axis = op.axis
    order = [*(other for other in range(rank) if other != axis), axis]
    moved = axis < rank - _LAST_AXES
    if moved:
        x, axis = ctx.transpose(x, order), rank - 1
    if rank == 1:  # a layer needs two axes
        x, axis = ctx.reshape(x, shape, (1, *shape)), 1
    layer = ctx.add("topk", x, operation, op.k if isinstance(op.k, int) else 1, 1 << axis)
    if not isinstance(op.k, int):
        ctx.set_input(layer, 1, size(ctx, op.k, DType.INT32, 0))
    values, places = ctx.output(layer, 0), ctx.output(layer, 1)
    name = ctx.computed(DType.INT64)
    places = places if name == "INT32" else ctx.cast(places, name)
    if moved:
        back = [order.index(place) for place in range(rank)]
        return ctx.transpose(values, back), ctx.transpose(places, back)
    if rank == 1:
        found = (1, op.k)
        return ctx.reshape(values, found, (op.k,)), ctx.reshape(places, found, (op.k,))
    return values, places
