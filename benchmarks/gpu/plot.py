"""A plot as SVG: horizontal bars of ratios, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_LEFT, _WIDTH, _BAR, _GAP, _TOP = 210, 460, 9, 12, 58
_GREATEST = 1.5
#: Hues that people with any colour vision tell apart, for light and for dark pages.
_COLOURS = (("#0072b2", "#56b4e9"), ("#d55e00", "#e69f00"), ("#6e6e6e", "#b0b0b0"))


def bars(groups: Sequence[tuple[str, Sequence[float | None]]], names: Sequence[str]) -> str:
    """A group of bars per row, a colour per name, and a line at 1.

    Args:
        groups: Labels, with a ratio per name; ``None`` for none.
        names: What the ratios are.
    """
    height = _TOP + sum(_BAR * len(values) + _GAP for _, values in groups) + 10
    drawn = [*_legend(names), *_axis(height)]
    y = float(_TOP)
    for label, values in groups:
        middle = y + _BAR * len(values) / 2 + 4
        drawn.append(f'<text x="{_LEFT - 8}" y="{middle:.0f}" class="r">{escape(label)}</text>')
        for index, value in enumerate(values):
            if value is not None:
                drawn += _bar(y + index * _BAR, value, index)
        y += _BAR * len(values) + _GAP
    style = "".join(f".c{i}{{fill:{light}}}" for i, (light, _) in enumerate(_COLOURS))
    dark = "".join(f".c{i}{{fill:{dark}}}" for i, (_, dark) in enumerate(_COLOURS))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 50} {height}" '
        f'role="img" aria-label="{escape("; ".join(names))}">\n<style>'
        f"text{{font:11px sans-serif;fill:#333}}.r{{text-anchor:end}}.m{{text-anchor:middle}}"
        f"line{{stroke:#bbb}}.one{{stroke:#333;stroke-dasharray:4 3}}{style}"
        f"@media(prefers-color-scheme:dark){{text{{fill:#ddd}}line{{stroke:#555}}"
        f".one{{stroke:#ddd}}{dark}}}</style>\n" + "\n".join(drawn) + "\n</svg>\n"
    )


def _x(value: float) -> float:
    return _LEFT + min(value, _GREATEST) / _GREATEST * _WIDTH


def _bar(y: float, value: float, index: int) -> list[str]:
    end = _x(value)
    return [
        f'<rect x="{_LEFT}" y="{y:.0f}" width="{end - _LEFT:.1f}" height="{_BAR - 1}" '
        f'class="c{index}"/>',
        f'<text x="{end + 4:.1f}" y="{y + _BAR - 1:.0f}">{value:.2f}</text>',
    ]


def _legend(names: Sequence[str]) -> list[str]:
    drawn, x = [], 8.0
    for index, name in enumerate(names):
        drawn.append(f'<rect x="{x:.0f}" y="8" width="10" height="10" class="c{index}"/>')
        drawn.append(f'<text x="{x + 14:.0f}" y="17">{escape(name)}</text>')
        x += 34 + 6.2 * len(name)
    return drawn


def _axis(height: int) -> list[str]:
    drawn = []
    for tenth in range(0, int(_GREATEST * 10) + 1, 5):
        x = _x(tenth / 10)
        kind = ' class="one"' if tenth == 10 else ""
        drawn.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 8}"{kind}/>')
        drawn.append(f'<text x="{x:.1f}" y="{_TOP - 14}" class="m">{tenth / 10:g}</text>')
    return drawn
