"""Converters that move elements between spatial axes and channels, against eager torch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, QUICK, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT, Tolerance
from fwd_core.testing import strategies as fwd

DTYPES = ANY[:1] + ANY  # float32 most often
SUMS = {
    DType.FLOAT32: Tolerance(1e-5, 1e-5, reason="sums of up to 9 numbers in another order"),
    DType.FLOAT16: Tolerance(4e-3, 2e-2, reason="torch adds up to 9 numbers in float16"),
    DType.BFLOAT16: Tolerance(3e-2, 2e-1, reason="torch adds up to 9 numbers in bfloat16"),
}


@covers("aten::pixel_{name}shuffle", name=["", "un"])
def test_pixel_shuffle(name: str, data: st.DataObject) -> None:
    factor = data.draw(st.integers(1, 3), label="factor")
    shape = list(data.draw(fwd.shapes(3, 5, min_size=1, max_size=3), label="shape"))
    for axis in (-1, -2) if name else (-3,):
        whole = data.draw(st.integers(0, 5), label="whole unless 5") != 5
        shape[axis] *= (factor if name else factor * factor) if whole else 1
    batch = ["x"] if len(shape) > 3 else []
    check(data, f"F.pixel_{name}shuffle(x, {factor})", x=operand(data, "x", DTYPES, tuple(shape)),
          batch=batch, tolerance=EXACT, may_raise=True)  # fmt: skip


@covers("aten::channel_shuffle", "aten::native_channel_shuffle",
        each={"name": ["", "native_"]}, examples=1.5)  # fmt: skip
def test_channel_shuffle(name: str, data: st.DataObject) -> None:
    groups = data.draw(st.integers(1, 3), label="groups")
    shape = list(data.draw(fwd.shapes(3, 5, max_size=3), label="shape"))
    shape[1] *= groups if data.draw(st.integers(0, 5), label="whole unless 5") != 5 else 1
    x = operand(data, "x", DTYPES, tuple(shape))
    # torch.export does not take the native one.
    forms = QUICK[:2] if name else QUICK
    check(data, f"torch.{name}channel_shuffle(x, {groups})", x=x, batch=["x"], forms=forms,
          tolerance=EXACT, may_raise=True, decompose=not name)  # fmt: skip


class Drawn:
    """Windows of an image."""

    def __init__(self, data: st.DataObject) -> None:
        pick = data.draw
        self.kernel, self.dilation, self.stride = (
            [pick(st.integers(1, most), label=name) for _ in range(2)]
            for name, most in (("kernel", 3), ("dilation", 2), ("stride", 3))
        )
        self.padding = [pick(st.integers(0, 2), label="padding") for _ in range(2)]
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        self.image = [r + pick(st.integers(0, 3), label="more") for r in reach]
        self.batched = pick(st.booleans(), label="batched")
        self.lead = pick(fwd.shapes(1 + self.batched, 1 + self.batched, min_size=1, max_size=3))
        listed = zip(self.image, self.padding, reach, self.stride, strict=True)
        self.windows = 1
        for size, p, r, s in listed:
            self.windows *= (size + 2 * p - r) // s + 1

    @property
    def geometry(self) -> str:
        return f"{self.kernel}, {self.dilation}, {self.padding}, {self.stride}"


@covers("aten::im2col")
def test_im2col(data: st.DataObject) -> None:
    p = Drawn(data)
    x = operand(data, "x", (*FLOATS, DType.BOOL), (*p.lead, *p.image))
    check(data, f"F.unfold(x, {p.geometry})", x=x, batch=["x"] if p.batched else [],
          tolerance=EXACT)  # fmt: skip


@covers("aten::col2im")
def test_col2im(data: st.DataObject) -> None:
    p = Drawn(data)
    rows = p.lead[-1] * p.kernel[0] * p.kernel[1]
    x = operand(data, "x", FLOATS, (*p.lead[:-1], rows, p.windows))
    # torch decomposes it into writes by index.
    check(data, f"F.fold(x, {p.image}, {p.geometry})", x=x, batch=["x"] if p.batched else [],
          tolerance=SUMS, decompose=False)  # fmt: skip
