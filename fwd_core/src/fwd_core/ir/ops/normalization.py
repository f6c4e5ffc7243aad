"""Normalizations and softmax."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir.dims import divide_exactly, product
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.elementwise import Add, Mul
from fwd_core.ir.ops.shape import Reshape, Unsqueeze
from fwd_core.ir.types import TensorType


@operator
class BatchNorm(Operator):
    """Batch normalization with fixed statistics (Ioffe and Szegedy, 2015).

    (x - mean) / sqrt(variance + epsilon) * scale + shift, per channel (axis 1). x is
    [N, C, ...]; mean and variance are [C]; scale and shift [C] or absent.
    """

    x: Value
    mean: Value
    variance: Value
    scale: Value | None
    shift: Value | None
    epsilon: float

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        parameters = [self.mean, self.variance, self.scale, self.shift]
        check.require_same_dtype(self.kind(), self.x, *parameters)
        if self.x.type.rank < 2:
            raise GraphError("fwd.BatchNorm: x needs rank 2 or more", got=self.x.type)
        for parameter in parameters:
            if parameter is not None:
                check.require_rank(self.kind(), parameter, 1)
                check.require_equal(self.kind(), self.x.type.shape[1], parameter.type.shape[0])
        return self.x.type


@operator
class LayerNorm(Operator):
    """Layer normalization (Ba et al., 2016) over the last ``axes`` axes.

    (x - mean) / sqrt(variance + epsilon) * scale + shift with the biased variance; scale and
    shift have the shape of the normalized axes or are absent. ``aten::layer_norm``.
    """

    x: Value
    scale: Value | None
    shift: Value | None
    axes: int
    epsilon: float

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        check.require_same_dtype(self.kind(), self.x, self.scale, self.shift)
        if not 1 <= self.axes <= self.x.type.rank:
            raise GraphError("fwd.LayerNorm: axes out of range", got=f"{self.axes}, {self.x.type}")
        normalized = self.x.type.shape[self.x.type.rank - self.axes :]
        for parameter in (self.scale, self.shift):
            if parameter is not None:
                check.require_rank(self.kind(), parameter, self.axes)
                for have, want in zip(parameter.type.shape, normalized, strict=True):
                    check.require_equal(self.kind(), want, have)
        return self.x.type


@operator
class GroupNorm(Operator):
    """Group normalization (Wu and He, 2018): channels (axis 1) in ``groups`` of equal size.

    (x - mean) / sqrt(variance + epsilon) * scale + shift with the mean and the biased variance of
    each group over its channels and all axes behind them. x is [N, C, ...], scale and shift [C]
    or absent. With a group per channel it is instance normalization (Ulyanov et al., 2016).
    """

    x: Value
    scale: Value | None
    shift: Value | None
    groups: int
    epsilon: float

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        check.require_same_dtype(self.kind(), self.x, self.scale, self.shift)
        check.require_positive(self.kind(), self.groups)
        if self.x.type.rank < 2:
            raise GraphError("fwd.GroupNorm: x needs rank 2 or more", got=self.x.type)
        channels = self.x.type.shape[1]
        if divide_exactly(channels, self.groups) is None:
            raise GraphError(
                "fwd.GroupNorm: groups do not divide the channels",
                expected=f"a divisor of {channels}",
                got=self.groups,
            )
        for parameter in (self.scale, self.shift):
            if parameter is not None:
                check.require_rank(self.kind(), parameter, 1)
                check.require_equal(self.kind(), channels, parameter.type.shape[0])
        return self.x.type

    def decompose(self, emit: Emitter) -> Value:
        """Layer normalization of the groups, then scale and shift."""
        sizes = self.x.type.shape
        size = divide_exactly(sizes[1], self.groups)
        assert size is not None, "infer() takes no other"
        rows = (sizes[0], self.groups, product((size, *sizes[2:])))
        grouped = emit(Reshape(self.x, rows), "grouped")
        normal = emit(LayerNorm(grouped, None, None, 1, self.epsilon), "normal")
        result = emit(Reshape(normal, sizes), "result")
        behind = tuple(range(1, self.x.type.rank - 1))
        if self.scale is not None:
            result = emit(Mul(result, emit(Unsqueeze(self.scale, behind), "scale")), "scaled")
        if self.shift is not None:
            result = emit(Add(result, emit(Unsqueeze(self.shift, behind), "shift")), "shifted")
        return result


@operator
class Softmax(Operator):
    """exp(x) over its sum along one axis, shifted so that it cannot overflow."""

    x: Value
    axis: int

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        return self.x.type
