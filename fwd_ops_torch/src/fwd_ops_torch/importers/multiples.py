"""Sizes that a model halves and doubles again: what to say where they have to be multiples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from fwd_core.errors import ForwardError
from fwd_core.ir import Dim, DimExpr, Value
from fwd_core.ir.dims import Operation, Symbol, atoms, multiple, symbols


def hint(error: ForwardError, arguments: Iterable[Any], inputs: Iterable[Value]) -> str | None:
    """Advice if an error is about sizes that are rounded quotients of a dynamic size.

    Args:
        error: What does not fit.
        arguments: Of the operator that does not fit.
        inputs: Of the graph, whose shapes say what multiple a symbol stands for already.
    """
    if not any(mark in str(error) for mark in (" // ", " % ")):
        return None
    found: dict[Symbol, int] = {}
    for dim in _dims(arguments):
        for atom in atoms(dim):
            if not isinstance(atom, Operation) or atom.kind not in ("//", "%"):
                continue
            of = symbols(atom.left)
            if isinstance(atom.right, int) and len(of) == 1 and atom.right > 1:
                factors = [one for monomial, one in _terms(atom.left) if monomial]
                wanted = atom.right // math.gcd(atom.right, *factors)
                found[of[0]] = max(found.get(of[0], 1), wanted)
    if not found:
        return None
    declared = dict(filter(None, map(multiple, _dims(inputs))))
    said = [f"'{number * declared.get(one, 1)}*{one.name}'" for one, number in found.items()]
    return (
        f"if these sizes are multiples in every run, say so with a factor before the name of a "
        f"dynamic dim: {', '.join(said)}"
    )


def _terms(dim: Dim) -> Iterable[tuple[Any, int]]:
    return () if isinstance(dim, int) else dim.terms


def _dims(items: Iterable[Any]) -> Iterator[Dim]:
    for item in items:
        if isinstance(item, DimExpr):
            yield item
        elif isinstance(item, Value):
            yield from item.type.shape
        elif isinstance(item, (list, tuple)):
            yield from _dims(item)
