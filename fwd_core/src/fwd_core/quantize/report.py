"""What was quantized and what was not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Placement:
    """What :func:`fwd_core.quantize.placement.place` did with a graph.

    Attributes:
        quantized: Nodes that compute in int8 or hand it on, with what they are.
        floats: Nodes of floats that compute in float, with the reason.
        unquantized: Tensors that would have been quantized, with what their range lacks.
        scales: Scale of each activation that has a pair.
        weights: Constants that have a pair, with how many scales.
        shared: Groups of tensors with one scale.
        products: Names of all convolutions and matrix products, but those of attention that stay in
            float by rule.
        attention: How many products of attention these are: two for each attention.
        folded: Batch normalizations that became a part of a product.
    """

    quantized: dict[str, str] = field(default_factory=dict)
    floats: dict[str, str] = field(default_factory=dict)
    unquantized: dict[str, str] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    shared: tuple[tuple[str, ...], ...] = ()
    products: tuple[str, ...] = ()
    attention: int = 0
    folded: int = 0

    @property
    def coverage(self) -> float:
        """The part of :attr:`products` that is in int8; 1 of none."""
        done = sum(name in self.quantized for name in self.products)
        return done / len(self.products) if self.products else 1.0

    @property
    def title(self) -> str:
        """How many products are in int8, as ``6 of 8 products``."""
        count = len(self.products)
        done = sum(name in self.quantized for name in self.products)
        text = f"{done} of {count} product{'' if count == 1 else 's'}"
        if not self.attention:
            return text
        more = "1 product" if self.attention == 1 else f"{self.attention} products"
        return f"{text}, and {more} of attention in float"

    def __str__(self) -> str:
        lines = [
            f"int8: {self.title}; {len(self.scales)} activations and "
            f"{len(self.weights)} weights quantized, {self.folded} batch normalizations folded"
        ]
        counts = Counter(self.quantized.values())
        lines += [f"  {count:5}  {role}" for role, count in counts.most_common()]
        lines += _section("products in float", self._products_in_float())
        known = set(self.products)
        rest = Counter(why for name, why in self.floats.items() if name not in known)
        if rest:
            lines += ["other operators in float:"]
            lines += [f"  {count:5}  {why}" for why, count in rest.most_common()]
        lines += _section("tensors without a usable range", self.unquantized)
        groups = {group[0]: ", ".join(group[1:]) for group in self.shared}
        lines += _section("one scale with", groups)
        return "\n".join(lines)

    def _products_in_float(self) -> dict[str, str]:
        return {name: self.floats[name] for name in self.products if name in self.floats}


def _section(title: str, rows: dict[str, str]) -> list[str]:
    if not rows:
        return []
    width = min(max(map(len, rows)), 60)
    return [f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in rows.items())]
