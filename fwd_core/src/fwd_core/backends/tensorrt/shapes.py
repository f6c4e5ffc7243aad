"""Sizes that are known when the engine runs: arithmetic on them, reshapes and slices with them.

Static shapes stay plain integers. A reshape or slice that depends on dynamic sizes uses
TensorRT's placeholders where they say it, and otherwise a shape tensor, which TensorRT computes on
the host from the shapes of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fwd_core.ir.dims import Dim, Operation, Symbol, multiple
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Value
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ITensor, TensorRTLowering


_OPERATIONS = {"//": "FLOOR_DIV", "min": "MIN", "max": "MAX"}


class Sizes:
    """Sizes as tensors of one element: computed once per size, from the shapes of the inputs.

    Args:
        ctx: The context.
        outside: Gives symbols that are the size of no input's axis, in a branch.

    Attributes:
        inputs: The network's inputs, or those of a branch, whose shapes give the symbols their
            values.
    """

    def __init__(
        self, ctx: TensorRTLowering, outside: Callable[[Symbol], ITensor] | None = None
    ) -> None:
        self._ctx = ctx
        self._outside = outside
        self.inputs: dict[Value, ITensor] = {}
        self._symbols: dict[Symbol, ITensor] = {}
        self._known: dict[Dim, ITensor] = {}

    @property
    def dtype(self) -> DType:
        """Element type of shape tensors."""
        return DType.INT64 if self._ctx.features.int64 else DType.INT32

    def shape(self, dims: Sequence[Dim]) -> ITensor:
        """Several sizes as a 1-d shape tensor."""
        if all(isinstance(dim, int) for dim in dims):
            return self._constant(dims)
        parts = [self[dim] for dim in dims]
        return parts[0] if len(parts) == 1 else self._ctx("concatenation", parts, axis=0)

    def __getitem__(self, dim: Dim) -> ITensor:
        """A size as a 1-d shape tensor of one element.

        Raises:
            BuildError: No input has an axis that is the symbol or a multiple of it.
        """
        if dim not in self._known:
            self._known[dim] = self._computed(dim)
        return self._known[dim]

    def _computed(self, dim: Dim) -> ITensor:
        if isinstance(dim, int):
            return self._constant([dim])
        total: ITensor = None
        for monomial, coefficient in dim.terms:
            term: ITensor = None
            if coefficient != 1 or not monomial:
                term = self[coefficient]
            for atom, power in monomial:
                factor = self.symbol(atom) if isinstance(atom, Symbol) else self._operation(atom)
                for _ in range(power):
                    term = factor if term is None else self._combined("PROD", term, factor)
            total = term if total is None else self._combined("SUM", total, term)
        return total

    def _operation(self, atom: Operation) -> ITensor:
        left, right = self[atom.left], self[atom.right]
        if atom.kind == "%":
            quotient = self._combined("FLOOR_DIV", left, right)
            return self._combined("SUB", left, self._combined("PROD", quotient, right))
        return self._combined(_OPERATIONS[atom.kind], left, right)

    def symbol(self, symbol: Symbol) -> ITensor:
        """A symbol's value as a 1-d shape tensor of one element.

        Raises:
            BuildError: No input has an axis that is the symbol or a multiple of it.
        """
        if symbol not in self._symbols:
            self._symbols[symbol] = self._read(symbol)
        return self._symbols[symbol]

    def _read(self, symbol: Symbol) -> ITensor:
        if (found := self._source(symbol)) is not None:
            value, axis, factor = found
            shape = self._ctx("shape", self.inputs[value])
            size = self._ctx("slice", shape, (axis,), (1,), (1,))
            return size if factor == 1 else self._combined("FLOOR_DIV", size, self[factor])
        if self._outside is not None:
            return self._outside(symbol)
        raise self._ctx.error(
            f"size {symbol.name!r} is not the size of an axis of any input",
            got=", ".join(f"{value.name}: {value.type}" for value in self.inputs),
        )

    def _source(self, symbol: Symbol) -> tuple[Value, int, int] | None:
        """The input and axis whose size is the symbol, or the least multiple of it."""
        found = [
            (value, axis, of[1])
            for value in self.inputs
            for axis, dim in enumerate(value.type.shape)
            if (of := multiple(dim)) is not None and of[0] == symbol
        ]
        return min(found, key=lambda one: one[2], default=None)

    def _combined(self, operation: str, a: ITensor, b: ITensor) -> ITensor:
        return self._ctx.elementwise(operation, a, b)

    def _constant(self, dims: Sequence[Dim]) -> ITensor:
        return self._ctx.constant(Tensor(np.array(dims, np.int64)).astype(self.dtype))


def reshape(ctx: TensorRTLowering, tensor: ITensor, shape: Shape, new: Shape) -> ITensor:
    """A tensor of a shape under another one."""
    if shape == new:
        return tensor
    if all(isinstance(dim, int) for dim in new):
        return ctx("shuffle", tensor, reshape_dims=new, zero_is_placeholder=False)
    placeholders = _placeholders(shape, new)
    if placeholders is not None:
        return ctx("shuffle", tensor, reshape_dims=placeholders)
    layer = ctx.add("shuffle", tensor, zero_is_placeholder=False)
    ctx.set_input(layer, 1, ctx.sizes.shape(new))
    return ctx.output(layer)


def _placeholders(shape: Shape, new: Shape) -> tuple[int, ...] | None:
    # 0 copies the size at the same place, one -1 stands for what is left.
    if 0 in shape or 0 in new:
        return None
    written: list[int] = []
    for axis, dim in enumerate(new):
        if isinstance(dim, int):
            written.append(dim)
        elif axis < len(shape) and shape[axis] == dim:
            written.append(0)
        else:
            written.append(-1)
    return tuple(written) if written.count(-1) <= 1 else None


def unsqueeze(ctx: TensorRTLowering, tensor: ITensor, shape: Shape, axes: Sequence[int]) -> ITensor:
    """A tensor of a shape with axes of size 1 inserted, at these positions of the result."""
    if not axes:
        return tensor
    rest = iter(shape)
    new = tuple(1 if axis in axes else next(rest) for axis in range(len(shape) + len(axes)))
    dynamic = sum(not isinstance(dim, int) for dim in shape)
    if dynamic > 1 and ctx.features.unsqueeze:
        return ctx("unsqueeze", tensor, ctx.constant(Tensor(np.array(axes, np.int64))))
    return reshape(ctx, tensor, shape, new)


def cut(
    ctx: TensorRTLowering,
    tensor: ITensor,
    shape: Shape,
    cuts: Mapping[int, tuple[Dim, Dim, int]],
    *,
    mode: str | None,
    fill: ITensor | None,
) -> ITensor:
    """Axes cut to ``(start, length, step)``; a step of 0 repeats one element.

    Args:
        ctx: The context.
        tensor: What is cut.
        shape: Its shape.
        cuts: By axis; axes that are not named stay.
        mode: What stands for elements out of range, as a name of ``SampleMode``; ``None`` where
            all are in range.
        fill: The element for mode ``FILL``, 0-d.
    """
    named = ctx.features.slice_axes and len(cuts) < len(shape)
    if not named:
        cuts = {axis: cuts.get(axis, (0, dim, 1)) for axis, dim in enumerate(shape)}
    axes = sorted(cuts)
    starts, lengths, steps = zip(*(cuts[axis] for axis in axes), strict=True) if axes else ((),) * 3
    layer = ctx.add("slice", tensor, _known(starts), _known(lengths), steps)
    if named:
        layer.axes = tuple(axes)
        ctx.check("slice.axes")
    for index, dims in ((1, starts), (2, lengths)):
        if not all(isinstance(dim, int) for dim in dims):
            ctx.set_input(layer, index, ctx.sizes.shape(dims))
    if mode is not None:
        layer.mode = getattr(ctx.trt.SampleMode, mode)
        ctx.check("slice.mode")
    if fill is not None:
        ctx.set_input(layer, 4, fill)
    return ctx.output(layer)


def _known(dims: Sequence[Dim]) -> tuple[int, ...]:
    return tuple(dim if isinstance(dim, int) else 0 for dim in dims)
