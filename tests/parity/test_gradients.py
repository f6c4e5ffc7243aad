"""Derivatives along axes against eager torch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import FLOATS, QUICK, check, covers, operand

from fwd_core.ir import DType
from fwd_core.testing import Tolerance
from fwd_core.testing import strategies as fwd

SLOPES = {
    DType.FLOAT32: Tolerance(2e-5, 2e-5, reason="differences that cancel, in another order"),
    DType.FLOAT16: Tolerance(2e-2, 5e-2, reason="torch rounds every step to float16"),
    DType.BFLOAT16: Tolerance(8e-2, 5e-1, reason="torch rounds every step to bfloat16"),
}
CALLS = ["", "spacing={h}", "dim={dim}", "dim={dims}", "spacing={h}, dim={dim}",
         "spacing={h}, dim={dims}", "spacing=[{all_h}]", "spacing=[{h}], dim={dim}",
         "spacing=[{some_h}], dim={dims}", "spacing=[{all_p}]", "spacing=[{p}], dim={dim}",
         "spacing=[{some_p}], dim={dims}"]  # fmt: skip


@covers("aten::gradient", each={"spelled": CALLS}, examples=2)
def test_gradient(spelled: str, data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 3, min_size=3, max_size=5), label="shape")
    if data.draw(st.integers(0, 9), label="too few at 9") == 9:
        shape = (*shape[:-1], data.draw(st.integers(0, 2), label="last size"))
    dtypes = (
        (*FLOATS, DType.INT32, DType.BOOL) if "p}" not in spelled else (DType.FLOAT32, DType.INT8)
    )
    x = operand(data, "x", dtypes, shape)
    dims = list(data.draw(fwd.axes(len(shape), 1), label="dims"))
    steps = [data.draw(st.sampled_from([1.0, 2.0, 0.5]), label="step") for _ in shape]
    # Points in order, at least 1/2 apart.
    points = {
        f"p{axis}": np.cumsum(data.draw(fwd.arrays(DType.FLOAT32, (size,), low=0.5, high=2)))
        for axis, size in enumerate(shape)
    }
    told = spelled.format(
        h=steps[0], dim=dims[0], dims=dims, all_h=", ".join(map(str, steps)),
        some_h=", ".join(map(str, steps[: len(dims)])), all_p=", ".join(points),
        p=f"p{dims[0] % len(shape)}",
        some_p=", ".join(f"p{axis % len(shape)}" for axis in dims),
    )  # fmt: skip
    edge_order = data.draw(st.sampled_from([1, 2]), label="edge_order")
    given = {name: one.astype(np.float32) for name, one in points.items() if name in told}
    call = f"torch.gradient(x, {told}{', ' if told else ''}edge_order={edge_order})"
    # TorchScript has no lists of numbers that are ints or floats.
    forms = ["exported"] if "[{" in spelled and "h}]" in spelled else QUICK
    check(data, call, x=x, **given, tolerance=SLOPES, may_raise=True, forms=forms)
