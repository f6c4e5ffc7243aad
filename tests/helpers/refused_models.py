"""Models made of text that no import takes, and what the import says."""

from __future__ import annotations

import pytest
import torch
from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import DynamicDims
from fwd_ops_torch.testing import module_from_source


def of(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor of ones."""
    return torch.ones(shape, dtype=dtype)


def refusal(source: str, given: list[torch.Tensor], dynamic: DynamicDims | None = None) -> str:
    """What the import of an expression of ``x`` and ``y`` raises."""
    names = ["x", "y"][: len(given)]
    model = scripted(module_from_source(source, *names))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given, dynamic)
    return str(caught.value)
