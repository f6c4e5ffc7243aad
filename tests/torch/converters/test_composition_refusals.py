"""What converters that compose others refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from refused_models import of, refusal

I64, F16, BOOL = torch.int64, torch.float16, torch.bool
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "isin of bool": ("torch.isin(x, y)", [of(2), of(2, dtype=BOOL)], "isin: not for bool.*bool"),
    "isin of truths": ("torch.isin(x, 1)", [of(2, dtype=BOOL)], "isin: not for bool"),
    "cov of more axes": ("torch.cov(x)", [of(2, 3, 4)], "cov: numbers, and two axes or fewer"),
    "corrcoef of bool": ("torch.corrcoef(x)", [of(2, 3, dtype=BOOL)],
                         "corrcoef: numbers, and two axes or fewer"),
    "fweights": ("torch.cov(x, fweights=y)", [of(2, 3), of(3)],
                 "fweights are integers along one axis"),
    "aweights": ("torch.cov(x, aweights=y)", [of(2, 3), of(3, dtype=I64)],
                 "aweights are floats along one axis"),
    "weights": ("torch.cov(x, aweights=y)", [of(2, 3), of(4)],
                "observations and aweights differ.*3.*4"),
    "vander of a matrix": ("torch.vander(x)", [of(2, 3)], "vander: expected one axis"),
    "vander of less": ("torch.vander(x, -1)", [of(2)], "vander: N must not be negative"),
    "vander of half": ("torch.linalg.vander(x)", [of(2, dtype=F16)],
                       "linalg_vander: not for float16"),
    "vander of one": ("torch.linalg.vander(x, N=1)", [of(2)], "linalg_vander: N is 2 at least"),
    "diagonal of a vector": ("x.clone().fill_diagonal_(1)", [of(2)],
                             "fill_diagonal_: 2 axes or more"),
    "diagonal of sizes": ("x.clone().fill_diagonal_(1)", [of(2, 2, 3)],
                          "fill_diagonal_: sizes differ"),
    "sum_to_size": ("x.sum_to_size(2)", [of(2, 3)], "does not broadcast to the tensor's"),
    "sum_to_size of more": ("x.sum_to_size(1, 3)", [of(3)], "does not broadcast to the tensor's"),
    "edge_order": ("torch.gradient(x, edge_order=3)[0]", [of(4)], "edge_order is 1 or 2"),
    "gradient of bool": ("torch.gradient(x)[0]", [of(4, dtype=BOOL)], "gradient: not for bool"),
    "spacings": ("torch.gradient(x, spacing=[y, y])[0]", [of(4), of(4)],
                 "one spacing for all axes, or one for each"),
    "gradient of a point": ("torch.gradient(x)[0]", [of(1)], "at least 2 points along each axis"),
    "gradient twice": ("torch.gradient(x, dim=[0, 0])[0]", [of(4)], "a dimension is repeated"),
    "places": ("torch.gradient(x, spacing=[y])[0]", [of(4), of(3)],
               "gradient: a place for each point.*4 places"),
    "padding_side": ("torch._C._nn.pad_sequence([x, y], False, 0.0, 'up')", [of(2), of(3)],
                     "unknown padding_side.*left, right"),
    "sequences without axes": ("torch._C._nn.pad_sequence([x])", [of()],
                               "one sequence or more, each with an axis"),
    "sequences of ranks": ("torch._C._nn.pad_sequence([x, y])", [of(2, 3), of(3)],
                           "pad_sequence: as many axes in each"),
    "sequences of sizes": ("torch._C._nn.pad_sequence([x, y])", [of(2, 3), of(2, 4)],
                           "sizes after the first differ"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)


def test_a_window_of_whole_numbers() -> None:
    text = refusal(
        "torch.hann_window(x.shape[0], dtype=torch.int64)", [of(3)], {"x": {0: ("n", 1, 3, 4)}}
    )
    assert "hann_window: a window is of floats" in text
