"""Types of values: an element type and a shape of sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fwd_core.ir.dims import Dim, Symbol, product, symbols
from fwd_core.ir.dtypes import DType

Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class TensorType:
    """Element type and shape of a tensor, printed as ``float32[batch, 3, 224, 224]``."""

    dtype: DType
    shape: Shape

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(dim) for dim in self.shape)}]"

    __repr__ = __str__

    @property
    def rank(self) -> int:
        """Number of axes; 0 for a scalar."""
        return len(self.shape)

    @property
    def numel(self) -> Dim:
        """Number of elements."""
        return product(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every size is an integer."""
        return all(isinstance(dim, int) for dim in self.shape)

    @property
    def symbols(self) -> list[Symbol]:
        """The symbols that sizes depend on, by name."""
        return symbols(*self.shape)

    def static_shape(self) -> tuple[int, ...]:
        """The shape as integers.

        Raises:
            ValueError: A size is symbolic.
        """
        sizes = [dim for dim in self.shape if isinstance(dim, int)]
        if len(sizes) != len(self.shape):
            raise ValueError(f"{self} is not static")
        return tuple(sizes)

    def with_dtype(self, dtype: DType) -> TensorType:
        """This shape with another element type."""
        return self if dtype is self.dtype else TensorType(dtype, self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        """This element type with another shape."""
        return TensorType(self.dtype, tuple(shape))
