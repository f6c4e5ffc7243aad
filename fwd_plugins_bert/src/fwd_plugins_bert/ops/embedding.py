"""Embeddings that are added and normalized."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Operator, TensorType, Value, operator, ops
from fwd_core.rewrite.precision.rules import Rule
from fwd_plugins_bert.ops import checks


@operator
class EmbeddingNorm(Operator, namespace="bert"):
    """Layer normalization of a sum of embeddings: rows of tables, and tensors that are there.

    The sum is ``tables[0][indices[0]] + tables[1][indices[1]] + … + added[0] + …``, in this order;
    tables are [n, C], indices int32 or int64 of one shape, each of ``added`` broadcasts to
    [*indices, C]. It is normalized over C as by :class:`SkipNorm`, with the same treatment of
    half types. Indices are in -n … n-1, and negative ones count from the end.
    """

    tables: tuple[Value, ...]
    indices: tuple[Value, ...]
    added: tuple[Value, ...]
    scale: Value | None
    shift: Value | None
    epsilon: float

    half_precision = Rule.HALF

    def infer(self) -> TensorType:
        """Type of the result."""
        if not self.tables or len(self.tables) != len(self.indices):
            raise GraphError(
                f"{self.kind()}: one or more tables, and as many index tensors",
                got=f"{len(self.tables)} and {len(self.indices)}",
            )
        dtype = checks.floats(self, *self.tables, *self.added, self.scale, self.shift)
        shape = self.indices[0].type.shape
        for index in self.indices:
            if index.type.shape != shape or str(index.type.dtype) not in ("int32", "int64"):
                raise GraphError(
                    f"{self.kind()}: indices are int32 or int64 of one shape",
                    expected=list(shape),
                    got=index.type,
                )
        size = self.tables[0].type.shape[-1]
        for table in self.tables:
            if table.type.rank != 2 or table.type.shape[-1] != size:
                raise GraphError(
                    f"{self.kind()}: tables have rows of one size",
                    expected=f"[n, {size}]",
                    got=table.type,
                )
        checks.rows(self, size, self.scale, self.shift)
        result = TensorType(dtype, (*shape, size))
        for one in self.added:
            if not _fits(one.type, result):
                raise GraphError(f"{self.kind()}: {one.name}", expected=result, got=one.type)
        return result

    def decompose(self, emit: Emitter) -> Value:
        """Rows of the tables, sums, then the normalization of the core."""
        terms = [
            emit(ops.Gather(table, index, 0), "rows")
            for table, index in zip(self.tables, self.indices, strict=True)
        ]
        total = None
        for term in (*terms, *self.added):
            wide = checks.single(emit, term)
            assert wide is not None
            total = wide if total is None else emit(ops.Add(total, wide), "sum")
        assert total is not None
        result = checks.normalized(emit, total, self.scale, self.shift, self.epsilon)
        dtype = self.tables[0].type.dtype
        return result if result.type.dtype is dtype else emit(ops.Cast(result, dtype), "rounded")


def _fits(small: TensorType, large: TensorType) -> bool:
    """Whether a shape broadcasts to another without widening it."""
    if small.rank > large.rank:
        return False
    behind = large.shape[large.rank - small.rank :]
    return all(a in (1, b) for a, b in zip(small.shape, behind, strict=True))
