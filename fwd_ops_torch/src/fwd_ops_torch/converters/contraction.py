"""Converters of products over chosen axes, and of products of more than two matrices."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from fwd_core.errors import ConversionError
from fwd_core.ir import Dim, DType, Value, is_equal, ops
from fwd_core.ir.dim_hints import contradiction
from fwd_core.ir.dims import product
from fwd_ops_torch.converters._chains import multiplied
from fwd_ops_torch.converters._equations import checked_path, labelled, parse
from fwd_ops_torch.converters._labels import Operand, contract
from fwd_ops_torch.converting import ConversionContext, converts


@converts("aten::outer", "aten::ger")
def outer(ctx: ConversionContext, x: Value, vec2: Value) -> Value:
    """aten::outer(Tensor self, Tensor vec2) -> Tensor. Any dtypes; bool multiplies as and."""
    if x.type.rank != 1 or vec2.type.rank != 1:
        raise ConversionError(f"{ctx.operator}: of vectors", got=f"{x.type}, {vec2.type}")
    return _product(ctx, ctx.emit(ops.Unsqueeze(x, (1,))), vec2)


@converts("aten::inner")
def inner(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::inner(Tensor self, Tensor other) -> Tensor. Over the last axes; numbers multiply."""
    if x.type.rank == 0 or other.type.rank == 0:
        return _product(ctx, x, other)
    ctx.require_equal("the last sizes", x.type.shape[-1], other.type.shape[-1])
    return tensordot(ctx, x, other, [-1], [-1])


@converts("aten::linalg_vecdot")
def linalg_vecdot(ctx: ConversionContext, x: Value, y: Value, dim: int = -1) -> Value:
    """aten::linalg_vecdot(Tensor x, Tensor y, *, int dim=-1) -> Tensor. Floats of one dtype."""
    if not x.type.dtype.is_float or x.type.dtype is not y.type.dtype:
        raise ConversionError(
            "linalg_vecdot: both are floats of one dtype", got=f"{x.type}, {y.type}"
        )
    rank = max(x.type.rank, y.type.rank)
    made = ctx.emit(ops.Mul(x, y))
    return ctx.emit(ops.ReduceSum(made, (ctx.axis(dim, rank),))) if rank else made


@converts("aten::tensordot")
def tensordot(
    ctx: ConversionContext,
    x: Value,
    other: Value,
    dims_self: Sequence[int],
    dims_other: Sequence[int],
) -> Value:
    """aten::tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor.

    Numbers of one dtype. An axis of size 1 stretches to the other's size.
    """
    if len(dims_self) != len(dims_other):
        raise ConversionError(
            "tensordot: as many axes of one as of the other",
            got=f"{list(dims_self)}, {list(dims_other)}",
        )
    _require_numbers(ctx, x, other)
    pairs = [
        (ctx.axis(a, x.type.rank), ctx.axis(b, other.type.rank))
        for a, b in zip(dims_self, dims_other, strict=True)
    ]
    for axes in zip(*pairs, strict=True):
        if len(set(axes)) != len(axes):
            raise ConversionError("tensordot: a dimension is repeated", got=list(axes))
    labels: list[list[Hashable]] = [
        [(side, axis) for axis in range(value.type.rank)] for side, value in enumerate((x, other))
    ]
    for number, (a, b) in enumerate(pairs):
        labels[0][a] = labels[1][b] = ("summed", number)
    out = tuple(label for side in labels for label in side if label[0] != "summed")  # type: ignore[index]
    operands = [Operand(x, tuple(labels[0])), Operand(other, tuple(labels[1]))]
    return contract(ctx, operands, out, widen=False)


@converts("aten::einsum")
def einsum(
    ctx: ConversionContext,
    equation: str,
    tensors: Sequence[Value] = (),
    path: Sequence[int] | None = None,
) -> Value:
    """aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor.

    Any dtypes where nothing is summed, and bool multiplies as and; numbers of one dtype else.
    Diagonals, ellipses and axes of size 1 that stretch; ``path`` is the order of the products.
    """
    parsed = parse(equation, len(tensors))
    operands = [
        labelled(ctx, value, term) for value, term in zip(tensors, parsed.terms, strict=True)
    ]
    order = None if path is None else checked_path(path, len(tensors))
    return contract(ctx, operands, parsed.output(operands), order)


@converts("aten::bilinear")
def bilinear(
    ctx: ConversionContext, input1: Value, input2: Value, weight: Value, bias: Value | None = None
) -> Value:
    """aten::bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor.

    [*, i], [*, j] and weight [o, i, j] give [*, o]. Numbers of one dtype.
    """
    lead = input1.type.shape[:-1]
    if weight.type.rank != 3 or input1.type.rank != input2.type.rank or input1.type.rank < 1:
        raise ConversionError(
            "bilinear: inputs of one rank and a weight of 3 axes",
            got=f"{input1.type}, {input2.type}, {weight.type}",
        )
    _require_numbers(ctx, input1, input2, weight, bias)
    sizes = (*lead, *weight.type.shape[1:])
    have = (*input2.type.shape[:-1], input1.type.shape[-1], input2.type.shape[-1])
    if not all(map(is_equal, sizes, have)):
        raise ConversionError(
            "bilinear: sizes do not fit",
            got=f"{input1.type}, {input2.type}, {weight.type}",
            hint=contradiction(sizes, have),
        )
    if bias is not None and (
        bias.type.rank != 1 or not is_equal(bias.type.shape[0], weight.type.shape[0])
    ):
        raise ConversionError("bilinear: the bias has one number per output", got=bias.type)
    if 0 in weight.type.shape[1:]:
        raise ConversionError("bilinear: no features", got=weight.type)
    flat = [
        ctx.emit(ops.Reshape(one, (product(lead), one.type.shape[-1]))) for one in (input1, input2)
    ]
    made = contract(
        ctx,
        [Operand(flat[0], ("b", "i")), Operand(weight, ("o", "i", "j")), Operand(flat[1], ("b", "j"))],
        ("b", "o"),
        widen=False,
    )  # fmt: skip
    made = ctx.emit(ops.Reshape(made, (*lead, weight.type.shape[0])))
    return made if bias is None else ctx.emit(ops.Add(made, bias))


@converts("aten::_trilinear", no_effect={"unroll_dim": "chooses an order of the same sums"})
def trilinear(
    ctx: ConversionContext,
    i1: Value,
    i2: Value,
    i3: Value,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
) -> Value:
    """aten::_trilinear(Tensor i1, Tensor i2, Tensor i3, int[] expand1, int[] expand2, int[] expand3, int[] sumdim, int unroll_dim=1) -> Tensor.

    What bilinear is exported as: the product of three, each with new axes, summed over some.
    """
    rank = i1.type.rank + len(expand1)
    operands = []
    for value, expand in ((i1, expand1), (i2, expand2), (i3, expand3)):
        new = {ctx.axis(axis, rank) for axis in expand}
        operands.append(Operand(value, tuple(axis for axis in range(rank) if axis not in new)))
    summed = {ctx.axis(axis, rank) for axis in sumdim}
    out = tuple(axis for axis in range(rank) if axis not in summed)
    return contract(ctx, operands, out, widen=False)


@converts("aten::kron")
def kron(ctx: ConversionContext, x: Value, other: Value) -> Value:
    """aten::kron(Tensor self, Tensor other) -> Tensor. Any dtypes; bool multiplies as and."""
    rank = max(x.type.rank, other.type.rank)
    pairs = []
    for place, value in ((1, x), (0, other)):
        lead = rank - value.type.rank
        shape = [*(1,) * lead, *value.type.shape]
        axes = tuple(2 * axis + place for axis in range(rank))
        padded = ctx.emit(ops.Unsqueeze(value, tuple(range(lead)))) if lead else value
        pairs.append((ctx.emit(ops.Unsqueeze(padded, axes)), shape))
    (wide, mine), (narrow, others) = pairs
    made = _product(ctx, wide, narrow)
    return ctx.emit(ops.Reshape(made, tuple(a * b for a, b in zip(mine, others, strict=True))))


@converts("aten::linalg_cross")
def linalg_cross(ctx: ConversionContext, x: Value, other: Value, dim: int = -1) -> Value:
    """aten::linalg_cross(Tensor self, Tensor other, *, int dim=-1) -> Tensor. Numbers of one dtype."""
    _require_numbers(ctx, x, other)
    if x.type.rank != other.type.rank or x.type.rank == 0:
        raise ConversionError(
            f"{ctx.operator}: both have one rank, of 1 or more", got=f"{x.type}, {other.type}"
        )
    axis = ctx.axis(dim, x.type.rank)
    if any(is_equal(value.type.shape[axis], 3) is not True for value in (x, other)):
        raise ConversionError(
            f"{ctx.operator}: vectors have 3 elements", got=f"{x.type}, {other.type}, axis {axis}"
        )

    def rolled(value: Value, by: int) -> Value:
        parts = (
            ctx.emit(ops.Slice(value, axis, by, 3 - by)),
            ctx.emit(ops.Slice(value, axis, 0, by)),
        )
        return ctx.emit(ops.Concat(parts, axis), "rolled")

    plus = ctx.emit(ops.Mul(rolled(x, 1), rolled(other, 2)), "plus")
    minus = ctx.emit(ops.Mul(rolled(x, 2), rolled(other, 1)), "minus")
    return ctx.emit(ops.Sub(plus, minus))


@converts("aten::cross")
def cross(ctx: ConversionContext, x: Value, other: Value, dim: int | None = None) -> Value:
    """aten::cross(Tensor self, Tensor other, int? dim=None) -> Tensor. By default the first axis of 3."""
    if dim is None:
        shape = ctx.broadcast_shape([x, other])
        dim = _first_of_three(ctx, x.type.shape)
        if dim is None:
            raise ConversionError("cross: no axis has 3 elements", got=list(shape))
    return linalg_cross(ctx, x, other, dim)


def _first_of_three(ctx: ConversionContext, shape: Sequence[Dim]) -> int | None:
    for axis, size in enumerate(shape):
        three = is_equal(size, 3)
        if three is None:
            raise ctx.unsupported(
                "dim",
                f"without it the first axis of size 3 counts, and {size} may be 3",
                "give dim",
            )
        if three:
            return axis
    return None


@converts("aten::chain_matmul")
def chain_matmul(ctx: ConversionContext, matrices: Sequence[Value]) -> Value:
    """aten::chain_matmul(Tensor[] matrices) -> Tensor. In the cheapest order."""
    if not matrices or any(matrix.type.rank != 2 for matrix in matrices):
        raise ConversionError(
            "chain_matmul: matrices have 2 axes", got=", ".join(str(m.type) for m in matrices)
        )
    return multiplied(ctx, list(matrices))


@converts("aten::linalg_multi_dot")
def linalg_multi_dot(ctx: ConversionContext, tensors: Sequence[Value]) -> Value:
    """aten::linalg_multi_dot(Tensor[] tensors) -> Tensor. The first and the last may be vectors."""
    ranks = [value.type.rank for value in tensors]
    if len(ranks) < 2 or any(r not in (1, 2) for r in ranks) or any(r != 2 for r in ranks[1:-1]):
        raise ConversionError(
            "linalg_multi_dot: two or more matrices; the first and the last may be vectors",
            got=", ".join(str(value.type) for value in tensors),
        )
    matrices = list(tensors)
    if ranks[0] == 1:
        matrices[0] = ctx.emit(ops.Unsqueeze(matrices[0], (0,)))
    if ranks[-1] == 1:
        matrices[-1] = ctx.emit(ops.Unsqueeze(matrices[-1], (1,)))
    made = multiplied(ctx, matrices)
    dropped = (*[0] * (ranks[0] == 1), *[1] * (ranks[-1] == 1))
    return ctx.emit(ops.Squeeze(made, dropped)) if dropped else made


@converts("aten::matrix_power", "aten::linalg_matrix_power")
def matrix_power(ctx: ConversionContext, x: Value, n: int) -> Value:
    """aten::matrix_power(Tensor self, int n) -> Tensor. n of 0 or more; numbers, by squaring."""
    if x.type.rank < 2 or is_equal(x.type.shape[-1], x.type.shape[-2]) is not True:
        raise ConversionError(f"{ctx.operator}: square matrices only", got=x.type)
    if n < 0:
        raise ctx.unsupported(
            "n", "negative powers invert the matrix", "invert outside the model, or use n >= 0"
        )
    if n == 0:
        places = ctx.emit(ops.Arange(x.type.shape[-1]), "places")
        same = ctx.emit(ops.Equal(ctx.emit(ops.Unsqueeze(places, (1,))), places), "same")
        return ctx.emit(ops.Expand(ctx.cast(same, x.type.dtype), x.type.shape))
    result: Value | None = None
    base = x
    while n:
        if n & 1:
            result = base if result is None else ctx.emit(ops.MatMul(result, base))
        n >>= 1
        if n:
            base = ctx.emit(ops.MatMul(base, base), "square")
    assert result is not None
    return result


def _product(ctx: ConversionContext, x: Value, other: Value) -> Value:
    a, b = ctx.promote(x, other)
    return ctx.emit(ops.And(a, b) if a.type.dtype is DType.BOOL else ops.Mul(a, b))


def _require_numbers(ctx: ConversionContext, *values: Value | None) -> None:
    """Numbers of one dtype, as where torch multiplies matrices."""
    dtypes = {value.type.dtype for value in values if value is not None}
    if len(dtypes) != 1 or DType.BOOL in dtypes:
        raise ConversionError(
            f"{ctx.operator}: numbers of one dtype",
            got=", ".join(str(value.type) for value in values if value is not None),
        )
