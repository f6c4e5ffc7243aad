"""Self-attention of sequences whose tokens lie one after the other, without padding."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Operator, TensorType, Value, is_equal, operator, ops
from fwd_core.ir.dims import product
from fwd_core.rewrite.precision.rules import Rule
from fwd_plugins_bert.ops import checks
from fwd_plugins_bert.ops.attention import cut_projection, heads_size, require_mask


@operator
class PackedSelfAttention(Operator, namespace="bert"):
    """:class:`SelfAttention` of a padded batch, from rows of its tokens to rows of its tokens.

    x is [tokens, in], the rows of a flat batch of [batch, length] places that hold tokens: int32
    rows [tokens] says which places these are, int32 places [batch, length] which row of x each
    place has. weight, bias, ``heads`` and ``scale`` are as in SelfAttention. The result is
    [tokens, heads * size].

    mask broadcasts to [batch, heads, length, length]: bool keeps where true, float is added. It is
    made of the padding mask that the rows were found by, and removes padding alone. So a token
    attends to all tokens of its sequence, and to nothing else.

    rows are in ascending order. Behind the last token they may repeat the first, which nothing
    reads: what the result holds there is not said.
    """

    x: Value
    weight: Value
    bias: Value | None
    mask: Value
    rows: Value
    places: Value
    heads: int
    scale: float

    half_precision = Rule.HALF

    def infer(self) -> TensorType:
        """Type of the result."""
        dtype = checks.floats(self, self.x, self.weight, self.bias)
        ranks = [value.type.rank for value in (self.x, self.weight, self.rows, self.places)]
        if ranks != [2, 2, 1, 2]:
            raise GraphError(
                f"{self.kind()}: x, weight and places of rank 2, rows of rank 1",
                got=f"{self.x.type}, {self.weight.type}, {self.places.type}, {self.rows.type}",
            )
        for index in (self.rows, self.places):
            if str(index.type.dtype) != "int32":
                raise GraphError(f"{self.kind()}: rows and places are int32", got=index.type)
        (tokens,) = self.rows.type.shape
        if is_equal(tokens, self.x.type.shape[0]) is not True:
            raise GraphError(
                f"{self.kind()}: one of rows for each row of x",
                expected=f"[{self.x.type.shape[0]}]",
                got=self.rows.type,
            )
        batch, length = self.places.type.shape
        size = self.size()
        checks.rows(self, self.weight.type.shape[0], self.bias)
        ops.Linear(self.x, self.weight, self.bias).infer()
        require_mask(self, self.mask, (batch, self.heads, length, length), dtype)
        return TensorType(dtype, (tokens, self.heads * size))

    def size(self) -> int:
        """Features of one head.

        Raises:
            GraphError: The weight has no rows for three times the heads.
        """
        return heads_size(self, self.weight, self.heads)

    def decompose(self, emit: Emitter) -> Value:
        """Products of tokens alone, attention with tokens in their places, and their rows of it."""
        batch, length = self.places.type.shape
        size = self.size()
        wide = self.heads * size

        def part(projected: Value, name: str) -> Value:
            apart = emit(ops.Gather(projected, self.places, 0), "places")
            heads = emit(ops.Reshape(apart, (batch, length, self.heads, size)), name)
            return emit(ops.Transpose(heads, (0, 2, 1, 3)), name)

        projected = cut_projection(emit, self.x, self.weight, self.bias, wide)
        query, key, value = map(part, projected, ("query", "key", "value"))
        attention = ops.Attention(query, key, value, self.mask, False, self.scale)
        joined = emit(ops.Transpose(emit(attention, "attention"), (0, 2, 1, 3)), "joined")
        flat = emit(ops.Reshape(joined, (product((batch, length)), wide)), "flat")
        return emit(ops.Gather(flat, self.rows, 0), "context")
