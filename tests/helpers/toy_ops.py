"""Operators that the core has none of: several outputs, and a graph inside."""

from __future__ import annotations

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, DType, Emitter, Graph, Operator, TensorType, Value, operator, ops


@operator
class Halves(Operator, namespace="toy"):
    """The first and the second half of a vector of even length."""

    x: Value

    def infer(self) -> tuple[TensorType, ...]:
        (size,) = self.x.type.shape
        if not isinstance(size, int) or size % 2:
            raise GraphError("toy.Halves: an even length", got=self.x.type)
        half = self.x.type.with_shape((size // 2,))
        return (half, half)

    def decompose(self, emit: Emitter) -> tuple[Value, ...]:
        (size,) = self.x.type.shape
        half = size // 2
        return tuple(emit(ops.Slice(self.x, 0, i * half, half), f"half{i}") for i in range(2))


@operator
class Twice(Operator, namespace="toy"):
    """x through the graph ``body``, then through it again."""

    x: Value
    body: Graph

    def infer(self) -> TensorType:
        if [value.type for value in self.body.inputs] != [self.x.type]:
            raise GraphError("toy.Twice: the body takes x", got=self.x.type)
        return self.x.type


@operator
class Tagged(Operator, namespace="toy"):
    """x unchanged, with an attribute of each type that files can hold."""

    x: Value
    extra: Value | None = None
    number: float = 1.5
    flag: bool = True
    count: int = 3
    text: str = "a"
    nothing: str | None = None
    dtype: DType = DType.BFLOAT16
    size: Dim = 4
    sizes: tuple[Dim, ...] = ()
    nested: tuple[tuple[int, ...], ...] = ()
    type: TensorType | None = None

    def infer(self) -> TensorType:
        return self.x.type


OPERATORS: dict[str, type[Operator]] = {
    **{cls.kind(): cls for cls in ops.core_operators()},
    **{cls.kind(): cls for cls in (Halves, Tagged, Twice)},
}
