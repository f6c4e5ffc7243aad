"""Normalizations that models write out, and modules of torch that arrive as compositions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import check, covers, draw_array, plugins

from fwd_core.ir import DType
from fwd_core.testing import Tolerance, assert_parity
from fwd_core.testing import strategies as fwd

#: torch's own layers check sizes in Python, which a trace records the outcome of.
pytestmark = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
FLOAT32 = {DType.FLOAT32: Tolerance(2e-4, 2e-4, reason="1/sqrt of small variances magnifies")}


@covers(examples=0.5)
def test_local_response_norm(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(3, 5, min_size=1, max_size=5), label="shape")
    size = data.draw(st.integers(1, 4), label="size")
    alpha, beta, k = (data.draw(st.sampled_from(choices), label=name) for name, choices in (
        ("alpha", [1e-4, 0.5]), ("beta", [0.75, 1.0]), ("k", [1.0, 2.0])))  # fmt: skip
    x = draw_array(data, "x", DType.FLOAT32, shape)
    call = f"F.local_response_norm(x, {size}, {alpha}, {beta}, {k})"
    check(data, call, x=x, batch=["x"], tolerance=FLOAT32)


@covers(examples=0.5, each={"layer": [True, False]})
def test_adaptive_layer_instance_norm(layer: bool, data: st.DataObject) -> None:
    # AdaLIN (Kim et al., 2020) and its ILN, whose scale and shift are parameters.
    size = data.draw(fwd.shapes(2, 2, min_size=2, max_size=4), label="image")
    channels = data.draw(st.integers(1, 3), label="channels")
    x = draw_array(data, "x", DType.FLOAT32, (2, channels, *size))
    parts = {name: draw_array(data, name, DType.FLOAT32, (1, channels, 1, 1), low=0, high=1)
             for name in ("rho", "gamma", "beta")}  # fmt: skip
    axes = "[1, 2, 3]" if layer else "[2, 3]"
    instance = "(x - x.mean([2, 3], True)) / torch.sqrt(torch.var(x, [2, 3], keepdim=True) + 1e-5)"
    other = f"(x - x.mean({axes}, True)) / torch.sqrt(torch.var(x, {axes}, keepdim=True) + 1e-5)"
    call = f"(self.rho * ({instance}) + (1 - self.rho) * ({other})) * self.gamma + self.beta"
    check(data, call, x=x, batch=["x"], buffers=parts, tolerance=FLOAT32)


@covers(examples=0.5)
def test_unit_vectors(data: st.DataObject) -> None:
    shape = data.draw(fwd.shapes(1, 4, min_size=1, max_size=4), label="shape")
    axis = data.draw(fwd.axis(len(shape)), label="dim")
    p = data.draw(st.sampled_from([1.0, 2.0, 3.0, "float('inf')"]), label="p")
    x = draw_array(data, "x", DType.FLOAT32, shape, low=0.5)
    calls = [f"x / torch.norm(x, {p}, {axis}, keepdim=True)",
             f"F.softmin(x, {axis})", "x / x.norm()"]  # fmt: skip
    call = data.draw(st.sampled_from(calls), label="call")
    check(data, call, x=x, batch=["x"] if axis % len(shape) else [], tolerance=FLOAT32)


MODULES = {
    "group_norm": lambda: torch.nn.GroupNorm(2, 4),
    "instance_norm": lambda: torch.nn.InstanceNorm2d(4, affine=True),
    "instance_norm_tracked": lambda: torch.nn.InstanceNorm2d(4, track_running_stats=True),
    "batch_norm_untracked": lambda: torch.nn.BatchNorm2d(4, track_running_stats=False),
    "rms_norm": lambda: torch.nn.RMSNorm(3),
    "local_response_norm": lambda: torch.nn.LocalResponseNorm(2),
    "weight_norm": lambda: torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(4, 2, 2)),
    "old_weight_norm": lambda: _old_weight_norm(torch.nn.Conv2d(4, 2, 2)),
}


def _old_weight_norm(module: torch.nn.Module) -> torch.nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        return torch.nn.utils.weight_norm(module)


@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, 3).numpy()
    dynamic = {"x": {0: ("batch", 1, 2, 2)}} if name != "batch_norm_untracked" else None
    forms = ("traced",) if name == "old_weight_norm" else ("traced", "exported")
    done = assert_parity(
        _Named(MODULES[name]()).eval(), (x,), plugins=plugins(), dynamic=dynamic, forms=forms,
        tolerance=FLOAT32,
    )  # fmt: skip
    assert set(forms) == {form for forms in done.graphs.values() for form in forms}


class _Named(torch.nn.Module):
    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x)
