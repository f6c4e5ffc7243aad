"""Drawn operands of the kernels for norms, their results in float64, and how near is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fwd_plugins_bert.kernels import driver, norms
from fwd_plugins_bert.kernels.norms import Norm

Array = NDArray[Any]
#: Half of what separates 1 from the next number.
UNIT = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float16): 2.0**-11}
#: Sums that are rounded one after another: the elements of a thread, then a tree.
_SUMS = 48


@dataclass
class Case:
    """Operands of one launch.

    Attributes:
        norm: What the kernel computes.
        x, skip: Operands of a residual sum.
        tables, indices, added: Operands of embeddings.
        bias, scale, shift: Vectors, or absent.
        rows: Of the result.
        epsilon, step: Numbers.
    """

    norm: Norm
    rows: int
    epsilon: float = 1e-5
    step: float = 0.03
    x: Optional[Array] = None
    skip: Optional[Array] = None
    bias: Optional[Array] = None
    scale: Optional[Array] = None
    shift: Optional[Array] = None
    tables: list[Array] = field(default_factory=list)
    indices: list[Array] = field(default_factory=list)
    added: list[Array] = field(default_factory=list)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements."""
        return np.dtype(np.float16 if self.norm.half else np.float32)

    def out(self) -> Array:
        """Room for the result, with what no kernel leaves there by chance."""
        kind = np.dtype(np.int8) if self.norm.int8 else self.dtype
        return np.full((self.rows, self.norm.width), 77, kind)

    def total(self) -> Array:
        """The sum that is normalized."""
        if self.x is not None:
            terms: list[Any] = [self.x, self.bias, self.skip]
        else:
            terms = [
                table[np.where(index < 0, index + len(table), index)]
                for table, index in zip(self.tables, self.indices, strict=True)
            ]
            terms += [np.resize(one, (self.rows, self.norm.width)) for one in self.added]
        return sum(
            (each.astype(np.float64) for each in terms if each is not None),
            np.zeros((self.rows, self.norm.width)),
        )

    def truth(self) -> tuple[Array, Array]:
        """The result in float64, and how far a right one may be from it."""
        total = self.total()
        apart = total - total.mean(-1, keepdims=True)
        deviation = np.sqrt((apart**2).mean(-1, keepdims=True) + self.epsilon)
        wide = np.ones(self.norm.width) if self.scale is None else self.scale.astype(np.float64)
        shift = np.zeros(self.norm.width) if self.shift is None else self.shift.astype(np.float64)
        result = apart / deviation * wide + shift
        # Rounding of the mean, relative to the greatest element, then of each step after it.
        greatest = np.abs(total).max(-1, keepdims=True, initial=0.0) / deviation
        single = UNIT[np.dtype(np.float32)]
        near = _SUMS * single * (greatest + 1) * np.abs(wide)
        near += 8 * single * (np.abs(result - shift) + np.abs(shift))
        if self.norm.half:
            near += UNIT[np.dtype(np.float16)] * np.abs(result) * (1 + 2**-10) + 2.0**-25
        return result, near

    def check(self, found: Array) -> None:
        """Require a result to be right."""
        result, near = self.truth()
        if self.norm.int8:
            wanted = np.clip(result / self.step, -128, 127)
            apart = np.abs(found.astype(np.float64) - wanted)
            assert found.dtype == np.int8
            assert np.all(apart <= 0.5 + near / self.step + 1e-6), apart.max()
            return
        assert found.dtype == self.dtype
        wrong = ~(np.abs(found.astype(np.float64) - result) <= near)
        assert not wrong.any(), (found[wrong][:4], result[wrong][:4], near[wrong][:4])


class Launch:
    """A case in such memory.

    Args:
        case: What is computed.
        hold: Puts an array there, so many bytes after an address that suits the widest load.
        offset: So many elements.
    """

    def __init__(self, case: Case, hold: Callable[[Array, int], Any], offset: int = 0) -> None:
        def held(array: Array) -> Any:
            return hold(array, offset * array.itemsize)

        self.case = case
        names = ("x", "skip", "bias", "scale", "shift")
        arrays = {name: getattr(case, name) for name in names}
        self.vectors: dict[str, Any] = {
            name: held(array) for name, array in arrays.items() if array is not None
        }
        self.tables, self.indices, self.added = (
            [held(array) for array in each] for each in (case.tables, case.indices, case.added)
        )
        self.out = held(case.out())

    def queue(self, stream: int = 0, blocks: int = driver.MOST_BLOCKS) -> None:
        """Launch the kernel."""
        case, given = self.case, {name: place.address for name, place in self.vectors.items()}
        more: dict[str, Any] = {"epsilon": case.epsilon, "stream": stream, "blocks": blocks}
        more |= {"out": self.out.address, "rows": case.rows, **given}
        if not case.norm.tables:
            norms.skip_norm(case.norm, step=case.step, **more)
            return
        pairs = zip(self.tables, self.indices, strict=True)
        norms.embedding_norm(
            case.norm,
            [(table.address, len(table.array), index.address) for table, index in pairs],
            [(one.address, len(one.array)) for one in self.added],
            **more,
        )


@st.composite
def skip_norms(draw: Any, most_rows: int, most_width: int) -> Case:
    """Of residual sums: any width, and those of models; means that are far from 0."""
    half, int8 = draw(st.booleans()), draw(st.booleans())
    there = {name: draw(st.booleans()) for name in ("bias", "scale", "shift")}
    norm = Norm(_width(draw, most_width), half, int8=int8, **there)
    case = Case(norm, draw(st.integers(1, most_rows)))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    _parameters(draw, case, numbers)
    middle = draw(st.sampled_from([0.0, 1.0, -20.0] if half else [0.0, 1.0, -1000.0]))
    shape = (case.rows, norm.width)
    case.x = (numbers.standard_normal(shape) + middle).astype(case.dtype)
    case.skip = numbers.standard_normal(shape).astype(case.dtype)
    if norm.bias:
        case.bias = numbers.standard_normal(norm.width).astype(case.dtype)
    case.step = draw(st.sampled_from([0.003, 0.03, 1.0]))
    return case


@st.composite
def embedding_norms(draw: Any, most_rows: int, most_width: int) -> Case:
    """Of embeddings: indices of either type and sign, and what is added again and again."""
    tables, added = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    there = {name: draw(st.booleans()) for name in ("scale", "shift", "half", "long")}
    norm = Norm(_width(draw, most_width), tables=tables, added=added, **there)
    case = Case(norm, draw(st.integers(1, most_rows)))
    numbers = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    _parameters(draw, case, numbers)
    for _ in range(tables):
        count = draw(st.integers(1, 50))
        case.tables.append(numbers.standard_normal((count, norm.width)).astype(case.dtype))
        kind = np.int64 if norm.long else np.int32
        case.indices.append(numbers.integers(-count, count, case.rows).astype(kind))
    for _ in range(added):
        period = draw(st.sampled_from([1, case.rows, 3]))
        case.added.append(numbers.standard_normal((period, norm.width)).astype(case.dtype))
    return case


def _width(draw: Any, most: int) -> int:
    usual = [width for width in (64, 256, 312, 384, 768, 1024, 4096) if width <= most]
    return int(draw(st.one_of(st.sampled_from(usual), st.integers(1, most))))


def _parameters(draw: Any, case: Case, numbers: np.random.Generator) -> None:
    case.epsilon = draw(st.sampled_from([1e-12, 1e-5, 1e-3]))
    if case.norm.scale:
        case.scale = (1 + numbers.standard_normal(case.norm.width) / 4).astype(case.dtype)
    if case.norm.shift:
        case.shift = numbers.standard_normal(case.norm.width).astype(case.dtype)
