"""What converters of functions of one tensor and of activations refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_ops_torch.testing import module_from_source

F32, F16, I64, BOOL = torch.float32, torch.float16, torch.int64, torch.bool


def of(*shape: int, dtype: torch.dtype = F32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


PRELU = "F.prelu(x, y)"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "round of bool": ("torch.round(x)", [of(2, dtype=BOOL)], "round: not for bool"),
    "round of integers": (
        "torch.round(x, decimals=1)", [of(2, dtype=I64)], "round: not for int64"
    ),
    "trunc of bool": ("torch.trunc(x)", [of(2, dtype=BOOL)], "trunc: not for bool"),
    "frac of integers": ("torch.frac(x)", [of(2, dtype=I64)], "frac: floats only"),
    "positive of bool": ("torch.positive(x)", [of(2, dtype=BOOL)], "positive: not for bool"),
    "elu of integers": ("F.elu(x)", [of(2, dtype=I64)], "elu: floats only"),
    "celu": ("torch.celu(x, 0.0)", [of(2)], "celu: alpha must not be 0"),
    "glu of a number": ("torch.ops.aten.glu(x, 0)", [of()], "glu: a 0-d tensor has no halves"),
    "glu of an odd size": (
        "F.glu(x, 1)", [of(2, 3)], r"glu: the size must be even.*float32\[2, 3\], dim 1"
    ),
    "threshold of bool": (
        "F.threshold(x, 0.5, 0.0)", [of(2, dtype=BOOL)], "threshold: not for bool"
    ),
    "softshrink": ("F.softshrink(x, -0.5)", [of(2)], "lambd must not be negative.*-0.5"),
    "prelu of two dtypes": (PRELU, [of(2), of(1, dtype=F16)], "self and weight are of one dtype"),
    "prelu by a matrix": (PRELU, [of(2, 2), of(2, 2)], "prelu: weight has at most 1 axis"),
    "prelu by channels": (
        PRELU, [of(2, 3, 4), of(4)], "one slope, or one per channel.*expected: 3"
    ),
    "prelu of a number": (PRELU, [of(), of(2)], "one slope, or one per channel"),
    "rrelu": (
        "F.rrelu(x, 0.1, 0.3, True)", [of(2)], "argument 'training' .*slopes in training mode are"
    ),
    "rrelu bounds": ("F.rrelu(x, 0.5, 0.1)", [of(2)], "lower must not be above upper.*0.5, 0.1"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    model = scripted(module_from_source(source, *["x", "y"][: len(given)]))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given)
    assert re.search(text, str(caught.value), re.DOTALL)


def test_a_batch_that_may_be_odd_has_no_halves() -> None:
    model = scripted(module_from_source("F.glu(x, 0)", "x"))
    with pytest.raises((ConversionError, UnsupportedModelError), match="the size must be even"):
        importing(model, [of(4, 2)], {"x": {0: ("batch", 1, 2, 4)}})
