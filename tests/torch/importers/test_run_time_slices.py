"""Slices from a place that a tensor holds: which take a fixed number of elements."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, ForwardWarning
from fwd_ops_torch.testing import module_from_source

X, START = torch.arange(12.0).reshape(6, 2), torch.tensor(1)


def test_a_warning_says_what_is_taken_for_granted() -> None:
    with pytest.warns(ForwardWarning, match="a slice takes 2 elements from a place that a tensor"):
        graph = importing(scripted(module_from_source("x[i : i + 2]", "x", "i")), (X, START))
    assert graph.outputs[0].type.shape == (2, 2)


@pytest.mark.parametrize(
    "source",
    ["x[i:]", "x[:i]", "x[i : i * 2]", "x[i : i + 2 : 2]", "x[i + 2 : i]", "x[i : i + 7]"],
)
def test_refused_where_the_size_depends_on_data(source: str) -> None:
    with pytest.raises(ConversionError, match="and so would the size of the result") as caught:
        importing(scripted(module_from_source(source, "x", "i")), (X, START))
    assert "no more than there are, by x[start : start + length] with a literal" in str(
        caught.value
    )


def test_refused_of_an_axis_that_may_be_too_short() -> None:
    model = scripted(module_from_source("x[i : i + 2]", "x", "i"))
    with pytest.raises(ConversionError, match="and so would the size of the result"):
        importing(model, (X, START), {"x": {0: ("n", 1, 6, 6)}})
