"""Convolutions over one, two or three spatial axes."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import dim_facts
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
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
        listed = (self.stride, self.padding_before, self.padding_after, self.dilation)
        dtype = _checked(self, *listed)
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


@operator
class ConvolutionTranspose(Operator):
    """The transpose of a convolution as a linear map, plus bias, over 1 to 3 spatial axes.

    x is [N, C, *spatial], weight [C, M / groups, *kernel], bias [M] or absent, the result
    [N, M, *out] with out = (in - 1) * stride - 2 * padding + dilation * (kernel - 1) +
    output_padding + 1: element i of x adds weight[k] * x[i] to element
    i * stride + k * dilation - padding. Each spatial attribute has one entry per spatial axis;
    ``output_padding`` is less than the stride or the dilation. One float dtype.
    ``aten::convolution`` with ``transposed``.
    """

    x: Value
    weight: Value
    bias: Value | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    def infer(self) -> TensorType:
        listed = (self.stride, self.padding, self.output_padding, self.dilation)
        dtype = _checked(self, *listed)
        channels, maps, *kernel = self.weight.type.shape
        batch, x_channels, *sizes = self.x.type.shape
        check.require_equal(f"{self.kind()} channels", channels, x_channels)
        check.require_equal(f"{self.kind()} channels over groups", channels % self.groups, 0)
        if self.bias is not None:
            check.require_rank(f"{self.kind()} bias", self.bias, 1)
            check.require_equal(f"{self.kind()} bias", maps * self.groups, self.bias.type.shape[0])
        out = []
        for size, k, stride, padding, more, dilation in zip(sizes, kernel, *listed, strict=True):
            if not 0 <= more < max(stride, dilation):
                raise GraphError(
                    f"{self.kind()}: output_padding is less than the stride or the dilation",
                    expected=f"0 … {max(stride, dilation) - 1}",
                    got=more,
                )
            out.append((size - 1) * stride - 2 * padding + (k - 1) * dilation + more + 1)
        if any(dim_facts.is_less(dim, 1) is True for dim in out):
            raise GraphError(f"{self.kind()}: nothing is left of the padded result", got=out)
        return TensorType(dtype, (batch, maps * self.groups, *out))


def _checked(op: Convolution | ConvolutionTranspose, *listed: tuple[int, ...]) -> DType:
    """The dtype, after the checks that both share."""
    check.require_dtype(op.kind(), op.x, check.FLOATS)
    dtype = check.require_same_dtype(op.kind(), op.x, op.weight, op.bias)
    check.require_rank(op.kind(), op.x, (3, 4, 5))
    check.require_rank(f"{op.kind()} weight", op.weight, op.x.type.rank)
    spatial = op.x.type.rank - 2
    if any(len(entries) != spatial for entries in listed):
        raise GraphError(f"{op.kind()}: {spatial} entries per spatial attribute", got=listed)
    check.require_positive(
        f"{op.kind()} stride, dilation and groups", *op.stride, *op.dilation, op.groups
    )
    return dtype


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
