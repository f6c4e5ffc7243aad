"""Engines beside the PyTorch models that they are built of, on OpenVINO."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ov = pytest.importorskip("openvino")

import wrong_lowerings
from machine import needs_half
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch_models import installed, scripted, traced

import forward
from fwd_core import Builder, Plugins
from fwd_core.engine import Engine
from fwd_core.errors import ForwardWarning, SelfCheckError
from fwd_core.ir import TensorType, ops
from fwd_core.ir.dtypes import DType
from fwd_core.quantize import Calibrator
from fwd_ops_torch.importers import jit

X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) - 0.5


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.drop(self.norm(torch.tanh(self.body(x))))
        return result


def _found(model: Any, *inputs: Any, **more: Any) -> Any:
    builder = Builder(backend="openvino", plugins=installed())
    dynamic = more.pop("dynamic", None)
    given = more or inputs
    return builder.build(model, given, dynamic=dynamic).manifest["self check"]


def _require_near(found: Any, equal: float | None = None) -> None:
    assert found["cosine"] == pytest.approx(1.0, abs=1e-6), found
    assert found["error"] < 1e-5
    assert found["equal"] == equal


def _file(model: Any, folder: Path, name: str) -> str:
    path = str(folder / name)
    torch.export.save(model, path) if name.endswith(".pt2") else model.save(path)
    return path


SOURCES: dict[str, Callable[[Path], Any]] = {
    "module": lambda _: Net().eval(),
    "traced": lambda _: traced(Net(), (X,)),
    "traced file": lambda folder: _file(traced(Net(), (X,)), folder, "m.pth"),
    "scripted": lambda _: scripted(Net()),
    "scripted file": lambda folder: _file(scripted(Net()), folder, "m.pth"),
    "exported": lambda _: torch.export.export(Net().eval(), (X,)),
    "exported file": lambda folder: _file(torch.export.export(Net().eval(), (X,)), folder, "m.pt2"),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_kind_of_source(kind: str, tmp_path: Path) -> None:
    _require_near(_found(SOURCES[kind](tmp_path), X))


@pytest.mark.parametrize("kind", ["module", "traced", "scripted", "exported"])
def test_autocast_around_the_build(kind: str, tmp_path: Path) -> None:
    source = SOURCES[kind](tmp_path)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _require_near(_found(source, X))


def test_a_compiled_model() -> None:
    def backend(module: Any, _: Any) -> Any:
        raise AssertionError("a run that is no user's is not worth it")

    _require_near(_found(torch.compile(Net().eval(), backend=backend), X))


def test_a_frozen_script() -> None:
    with jit.quiet():
        frozen = torch.jit.freeze(scripted(Net()))
    _require_near(_found(frozen, X))


def test_parametrized_weights() -> None:
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 8)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(8, 4)),
    ).eval()
    _require_near(_found(model, X))


@pytest.mark.parametrize("kind", SOURCES)
def test_values_that_are_made_up(kind: str, tmp_path: Path) -> None:
    made_up = TensorType(DType.FLOAT32, (4, 6))
    _require_near(_found(SOURCES[kind](tmp_path), made_up))


def test_a_dynamic_batch() -> None:
    _require_near(_found(Net().eval(), X, dynamic={"x": {0: ("batch", 1, 4, 8)}}))


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


class Nested(nn.Module):
    def forward(self, x: Tensor, pair: Pair, scale: float = 2.0) -> dict[str, Any]:
        y = x * scale
        return {
            "z": (y, [y, pair.left - pair.right]),
            "a": {"none": None, "size": x.shape[1], "flag": x > 0, "place": x.argmax(-1)},
            "constant": torch.ones(2, 3),
            "bfloat16": x.to(torch.bfloat16),
            "empty": x[:, :0],
            "sum": x.sum(),
        }


@pytest.mark.parametrize("export", [False, True])
def test_nested_inputs_and_outputs(export: bool) -> None:
    inputs = (X, Pair(X + 1, X.flip(0)), 3.0)
    model = Nested().eval()
    _require_near(_found(torch.export.export(model, inputs) if export else model, *inputs), 1.0)


def test_nested_outputs_of_a_script() -> None:
    class Module(nn.Module):
        def forward(self, x: Tensor, y: list[Tensor]) -> dict[str, tuple[Tensor, list[Tensor]]]:
            return {"b": (x + y[0], [y[1], x.to(torch.bfloat16)]), "a": (x, [x])}

    _require_near(_found(scripted(Module()), X, [X + 1, X + 2]))


@pytest.mark.parametrize("export", [False, True])
def test_inputs_by_name_in_another_order(export: bool) -> None:
    class Module(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a - b

    inputs = {"b": X, "a": X.flip(0)}
    model: Any = Module().eval()
    source = torch.export.export(model, (), {"a": X.flip(0), "b": X}) if export else model
    _require_near(_found(source, **inputs))


@pytest.mark.filterwarnings("ignore:[0-9]+ operators .* are float64 and compute in float32")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_models_in_other_types(dtype: Any) -> None:
    model, x = nn.Linear(6, 3).eval().to(dtype), X.to(dtype)
    assert _found(model, x)["cosine"] > 0.999


class TestNothingChanges:
    def test_inputs_that_the_model_writes_to(self) -> None:
        class Module(nn.Module):
            def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
                y = x * 2
                x += 1
                return x, y

        for source in (Module().eval(), scripted(Module()), traced(Module(), (X.clone(),))):
            x = X.clone()
            _require_near(_found(source, x))
            assert torch.equal(x, X)

    def test_a_script_in_training_mode_is_run_in_evaluation(self) -> None:
        module = scripted(Net()).train()
        before = {name: one.clone() for name, one in module.state_dict().items()}
        _require_near(_found(module, X))
        assert all(one.training for one in module.modules())
        assert all(torch.equal(before[name], one) for name, one in module.state_dict().items())

    def test_attributes_that_a_module_sets(self) -> None:
        class Module(Net):
            def forward(self, x: Tensor) -> Tensor:
                if not torch.compiler.is_exporting():
                    self.seen = x
                    self.norm.eps += 1e-6
                return super().forward(x)

        module = Module().eval()
        _require_near(_found(module, X))
        assert not hasattr(module, "seen")
        assert module.norm.eps == 1e-5

    def test_random_states(self) -> None:
        class Module(Net):
            def forward(self, x: Tensor) -> Tensor:
                if not torch.compiler.is_exporting():
                    torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
                return super().forward(x)

        def states() -> list[str]:
            return [str(torch.get_rng_state().tolist()), str(np.random.get_state()),  # noqa: NPY002
                    str(random.getstate())]  # fmt: skip

        module = Module().eval()
        before = states()
        _require_near(_found(module, X))
        assert states() == before


def test_the_encoder_of_torch_beside_the_path_that_was_imported() -> None:
    """Without gradients torch takes another path, with other numbers in places of padding."""

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 1)

        def forward(self, x: Tensor, padding: Tensor) -> Tensor:
            result: Tensor = self.encoder(x, src_key_padding_mask=padding)
            return result

    padding = torch.arange(5) >= torch.tensor([5, 3])[:, None]
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            model = Module().eval()
            _require_near(_found(model, torch.rand(2, 5, 8), padding))
            _require_near(_found(scripted(model), torch.rand(2, 5, 8), padding))


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated")
def test_loops_that_look_at_what_is_kept_for_gradients() -> None:
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            def step(state: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
                new = torch.tanh(self.linear(row) + state)
                return new, new * 2

            found: tuple[Tensor, Tensor] = scan(step, torch.zeros(3), x)
            return found

    _require_near(_found(Module().eval(), X))


class TestNotRun:
    def test_a_model_that_draws_numbers_where_torch_does_not_see_it(self) -> None:
        numbers = np.random.default_rng(0)

        class Module(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x + numbers.random()

        told = (
            "the model's own results, for inputs moved by a rounding, change as much as the "
            "engine's are off"
        )
        assert _found(Module().eval(), X) == {"not run": told}

    def test_a_model_that_fails_outside_of_export(self) -> None:
        class Module(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                if not torch.compiler.is_exporting():
                    raise RuntimeError("found no NVIDIA driver")
                return x + 1

        told = "the model fails when it is run for this: RuntimeError: found no NVIDIA driver"
        assert _found(Module().eval(), X) == {"not run": told}


@pytest.fixture(scope="module")
def wrong() -> Plugins:
    return wrong_lowerings.plugins(ops.Tanh)


class TestWrongEngines:
    def test_float32_is_refused(self, wrong: Plugins) -> None:
        with pytest.raises(SelfCheckError) as caught:
            forward.build(Net().eval(), X, backend="openvino", plugins=wrong)
        text = str(caught.value)
        version = re.escape(ov.__version__[:6])
        assert re.match(
            r"the engine does not give what the model gives on the example inputs \(1 of 1 outputs"
            r"\)\n  expected: cosine 0\.999 or more, error 0\.01 of the greatest or less\n"
            r"  output 'output': cosine -?0\.\d{6}, \S+ apart of numbers up to \S+\n"
            rf"  backend 'openvino' \(openvino {version}.*\), mode 'float32'\n"
            r"  Hint: another backend .*; self_check=False \(--no-self-check\) keeps the engine",
            text,
        ), text

    def test_of_many_outputs_the_first_are_listed(self, wrong: Plugins) -> None:
        class Module(nn.Module):
            def forward(self, x: Tensor) -> list[Tensor]:
                return [torch.tanh(x + i) for i in range(10)] + [x]

        told = r"\(10 of 11 outputs\)\n(.*\n){9}  … and 2 more outputs\n  backend 'openvino'"
        with pytest.raises(SelfCheckError, match=told):
            _engine(Module().eval(), wrong)

    def test_what_int8_calib_builds_is_refused_too(self, wrong: Plugins, tmp_path: Path) -> None:
        cache = tmp_path / "c.cache"
        calibrator = Calibrator([(X,)], cache=cache)
        with pytest.raises(SelfCheckError, match="mode 'int8_calib'") as caught:
            forward.build(
                Net().eval(), X, mode="int8_calib", calibrator=calibrator, backend="openvino",
                plugins=wrong,
            )  # fmt: skip
        assert cache.exists()
        told = (
            f"\n  if this build wrote {cache}, its ranges are of what such engines give: delete it"
        )
        assert told in str(caught.value)

    def test_it_is_kept_where_that_is_asked(self, wrong: Plugins) -> None:
        model = Net().eval()
        options: dict[str, Any] = {"backend": "openvino", "plugins": wrong, "self_check": False}
        engine = forward.build(model, X, **options)
        builder = forward.TorchBuilder(**options)
        for one in (engine, builder.build(model, X)):
            assert "self check" not in one.engine.manifest
            with torch.no_grad():
                wanted = model.norm(torch.cos(model.body(X)))
            torch.testing.assert_close(one(X), wanted, rtol=1e-4, atol=1e-4)
        with pytest.raises(SelfCheckError):
            forward.TorchBuilder(backend="openvino", plugins=wrong).build(model, X)

    @needs_half
    def test_float16_warns(self, wrong: Plugins) -> None:
        with pytest.warns(ForwardWarning, match=r"cosine 0\.99 or more[\s\S]*mode 'float16'"):
            engine = _engine(Net().eval(), wrong, mode="float16")
        assert engine.manifest["self check"]["cosine"] < 0.99

    def test_int8_warns(self, wrong: Plugins) -> None:
        told = r"expected: cosine 0\.9 or more[\s\S]*Hint: calibration data like these inputs, "
        with pytest.warns(ForwardWarning, match=told):
            engine = _engine(Net().eval(), wrong, mode="int8", calibrator=Calibrator([(X,)]))
        assert engine.manifest["self check"]["cosine"] < 0.9

    def test_made_up_values_are_told_where_the_mode_warns(self, wrong: Plugins) -> None:
        builder = Builder(
            backend="openvino", plugins=wrong, mode="int8", calibrator=Calibrator([(X.numpy(),)])
        )
        with pytest.warns(ForwardWarning, match="Hint: compare on real data, as example inputs; "):
            builder.build(Net().eval(), (TensorType(DType.FLOAT32, (4, 6)),))


@needs_half
def test_float16_without_a_warning() -> None:
    found = _engine(Net().eval(), installed(), mode="float16").manifest["self check"]
    assert 0.99 < found["cosine"] < 1.0


def test_int8_without_a_warning() -> None:
    calibrator = Calibrator([(X,)], algorithm="minmax")
    engine = _engine(Net().eval(), installed(), mode="int8", calibrator=calibrator)
    assert 0.99 < engine.manifest["self check"]["cosine"] < 1.0


def _engine(model: Any, plugins: Plugins, **more: Any) -> Engine:
    return forward.build(model, X, backend="openvino", plugins=plugins, **more).engine
