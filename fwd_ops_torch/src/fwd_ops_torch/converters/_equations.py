"""Reading what einsum is told: ``"bhqd,bhkd->bhqk"``, with ellipses and repeated labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from fwd_core.errors import ConversionError
from fwd_core.ir import Value
from fwd_ops_torch.converters._labels import Labels, Operand
from fwd_ops_torch.converters.diagonals import diagonal
from fwd_ops_torch.converting import ConversionContext

_ELLIPSIS = "..."
_TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")
_TOKEN = re.compile(r"\.\.\.|[A-Za-z]")


@dataclass(frozen=True)
class Equation:
    """Labels of each operand, and of the result unless they follow from those."""

    terms: tuple[tuple[str, ...], ...]
    out: tuple[str, ...] | None

    def output(self, operands: Sequence[Operand]) -> Labels:
        """Labels of the result; axes of an ellipsis are numbers, from the last one back."""
        hidden = {label for one in operands for label in one.labels if isinstance(label, int)}
        numbers = sorted(hidden, reverse=True)
        if self.out is None:
            counts = Counter(label for term in self.terms for label in term if label != _ELLIPSIS)
            return (*numbers, *sorted(label for label, count in counts.items() if count == 1))
        out: list[Hashable] = []
        for label in self.out:
            out += numbers if label == _ELLIPSIS else [label]
        return tuple(out)


def parse(equation: str, count: int) -> Equation:
    """An equation for that many operands.

    Raises:
        ConversionError: It is malformed, or of another number of operands, or its output repeats
            a label or has one that no operand has.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != count:
        raise ConversionError(
            f"einsum: {equation!r} is for {len(terms)} operands", expected=len(terms), got=count
        )
    for term in (*terms, right):
        if not _TERM.fullmatch(term):
            raise ConversionError(
                f"einsum: {equation!r} is malformed",
                expected="letters and at most one ellipsis for each operand",
                got=term,
            )
    split = tuple(tuple(_TOKEN.findall(term)) for term in terms)
    if not arrow:
        return Equation(split, None)
    out = tuple(_TOKEN.findall(right))
    known = {label for term in split for label in term}
    for label in out:
        if out.count(label) > 1:
            raise ConversionError(f"einsum: {equation!r} repeats an output", got=label)
        if label not in known and label != _ELLIPSIS:
            raise ConversionError(f"einsum: {equation!r} has an output of no operand", got=label)
    return Equation(split, out)


def labelled(ctx: ConversionContext, value: Value, term: Sequence[str]) -> Operand:
    """An operand with its labels, after diagonals of labels that it has twice.

    Raises:
        ConversionError: It has another number of axes than labels.
    """
    rank = value.type.rank
    hidden = rank - len(term) + 1 if _ELLIPSIS in term else 0
    labels: list[Hashable] = []
    for label in term:
        labels += range(hidden - 1, -1, -1) if label == _ELLIPSIS else [label]
    if len(labels) != rank or hidden < 0:
        raise ConversionError(
            "einsum: an operand has another number of axes than labels",
            expected="".join(term),
            got=value.type,
        )
    for name in dict.fromkeys(labels):
        while labels.count(name) > 1:
            first = labels.index(name)
            second = labels.index(name, first + 1)
            sizes = value.type.shape[first], value.type.shape[second]
            ctx.require_equal(f"sizes of the label {name!r}, which repeats,", *sizes)
            value = diagonal(ctx, value, 0, first, second)
            del labels[second], labels[first]
            labels.append(name)
    return Operand(value, tuple(labels))


def checked_path(path: Sequence[int], count: int) -> Sequence[int] | None:
    """Which pairs of operands to multiply, in order; ``None`` where there is but one.

    Raises:
        ConversionError: It is no such list.
    """
    pairs = list(zip(path[::2], path[1::2]))  # noqa: B905 - one operand has half a pair
    left = range(count, 1, -1)
    fits = len(path) == (2 * (count - 1) if count > 1 else 1) and all(
        a != b and 0 <= a < n and 0 <= b < n for (a, b), n in zip(pairs, left, strict=True)
    )
    if not fits:
        raise ConversionError(
            "einsum: path names two of the operands that are left, until one is", got=list(path)
        )
    return path if count > 1 else None
