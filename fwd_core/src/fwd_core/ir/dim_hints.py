"""What to do about sizes that dynamic sizes contradict: the same words wherever it is noticed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


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
