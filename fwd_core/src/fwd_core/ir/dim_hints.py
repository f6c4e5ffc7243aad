"""What to do about sizes that dynamic sizes contradict: the same words wherever it is noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fwd_core.ir.dim_facts import is_equal
from fwd_core.ir.dims import Dim, DimExpr, symbols
from fwd_core.ir.types import TensorType

#: Where a number stands for what is dynamic now.
LITERAL = (
    "a size that the model fixed contradicts a dynamic dim (a trace fixes those of its example): "
    "write it in the model as x.shape[i] or -1, or build with static dims"
)
#: Where two dynamic sizes have to be one.
ONE_NAME = "give dynamic sizes that are always the same one name"


def raise_least(names: Iterable[str], instead: str = "") -> str:
    """The hint where a dynamic size may be too small.

    Args:
        names: The symbols that it depends on.
        instead: What else the model could do.
    """
    other = f", or {instead}" if instead else ""
    listed = " and ".join(names)
    return f"raise the least value in the range of {listed}, or build that size static{other}"


def point_text(values: Mapping[str, int]) -> str:
    """Values of symbols, as ``batch is 1 and h is 3``."""
    return " and ".join(f"{name} is {value}" for name, value in values.items())


def contradiction(expected: object, got: object) -> str | None:
    """The hint where sizes differ, or may, and a dynamic one is among them.

    Args:
        expected: A size, sizes, or a tensor's type.
        got: What was there: the same, or the parts that a size should be made of.
    """
    wanted, found = _sizes(expected), _sizes(got)
    if len(wanted) == 1 and len(found) > 1 and not isinstance(got, TensorType):
        found = [sum(found[1:], found[0])]
    if len(wanted) != len(found):
        return None
    for pair in zip(wanted, found, strict=True):
        dynamic = [dim for dim in pair if isinstance(dim, DimExpr)]
        if not dynamic or is_equal(*pair) is True:
            continue
        if len(dynamic) == 1:
            return LITERAL
        if symbols(pair[0]) != symbols(pair[1]):
            return ONE_NAME
    return None


def _sizes(of: object) -> list[Dim]:
    if isinstance(of, TensorType):
        return list(of.shape)
    listed = of if isinstance(of, Sequence) and not isinstance(of, str) else [of]
    return [dim for dim in listed if isinstance(dim, (int, DimExpr))]
