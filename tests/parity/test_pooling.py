"""Pooling against eager torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import strategies as fwd

NUMBERS = (*FLOATS, DType.INT64, DType.INT32, DType.UINT8)


class Drawn:
    """A pool's operand and attributes."""

    def __init__(self, data: st.DataObject, spatial: int, dtypes: Sequence[DType]) -> None:
        pick = data.draw
        self.kernel = [pick(st.integers(1, 3), label="kernel") for _ in range(spatial)]
        self.dilation = [pick(st.integers(1, 2), label="dilation") for _ in range(spatial)]
        self.padding = [pick(st.integers(0, k // 2), label="padding") for k in self.kernel]
        stride = [pick(st.integers(1, 3), label="stride") for _ in range(spatial)]
        self.stride = pick(st.sampled_from([stride, stride, []]), label="stride or none")
        self.ceil = pick(st.booleans(), label="ceil_mode")
        image = [(k - 1) * d + 1 + pick(st.integers(0, 4), label="more")
                 for k, d in zip(self.kernel, self.dilation, strict=True)]  # fmt: skip
        self.batched = pick(st.integers(0, 3), label="no batch axis at 2") != 2
        lead = [pick(st.integers(1, 3), label="batch or channels") for _ in range(self.batched + 1)]
        self.x: Any = operand(data, "x", dtypes, (*lead, *image))

    @property
    def batch(self) -> list[str]:
        return ["x"] if self.batched else []


@covers("aten::max_pool{n}d", n=[1, 2, 3])
def test_max_pool(n: int, data: st.DataObject) -> None:
    p = Drawn(data, n, NUMBERS if n > 1 else FLOATS)  # torch's CPU has no more kernels
    call = f"torch.max_pool{n}d(x, {p.kernel}, {p.stride}, {p.padding}, {p.dilation}, {p.ceil})"
    check(data, call, x=p.x, batch=p.batch, may_raise=True)


@covers("aten::max_pool{n}d_with_indices", n=[2, 3])
def test_max_pool_with_indices(n: int, data: st.DataObject) -> None:
    p = Drawn(data, n, NUMBERS)
    call = (f"torch.ops.aten.max_pool{n}d_with_indices(x, {p.kernel}, {p.stride}, {p.padding}, "
            f"{p.dilation}, {p.ceil})[0]")  # fmt: skip
    check(data, call, x=p.x, batch=p.batch, may_raise=True)


@covers(
    "aten::avg_pool{n}d",
    n=[1, 2, 3],
    fixed={"divisor_override": "other values are refused, see the tests of importers"},
)
def test_avg_pool(n: int, data: st.DataObject) -> None:
    p = Drawn(data, n, FLOATS if n < 3 else FLOATS[:1])  # torch's CPU has no more kernels
    include = data.draw(st.booleans(), label="count_include_pad")
    call = f"F.avg_pool{n}d(x, {p.kernel}, {p.stride}, {p.padding}, {p.ceil}, {include})"
    check(data, call.replace("[],", "None,") if n > 1 else call, x=p.x, batch=p.batch,
          may_raise=True)  # fmt: skip


@covers("aten::adaptive_avg_pool{n}d", n=[1, 2, 3])
def test_adaptive_avg_pool(n: int, data: st.DataObject) -> None:
    adaptive(data, f"F.adaptive_avg_pool{n}d(x, {{sizes}})", n)


@covers("aten::_adaptive_avg_pool{n}d", n=[2, 3])
def test_adaptive_avg_pool_without_a_shortcut(n: int, data: st.DataObject) -> None:
    adaptive(data, f"torch._adaptive_avg_pool{n}d(x, {{sizes}})", n)


def adaptive(data: st.DataObject, call: str, spatial: int) -> None:
    image = data.draw(fwd.shapes(spatial, spatial, min_size=1, max_size=7), label="image")
    sizes = data.draw(fwd.shapes(spatial, spatial, min_size=1, max_size=5), label="output_size")
    batched = data.draw(st.integers(0, 3), label="no batch axis at 2") != 2
    lead = data.draw(fwd.shapes(1 + batched, 1 + batched, min_size=1, max_size=3), label="lead")
    x = operand(data, "x", FLOATS, (*lead, *image))
    check(data, call.format(sizes=list(sizes)), x=x, batch=["x"] if batched else [],
          may_raise=True)  # fmt: skip
