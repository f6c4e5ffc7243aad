"""Padding removed from batches whose length changes: masks that models gather from positions."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("transformers")
from packings import batch, bert, built

from fwd_core.errors import OptionError

LENGTH = ("length", 2, 10, 20)
BATCH = ("batch", 1, 4, 8)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("rows", ["batch", 4, 1])
def test_lengths_may_change(attention: str, rows: Any) -> None:
    model = bert(attn_implementation=attention)
    count = 4 if rows == "batch" else rows
    sizes: dict[int, Any] = {1: LENGTH, **({0: BATCH} if rows == "batch" else {})}
    dynamic = dict.fromkeys(("input_ids", "attention_mask"), sizes)
    engine = built(model, batch((10, 3, 7, 1)[:count]), dynamic=dynamic)
    for lengths, longest in (((17, 4, 9, 20)[:count], 20), ((2, 5, 5, 1)[:count], 6)):
        ids, mask = batch(lengths, longest)
        with torch.no_grad():
            expected = model(ids, mask).last_hidden_state
        found = engine(ids, mask)["last_hidden_state"]
        real = mask.bool()
        torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=1e-4)
        assert not found[~real].any()


@pytest.mark.parametrize(
    ("rows", "shape"), [(None, "[4, 10]"), ({0: ("rows", 1, 4, 8)}, "[rows, 10]")]
)
def test_a_batch_of_the_ids_alone_is_named(rows: Any, shape: str) -> None:
    dynamic = {"input_ids": {0: BATCH}, **({} if rows is None else {"attention_mask": rows})}
    with pytest.raises(OptionError) as told:
        built(bert(), batch(), dynamic=dynamic)
    assert str(told.value) == (
        "variable_length: input 'attention_mask' need not have the batch and length of "
        "'input_ids'\n"
        "  expected: sizes that are fixed in both, or dynamic in both under one name\n"
        f"  got:      attention_mask: int64{shape}, input_ids: int64[batch, 10]\n"
        "  Hint: dynamic={'attention_mask': sizes, 'input_ids': sizes} gives them the same; "
        "or leave variable_length out"
    )
