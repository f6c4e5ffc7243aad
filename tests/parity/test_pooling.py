"""Pooling against eager torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import given, settings
from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, operand, plugins

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

NUMBERS = (*FLOATS, DType.INT64, DType.INT32, DType.UINT8)


SUMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="sums and roots of up to 27 numbers"),
    DType.FLOAT16: Tolerance(4e-3, 4e-3, reason="the mean is rounded before it is a sum again"),
    DType.BFLOAT16: Tolerance(3e-2, 3e-2, reason="the mean is rounded before it is a sum again"),
}
NOT_OF_LP = ("padding", "count_include_pad", "divisor_override")


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
        # With ceil_mode a window may be longer than all there is, by less than a stride.
        short = self.ceil and pick(st.booleans(), label="short")
        more = st.integers(-2, 1) if short else st.integers(0, 4)
        image = [(k - 1) * d + 1 - 2 * p * short + pick(more, label="more")
                 for k, d, p in zip(self.kernel, self.dilation, self.padding,
                                    strict=True)]  # fmt: skip
        # Windows without any element, whose taps lie in padding on both sides, are refused.
        least = [d if p else 1 for d, p in zip(self.dilation, self.padding, strict=True)]
        image = list(map(max, image, least))
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


@covers("aten::max_pool{n}d_with_indices", n=[1, 2, 3], each={"results": ["", "[1]"]})
def test_max_pool_with_indices(n: int, results: str, data: st.DataObject) -> None:
    p = Drawn(data, n, NUMBERS)
    call = (f"torch.ops.aten.max_pool{n}d_with_indices(x, {p.kernel}, {p.stride}, {p.padding}, "
            f"{p.dilation}, {p.ceil}){results}")  # fmt: skip
    check(data, call, x=p.x, batch=p.batch, may_raise=True)


@covers("aten::max_unpool{n}d", n=[2, 3])
def test_max_unpool(n: int, data: st.DataObject) -> None:
    """Of places drawn, no two of which are one in an image."""
    pick = data.draw
    image = pick(fwd.shapes(n, n, min_size=1, max_size=3), label="image")
    sizes = [size + pick(st.integers(0, 2), label="more") for size in image]
    batched = pick(st.booleans(), label="batched")
    lead = pick(fwd.shapes(1 + batched, 1 + batched, min_size=1, max_size=3), label="lead")
    x = operand(data, "x", FLOATS, (*lead, *image))
    rng = np.random.default_rng(pick(st.integers(0, 99), label="places"))
    total, count = math.prod(sizes), math.prod(image)
    rows = [rng.permutation(total)[:count] for _ in range(math.prod(lead))]
    indices = np.array(rows, np.int64).reshape(x.shape)
    stride, padding = ([pick(st.integers(least, 2))] * n for least in (1, 0))
    more = f", {stride}, {padding}" if n == 3 else ""
    check(data, f"torch.ops.aten.max_unpool{n}d(x, indices, {sizes}{more})", x=x, indices=indices,
          batch=["x", "indices"] if batched else [])  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@given(data=st.data())
@settings(max_examples=4)
def test_pooling_and_back(n: int, data: st.DataObject) -> None:
    """Pooling with indices, and torch's own function that undoes it."""
    kernel = [data.draw(st.integers(1, 3), label="kernel") for _ in range(n)]
    stride = [data.draw(st.sampled_from([k, k, max(k - 1, 1)]), label="stride") for k in kernel]
    image = [k + data.draw(st.integers(0, 4), label="more") for k in kernel]
    x = operand(data, "x", FLOATS[:1], (data.draw(st.integers(1, 3)), 2, *image))
    # Without a size, torch's is that of the windows, and no index may lie outside of it.
    covered = [(i - k) // s * s + k for i, k, s in zip(image, kernel, stride, strict=True)]
    sized = covered != image or data.draw(st.booleans(), label="output_size")
    size = f", output_size={image}" if sized else ""
    source = (f"y, i = F.max_pool{n}d(x, {kernel}, {stride}, return_indices=True)\n"
              f"return F.max_unpool{n}d(y, i, {kernel}, {stride}{size})")  # fmt: skip
    check(data, source, x=x, batch=["x"])


@covers("aten::avg_pool1d")
def test_avg_pool1d(data: st.DataObject) -> None:
    p = Drawn(data, 1, FLOATS)
    include = data.draw(st.booleans(), label="count_include_pad")
    call = f"F.avg_pool1d(x, {p.kernel}, {p.stride}, {p.padding}, {p.ceil}, {include})"
    check(data, call, x=p.x, batch=p.batch, may_raise=True)


@covers("aten::avg_pool{n}d", n=[2, 3], each={"divisor": ["None", "3", "-2"]},
        examples=1.5)  # fmt: skip
def test_avg_pool(n: int, divisor: str, data: st.DataObject) -> None:
    p = Drawn(data, n, FLOATS if n < 3 else FLOATS[:1])  # torch's CPU has no more kernels
    include = data.draw(st.booleans(), label="count_include_pad")
    call = (f"F.avg_pool{n}d(x, {p.kernel}, {p.stride or None}, {p.padding}, {p.ceil}, {include}, "
            f"{divisor})")  # fmt: skip
    check(data, call, x=p.x, batch=p.batch, tolerance=SUMS, may_raise=True)


@pytest.mark.skipif("aten::sign" not in plugins().converters, reason="lp_pool needs aten::sign")
@covers("aten::avg_pool{n}d", n=[1, 2],
        fixed=dict.fromkeys(NOT_OF_LP, "lp_pool has none of it"))  # fmt: skip
def test_lp_pool(n: int, data: st.DataObject) -> None:
    p = Drawn(data, n, FLOATS[:1])
    power = data.draw(st.sampled_from([2.0, 3.0]), label="norm_type")
    call = (f"F.lp_pool{n}d(x, {power}, {p.kernel[0]}, {p.stride[0] if p.stride else None}, "
            f"{p.ceil})")  # fmt: skip
    x = abs(p.x) + 0.5  # torch's root of a sum near zero has no digits
    check(data, call, x=x, batch=p.batch, tolerance=SUMS, may_raise=True)


@covers("aten::adaptive_avg_pool{n}d", n=[1, 2, 3])
def test_adaptive_avg_pool(n: int, data: st.DataObject) -> None:
    adaptive(data, f"F.adaptive_avg_pool{n}d(x, {{sizes}})", n)


@covers("aten::_adaptive_avg_pool{n}d", n=[2, 3])
def test_adaptive_avg_pool_without_a_shortcut(n: int, data: st.DataObject) -> None:
    adaptive(data, f"torch._adaptive_avg_pool{n}d(x, {{sizes}})", n)


@covers("aten::adaptive_max_pool{n}d", n=[1, 2, 3], each={"results": ["", "[1]"]})
def test_adaptive_max_pool(n: int, results: str, data: st.DataObject) -> None:
    adaptive(data, f"torch.ops.aten.adaptive_max_pool{n}d(x, {{sizes}}){results}", n)


def adaptive(data: st.DataObject, call: str, spatial: int) -> None:
    image = data.draw(fwd.shapes(spatial, spatial, min_size=1, max_size=7), label="image")
    sizes = data.draw(fwd.shapes(spatial, spatial, min_size=1, max_size=5), label="output_size")
    batched = data.draw(st.integers(0, 3), label="no batch axis at 2") != 2
    lead = data.draw(fwd.shapes(1 + batched, 1 + batched, min_size=1, max_size=3), label="lead")
    x = operand(data, "x", FLOATS, (*lead, *image))
    check(data, call.format(sizes=list(sizes)), x=x, batch=["x"] if batched else [],
          may_raise=True)  # fmt: skip
