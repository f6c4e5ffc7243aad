"""Operators that move, repeat, cut or pad elements without changing them."""

from __future__ import annotations

from typing import Literal

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.dim_hints import LITERAL
from fwd_core.ir.dims import Dim
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import TensorType


@operator
class Reshape(Operator):
    """x with its elements, in row-major order, under another shape of as many elements.

    ``shape`` holds sizes only: importers resolve -1. A literal that contradicts a dynamic size
    is an error here, with the sizes that differ.
    """

    x: Value
    shape: tuple[Dim, ...]

    def infer(self) -> TensorType:
        check.require_sizes(self.kind(), *self.shape)
        result = self.x.type.with_shape(self.shape)
        if dim_facts.is_equal(self.x.type.numel, result.numel) is not True:
            dynamic = self.x.type.symbols or result.symbols
            raise GraphError(
                "reshape: element counts differ" + (", or may" if dynamic else ""),
                expected=f"{self.x.type.numel} elements as in {self.x.type}",
                got=f"{result.numel} elements as in {list(self.shape)}",
                hint=LITERAL if dynamic else None,
            )
        return result


@operator
class Unsqueeze(Operator):
    """x with axes of size 1 inserted, at these positions of the result."""

    x: Value
    axes: tuple[int, ...]

    def infer(self) -> TensorType:
        rank = self.x.type.rank + len(self.axes)
        check.require_axes(self.kind(), self.axes, rank)
        rest = iter(self.x.type.shape)
        return self.x.type.with_shape(
            1 if axis in self.axes else next(rest) for axis in range(rank)
        )


@operator
class Squeeze(Operator):
    """x without these axes, which have size 1."""

    x: Value
    axes: tuple[int, ...]

    def infer(self) -> TensorType:
        check.require_axes(self.kind(), self.axes, self.x.type.rank)
        for axis in self.axes:
            check.require_equal(f"{self.kind()} axis {axis}", 1, self.x.type.shape[axis])
        return self.x.type.with_shape(
            dim for axis, dim in enumerate(self.x.type.shape) if axis not in self.axes
        )


@operator
class Transpose(Operator):
    """x with its axes in another order: axis i of the result is axis ``order[i]`` of x."""

    x: Value
    order: tuple[int, ...]

    def infer(self) -> TensorType:
        if sorted(self.order) != list(range(self.x.type.rank)):
            raise GraphError(f"{self.kind()}: not an order of the axes", got=self.order)
        return self.x.type.with_shape(self.x.type.shape[axis] for axis in self.order)


@operator
class Expand(Operator):
    """x repeated along axes of size 1, and along new leading axes, up to ``shape``."""

    x: Value
    shape: tuple[Dim, ...]

    def infer(self) -> TensorType:
        check.require_sizes(self.kind(), *self.shape)
        result = self.x.type.with_shape(self.shape)
        lead = result.rank - self.x.type.rank
        if lead < 0:
            raise GraphError(f"{self.kind()}: rank shrinks", got=f"{self.x.type} to {result}")
        for have, want in zip(self.x.type.shape, self.shape[lead:], strict=True):
            if have != 1:
                check.require_equal(f"{self.kind()} {self.x.type} to {result}", have, want)
        return result


@operator
class Concat(Operator):
    """Tensors joined along one axis; all other sizes and the dtype are the same."""

    values: tuple[Value, ...]
    axis: int

    def infer(self) -> TensorType:
        if not self.values:
            raise GraphError(f"{self.kind()}: nothing to join")
        check.require_same_dtype(self.kind(), *self.values)
        first = self.values[0].type
        check.require_axis(self.kind(), self.axis, first.rank)
        total: Dim = 0
        for value in self.values:
            check.require_rank(self.kind(), value, first.rank)
            for axis, dim in enumerate(value.type.shape):
                if axis != self.axis:
                    check.require_equal(f"{self.kind()} axis {axis}", first.shape[axis], dim)
            total = total + value.type.shape[self.axis]
        return first.with_shape(
            total if axis == self.axis else dim for axis, dim in enumerate(first.shape)
        )


@operator
class Slice(Operator):
    """Elements ``start``, ``start + step``, … of one axis, ``length`` of them.

    All three are sizes: importers resolve negative and out-of-range bounds. ``step`` may be
    negative, which walks backwards.
    """

    x: Value
    axis: int
    start: Dim
    length: Dim
    step: int = 1

    def infer(self) -> TensorType:
        check.require_axis(self.kind(), self.axis, self.x.type.rank)
        if self.step == 0:
            raise GraphError(f"{self.kind()}: the step is zero")
        if dim_facts.is_less(self.length, 0) is True:
            raise GraphError(f"{self.kind()}: a negative length", got=self.length)
        size = self.x.type.shape[self.axis]
        last = self.start + (self.length - 1) * self.step
        if dim_facts.is_equal(self.length, 0) is not True:
            for end in (self.start, last):
                if dim_facts.is_less(end, 0) is True or dim_facts.is_less(size - 1, end) is True:
                    raise GraphError(
                        f"{self.kind()}: out of range", expected=f"0 … {size - 1}", got=end
                    )
        return self.x.type.with_shape(
            self.length if axis == self.axis else dim for axis, dim in enumerate(self.x.type.shape)
        )


@operator
class Pad(Operator):
    """x with elements added before and after each axis.

    ``before`` and ``after`` have one entry per axis; negative entries cut. Modes: ``constant``
    (with ``value``), ``edge`` (the nearest element), ``reflect`` (mirrored without the edge).
    """

    x: Value
    before: tuple[Dim, ...]
    after: tuple[Dim, ...]
    mode: Literal["constant", "edge", "reflect"] = "constant"
    value: int | float | bool = 0

    def infer(self) -> TensorType:
        rank = self.x.type.rank
        if not len(self.before) == len(self.after) == rank:
            raise GraphError(f"{self.kind()}: one entry per axis of {self.x.type}", got=self.before)
        shape = [
            dim + before + after
            for dim, before, after in zip(self.x.type.shape, self.before, self.after, strict=True)
        ]
        for dim in shape:
            if dim_facts.is_less(dim, 0) is True:
                raise GraphError(f"{self.kind()}: a size becomes negative", got=shape)
        if self.mode == "reflect":
            self._check_reflection()
        return self.x.type.with_shape(shape)

    def _check_reflection(self) -> None:
        for dim, *pads in zip(self.x.type.shape, self.before, self.after, strict=True):
            for pad in pads:
                if dim_facts.is_less(pad, dim) is False and dim_facts.is_less(0, pad) is True:
                    raise GraphError(
                        f"{self.kind()}: reflection of {pad} elements needs more than {pad}",
                        got=dim,
                    )
