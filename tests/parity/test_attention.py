"""Attention against eager torch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

SCORES = {
    DType.FLOAT32: Tolerance(1e-4, 1e-5, reason="exp of scores that are summed in another order"),
    DType.FLOAT16: Tolerance(1e-2, 2e-2, reason="scores and weights are float16 in torch"),
    DType.BFLOAT16: Tolerance(6e-2, 0.15, reason="scores and weights are bfloat16 in torch"),
}
MASKS = ("none", "bool", "float", "causal")


@covers(
    "aten::scaled_dot_product_attention",
    fixed={"dropout_p": "dropout is random: refused, see the tests of importers"},
    each={"mask": MASKS, "grouped": [False, True]},
    examples=2,
)
def test_attention(mask: str, grouped: bool, data: st.DataObject) -> None:
    pick = data.draw
    dtype = pick(fwd.dtypes(FLOATS[:1] + FLOATS), label="dtype")
    batch, heads = pick(st.integers(1, 3), label="batch"), pick(st.integers(1, 3), label="heads")
    queries, keys = pick(st.integers(1, 5), label="L"), pick(st.integers(1, 7), label="S")
    features, values = pick(st.sampled_from([1, 4, 16])), pick(st.sampled_from([1, 4, 16]))
    times = pick(st.integers(1, 3), label="times") if grouped else 1
    lead = (batch, heads) if grouped else pick(st.sampled_from([(batch, heads), (batch,), ()]))
    wide = (*lead[:-1], lead[-1] * times) if lead else lead

    def array(name: str, *shape: int) -> Any:
        return draw_array(data, name, dtype, shape, low=-2, high=2)

    given = {
        "q": array("q", *wide, queries, features),
        "k": array("k", *lead, keys, features),
        "v": array("v", *lead, keys, values),
    }
    names = ["q", "k", "v"] if lead else []
    more = ", is_causal=True" if mask == "causal" else ""
    if mask in ("bool", "float"):
        whole = (*wide, queries, keys)
        shape = pick(st.sampled_from([whole, whole[-2:], (*whole[:-2], 1, keys)]), label="mask")
        kind = DType.BOOL if mask == "bool" else dtype
        given["m"] = draw_array(data, "m", kind, shape)
        if kind is DType.BOOL:
            given["m"][..., 0] = True  # torch gives NaN or 0 for rows without any key, by kernel
        names += ["m"] if len(shape) == len(whole) and lead else []
        more = ", attn_mask=m"
    scale = pick(st.sampled_from(["None", "0.5", "1.0"]), label="scale")
    more += f", scale={scale}" + ", enable_gqa=True" * grouped
    call = f"F.scaled_dot_product_attention(q, k, v{more})"
    check(data, call, batch=names, tolerance=SCORES, may_raise=True, **given)
