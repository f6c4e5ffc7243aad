"""Engines beside the models that they are built of, with the toy framework: each text is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_backend
import toy_results
from toy_backend import Layers
from toy_results import Runnable

from fwd_core import Builder, Engine, OptBatch, hookimpl
from fwd_core.backends import Availability
from fwd_core.errors import (
    BuildError,
    ForwardError,
    ForwardWarning,
    OptionError,
    PluginError,
    SelfCheckError,
)
from fwd_core.events import Event
from fwd_core.importing import ImportRequest, ModelResults
from fwd_core.ir import DType, Graph, Tensor, TensorType
from fwd_core.plugins import BuildOption
from fwd_core.self_check import KEY, told

X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
RELU = np.maximum(X, 0)
MOVES = (
    "the model's own results, for inputs moved by a rounding, change as much as the engine's are "
    "off"
)


def _build(results: Any, layers: Any = (("relu",),), x: Any = X, **more: Any) -> Any:
    dynamic = more.pop("dynamic", None)
    engine_type = more.pop("engine_type", Engine)
    more.setdefault("plugins", toy_results.plugins())
    model = Runnable(list(layers), results=results)
    return Builder(**more).build(model, (x,), dynamic=dynamic, engine_type=engine_type)


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _told_by(engine: Engine) -> Any:
    return engine.manifest[KEY]


def test_an_engine_that_gives_what_its_model_gives() -> None:
    heard: list[Event] = []
    engine = _build(_relu, on_event=heard.append)
    np.testing.assert_array_equal(engine(X), RELU)
    assert _told_by(engine) == {"cosine": pytest.approx(1.0), "error": 0.0, "equal": None}
    phases = [event.phase for event in heard if event.state == "start"]
    assert phases == ["import", "rewrite", "rewrite", "lower", "self-check"]


def test_with_dynamic_sizes_the_example_is_run() -> None:
    engine = _build(_relu, dynamic=OptBatch())
    assert _told_by(engine)["error"] == 0.0
    np.testing.assert_array_equal(engine(X[:1]), RELU[:1])


def test_what_was_found_stays_in_the_file(tmp_path: Path) -> None:
    engine = _build(_relu)
    engine.save(tmp_path / "m.engine")
    loaded = Engine.load(tmp_path / "m.engine", plugins=toy_results.plugins())
    assert _told_by(loaded) == _told_by(engine)


class TestRefusals:
    class Closed(Engine):
        """Tells that it was closed."""

        count = 0

        def close(self) -> None:
            type(self).count += 1
            super().close()

    def test_the_whole_text(self) -> None:
        with pytest.raises(SelfCheckError) as caught:
            _build(lambda x: -_relu(x), engine_type=self.Closed)
        assert isinstance(caught.value, BuildError)
        assert str(caught.value) == (
            "the engine does not give what the model gives on the example inputs (1 of 1 outputs)\n"
            "  expected: cosine 0.999 or more, error 0.01 of the greatest or less\n"
            "  output 'y': cosine -1.000000, 1.28 apart of numbers up to 0.64\n"
            "  backend 'toy' (toy 1.0), mode 'float32'\n"
            "  Hint: another backend or other sizes may be compiled right, and a pack's own "
            "lowering may be wrong; self_check=False (--no-self-check) keeps the engine as it is"
        )
        assert self.Closed.count == 1

    @pytest.mark.parametrize(
        ("results", "text"),
        [
            (lambda x: _relu(x) * 3, r"output 'y': cosine 1\.000000, but 0\.3333 times as long"),
            (lambda x: _relu(x)[:1], r"output 'y': float32\[2, 3\], and .* float32\[1, 3\]"),
            (lambda x: _relu(x).astype(np.float64), r"float32\[2, 3\], .* is float64\[2, 3\]"),
        ],
    )
    def test_other_differences(self, results: Any, text: str) -> None:
        with pytest.raises(SelfCheckError, match=text):
            _build(results)

    def test_numbers_that_are_not_finite(self) -> None:
        nan = np.full(3, np.nan, np.float32)
        with pytest.raises(SelfCheckError, match="'y': 6 infinite or NaN, where the model's are"):
            _build(np.copy, [("add", nan)])

    def test_an_option_of_the_backend_is_a_thing_to_try(self) -> None:
        from dataclasses import dataclass

        from toy_backend import ToyBackend, ToyOptions

        @dataclass(frozen=True)
        class Levels(ToyOptions):
            optimization_level: int = 3

        class Leveled(ToyBackend):
            name = "leveled"
            options = Levels

        with pytest.raises(SelfCheckError, match="Hint: another optimization_level, another back"):
            _build(
                np.negative, [], plugins=toy_results.plugins(more=_backend(Leveled())),
                backend="leveled",
            )  # fmt: skip

    def test_a_run_that_fails_closes_the_engine_too(self) -> None:
        class Failing(self.Closed):  # type: ignore[name-defined, misc]
            count = 0

            def run(self, feeds: Any, **more: Any) -> Any:
                raise ForwardError("the device is gone")

        with pytest.raises(
            ForwardError,
            match="is gone\n  the engine was built, and failed when it was checked against the mod"
            r"el; self_check=False \(--no-self-check\) leaves that run out",
        ):
            _build(_relu, engine_type=Failing)
        assert Failing.count == 1

    def test_asked_for_it_stays(self) -> None:
        engine = _build(lambda x: -_relu(x), self_check=False)
        np.testing.assert_array_equal(engine(X), RELU)
        assert KEY not in engine.manifest

    def test_the_argument_is_a_truth_value(self) -> None:
        with pytest.raises(OptionError, match="argument 'self_check'\n  .*True or False\n .* 'no'"):
            _build(_relu, self_check="no")


class TestImportersThatGiveSomethingElse:
    @pytest.mark.parametrize(
        ("given", "wanted", "got"),
        [
            (None, "a ModelResults", "None"),
            (ModelResults((), (), tuple), "1 inputs: x", "0"),
            (ModelResults((Tensor(X),), (), tuple), "1 outputs: y", "0"),
            (ModelResults((X,), (), tuple), "inputs that are fwd_core.ir.Tensor", "ndarray"),  # type: ignore[arg-type]
            (
                ModelResults((Tensor(X),), (X, 1), tuple),  # type: ignore[arg-type]
                "outputs that are fwd_core.ir.Tensor",
                "ndarray, int",
            ),
        ],
    )
    def test_they_are_named(self, given: Any, wanted: str, got: str) -> None:
        class Wrong(toy_results.RunnableImporter):
            name = "wrong"
            priority = 9

            def results(self, source: object, request: ImportRequest) -> Any:
                return given

        class Pack:
            @hookimpl
            def fwd_register_importers(self, register: Any) -> None:
                register.add(Wrong())

        with pytest.raises(
            PluginError,
            match="importer 'wrong': its method 'results' does not fit its graphs\n"
            f"  expected: {wanted}\n  got:      {got}\n  Hint: return what the graph's inputs and",
        ):
            _build(_relu, plugins=toy_results.plugins(more=Pack()))

    def test_another_number_of_outputs(self) -> None:
        class Twice(toy_results.RunnableImporter):
            name = "twice"
            priority = 9

            def results(self, source: object, request: ImportRequest) -> ModelResults:
                found = super().results(source, request)
                return ModelResults(found.inputs, found.outputs * 2, found.again)

        class Pack:
            @hookimpl
            def fwd_register_importers(self, register: Any) -> None:
                register.add(Twice())

        with pytest.raises(PluginError, match="expected: 1 outputs: y\n  got:      2\n"):
            _build(_relu, plugins=toy_results.plugins(more=Pack()), mode="float16")


class TestModesThatOnlyWarn:
    def test_no_mode_explains_another_type(self) -> None:
        with pytest.raises(SelfCheckError, match=r"float32\[2, 3\], and .* float32\[1, 3\]"):
            _build(lambda x: _relu(x)[:1], mode="float16")

    def test_float16(self) -> None:
        with pytest.warns(ForwardWarning) as heard:
            engine = _build(lambda x: -_relu(x), mode="float16")
        assert str(heard[0].message) == (
            "the engine does not give what the model gives on the example inputs (1 of 1 outputs)\n"
            "  expected: cosine 0.99 or more, error 0.1 of the greatest or less\n"
            "  output 'y': cosine -1.000000, 1.28 apart of numbers up to 0.64\n"
            "  backend 'toy' (toy 1.0), mode 'float16'\n"
            "  Hint: `fwd bench --modes float32,float16` tells what the mode costs; float32 keeps "
            "all"
        )
        assert _told_by(engine)["cosine"] == pytest.approx(-1.0)
        np.testing.assert_array_equal(engine(X), RELU)

    def test_models_in_halves_have_the_bounds_of_halves_and_are_refused_beyond(self) -> None:
        x = np.linspace(-1, 1, 100, dtype=np.float16)[None]
        near = _build(lambda x: _relu(x) + np.float16(0.05), x=x)
        assert 0.99 < _told_by(near)["cosine"] < 0.999
        with pytest.raises(SelfCheckError, match=r"expected: cosine 0\.99 or more"):
            _build(lambda x: _relu(x) + np.float16(0.5), x=x)


class TestNotRun:
    def test_random_models(self) -> None:
        rng = np.random.default_rng(1)
        engine = _build(lambda x: x + rng.standard_normal(x.shape).astype(np.float32))
        assert _told_by(engine) == {"not run": MOVES}

    def test_noise_is_not_random(self) -> None:
        rng = np.random.default_rng(1)
        engine = _build(lambda x: _relu(x) * np.float32(1 + rng.uniform(-1e-6, 1e-6)))
        assert _told_by(engine)["cosine"] == pytest.approx(1.0)
        with pytest.raises(SelfCheckError, match="output 'y': cosine 0"):
            _build(lambda x: np.cos(x) * np.float32(1 + rng.uniform(-1e-6, 1e-6)))

    def test_the_model_runs_again_only_where_the_engine_differs(self) -> None:
        runs: list[Any] = []

        def counted(x: Any) -> Any:
            runs.append(x)
            return _relu(x)

        _build(counted)
        assert len(runs) == 1
        with pytest.raises(SelfCheckError):
            _build(lambda x: counted(x) + x**2)
        assert len(runs) == 1 + 1 + 3

    def test_numbers_that_are_near_by_chance_once(self) -> None:
        drawn = iter([1.0, 1.0, 1.01, 3.0])
        engine = _build(lambda x: x + np.float32(next(drawn)))
        assert _told_by(engine) == {"not run": MOVES}
        assert next(drawn, None) is None

    def test_a_model_that_fails_the_second_time(self) -> None:
        answers = iter([X**2])
        with pytest.raises(SelfCheckError, match="fails when it is run again: StopIteration\n"):
            _build(lambda x: next(answers))

    def test_a_little_chance_explains_nothing_great(self) -> None:
        rng = np.random.default_rng(1)
        with pytest.raises(SelfCheckError, match="error 0"):
            _build(lambda x: 1 - _relu(x) * np.float32(1 + rng.uniform(-0.02, 0.02)))

    def test_models_that_fail(self) -> None:
        def fails(x: Any) -> Any:
            raise RuntimeError("no CUDA here\nat great length")

        assert _told_by(_build(fails)) == {
            "not run": "the model fails when it is run for this: RuntimeError: no CUDA here"
        }

    def test_backends_that_only_build_here(self) -> None:
        class Elsewhere(toy_backend.ToyBackend):
            name = "elsewhere"

            def availability(self) -> Availability:
                return Availability(True, False, "there is no device")

        heard: list[Event] = []
        engine = _build(
            np.negative, plugins=toy_results.plugins(more=_backend(Elsewhere())),
            backend="elsewhere", on_event=heard.append,
        )  # fmt: skip
        assert _told_by(engine) == {
            "not run": "backend 'elsewhere' cannot run here: there is no device"
        }
        assert "self-check" not in {event.phase for event in heard}

    def test_options_of_packs(self) -> None:
        class Scale(BuildOption):
            name = "scale"
            summary = "changes what the model gives"

            def parse(self, value: Any) -> bool:
                return bool(value)

            def apply(self, graph: Graph, value: Any) -> None:
                del graph, value

        class Pack:
            @hookimpl
            def fwd_register_build_options(self, register: Any) -> None:
                register.add(Scale())

        plugins = toy_results.plugins(more=Pack())
        engine = _build(np.negative, options={"scale": True}, plugins=plugins)
        assert _told_by(engine) == {"not run": "option 'scale' may change what the model gives"}
        with pytest.raises(SelfCheckError, match="cosine -1"):
            _build(np.negative, [], options={"scale": False}, plugins=plugins)

    def test_importers_that_cannot_run_models_and_graphs_alone(self) -> None:
        builder = Builder(plugins=toy_backend.plugins())
        model = Layers([("relu",)])
        assert KEY not in builder.build(model, (X,)).manifest
        assert KEY not in builder.compile(builder.import_model(model, (X,))).manifest


def test_integers_are_told() -> None:
    x = np.array([[1, -2, 3, 4]], np.int32)
    engine = _build(lambda x: np.where(x == 4, 9, _relu(x)).astype(np.int32), x=x)
    assert _told_by(engine) == {"cosine": None, "error": None, "equal": 0.75}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"not run": "no"}, "not run: no"),
        ({"cosine": 0.99995, "error": 0.5, "equal": None}, "cosine 0.999950 to the model, greatest "
         "error 5.0e-01"),
        ({"cosine": None, "error": None, "equal": 0.75}, "75.0000% of integers and bools equal"),
        ({"cosine": None, "error": None, "equal": None}, "all outputs are empty"),
    ],
)  # fmt: skip
def test_in_a_few_words(entry: Any, text: str) -> None:
    assert told(entry) == text


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _backend(one: Any) -> Any:
    class Pack:
        @hookimpl
        def fwd_register_backends(self, register: Any) -> None:
            register.add(one)

    return Pack()


def test_values_that_are_made_up_are_found_in_nested_inputs() -> None:
    plugins = toy_results.plugins()
    shape = TensorType(DType.FLOAT32, (2,))
    for inputs in ((shape,), {"x": {"y": [X, shape]}}, (X, (X, [shape]))):
        assert ImportRequest(inputs, plugins).made_up
    assert not ImportRequest((X, {"y": [X]}), plugins).made_up
    assert not ImportRequest((), plugins).made_up
