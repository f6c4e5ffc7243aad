"""Example inputs of exported programs: nesting, dicts in another order, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import importing

import forward
from fwd_core.errors import ConversionError, InputError

X, Y = torch.randn(2, 3), torch.randn(2, 3)


class Nested(nn.Module):
    def forward(
        self, pair: tuple[Tensor, list[Tensor]], named: dict[str, Tensor], n: int
    ) -> Tensor:
        return pair[0] - 2 * pair[1][0] + 3 * named["x"] * n - 5 * named["y"]


INPUTS: tuple[Any, ...] = ((X, [Y]), {"x": X, "y": Y}, 7)


def program() -> torch.export.ExportedProgram:
    return torch.export.export(Nested().eval(), INPUTS)


def test_dicts_in_another_order_meet_their_own_placeholders() -> None:
    turned = (INPUTS[0], {"y": Y, "x": X}, 7)
    engine = forward.build(program(), turned, backend="openvino")
    torch.testing.assert_close(engine(*INPUTS), Nested()(*INPUTS))


@pytest.mark.parametrize(
    ("position", "value", "text"),
    [
        (
            0,
            (X, Y),
            r"'pair' .*\n  expected: \(tensor, \[tensor\]\)\n  got:      \(tensor, tensor\)",
        ),
        (
            0,
            [X, [Y]],
            r"'pair' .*\n  expected: \(tensor, \[tensor\]\)\n  got:      \[tensor, \[ten",
        ),
        (0, X, r"'pair' .*\n  expected: \(tensor, \[tensor\]\)\n  got:      a tensor, float32"),
        (0, (X, [Y, Y]), r"'pair' is not nested as the exported program takes it"),
        (1, {"x": X}, "'named' is not nested as .*\n  expected: {'x': tensor, 'y': tensor}\n"),
        (1, {"x": X, "z": Y}, "'named' is not nested as the exported program takes it"),
        (1, [X, Y], "'named' is not nested as the exported program takes it"),
        (2, [7], r"'n' is not nested as .*\n  expected: tensor\n  got:      \[tensor\]"),
    ],
)
def test_other_nesting(position: int, value: Any, text: str) -> None:
    inputs = (*INPUTS[:position], value, *INPUTS[position + 1 :])
    with pytest.raises(InputError, match=f"example input {text}") as caught:
        importing(program(), inputs)
    assert "Hint: engines take tensors in tuples, lists and dicts" in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        (((3, [Y]), {"x": X, "y": Y}, 7), "input 'pair' nests tensors with other values"),
        (
            ((3, [4]), {"x": X, "y": Y}, 7),
            "example input 'pair' does not fit the exported program\n"
            r"  expected: a tensor, float32\[2, 3\]\n  got:      int 3",
        ),
        (
            (INPUTS[0], INPUTS[1], X),
            "example input 'n' does not fit the exported program\n"
            r"  expected: int 7\n  got:      a tensor, float32\[2, 3\]",
        ),
        ((INPUTS[0], INPUTS[1], 8), "input 'n' was fixed .*\n  expected: 7\n  got:      8"),
    ],
)
def test_other_values(inputs: tuple[Any, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        importing(program(), inputs)


def test_none_was_fixed_too() -> None:
    class Masked(nn.Module):
        def forward(self, x: Tensor, mask: Optional[Tensor]) -> Tensor:
            return x if mask is None else x * mask

    unmasked = torch.export.export(Masked().eval(), (X, None))
    importing(unmasked, (X, None))
    for given, text in (
        (3, "input 'mask' was fixed when .*\n  expected: None\n  got:      3"),
        (Y, "example input 'mask' does not fit the exported program\n  expected: NoneType None"),
    ):
        with pytest.raises(InputError, match=text):
            importing(unmasked, (X, given))
    masked = torch.export.export(Masked().eval(), (X, Y))
    with pytest.raises(InputError, match=r"expected: a tensor, float32\[2, 3\]\n  got:      NoneT"):
        importing(masked, (X, None))


@dataclass
class Box:
    x: Tensor


torch.export.register_dataclass(Box, serialized_type_name="forward.tests.Box")


def test_other_containers() -> None:
    class Unboxes(nn.Module):
        def forward(self, box: Box) -> Tensor:
            return box.x + 1

    class Boxes(nn.Module):
        def forward(self, x: Tensor) -> Box:
            return Box(x + 1)

    takes = torch.export.export(Unboxes().eval(), (Box(X),))
    for model in (takes, Unboxes().eval()):
        with pytest.raises(
            InputError,
            match="example input '.*' is not nested as the exported program takes it\n"
            "  expected: Box\n  got:      Box ",
        ):
            importing(model, (Box(X),))
    with pytest.raises(
        ConversionError,
        match="the model returns a Box, which is no tuple, list or dict\n  Hint: return a tuple",
    ):
        importing(torch.export.export(Boxes().eval(), (X,)), (X,))
