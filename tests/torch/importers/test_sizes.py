"""Arithmetic on sizes: what it gives is a size again, in whatever form the model comes."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch_models import check, importing, scripted, traced

from fwd_core.errors import ConversionError
from fwd_ops_torch.importers import jit

DYNAMIC = {"x": {1: ("width", 3, 6, 9)}}


class Negated(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, -(x.size(1) - 1) :]


class RoundedUp(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, [0, -x.size(1) % 4, 0, -(-x.size(1) // 2)])


class Shifted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, [x.size(1) << 1, x.size(1) >> 1])


class Distance(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, [0, abs(x.size(1) - 5)])


class Squared(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, [0, x.size(1) * x.size(1) - x.size(1)])


class Power(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, [0, x.size(1) ** 2])


class Halves(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        up, even = math.ceil(x.size(1) / 2), int(round(x.size(1) * 0.5))  # noqa: RUF046 - scripts need it
        return torch.nn.functional.pad(x, [int(4 * x.size(1) / 4.0), up, even, 0])


def _inputs(*widths: int) -> list[tuple[torch.Tensor]]:
    return [(torch.rand(2, width),) for width in widths]


@pytest.mark.parametrize("kind", ["traced", "scripted", "exported"])
@pytest.mark.parametrize("make", [Negated, RoundedUp, Shifted, Distance, Squared])
def test_a_size_stays_a_size(make: Any, kind: str) -> None:
    module = make().eval()
    first, *others = _inputs(6, 3, 4, 5, 9)
    model = {
        "traced": lambda: traced(module, first),
        "scripted": lambda: scripted(module),
        "exported": lambda: module,
    }[kind]()
    check(module, first, *others, model=model, dynamic=DYNAMIC)


def test_a_power_stays_a_size() -> None:
    first, *others = _inputs(6, 3, 9)
    for model in (traced(Power(), first), Power().eval()):  # scripts have floats there
        check(Power().eval(), first, *others, model=model, dynamic=DYNAMIC)


def test_a_script_rounds_floats_of_sizes_as_python_does() -> None:
    first, *others = _inputs(6, 3, 4, 5, 7, 8, 9)
    check(Halves().eval(), first, *others, dynamic=DYNAMIC)


def test_rounding_toward_zero_is_no_floor_of_what_may_be_negative() -> None:
    class Below(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            less = torch.div(torch.add(x.size(1), -5), 2, rounding_mode="trunc")
            return torch.nn.functional.pad(x, [0, less + 2])

    first = _inputs(6)[0]
    with pytest.raises(ConversionError, match="'pad' of aten::pad depends on a dynamic size"):
        importing(jit.trace(Below(), first, check=False), first, DYNAMIC)


def test_what_is_no_whole_number_is_said_to_depend_on_a_size() -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, : torch.sqrt(x.size(1)).long()]

    class Shift(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, : 1 << x.size(1)]

    first = _inputs(6)[0]
    with pytest.raises(ConversionError, match="'end' of aten::slice depends on a dynamic size"):
        importing(jit.trace(Root(), first, check=False), first, DYNAMIC)
    with pytest.raises(ConversionError, match="dynamic size \\(1 shifted by width\\)"):
        importing(scripted(Shift()), first, DYNAMIC)
