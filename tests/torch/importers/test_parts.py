"""Parts of a dynamic axis whose number is fixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch_models import running, scripted

from fwd_ops_torch.testing import module_from_source

OTHERS = [torch.rand(rows, 3) for rows in (4, 6, 8)]
EVEN = {
    "tensor_split": "x.tensor_split(2, 0)",
    "chunk": "x.chunk(2, 0)",
    "split by a size": "x.split(x.size(0) // 2)",
    "vsplit": "x.vsplit(2)",
}
#: Parts that a range fixes, though they are not even.
FIXED = {
    "tensor_split": "x.tensor_split(3, 0)",
    "chunk": "x.chunk(2, 0)",
    "more than half": "x.split(x.size(0) // 2 + 1)",
    "all": "x.split(x.shape[0])",
    "of a number": "x.split(8)",
}


def parts(source: str, first: torch.Tensor, *others: torch.Tensor, dynamic: Any) -> None:
    module = module_from_source(f"list({source})", "x").eval()
    results = running(scripted(module), [first], *([one] for one in others), dynamic=dynamic)
    for result, x in zip(results, (first, *others), strict=True):
        for got, wanted in zip(result, module(x), strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("source", EVEN.values(), ids=EVEN)
def test_parts_of_a_multiple(source: str) -> None:
    parts(source, *OTHERS, dynamic={"x": {0: ("2*n", 4, 6, 8)}})


@pytest.mark.parametrize("source", FIXED.values(), ids=FIXED)
def test_parts_that_the_range_fixes(source: str) -> None:
    others = [torch.rand(rows, 3) for rows in (4, 5, 7)]
    parts(source, *others, dynamic={"x": {0: ("n", 4, 6, 8)}})
