"""Results that hang on how numbers are rounded, with real engines: they are told, not refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import forward
from fwd_core import Plugins
from fwd_core.errors import ForwardWarning, SelfCheckError
from fwd_core.ir import ops
from fwd_core.self_check import KEY, told

pytest.importorskip("openvino")

import wrong_lowerings

X = 255 * torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        """What it makes of x."""
        return self.function(x)


def _entry(function: Any, x: torch.Tensor = X, **more: Any) -> dict[str, Any]:
    engine = forward.build(Of(function).eval(), x, backend="openvino", **more)
    entry: dict[str, Any] = engine.engine.manifest[KEY]
    return entry


MOVES = {
    "sums that cancel": lambda x: (x - x.mean((2, 3), keepdim=True)).sum((2, 3)),
    "instance norms": lambda x: nn.functional.instance_norm(x).mean((2, 3)),
    "a function and its inverse": lambda x: x - torch.exp(torch.log(x + 1)) + 1,
    "fractions": lambda x: torch.frac(x * 1e4),
}


@pytest.mark.parametrize("function", MOVES.values(), ids=MOVES)
def test_an_output_of_rounding_alone_is_not_refused(function: Any) -> None:
    entry = _entry(lambda x: (x * 2, function(x)))
    assert entry["cosine"] == pytest.approx(1.0)
    assert entry["error"] < 1e-5
    _entry(function)  # alone it is not refused either


def test_what_moves_as_much_as_the_engine_is_off_is_told(wrong: Plugins) -> None:
    def chance(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(20 * torch.frac(1e4 * x) - 10)  # of which the engine makes a cosine

    entry = _entry(lambda x: (2 * x, chance(x)), X / 255, plugins=wrong)
    assert entry["unsure"] == ["output_1"]
    assert entry["cosine"] == pytest.approx(1.0)
    assert _entry(chance, X / 255, plugins=wrong) == {
        "not run": "the model's own results, for inputs moved by a rounding, change as much as the "
        "engine's are off"
    }


def test_names_of_outputs_that_were_not_compared() -> None:
    entry = {"cosine": 1.0, "error": 0.0, "equal": None, "unsure": ["rest"], "not finite": 2}
    assert told(entry) == (
        "cosine 1.000000 to the model, greatest error 0.0e+00, 2 outputs not compared: NaN or "
        "infinite, rest not compared: the model's own results, for inputs moved by a rounding, "
        "change as much"
    )


def test_results_that_are_not_finite_are_not_empty() -> None:
    entry = _entry(lambda x: (torch.log(-1 - x), x))
    assert entry["not finite"] == 1
    assert told(_entry(lambda x: torch.log(-1 - x))) == "1 output not compared: NaN or infinite"


@pytest.fixture(scope="module")
def wrong() -> Plugins:
    return wrong_lowerings.plugins(ops.Sigmoid)


HIDDEN = {
    "beside a constant": lambda x: torch.sigmoid(x) + 100,
    "beside a mask": lambda x: torch.cat((x * torch.finfo(x.dtype).min, torch.sigmoid(x)), 1),
    "beside greater numbers": lambda x: torch.cat((torch.sigmoid(x), 20 * x), 2),
    "beside a good output": lambda x: (x, torch.sigmoid(x)),
}


@pytest.mark.parametrize("function", HIDDEN.values(), ids=HIDDEN)
def test_wrong_engines_are_seen(function: Any, wrong: Plugins) -> None:
    with pytest.raises(SelfCheckError):
        _entry(function, X / 255, plugins=wrong)


def test_integers_that_are_all_others_are_warned_of(wrong: Plugins) -> None:
    text = r"output 'output': .*% of its integers or bools are equal"
    with pytest.warns(ForwardWarning, match=text):
        entry = _entry(lambda x: (torch.sigmoid(x / 100 - 1) * 1000).long(), plugins=wrong)
    assert entry["equal"] < 0.5
    assert np.isfinite(entry["equal"])
