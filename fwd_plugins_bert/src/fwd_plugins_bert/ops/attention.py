"""Self-attention with one product for queries, keys and values."""

from __future__ import annotations

from typing import Literal

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, DType, Emitter, Operator, Tensor, TensorType, Value, operator, ops
from fwd_core.ir.dims import divide_exactly
from fwd_core.rewrite.precision.rules import Rule
from fwd_plugins_bert.ops import checks


@operator
class SelfAttention(Operator, namespace="bert"):
    """Attention of a sequence to itself, from the hidden states to the context.

    x is [batch, length, in]. weight is [3 * heads * size, in]: rows that make queries, then keys,
    then values, each head after head; bias is [3 * heads * size] or absent. Scores of a head are
    query key^T * ``scale``, and what softmax makes of them weighs the values. The result is
    [batch, length, heads * size].

    mask broadcasts to [batch, heads, length, length]: bool keeps where true, float is added;
    ``causal`` keeps keys up to the query's own position. ``empty_rows`` says what a row without
    any key gives, where false or minus infinity stand for all of them: ``zeros``, as torch's
    kernels do, or ``nan``, as softmax does where it is written out.
    """

    x: Value
    weight: Value
    bias: Value | None
    mask: Value | None
    heads: int
    scale: float
    causal: bool = False
    empty_rows: Literal["zeros", "nan"] = "zeros"

    half_precision = Rule.HALF

    def infer(self) -> TensorType:
        """Type of the result."""
        dtype = checks.floats(self, self.x, self.weight, self.bias)
        if self.x.type.rank != 3 or self.weight.type.rank != 2:
            raise GraphError(
                f"{self.kind()}: x of rank 3, weight of rank 2",
                got=f"{self.x.type}, {self.weight.type}",
            )
        batch, length, _ = self.x.type.shape
        size = self.size()
        checks.rows(self, self.weight.type.shape[0], self.bias)
        # The parts check the rest: one stands for queries, keys and values, which are alike.
        ops.Linear(self.x, self.weight, self.bias).infer()
        if self.mask is not None:
            scores: tuple[Dim, ...] = (batch, self.heads, length, length)
            require_mask(self, self.mask, scores, dtype)
        return TensorType(dtype, (batch, length, self.heads * size))

    def size(self) -> int:
        """Features of one head.

        Raises:
            GraphError: The weight has no rows for three times the heads.
        """
        return heads_size(self, self.weight, self.heads)

    def decompose(self, emit: Emitter) -> Value:
        """Products, cut into heads, and the attention of the core.

        Weights that are constant are cut instead of what they make: without a kernel for it all,
        three products are faster than one whose result is parted.
        """
        batch, length, _ = self.x.type.shape
        size = self.size()
        wide = self.heads * size

        def part(projected: Value, name: str) -> Value:
            heads = emit(ops.Reshape(projected, (batch, length, self.heads, size)), name)
            return emit(ops.Transpose(heads, (0, 2, 1, 3)), name)

        projected = cut_projection(emit, self.x, self.weight, self.bias, wide)
        query, key, value = map(part, projected, ("query", "key", "value"))
        attention = ops.Attention(query, key, value, self.mask, self.causal, self.scale)
        if self.empty_rows == "nan" and attention.may_empty_rows():
            context = self._written_out(emit, query, key, value)
        else:
            context = emit(attention, "attention")
        joined = emit(ops.Transpose(context, (0, 2, 1, 3)), "joined")
        return emit(ops.Reshape(joined, (batch, length, wide)), "context")

    def _written_out(self, emit: Emitter, query: Value, key: Value, value: Value) -> Value:
        """Products around a softmax, which gives NaN of minus infinities alone."""
        from fwd_plugins_bert.ops.written_out import added_mask, scalar

        dtype = query.type.dtype
        scores = emit(ops.MatMul(query, key, transpose_b=True), "scores")
        scores = emit(ops.Mul(scores, scalar(emit, self.scale, dtype)), "scaled")
        mask = added_mask(emit, self.mask, self.causal, self.x.type.shape[1], dtype)
        scores = emit(ops.Add(scores, mask), "masked")
        weights = emit(ops.Softmax(scores, scores.type.rank - 1), "weights")
        return emit(ops.MatMul(weights, value), "attention")


def heads_size(op: Operator, weight: Value, heads: int) -> int:
    """Features of one head of a weight that makes queries, keys and values.

    Raises:
        GraphError: The weight has no rows for three times the heads.
    """
    count = weight.type.shape[0]
    size = divide_exactly(count, 3 * heads) if heads > 0 else None
    if not isinstance(size, int):
        raise GraphError(
            f"{op.kind()}: three times the heads divide the rows of the weight",
            expected=f"a multiple of {3 * heads}",
            got=count,
        )
    return size


def cut_projection(
    emit: Emitter, x: Value, weight: Value, bias: Value | None, wide: int
) -> list[Value]:
    """Queries, keys and values with all their heads, ``wide`` features each."""
    starts = (0, wide, 2 * wide)
    known, known_bias = weight.constant, None if bias is None else bias.constant
    if known is None or (known_bias is None) != (bias is None):
        product = emit(ops.Linear(x, weight, bias), "projected")
        axis = x.type.rank - 1
        return [emit(ops.Slice(product, axis, start, wide), "part") for start in starts]

    def rows(tensor: Tensor, start: int, name: str) -> Value:
        return emit.constant(Tensor(tensor.data[start : start + wide], tensor.dtype), name)

    return [
        emit(
            ops.Linear(
                x,
                rows(known, start, "weight"),
                None if known_bias is None else rows(known_bias, start, "bias"),
            ),
            "projected",
        )
        for start in starts
    ]


def require_mask(op: Operator, mask: Value, scores: tuple[Dim, ...], dtype: DType) -> None:
    """Require a mask that broadcasts to scores, bool or of their dtype.

    Raises:
        GraphError: It is another.
    """
    behind = scores[max(4 - mask.type.rank, 0) :]
    fits = mask.type.rank <= 4 and all(
        a in (1, b) for a, b in zip(mask.type.shape, behind, strict=True)
    )
    if not fits:
        raise GraphError(f"{op.kind()}: the mask", expected=list(scores), got=mask.type)
    if str(mask.type.dtype) not in ("bool", str(dtype)):
        raise GraphError(f"{op.kind()}: mask is bool or {dtype}", got=mask.type)
