"""Convolutions over one, two or three spatial axes."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir.dims import Dim
from fwd_core.ir.graph import Value
from fwd_core.ir.operator import Operator, operator
from fwd_core.ir.ops import _checks as check
from fwd_core.ir.types import TensorType


@operator
class Convolution(Operator):
    """Cross-correlation of x with weight, plus bias, over 1 to 3 spatial axes.

    x is [N, C, *spatial], weight [M, C / groups, *kernel], bias [M] or absent, the result
    [N, M, *out] with out = (in + before + after - dilation * (kernel - 1) - 1) // stride + 1.
    Each spatial attribute has one entry per spatial axis; padding is with zeros and may differ
    before and after. One float dtype. ``aten::convolution`` with ``transposed`` false.
    """

    x: Value
    weight: Value
    bias: Value | None
    stride: tuple[int, ...]
    padding_before: tuple[int, ...]
    padding_after: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def infer(self) -> TensorType:
        check.require_dtype(self.kind(), self.x, check.FLOATS)
        dtype = check.require_same_dtype(self.kind(), self.x, self.weight, self.bias)
        check.require_rank(self.kind(), self.x, (3, 4, 5))
        check.require_rank(f"{self.kind()} weight", self.weight, self.x.type.rank)
        spatial = self.x.type.rank - 2
        listed = (self.stride, self.padding_before, self.padding_after, self.dilation)
        if any(len(entries) != spatial for entries in listed):
            raise GraphError(
                f"fwd.Convolution: {spatial} entries per spatial attribute", got=listed
            )
        check.require_positive(
            f"{self.kind()} stride, dilation and groups", *self.stride, *self.dilation, self.groups
        )
        maps, channels, *kernel = self.weight.type.shape
        batch, x_channels, *sizes = self.x.type.shape
        check.require_equal(f"{self.kind()} channels", channels * self.groups, x_channels)
        check.require_equal(f"{self.kind()} maps over groups", maps % self.groups, 0)
        if self.bias is not None:
            check.require_rank(f"{self.kind()} bias", self.bias, 1)
            check.require_equal(f"{self.kind()} bias", maps, self.bias.type.shape[0])
        out = [
            window_count(size, k, stride, before + after, dilation)
            for size, k, stride, before, after, dilation in zip(
                sizes,
                kernel,
                self.stride,
                self.padding_before,
                self.padding_after,
                self.dilation,
                strict=True,
            )
        ]
        return TensorType(dtype, (batch, maps, *out))


def window_count(
    size: Dim, kernel: Dim, stride: int, padding: int, dilation: int, *, ceil: bool = False
) -> Dim:
    """How many windows fit on one axis. Shared by convolution and pooling.

    Raises:
        GraphError: No window fits, whatever the sizes are.
    """
    span = size + padding - (kernel - 1) * dilation - 1
    if isinstance(span, int) and span < 0:
        raise GraphError(
            "the kernel is larger than the padded input",
            expected=f"at most {size + padding}",
            got=f"{kernel} with dilation {dilation}",
        )
    return -((-span) // stride) + 1 if ceil else span // stride + 1
