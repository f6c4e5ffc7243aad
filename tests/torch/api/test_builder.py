"""TorchBuilder and build(): modes, batches, options, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from machine import needs_half
from torch import nn
from torch_models import traced

import forward
from fwd_core import Plugins, hookimpl
from fwd_core.backends.openvino.backend import OpenVINOBackend
from fwd_core.backends.openvino.options import OpenVINOOptions
from fwd_core.errors import ForwardWarning, InputError, OptionError, UnsupportedModelError
from fwd_core.events import Event
from fwd_core.ir import TensorType

X = torch.randn(4, 6)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


@pytest.fixture(scope="module")
def path(model: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("models") / "model.pth"
    traced(model, (X,)).save(str(target))
    return str(target)


def expected(model: nn.Module, x: Any) -> Any:
    with torch.no_grad():
        return model(x)


def test_every_kind_of_model_and_of_dummy_input(model: nn.Module, path: str) -> None:
    builder = forward.TorchBuilder()
    program = torch.export.export(model, (X,))
    for source in (path, Path(path), traced(model, (X,)), program, model):
        for dummy in (X, [X], (X,)):
            output = builder.build(source, dummy).forward(X)
            torch.testing.assert_close(output, expected(model, X))
    named = builder.build_with_name(path, {"input": X})
    torch.testing.assert_close(named.forward_with_name({"input": X}), expected(model, X))


@pytest.mark.parametrize(
    "mode",
    ["float32", "float", *(pytest.param(name, marks=needs_half) for name in ("float16", "half"))],
)
def test_modes_and_their_old_names(model: nn.Module, path: str, mode: str) -> None:
    builder = forward.TorchBuilder()
    assert builder.set_mode(mode) is True
    engine = builder.build(path, X)
    half = mode in ("float16", "half")
    assert engine.engine.manifest["mode"] == ("float16" if half else "float32")
    output = engine.forward(X)
    assert output.dtype is torch.float32
    # bfloat16, this CPU's half type, has 8 bits of precision: relative steps of 2**-8.
    torch.testing.assert_close(
        output, expected(model, X), atol=0.05 if half else 1e-5, rtol=0.05 if half else 1e-5
    )


def test_unknown_modes_are_refused() -> None:
    builder = forward.TorchBuilder()
    with pytest.raises(OptionError, match="there is no mode 'float8'") as caught:
        builder.set_mode("float8")
    assert "expected: float32, float16, int8_calib, int8" in str(caught.value)
    with pytest.raises(OptionError, match="did you mean 'float16'"):
        builder.set_mode("flaot16")
    with pytest.raises(OptionError, match="there is no mode"):
        forward.build("model.pth", X, mode="fp16")


def test_batch_is_static_until_an_optimal_one_is_set(model: nn.Module, path: str) -> None:
    builder = forward.TorchBuilder()
    with pytest.raises(InputError, match="size of axis 0"):
        builder.build(path, X).forward(X[:2])
    builder.set_opt_batch_size(2)
    engine = builder.build(path, X)
    for size in (1, 2, 3, 4):
        torch.testing.assert_close(engine.forward(X[:size]), expected(model, X[:size]))
    with pytest.raises(InputError, match="expected: 1 … 4"):
        engine.forward(torch.randn(5, 6))
    builder.set_opt_batch_size(9)
    more = torch.randn(9, 6)
    torch.testing.assert_close(builder.build(path, X).forward(more), expected(model, more))


@pytest.mark.parametrize("size", [0, -1, 1.5, "4", True])
def test_batch_and_workspace_sizes_are_positive_integers(size: Any) -> None:
    builder = forward.TorchBuilder()
    with pytest.raises(OptionError, match="opt_batch_size is a positive integer"):
        builder.set_opt_batch_size(size)
    with pytest.raises(OptionError, match="max_workspace_size is a positive number of bytes"):
        builder.set_max_workspace_size(size)


def test_workspace_is_refused_by_a_backend_that_has_none(path: str) -> None:
    builder = forward.TorchBuilder(backend="openvino")
    builder.set_max_workspace_size(1 << 30)
    with pytest.raises(OptionError, match="backend 'openvino' has no option 'workspace'"):
        builder.build(path, X)


def test_workspace_has_no_effect_where_auto_chooses_a_backend_without_it(path: str) -> None:
    """A script that was written for a GPU runs on a machine without one."""

    class Chosen:
        @hookimpl
        def fwd_register_backends(self, register: Any) -> None:
            register.add(First(), override=True)

    class First(OpenVINOBackend):
        priority = 1000

    plugins = Plugins.discover()
    plugins.register("chosen", Chosen())
    builder = forward.TorchBuilder(plugins=plugins)
    builder.set_max_workspace_size(1 << 30)
    with pytest.warns(
        ForwardWarning,
        match="set_max_workspace_size has no effect: backend 'openvino', which 'auto' chose here, "
        "has no option 'workspace'",
    ) as told:
        engine = builder.build(path, X)
    assert [warning.filename for warning in told] == [__file__]
    assert "workspace" not in engine.engine.manifest["options"]
    builder.build(path, X)  # once is enough: warnings are errors here


def test_workspace_reaches_a_backend_that_auto_chooses_and_that_has_it(path: str) -> None:
    @dataclass(frozen=True)
    class Limited(OpenVINOOptions):
        workspace: int | None = None

    class First(OpenVINOBackend):
        priority = 1000
        options = Limited

    class Chosen:
        @hookimpl
        def fwd_register_backends(self, register: Any) -> None:
            register.add(First(), override=True)

    plugins = Plugins.discover()
    plugins.register("chosen", Chosen())
    builder = forward.TorchBuilder(plugins=plugins)
    builder.set_max_workspace_size(1 << 20)
    assert builder.build(path, X).engine.manifest["options"]["workspace"] == 1 << 20


def test_arguments_of_other_types(path: str) -> None:
    for given, text in (
        ({"mode": None}, "argument 'mode'\n  expected: float32, "),
        ({"backend": 5}, "argument 'backend'"),
        ({"contexts": "2"}, "argument 'contexts'\n  expected: how many .*\n  got:      '2'"),
        ({"dynamic": 5}, "dynamic dims are malformed"),
        ({"dynamic_batch": "yes"}, "argument 'dynamic_batch'\n  expected: True or False\n  got:"),
        ({"opt_batch": "2"}, "the batch size to tune for\n  expected: an integer or None"),
        ({"threads": "1", "backend": "openvino"}, "option 'threads' of backend 'openvino'"),
        ({"tf32": "yes", "backend": "openvino"}, "no option 'tf32'"),
    ):
        with pytest.raises(OptionError, match=text):
            forward.build(path, X, **given)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="argument 'mode'"):
        forward.TorchBuilder().set_mode(None)  # type: ignore[arg-type]
    for dummy in (X, None, [X]):
        with pytest.raises(
            InputError,
            match="dummy inputs by name come in a mapping\n  expected: .*\n  got:      "
            rf"{type(dummy).__name__}\n  Hint: build\(module_path, dummy_inputs\) takes",
        ):
            forward.TorchBuilder().build_with_name(path, dummy)  # type: ignore[arg-type]


def test_calibrators_are_refused() -> None:
    with pytest.raises(OptionError, match="argument 'calibrator'"):
        forward.TorchBuilder().set_calibrator(object())


def test_build_takes_dynamic_dims_by_name(model: nn.Module) -> None:
    image = torch.randn(2, 1, 12, 16)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)).eval()
    engine = forward.build(
        net, image, dynamic={"input": {0: ("batch", 1, 1, 4), 2: ("height", 8, 12, 20)}}
    )
    for shape in ((1, 1, 8, 16), (4, 1, 20, 16)):
        x = torch.randn(*shape)
        torch.testing.assert_close(engine(x), expected(net, x))
    with pytest.raises(InputError, match=r"8 … 20 \(height\)"):
        engine(torch.randn(1, 1, 30, 16))
    with pytest.raises(OptionError, match="dynamic= says everything"):
        forward.build(model, X, dynamic={}, dynamic_batch=True)


def test_wrong_dynamic_dims_are_told(model: nn.Module) -> None:
    with pytest.raises(InputError, match="inputs that the model does not have: y"):
        forward.build(model, X, dynamic={"y": {0: ("batch", 1, 2, 4)}})
    with pytest.raises(InputError, match="there is no axis 2"):
        forward.build(model, X, dynamic={"input": {2: ("batch", 1, 2, 4)}})
    with pytest.raises(InputError, match="the example's size is out of range"):
        forward.build(model, X, dynamic={"input": {0: ("batch", 1, 2, 3)}})
    with pytest.raises(InputError, match="opt 9 is greater than max 4"):
        forward.build(model, X, dynamic={"input": {0: ("batch", 1, 9, 4)}})


def test_options_of_the_backend_and_unknown_ones(model: nn.Module) -> None:
    engine = forward.build(model, X, backend="openvino", threads=1, hint="throughput")
    assert engine.engine.manifest["options"]["threads"] == 1
    with pytest.raises(OptionError, match="has no option 'thread'") as caught:
        forward.build(model, X, backend="openvino", thread=1)
    assert "did you mean 'threads'" in str(caught.value)
    with pytest.raises(OptionError, match="there is no backend 'openvin'") as caught:
        forward.build(model, X, backend="openvin")
    assert "did you mean 'openvino'" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"dynamic_bach": True}, "dynamic_batch"),
        ({"calibrate": [X]}, "calibrator"),
        ({"thread": 1, "contxts": 2}, "contexts"),
    ],
)
def test_a_misspelt_argument_is_not_taken_for_an_option(
    model: nn.Module, given: dict[str, Any], meant: str
) -> None:
    with pytest.raises(OptionError, match=r"^build\(\) has no argument '.*', and backend ") as told:
        forward.build(model, X, backend="openvino", **given)
    assert "expected: its own arguments, or options: threads" in str(told.value)
    assert str(told.value).endswith(f"Hint: did you mean {meant!r}?")
    with pytest.raises(OptionError, match=r"^quantize\(\) has no argument 'max_dro', and ") as told:
        forward.quantize(model, X, [X], metric=lambda _: 1.0, max_dro=1, backend="openvino")
    assert str(told.value).endswith("Hint: did you mean 'max_drop'?")


def test_an_engine_is_no_model(model: nn.Module, tmp_path: Path) -> None:
    forward.build(model, X, backend="openvino").save(tmp_path / "m.engine")
    for path in (tmp_path / "m.engine", str(tmp_path / "m.engine")):
        with pytest.raises(UnsupportedModelError) as told:
            forward.build(path, X, backend="openvino")
        assert str(told.value) == (
            f"{path} is an engine, which is built already\n  expected: a model\n"
            "  Hint: forward.load(path) loads it, and `fwd run` and `fwd bench` take it"
        )


def test_progress_is_told_in_order(model: nn.Module, path: str) -> None:
    seen: list[Event] = []
    forward.build(path, X, on_event=seen.append)
    phases = [event.phase for event in seen if event.state == "start"]
    assert phases[0] == "import"
    assert phases.index("lower") < phases.index("compile")
    assert all(any(e.phase == name and e.state == "end" for e in seen) for name in set(phases))


def test_example_inputs_may_be_arrays_or_types(model: nn.Module, path: str) -> None:
    from fwd_core.ir import DType

    for example in (X.numpy(), TensorType(DType.FLOAT32, (4, 6))):
        torch.testing.assert_close(forward.build(path, example).forward(X), expected(model, X))


def test_a_missing_model_is_told() -> None:
    with pytest.raises(UnsupportedModelError, match="there is no file nothing.pth"):
        forward.TorchBuilder().build("nothing.pth", X)


def test_a_mapping_is_for_build_with_name(path: str) -> None:
    with pytest.raises(InputError) as caught:
        forward.TorchBuilder().build(path, {"input": X})
    hint = "build_with_name(module_path, dummy_inputs) takes them by name"
    assert caught.value.hint == hint
    assert hint in str(caught.value)


def test_constants_of_the_document() -> None:
    assert (forward.ENTROPY_CALIBRATION, forward.ENTROPY_CALIBRATION_2) == ("entropy", "entropy_2")
    assert forward.MINMAX_CALIBRATION == "minmax"
    assert forward.__version__
    assert set(forward.__all__) <= set(dir(forward))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        forward.Nothing  # noqa: B018
