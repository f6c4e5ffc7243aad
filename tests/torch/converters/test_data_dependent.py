"""Operators whose result has a size that depends on data are refused by name, with a way round."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import UnsupportedModelError
from fwd_ops_torch.importers.problems import NEVER
from fwd_ops_torch.testing import module_from_source

X, MASK = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([True, False, True])
COUNTS = torch.tensor([1, 0, 2])
SIZE = "the size of its result depends on data"
#: Expression, the operator that is named, and words of the reason and of the hint.
REFUSED = {
    "nonzero": ("torch.nonzero(x)", "aten::nonzero", SIZE, "torch.where with three"),
    "nonzero as tuple": ("torch.where(x)[0]", "aten::where", "depends on data", "where"),
    "argwhere": ("torch.argwhere(x)", "aten::argwhere", SIZE, "torch.where with three"),
    "masked_select": ("x.masked_select(m)", "aten::masked_select", SIZE, "multiply by the mask"),
    "unique": ("torch._unique2(x)[0]", "aten::_unique2", SIZE, "keep duplicates"),
    "unique of an axis": (
        "torch.ops.aten.unique_dim(x, 0)[0]", "aten::unique_dim", SIZE, "duplicates"
    ),
    "unique in a row": (
        "torch.unique_consecutive(x)[0]", "aten::unique_consecutive", SIZE, "duplicates"
    ),
    "bincount": ("torch.bincount(n)", "aten::bincount", SIZE, "scatter_add"),
    "histogram": (
        "torch.histogram(x)[0]", "aten::histogram", "counts values in bins", "torch.histc"
    ),
    "mask": ("x[m]", "aten::index", "a bool mask gives a result whose size", "torch.where"),
    "several values by a mask": (
        "torch.index_put(x, [m], x[:2])", "aten::index_put", "how many values it takes", "where"
    ),
    "repeats": (
        "torch.repeat_interleave(x, n)", "aten::repeat_interleave", "size of the result",
        "as output_size",
    ),
    "split": ("x.tensor_split(n)[0]", "aten::tensor_split", "sizes of the parts", "at numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "name", "reason", "hint"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(source: str, name: str, reason: str, hint: str) -> None:
    model = scripted(module_from_source(source, "x", "m", "n"))
    with pytest.raises(UnsupportedModelError) as caught:
        importing(model, (X, MASK, COUNTS))
    (problem,) = (one for one in caught.value.problems if one.operator == name)
    assert reason in problem.reason
    assert hint in problem.hint


def test_a_mask_of_several_problems_is_listed_with_its_line() -> None:
    model = scripted(module_from_source("x[m].sum() + x.masked_select(m).sum()", "x", "m"))
    with pytest.raises(UnsupportedModelError, match="2 operators of 2 kinds") as caught:
        importing(model, (X, MASK))
    assert all(problem.places for problem in caught.value.problems)


def test_all_are_operators_of_torch_with_a_reason_and_a_hint() -> None:
    for name, (reason, hint) in NEVER.items():
        assert torch._C._jit_get_schemas_for_operator(name), name
        assert reason, name
        assert hint, name
