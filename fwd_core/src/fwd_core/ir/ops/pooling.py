"""Pooling over one, two or three spatial axes."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.ops.convolution import window_count
from fwd_core.ir.types import Shape, TensorType


@operator
class MaxPool(Operator):
    """The greatest element of each window: [N, C, *spatial] -> [N, C, *out].

    Padding counts as minus infinity. With ``ceil_mode`` a last window may start inside the
    input (or its padding before) and run over the end, as in torch. ``aten::max_pool2d``.
    """

    x: Value
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.NUMBERS)
        shape = pooled_shape(
            self.x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode
        )
        return self.x.type.with_shape(shape)


@operator
class AveragePool(Operator):
    """The mean of each window: [N, C, *spatial] -> [N, C, *out].

    ``count_include_pad`` says whether zero padding counts in the divisor. ``aten::avg_pool2d``.
    """

    x: Value
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = True

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        ones = (1,) * len(self.kernel)
        shape = pooled_shape(self.x, self.kernel, self.stride, self.padding, ones, self.ceil_mode)
        return self.x.type.with_shape(shape)


@operator
class AdaptiveAveragePool(Operator):
    """The mean over windows that divide each spatial axis into ``output_size`` parts.

    Part i of n spans floor(i * size / n) to ceil((i + 1) * size / n). [N, C, *spatial] ->
    [N, C, *output_size]. ``aten::adaptive_avg_pool2d``.
    """

    x: Value
    output_size: tuple[Dim, ...]

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        check.require_rank(self.kind(), self.x, len(self.output_size) + 2)
        check.require_sizes(self.kind(), *self.output_size)
        return self.x.type.with_shape((*self.x.type.shape[:2], *self.output_size))


def pooled_shape(
    x: Value,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    ceil_mode: bool,
) -> Shape:
    """Output shape of pooling by torch's rule.

    Raises:
        GraphError: Ranks and attribute lengths differ, or padding exceeds half a kernel.
    """
    spatial = x.type.rank - 2
    listed = (kernel, stride, padding, dilation)
    if spatial not in (1, 2, 3) or any(len(entries) != spatial for entries in listed):
        raise GraphError("pooling: one entry per spatial axis of [N, C, *spatial]", got=x.type)
    check.require_positive("pooling kernel, stride and dilation", *kernel, *stride, *dilation)
    out: list[Dim] = []
    for size, k, s, p, d in zip(x.type.shape[2:], *listed, strict=True):
        if p > ((k - 1) * d + 1) // 2:
            raise GraphError("pooling: padding is more than half the kernel", got=f"{p} of {k}")
        count = window_count(size, k, s, 2 * p, d, ceil=ceil_mode)
        if ceil_mode:
            count = _without_empty_window(size, count, s, p)
        out.append(count)
    return (*x.type.shape[:2], *out)


def _without_empty_window(size: Dim, count: Dim, stride: int, padding: int) -> Dim:
    # torch drops a last window that would start in the padding after the input:
    # aten/src/ATen/native/Pool.h, pooling_output_shape_pad_lr.
    last_start = (count - 1) * stride
    if isinstance(last_start, int) and isinstance(size, int):
        return count - 1 if last_start >= size + padding else count
    from fwd_core.ir.dims import minimum

    return minimum(count, -((-(size + padding)) // stride))
