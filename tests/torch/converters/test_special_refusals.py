"""What converters of special functions refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from refused_models import of, refusal

BOOL, F16 = torch.bool, torch.float16
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "mvlgamma of none": ("torch.mvlgamma(x, 0)", [of(2)], "mvlgamma: p is too small.*1 or more"),
    "mvlgamma of bool": ("torch.mvlgamma(x, 1)", [of(2, dtype=BOOL)], "mvlgamma: not for bool"),
    "polygamma": ("torch.polygamma(-1, x)", [of(2)], "polygamma: n is negative.*0 or more"),
    "polygamma of many": ("torch.polygamma(35, x)", [of(2)], "argument 'n' .*35! is no float32"),
    "erfcx": (
        "torch.special.erfcx(x)", [of(2, dtype=F16)], "not for float16.*cast to float32 before it"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)
