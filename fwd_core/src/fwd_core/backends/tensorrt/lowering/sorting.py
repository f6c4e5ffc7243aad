"""Operators that order the elements of an axis."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering.creation import size
from fwd_core.ir import ops
from fwd_core.ir.dims import bounds
from fwd_core.ir.dtypes import DType
from fwd_core.plugins.markers import lowering

#: The greatest number of elements that a layer finds.
MOST = 3840
#: Layers look along the last axes only, says the reference of every version.
_LAST_AXES = 4


def _no_layer(ctx: TensorRTLowering, op: ops.TopK) -> str | None:
    if op.stable:
        return "a layer promises no order of equal elements"
    if bounds(op.k)[1] > MOST:
        return f"a layer finds {MOST} elements at most"
    if not op.x.type.dtype.is_float and not ctx.features.integer_topk:
        return f"{ctx.features.flavour} here orders floats, not integers"
    return None


@lowering("tensorrt", ops.TopK, unless=_no_layer)
def top_k(ctx: TensorRTLowering, op: ops.TopK) -> tuple[ITensor, ITensor]:
    """A layer of the same name. Its order of equal elements and of NaNs is written nowhere."""
    x, shape, rank = ctx[op.x], op.x.type.shape, op.x.type.rank
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
