"""Operands of different element types, where PyTorch promotes nothing: what to write is told."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError
from fwd_ops_torch.testing import module_from_source

HINT = (
    "PyTorch promotes nothing here: make the operands one type in the model, as x.float() or "
    "x.to(weight.dtype), or give example inputs of the type that the weights have"
)
CASES = {
    "floats": ("x.half() @ y", torch.float32, HINT),
    "integers": ("x.int() @ y", torch.int64, HINT),
    "a layer": ("F.linear(x, y.half())", torch.float32, HINT),
    "an integer among floats": (
        "x @ y.long()",
        torch.float32,
        "give example inputs of float32, as the weights are (--input SHAPE:float32)",
    ),
}


@pytest.mark.parametrize(("source", "dtype", "hint"), CASES.values(), ids=CASES)
def test_what_to_write(source: str, dtype: torch.dtype, hint: str) -> None:
    module = module_from_source(source, "x", "y").eval()
    inputs = (torch.ones(2, 2, dtype=dtype), torch.ones(2, 2, dtype=dtype))
    with pytest.raises(RuntimeError):
        module(*inputs)
    with pytest.raises(ConversionError) as caught:
        importing(scripted(module), inputs)
    assert caught.value.what.endswith("operands need one element type")
    assert caught.value.hint == hint
    assert "Cast" not in str(caught.value)
