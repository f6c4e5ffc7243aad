"""Places in the user's model."""

from __future__ import annotations

import pytest

from fwd_core.ir import Frame, Location

USER, OWN = Frame("model.py", 12, "forward"), Frame("torch/nn/linear.py", 134)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (Location(), ""),
        (Location("encoder.0"), "encoder.0"),
        (Location("encoder.0", "aten::linear"), "encoder.0 aten::linear"),
        (Location("", "aten::linear", USER), "aten::linear (model.py:12 in forward)"),
        (Location("e", "", USER, OWN), "e (model.py:12 in forward, from torch/nn/linear.py:134)"),
        (Location("0", "aten::relu"), "module '0' aten::relu"),
        (
            Location("e", "", USER, Frame("/x/lib/site-packages/torch/nn/linear.py", 134)),
            "e (model.py:12 in forward, from torch/nn/linear.py:134)",
        ),
        (Location("e", "", USER, USER), "e (model.py:12 in forward)"),
        (Location("e", "", None, OWN), "e (torch/nn/linear.py:134)"),
        (Location(user=USER), "model.py:12 in forward"),
    ],
)
def test_printed_form(location: Location, text: str) -> None:
    assert str(location) == text


def test_a_node_stands_for_those_that_were_joined() -> None:
    assert Location("conv").nodes("conv") == ("conv",)
    joined = Location("conv", joined=("conv", "bn"))
    assert joined.nodes("bn") == ("conv", "bn")
    assert joined.nodes("bn/float32") == ("bn/float32",)  # a cast behind it
