"""What fused operators ask of their operands."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, Emitter, Operator, Value, is_equal, ops
from fwd_core.ir.dtypes import DType


def floats(op: Operator, *values: Value | None) -> DType:
    """The float dtype that all operands share.

    Raises:
        GraphError: They share none, or it is no float.
    """
    dtypes = {value.type.dtype for value in values if value is not None}
    if len(dtypes) != 1 or not next(iter(dtypes)).is_float:
        got = ", ".join(sorted(map(str, dtypes)))
        raise GraphError(f"{op.kind()}: operands need one float dtype", got=got)
    return next(iter(dtypes))


def rows(op: Operator, size: Dim, *values: Value | None) -> None:
    """Require vectors of that size.

    Raises:
        GraphError: One has another rank or size.
    """
    for value in values:
        if value is not None and (
            value.type.rank != 1 or is_equal(value.type.shape[0], size) is not True
        ):
            raise GraphError(f"{op.kind()}: {value.name}", expected=f"[{size}]", got=value.type)


def single(emit: Emitter, value: Value | None) -> Value | None:
    """The operand in float32 or wider, in which statistics are taken."""
    if value is None or value.type.dtype.itemsize >= 4:
        return value
    return emit(ops.Cast(value, DType.FLOAT32), "single")


def normalized(
    emit: Emitter, total: Value, scale: Value | None, shift: Value | None, epsilon: float
) -> Value:
    """Layer normalization of the last axis of a sum that is float32 or wider."""
    norm = ops.LayerNorm(total, single(emit, scale), single(emit, shift), 1, epsilon)
    return emit(norm, "normalized")
