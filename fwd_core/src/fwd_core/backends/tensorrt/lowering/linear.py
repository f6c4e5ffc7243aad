"""Matrix products."""

from __future__ import annotations

from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering
from fwd_core.backends.tensorrt.lowering import empty_rows
from fwd_core.backends.tensorrt.numbers import wrapped
from fwd_core.ir import ops
from fwd_core.ir.types import TensorType
from fwd_core.plugins.markers import lowering


@lowering("tensorrt", ops.MatMul)
def matmul(ctx: TensorRTLowering, op: ops.MatMul) -> ITensor:
    """A matrix product, of equal ranks."""
    a, b = ctx.aligned(op.a, op.b)
    if not op.a.type.dtype.is_float:
        return _integer_product(ctx, op, a, b)
    return product(ctx, a, b, transpose_a=op.transpose_a, transpose_b=op.transpose_b)


@lowering("tensorrt", ops.Linear)
def linear(ctx: TensorRTLowering, op: ops.Linear) -> ITensor:
    """A product with the transposed weight, then the bias."""
    # A vector as a row: TensorRT 8 adds the first element of a bias to all of a vector.
    rank = max(op.x.type.rank, 2)
    result = product(ctx, ctx.ranked(op.x, rank), ctx.ranked(op.weight, rank), transpose_b=True)
    result = empty_rows.choose(ctx, op, result, rank)
    if op.bias is not None:
        result = ctx.elementwise("SUM", result, ctx.ranked(op.bias, rank))
    if rank == op.x.type.rank:
        return result
    made = op.infer().shape
    return ctx.reshape(result, (1, *made), made)


def product(
    ctx: TensorRTLowering,
    a: ITensor,
    b: ITensor,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> ITensor:
    """The matrix product of two float tensors of one rank."""
    either = (ctx.trt.MatrixOperation.NONE, ctx.trt.MatrixOperation.TRANSPOSE)
    return ctx("matrix_multiply", a, either[transpose_a], b, either[transpose_b])


def _integer_product(ctx: TensorRTLowering, op: ops.MatMul, a: ITensor, b: ITensor) -> ITensor:
    """Every pair of elements multiplied, then summed: TensorRT multiplies matrices of floats."""
    kind = op.infer()
    rank = kind.rank
    shapes = [(1,) * (rank - value.type.rank) + value.type.shape for value in (op.a, op.b)]
    swap = (*range(rank - 2), rank - 1, rank - 2)
    if op.transpose_a:
        a, shapes[0] = ctx.transpose(a, swap), tuple(shapes[0][axis] for axis in swap)
    if op.transpose_b:
        b, shapes[1] = ctx.transpose(b, swap), tuple(shapes[1][axis] for axis in swap)
    rows = ctx.unsqueeze(a, shapes[0], (rank,))  # [..., n, k, 1]
    columns = ctx.unsqueeze(b, shapes[1], (rank - 2,))  # [..., 1, k, m]
    pairs = ctx.elementwise("PROD", rows, columns)
    total = ctx("reduce", pairs, ctx.trt.ReduceOperation.SUM, 1 << (rank - 1), False)
    return wrapped(ctx, total, TensorType(kind.dtype, kind.shape))
