"""Converters of padding against eager torch: exactly equal."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, check, covers, draw_array, operand

from fwd_core.testing import EXACT
from fwd_core.testing import strategies as fwd

DTYPES = ANY[:1] + ANY  # float32 most often
NUMBERS = DTYPES[:-1]


def padded(
    data: st.DataObject, call: str, x: Any, batched: bool = False, circular: bool = False
) -> None:
    # torch decomposes circular padding into writes to memory that is not initialized.
    check(data, call, x=x, batch=["x"] if batched else [], tolerance=EXACT, may_raise=True,
          decompose=not circular)  # fmt: skip


@covers("aten::constant_pad_nd")
def test_constant_pad_nd(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
    pads = constant(data, shape)
    value = data.draw(st.sampled_from([0, 2, 1.5, -1]), label="value")
    x = operand(data, "x", DTYPES, shape)
    padded(data, f"torch.constant_pad_nd(x, {pads}, {value})", x)


def constant(data: st.DataObject, shape: tuple[int, ...]) -> list[int]:
    """Torch lists pairs from the last axis backwards, and may leave out the first axes."""
    pairs = data.draw(fwd.pads(shape, negative=True), label="pads")
    kept = data.draw(st.integers(0, len(shape)), label="padded axes")
    return [pad for pair in reversed(pairs[len(shape) - kept :]) for pad in pair]


class Drawn:
    """An operand and pads of some of its last axes."""

    def __init__(self, data: st.DataObject, spatial: int, dtypes: Any = NUMBERS) -> None:
        self.batched = data.draw(st.booleans(), label="batched")
        lead = data.draw(fwd.shapes(1 + self.batched, 1 + self.batched, min_size=1), label="lead")
        image = data.draw(fwd.shapes(spatial, spatial, min_size=1, max_size=4), label="image")
        pairs = data.draw(fwd.pads(image, 2, negative=True), label="pads")
        self.pads = [pad for pair in reversed(pairs) for pad in pair]
        self.x = operand(data, "x", dtypes, (*lead, *image))


@covers("aten::pad", each={"mode": ["constant", "reflect", "replicate", "circular"]}, examples=1.2)
def test_pad(mode: str, data: st.DataObject) -> None:
    if mode == "constant":
        shape = data.draw(fwd.shapes(1, 4, min_size=1), label="shape")
        value = data.draw(st.sampled_from([None, 0.0, 2.0, 1.5]), label="value")
        call = f"F.pad(x, {constant(data, shape)}, 'constant', {value})"
        padded(data, call, operand(data, "x", DTYPES, shape))
        return
    p = around(data, mode, data.draw(st.integers(1, 3), label="axes"))
    padded(data, f"F.pad(x, {p.pads}, '{mode}')", p.x, p.batched, mode == "circular")


def around(data: st.DataObject, mode: str, spatial: int) -> Drawn:
    p = Drawn(data, spatial, NUMBERS if mode != "circular" else DTYPES)
    if mode == "circular":  # beyond one turn torch repeats elements that it has not yet written
        for axis, size in enumerate(reversed(p.x.shape[-spatial:])):
            pair = p.pads[2 * axis : 2 * axis + 2]
            left = size + sum(min(pad, 0) for pad in pair)
            p.pads[2 * axis : 2 * axis + 2] = [min(pad, left) for pad in pair]
    return p


@covers("aten::_pad_enum", each={"mode": [0, 1, 2, 3]},
        fixed={"value": "for mode 3 only, as in test_pad"})  # fmt: skip
def test_pad_enum(mode: int, data: st.DataObject) -> None:
    name = ["reflect", "replicate", "circular", "constant"][mode]
    p = around(data, name, data.draw(st.integers(1, 3), label="axes"))
    value = 1.5 if mode == 3 else None
    padded(
        data,
        f"torch.ops.aten._pad_enum(x, {p.pads}, {mode}, {value})",
        p.x,
        p.batched,
        name == "circular",
    )


@covers("aten::{name}_pad{n}d", name=["reflection", "replication"], n=[1, 2, 3])
def test_pad_by_elements(name: str, n: int, data: st.DataObject) -> None:
    p = Drawn(data, n)
    padded(data, f"torch.ops.aten.{name}_pad{n}d(x, {p.pads})", p.x, p.batched)


@covers("aten::_pad_circular")
def test_pad_circular(data: st.DataObject) -> None:
    p = around(data, "circular", data.draw(st.integers(1, 3), label="axes"))
    padded(data, f"torch.ops.aten._pad_circular(x, {p.pads})", p.x, p.batched, True)


@covers("aten::pad_sequence")
def test_pad_sequence(data: st.DataObject) -> None:
    rest = data.draw(fwd.shapes(0, 2, max_size=3), label="sizes")
    dtype = data.draw(fwd.dtypes(ANY), label="dtype")
    inputs = {
        name: draw_array(data, name, dtype, (data.draw(st.integers(0, 4), label="rows"), *rest))
        for name in "xyz"[: data.draw(st.integers(1, 3), label="sequences")]
    }
    first, value = data.draw(st.booleans()), data.draw(st.sampled_from([0.0, -1.0, 1.5]))
    side = data.draw(st.sampled_from(["left", "right"]), label="padding_side")
    call = f"torch._C._nn.pad_sequence([{', '.join(inputs)}], {first}, {value}, '{side}')"
    batch = [data.draw(st.sampled_from(list(inputs)), label="dynamic")]
    # What torch decomposes it to holds for one order of the lengths, and no bound says so.
    check(data, call, **inputs, batch=batch, tolerance=EXACT, may_raise=True, decompose=False)
