"""Optimization profiles: the least, best and greatest shapes of inputs with dynamic sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwd_core.errors import BuildError
from fwd_core.ir.dims import evaluate
from fwd_core.ir.types import TensorType


def add_profile(builder: Any, config: Any, inputs: Mapping[str, TensorType]) -> None:
    """Add one profile for all inputs, from the ranges of the symbols in their shapes.

    Args:
        builder: The ``IBuilder``.
        config: The ``IBuilderConfig`` that gets the profile; unchanged if all is static.
        inputs: Types by binding name.

    Raises:
        BuildError: A size is negative, or not in order over its symbols' ranges.
    """
    if all(kind.is_static for kind in inputs.values()):
        return
    profile = builder.create_optimization_profile()
    for name, kind in inputs.items():
        if kind.is_static:
            continue
        least, best, greatest = profile_shapes(kind)
        if not all(0 <= a <= b <= c for a, b, c in zip(least, best, greatest, strict=True)):
            raise BuildError(
                f"input {name!r}: a size does not grow with its symbols, so it has no range",
                expected="0 <= min <= opt <= max",
                got=f"{kind}: {least}, {best}, {greatest}",
            )
        profile.set_shape(name, least, best, greatest)
    config.add_optimization_profile(profile)  # what it refuses, the error recorder tells


def profile_shapes(kind: TensorType) -> list[tuple[int, ...]]:
    """Shapes with every symbol at its least, best and greatest value."""
    points = [
        {symbol.name: getattr(symbol, which) for symbol in kind.symbols}
        for which in ("min", "opt", "max")
    ]
    return [tuple(evaluate(dim, point) for dim in kind.shape) for point in points]
