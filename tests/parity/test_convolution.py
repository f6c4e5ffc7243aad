"""Convolutions against eager torch."""

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

#: Up to 2 channels x 27 taps of products of numbers up to 1: sums reach 54.
TAPS = {
    DType.FLOAT32: Tolerance(1e-5, 5e-5, reason="sums of up to 54 products in another order"),
    DType.FLOAT16: Tolerance(1e-2, 5e-2, reason="torch adds up to 54 products in float16"),
    DType.BFLOAT16: Tolerance(5e-2, 0.5, reason="torch adds up to 54 products in bfloat16"),
}


class Drawn:
    """A convolution's operands and attributes."""

    def __init__(
        self,
        data: st.DataObject,
        spatial: int,
        *,
        same: bool = False,
        batched: bool = False,
        least: int = 0,
    ) -> None:
        pick = data.draw
        self.spatial = spatial
        self.groups = pick(st.sampled_from([1, 1, 2, 3]), label="groups")
        per_in, per_out = pick(st.integers(1, 2), label="in"), pick(st.integers(1, 2), label="out")
        kernel = [pick(st.integers(1, 3), label="kernel") for _ in range(spatial)]
        self.dilation = [pick(st.integers(1, 2), label="dilation") for _ in range(spatial)]
        self.stride = [1 if same else pick(st.integers(1, 3), label="stride")
                       for _ in range(spatial)]  # fmt: skip
        self.padding = [pick(st.integers(0, 2), label="padding") for _ in range(spatial)]
        self.output_padding = [0] * spatial
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, self.dilation, strict=True)]
        image = [r + pick(st.integers(0, 3), label="more") for r in reach]
        batch = pick(st.integers(least, 3), label="batch")
        self.batched = batched or pick(st.integers(0, 3), label="no batch axis at 2") != 2
        dtype = pick(fwd.dtypes(FLOATS), label="dtype")
        lead = (batch,) * self.batched

        def array(name: str, *shape: int) -> Any:
            return draw_array(data, name, dtype, shape, low=-1, high=1)

        self.x = array("x", *lead, per_in * self.groups, *image)
        self.w = array("w", per_out * self.groups, per_in, *kernel)
        self.bias = array("bias", per_out * self.groups)
        self.with_bias = pick(st.booleans(), label="with bias")
        self.constant = pick(st.booleans(), label="constant weight")

    def check(self, data: st.DataObject, call: str) -> None:
        """``call`` has {w} and {b}."""
        batch = ["x"] if self.batched else []
        own = "self." if self.constant else ""
        spelled = call.format(w=f"{own}w", b=f"{own}bias" if self.with_bias else "None")
        more: dict[str, Any] = {"w": self.w, "bias": self.bias}
        given = {"buffers": more} if self.constant else more
        check(data, spelled, x=self.x, batch=batch, tolerance=TAPS, may_raise=True, **given)


class Transposed(Drawn):
    """The same for a transposed convolution, whose weight has the channels of x first."""

    def __init__(self, data: st.DataObject, spatial: int, *, batched: bool = False) -> None:
        super().__init__(data, spatial, batched=batched, least=1)  # torch itself fails at 0
        pick, shape = data.draw, list(self.w.shape)
        channels = shape[1] * self.groups
        # So little that something is left of the result.
        reach = [(k - 1) * d for k, d in zip(shape[2:], self.dilation, strict=True)]
        self.padding = [min(p, r // 2) for p, r in zip(self.padding, reach, strict=True)]
        most = [max(pair) - 1 for pair in zip(self.stride, self.dilation, strict=True)]
        self.output_padding = [pick(st.integers(0, m), label="output_padding") for m in most]
        dtype = DType.of(self.w.dtype)
        maps = shape[0] // self.groups
        self.w = draw_array(data, "w", dtype, (channels, maps, *shape[2:]), low=-1, high=1)


EVEN = "ignore:Using padding='same' with even kernel lengths:UserWarning"


@pytest.mark.filterwarnings(EVEN)
@covers("aten::conv{n}d", n=[1, 2, 3],
        each={"padding": ["sizes", "one", "'same'", "'valid'"]})  # fmt: skip
def test_conv(n: int, padding: str, data: st.DataObject) -> None:
    drawn = Drawn(data, n, same=padding == "'same'")
    given = {"sizes": drawn.padding, "one": drawn.padding[0]}.get(padding, padding)
    stride = drawn.stride[0] if padding == "one" else drawn.stride
    drawn.check(data, f"F.conv{n}d(x, {{w}}, {{b}}, {stride}, {given}, {drawn.dilation}, "
                f"{drawn.groups})")  # fmt: skip


@covers(
    "aten::convolution",
    "aten::_convolution",
    each={"name": ["convolution", "_convolution"], "transposed": [False, True]},
    examples=1.5,
)
def test_convolution(name: str, transposed: bool, data: st.DataObject) -> None:
    spatial = data.draw(st.integers(1, 3), label="spatial")
    drawn = (Transposed if transposed else Drawn)(data, spatial, batched=True)
    more = ""
    if name.startswith("_"):  # files of old versions of torch lack the last one
        is_old = data.draw(st.booleans(), label="old overload")
        more = ", False, False, True" + ("" if is_old else ", True")
    sizes = (f"{drawn.stride}, {drawn.padding}, {drawn.dilation}, {transposed}, "
             f"{drawn.output_padding}")  # fmt: skip
    drawn.check(data, f"torch.{name}(x, {{w}}, {{b}}, {sizes}, {drawn.groups}{more})")


@covers("aten::conv_transpose{n}d", n=[1, 2, 3], each={"one": [False, True]})
def test_conv_transpose(n: int, one: bool, data: st.DataObject) -> None:
    drawn = Transposed(data, n)
    sizes = [drawn.stride, drawn.padding, drawn.output_padding, drawn.dilation]
    if one:
        # torch refuses an empty result, but not of halves on CPUs that compute in these.
        is_half = DType.of(drawn.w.dtype) is not DType.FLOAT32
        padding = min(drawn.padding) if is_half else drawn.padding[0]
        sizes = [drawn.stride[0], padding, 0, drawn.dilation[0]]
    drawn.check(data, f"F.conv_transpose{n}d(x, {{w}}, {{b}}, {sizes[0]}, {sizes[1]}, {sizes[2]}, "
                f"{drawn.groups}, {sizes[3]})")  # fmt: skip


@covers("aten::conv_tbc")
def test_conv_tbc(data: st.DataObject) -> None:
    sizes = fwd.shapes(4, 4, min_size=1, max_size=3)
    batch, channels, maps, kernel = data.draw(sizes, label="sizes")
    pad = data.draw(st.integers(0, 2), label="pad")
    time = kernel + data.draw(st.integers(0, 3), label="more")
    dtype = data.draw(fwd.dtypes(FLOATS), label="dtype")
    x, w, b = (
        draw_array(data, name, dtype, shape, low=-1, high=1)
        for name, shape in (
            ("x", (time, batch, channels)),
            ("w", (kernel, channels, maps)),
            ("b", (maps,)),
        )
    )
    check(data, f"torch.conv_tbc(x, w, b, {pad})", x=x, w=w, b=b, tolerance=TAPS)  # fmt: skip


@pytest.mark.filterwarnings(EVEN)
@covers("aten::_convolution_mode")
def test_convolution_mode(data: st.DataObject) -> None:
    padding = data.draw(st.sampled_from(["same", "valid"]), label="padding")
    spatial = data.draw(st.integers(1, 3), label="spatial")
    drawn = Drawn(data, spatial, same=padding == "same", batched=True)
    sizes = f"{drawn.stride}, '{padding}', {drawn.dilation}, {drawn.groups}"
    drawn.check(data, f"torch._convolution_mode(x, {{w}}, {{b}}, {sizes})")
