"""Operators that pick elements by index tensors. Out-of-range indices are undefined."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import TensorType


@operator
class Gather(Operator):
    """Slices of x along one axis, picked by an index tensor.

    x is [*lead, n, *rest] with n at ``axis``, indices any shape: [*lead, *indices, *rest].
    Indices are int32 or int64 in -n … n-1; negative ones count from the end.
    """

    x: Value
    indices: Value
    axis: int

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.indices, check.INDICES)
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        shape = self.x.type.shape
        picked = self.indices.type.shape
        return self.x.type.with_shape((*shape[: self.axis], *picked, *shape[self.axis + 1 :]))


@operator
class GatherElements(Operator):
    """One element of x per index: along ``axis`` by the index, elsewhere at its own place.

    x and indices have one rank; indices may be smaller on other axes. The result has the shape
    of indices. Indices are int32 or int64 in 0 … n-1. ``aten::gather``.
    """

    x: Value
    indices: Value
    axis: int

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.indices, check.INDICES)
        check.require_rank(self.kind(), self.indices, self.x.type.rank)
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        for axis, (have, size) in enumerate(
            zip(self.indices.type.shape, self.x.type.shape, strict=True)
        ):
            if axis != self.axis and dim_facts.is_less(size, have) is True:
                raise GraphError(
                    f"{self.kind()}: more indices than elements on axis {axis}",
                    expected=f"at most {size}",
                    got=have,
                )
        return self.x.type.with_shape(self.indices.type.shape)


@operator
class GatherND(Operator):
    """Slices of x picked by index tuples: the last axis of indices holds k coordinates.

    The first ``batch_axes`` axes of x and indices run together. With b = batch_axes, indices
    [*batch, *outer, k] give [*batch, *outer, *x.shape[b + k:]]. Indices are int32 or int64,
    not negative.
    """

    x: Value
    indices: Value
    batch_axes: int = 0

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.indices, check.INDICES)
        shape, picked = self.x.type.shape, self.indices.type.shape
        if not picked or not isinstance(picked[-1], int):
            raise GraphError(f"{self.kind()}: the number of coordinates must be fixed", got=picked)
        coordinates = picked[-1]
        if not 0 <= self.batch_axes < len(picked) or self.batch_axes + coordinates > len(shape):
            raise GraphError(
                f"{self.kind()}: {coordinates} coordinates after {self.batch_axes} batch axes",
                got=self.x.type,
            )
        for axis in range(self.batch_axes):
            check.require_equal(f"{self.kind()} batch axis {axis}", shape[axis], picked[axis])
        return self.x.type.with_shape((*picked[:-1], *shape[self.batch_axes + coordinates :]))
