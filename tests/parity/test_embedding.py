"""Converters of look-ups in tables, against eager torch.

Indices are drawn within range: torch raises for others and a graph cannot.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from index_cases import index
from parity_cases import FLOATS, check, covers, draw_array, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd


@covers("aten::embedding")
def test_embedding(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(0, 5))
    weight = operand(data, "weight", FLOATS, (rows, columns))
    ids = index(data, "ids", rows, data.draw(fwd.shapes(0, 3), label="shape"))
    own = data.draw(st.sampled_from(["F.embedding(ids, self.weight)", "F.embedding(ids, weight)",
                                     "F.embedding(ids, self.weight, padding_idx=0)"]))  # fmt: skip
    if "self" in own:
        check(data, own, ids=ids, buffers={"weight": weight}, batch=["ids"], tolerance=EXACT)
    else:
        check(data, own, ids=ids, weight=weight, tolerance=EXACT)


BAG = "F.embedding_bag(ids, weight{}, mode='{}'{})"


@covers("aten::embedding_bag",
        each={"mode": ["sum", "mean", "max"], "given": ["offsets", "self.at", ""]},
        without={"": "torch calls the other one"}, examples=2)  # fmt: skip
def test_embedding_bag(mode: str, given: str, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 5))
    weight = operand(data, "weight", FLOATS, (rows, columns))
    padded = data.draw(st.sampled_from([None, None, 0, -1]), label="padding_idx")
    more = f", padding_idx={padded}"
    if not given:
        shape = data.draw(fwd.shapes(2, 2, min_size=1, max_size=4), label="shape")
        ids = index(data, "ids", rows, shape)
        call = BAG.format("", mode, more)
        if mode == "sum" and data.draw(st.booleans(), label="weighted"):
            w = draw_array(data, "w", DType.of(weight.dtype), shape)
            check(data, BAG.format("", mode, more + ", per_sample_weights=w"), ids=ids,
                  weight=weight, w=w, batch=["ids", "w"])  # fmt: skip
        else:
            check(data, call, ids=ids, weight=weight, batch=["ids"])
        return
    count = data.draw(st.integers(1, 6), label="count")
    starts = [0, *sorted(data.draw(st.lists(st.integers(0, count), max_size=3), label="starts"))]
    last = data.draw(st.booleans(), label="include_last_offset")
    ids = index(data, "ids", rows, (count,))
    at = np.array([*starts, *([count] if last else [])], ids.dtype)
    call = BAG.format(f", {given}", mode, f"{more}, include_last_offset={last}")
    if given == "offsets":
        check(data, call, ids=ids, weight=weight, offsets=at)
    else:
        check(data, call, ids=ids, weight=weight, buffers={"at": at})


OPERATOR = "torch.ops.aten.{0}(weight, ids, offsets, {1}, {2}, {1}, {3}, {4}{5})[0]"


@covers("aten::embedding_bag", "aten::_embedding_bag", "aten::_embedding_bag_forward_only",
        each={"name": ["embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"]},
        without={"padding_idx": "see above"}, examples=1.5)  # fmt: skip
def test_operators_of_embedding_bag(name: str, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 5))
    weight = operand(data, "weight", FLOATS[:1], (rows, columns))
    mode = data.draw(st.integers(0, 2), label="mode")
    count = data.draw(st.integers(1, 6), label="count")
    starts = [0, *sorted(data.draw(st.lists(st.integers(0, count), max_size=3), label="starts"))]
    last = data.draw(st.booleans(), label="include_last_offset")
    padded = data.draw(st.integers(-1, rows - 1), label="padding_idx")
    ids = index(data, "ids", rows, (count,))
    at = np.array([*starts, *([count] if last else [])], ids.dtype)
    weighted = mode == 0 and data.draw(st.booleans(), label="weighted")
    more = {"w": draw_array(data, "w", DType.FLOAT32, (count,))} if weighted else {}
    call = OPERATOR.format(name, False, mode, "w" if weighted else None, last,
                           f", {padded}" if name.startswith("_") else "")  # fmt: skip
    check(data, call, weight=weight, ids=ids, offsets=at, **more)
