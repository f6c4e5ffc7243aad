"""The road from a model to an engine, with a real backend of three operators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_backend
from toy_backend import Layers

from fwd_core import Builder, Engine, OptBatch, Plugins, hookimpl
from fwd_core.backends.base import Options
from fwd_core.errors import (
    BuildError,
    CalibrationError,
    ForwardWarning,
    InputError,
    OptionError,
    PluginError,
    UnsupportedModelError,
)
from fwd_core.events import Event
from fwd_core.ir import Emitter, Graph, Node, Value, ops
from fwd_core.modes import MODES, parse_mode
from fwd_core.plugins import Target
from fwd_core.plugins.registers import CONVERTER_KEYS
from fwd_core.rewrite import NodeRewrite

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((4, 3)).astype(np.float32)
MODEL = Layers([("linear", WEIGHT), ("relu",), ("add", np.float32(1) * np.ones(4, np.float32))])
X = RNG.standard_normal((2, 3)).astype(np.float32)
WANTED = np.maximum(X @ WEIGHT.T, 0) + 1


def _builder(**more: Any) -> Builder:
    more.setdefault("plugins", toy_backend.plugins())
    return Builder(**more)


def test_a_model_becomes_an_engine() -> None:
    engine = _builder().build(MODEL, (X,))
    assert isinstance(engine, Engine)
    np.testing.assert_array_equal(engine(X), WANTED)
    assert repr(engine) == "<Engine toy float32 (x: float32[2, 3]) -> (y: float32[2, 4])>"


def test_one_builder_builds_many() -> None:
    builder = _builder()
    for _ in range(2):
        np.testing.assert_array_equal(builder.build(MODEL, (X,))(X), WANTED)


def test_dynamic_batch() -> None:
    engine = _builder().build(MODEL, (X,), dynamic=OptBatch())
    assert str(engine.inputs[0]) == "x: float32[batch, 3]"
    for size in (1, 2):
        np.testing.assert_array_equal(engine(X[:size]), WANTED[:size])
    with pytest.raises(
        InputError, match=r"expected: 1 … 2 \(batch\)\n  got:      3\n  Hint: build"
    ):
        engine(np.zeros((3, 3), np.float32))


def test_the_manifest_says_what_the_engine_is() -> None:
    import fwd_core

    engine = _builder(options={"parallel": 3}).build(MODEL, (X,))
    assert engine.manifest == {
        "forward": fwd_core.__version__,
        "backend": "toy",
        "mode": "float32",
        "options": {"parallel": 3, "device": "here"},
        "packs": ["toy"],
        "toy": "1.0",
        "device": "here",
        "parallel": 3,
    }


def test_a_class_of_ones_own() -> None:
    class Mine(Engine):
        pass

    assert type(_builder().build(MODEL, (X,), engine_type=Mine)) is Mine


def test_progress_is_told_in_order() -> None:
    heard: list[Event] = []

    class Listener:
        @hookimpl
        def fwd_event(self, event: Event) -> None:
            packs.append(event)

    packs: list[Event] = []
    builder = _builder(plugins=toy_backend.plugins(mine=Listener()), on_event=heard.append)
    builder.build(MODEL, (X,))
    assert packs == heard
    assert [f"{e.phase} {e.state} {e.detail}".strip() for e in heard if e.state != "step"] == [
        "import start layers",
        "import end",
        "rewrite start clean-up",
        "rewrite end",
        "rewrite start fusion",
        "rewrite end",
        "lower start",
        "lower end",
    ]
    steps = [event for event in heard if event.state == "step"]
    assert [event.step for event in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].total == len(steps)


def test_packs_fuse_before_lowering_and_clean_up_follows() -> None:
    class ReluTwice(NodeRewrite):
        """Puts in what the clean-up takes out again."""

        name = "relu-twice"
        calls = 0

        def rewrite(self, node: Node, emit: Emitter) -> Value | None:
            if not isinstance(node.op, ops.Relu) or self.calls:
                return None
            type(self).calls += 1
            same = emit(ops.Reshape(node.op.x, node.op.x.type.shape))
            return emit(ops.Relu(same))

    class Pack:
        @hookimpl
        def fwd_register_rewrites(self, register: Any) -> None:
            register.add(ReluTwice(), stage="fusion")

    engine = _builder(plugins=toy_backend.plugins(mine=Pack())).build(MODEL, (X,))
    assert ReluTwice.calls == 1
    np.testing.assert_array_equal(engine(X), WANTED)


class TestConditionsOfRewrites:
    """Packs say for which targets their rewrites are."""

    class Counted:
        name = "counted"

        def __init__(self) -> None:
            self.calls = 0

        def apply(self, _graph: Graph) -> int:
            self.calls += 1
            return 0

    def _build(self, when: Any) -> int:
        rewrite = self.Counted()

        class Pack:
            @hookimpl
            def fwd_register_rewrites(self, register: Any) -> None:
                register.add(rewrite, stage="fusion", when=when)

        _builder(mode="float16", plugins=toy_backend.plugins(mine=Pack())).build(MODEL, (X,))
        return rewrite.calls

    def test_they_run_where_the_condition_holds(self) -> None:
        seen: list[Target] = []
        assert self._build(lambda target: not seen.append(target)) == 1
        (target,) = seen
        assert (target.backend.name, target.mode) == ("toy", "float16")
        assert isinstance(target.options, Options)
        assert self._build(lambda _target: False) == 0

    def test_lowerings_are_asked_for_by_operator(self) -> None:
        assert self._build(lambda target: target.lowers(ops.Relu)) == 1
        assert self._build(lambda target: target.lowers(ops.Softmax)) == 0

    def test_one_that_fails_is_told_with_its_pack(self) -> None:
        with pytest.raises(
            PluginError,
            match="(?s)pack 'mine': the condition of rewrite 'counted' "
            "failed for backend 'toy'.*ZeroDivisionError",
        ):
            self._build(lambda _target: 1 / 0)


class TestModes:
    @pytest.mark.parametrize(
        ("given", "wanted"),
        [("float32", "float32"), ("float", "float32"), ("float16", "float16"), ("half", "float16")],
    )
    def test_names_and_aliases(self, given: str, wanted: str) -> None:
        assert parse_mode(given) == wanted
        assert _builder(mode=given).mode == wanted

    def test_unknown(self) -> None:
        with pytest.raises(
            OptionError,
            match="there is no mode 'flaot32'\n  expected: float32, float16, int8_calib, int8\n"
            "  Hint: did you mean 'float32'",
        ):
            _builder(mode="flaot32")

    @pytest.mark.parametrize(
        ("mode", "meant"), [("fp16", "16"), ("FP32", "32"), ("torch.float16", "16"), ("bf16", "16")]
    )
    def test_what_others_call_them(self, mode: str, meant: str) -> None:
        with pytest.raises(OptionError, match=f"Hint: did you mean 'float{meant}'"):
            parse_mode(mode)

    def test_a_type_in_place_of_its_name(self) -> None:
        class Type:
            def __repr__(self) -> str:
                return "torch.float16"

        with pytest.raises(OptionError, match="got:      torch.float16\n  Hint: pass its name, 'f"):
            parse_mode(Type())  # type: ignore[arg-type]

    @pytest.mark.parametrize("mode", ["int8", "int8_calib"])
    def test_int8_needs_a_calibrator(self, mode: str) -> None:
        assert mode in MODES
        with pytest.raises(CalibrationError, match=f"mode '{mode}' needs a calibrator"):
            _builder(mode=mode).build(MODEL, (X,))

    def test_a_backend_that_is_told_the_precision_gets_the_graph_as_it_is(self) -> None:
        engine = _builder(mode="float16").build(MODEL, (X,))
        assert engine.manifest["mode"] == "float16"
        np.testing.assert_array_equal(engine(X), WANTED)


class TestBackends:
    def test_auto_takes_the_best_that_can_run(self) -> None:
        assert _builder().backend().name == "toy"

    def test_by_name(self) -> None:
        assert _builder(backend="toy").backend().name == "toy"

    def test_unknown(self) -> None:
        with pytest.raises(
            OptionError,
            match="there is no backend 'tou'\n  expected: auto, toy, absent\n  Hint: did you mean",
        ):
            _builder(backend="tou").build(MODEL, (X,))

    def test_one_that_is_not_usable(self) -> None:
        with pytest.raises(
            BuildError,
            match="backend 'absent' cannot build here\n  its library is missing: pip install",
        ):
            _builder(backend="absent").build(MODEL, (X,))

    def test_none_at_all(self) -> None:
        class Pack:
            @hookimpl
            def fwd_register_backends(self, register: Any) -> None:
                register.add(toy_backend.AbsentBackend())

        class Broken:
            @hookimpl
            def fwd_register_backends(self, register: Any) -> None:
                raise OSError("no driver")

        builder = Builder(plugins=Plugins({"mine": Pack(), "bad": Broken()}))
        with pytest.raises(
            BuildError,
            match="no backend can run on this machine\n  absent: its library is missing: .*"
            r"absent\n  pack 'bad': fwd_register_backends: OSError: no driver \(.*\)\n"
            "  Hint: pip install 'openvino>=",
        ):
            builder.backend()


class TestOptions:
    def test_unknown(self) -> None:
        with pytest.raises(
            OptionError,
            match="backend 'toy' has no option 'paralel'\n  expected: parallel, device\n"
            "  Hint: did you mean 'parallel'",
        ):
            _builder(options={"paralel": 1}).build(MODEL, (X,))

    def test_unlike_any(self) -> None:
        with pytest.raises(OptionError, match="no option 'zzz'[\\s\\S]*Hint: leave it out"):
            _builder(options={"zzz": 1}).build(MODEL, (X,))

    def test_they_are_checked_before_the_import(self) -> None:
        heard: list[Event] = []
        with pytest.raises(OptionError, match="has no option 'zzz'"):
            _builder(options={"zzz": 1}, on_event=heard.append).build(MODEL, (X,))
        assert heard == []


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "text"),
        [
            ({"mode": None}, "argument 'mode'\n  expected: float32, .*\n  got:      None"),
            ({"mode": ["half"]}, r"argument 'mode'\n  .*\n  got:      \['half'\]"),
            ({"backend": None}, "argument 'backend'\n  expected: the name .*\n  got:      None"),
            ({"options": 5}, "argument 'options'\n  expected: options .*\n  got:      5"),
            ({"embed_graph": "no"}, "argument 'embed_graph'\n  .*True or False\n  got:      'no'"),
            ({"contexts": 0}, "argument 'contexts'\n  expected: how many .*\n  got:      0"),
            ({"on_event": 1}, "argument 'on_event'\n  expected: a function .*\n  got:      1"),
        ],
    )
    def test_of_other_types(self, given: dict[str, Any], text: str) -> None:
        with pytest.raises(OptionError, match=text):
            _builder(**given)

    def test_dynamic_dims_are_checked_before_the_import(self) -> None:
        heard: list[Event] = []
        with pytest.raises(OptionError, match="dynamic dims are malformed"):
            _builder(on_event=heard.append).build(MODEL, (X,), dynamic=5)  # type: ignore[arg-type]
        assert heard == []

    @pytest.mark.parametrize("inputs", [X, None, 3])
    def test_example_inputs_come_together(self, inputs: Any) -> None:
        with pytest.raises(
            InputError,
            match="example inputs come together\n  expected: a tuple .*\n  got:      "
            + type(inputs).__name__,
        ):
            _builder().build(MODEL, inputs)


class TestImporters:
    def test_nothing_takes_the_source(self) -> None:
        with pytest.raises(
            UnsupportedModelError, match="no importer takes dict\n  expected: layers$"
        ):
            _builder().build({}, (X,))
        for path in ("model.xyz", Path("model.xyz")):
            with pytest.raises(UnsupportedModelError, match=r"no importer takes model\.xyz"):
                _builder().build(path, (X,))

    def test_no_importers_at_all(self) -> None:
        builder = Builder(plugins=Plugins())
        with pytest.raises(
            UnsupportedModelError,
            match="expected: a pack with importers\n  Hint: pip install './fwd_ops_torch.torch.'",
        ):
            builder.importer(MODEL)

    def test_packs_that_failed_are_named(self) -> None:
        class Broken:
            @hookimpl
            def fwd_register_importers(self, register: Any) -> None:
                raise OSError("no torch")

        builder = _builder(plugins=toy_backend.plugins(bad=Broken()))
        with pytest.raises(UnsupportedModelError, match="pack 'bad': .*OSError: no torch"):
            builder.importer("model.pth")

    def test_greater_priority_is_asked_first(self) -> None:
        class Greedy(toy_backend.LayersImporter):
            name = "greedy"
            priority = 10

        class Pack:
            @hookimpl
            def fwd_register_importers(self, register: Any) -> None:
                register.add(Greedy())

        builder = _builder(plugins=toy_backend.plugins(mine=Pack()))
        assert builder.importer(MODEL).name == "greedy"

    def test_errors_of_the_importer_reach_the_user(self) -> None:
        with pytest.raises(InputError, match="a list of layers takes one input\n  got:      2"):
            _builder().build(MODEL, (X, X))


def test_operators_without_lowering_or_decomposition() -> None:
    def sign(graph: Graph, name: str, x: Value) -> Value:
        return graph.add(ops.Sign(x), name=name)

    setattr(sign, CONVERTER_KEYS, ("toy::sign",))

    class Pack:
        @hookimpl
        def fwd_register_converters(self, register: Any) -> None:
            register.add(sign)

    builder = _builder(plugins=toy_backend.plugins(mine=Pack()))
    with pytest.raises(
        BuildError, match=r"cannot be lowered to toy[\s\S]*fwd\.Sign[\s\S]*no lowering"
    ):
        builder.build(Layers([("sign",), ("relu",), ("sign",)]), (X,))


def test_lowerings_may_refuse_by_types() -> None:
    ones = np.ones(3, np.int32)
    with pytest.raises(BuildError, match=r"fwd\.Add[\s\S]*adds floats only"):
        _builder().build(Layers([("add", ones)]), (np.zeros((2, 3), np.int32),))


def test_a_graph_can_be_compiled_by_itself() -> None:
    builder = _builder()
    graph = builder.import_model(MODEL, (X,))
    assert [node.name for node in graph.verify()] == [
        "0.linear.weight",
        "0.linear",
        "1.relu",
        "2.add.other",
        "2.add",
    ]
    np.testing.assert_array_equal(builder.compile(graph)(X), WANTED)


class NoLowerings:
    """A pack whose hook fails."""

    @hookimpl
    def fwd_register_lowerings(self, register: Any) -> None:
        raise OptionError("NO_SUCH_VARIABLE: no lowering is called 'skp'")


def test_every_build_tells_once_of_a_pack_that_failed() -> None:
    plugins = toy_backend.plugins()
    plugins.register("lame", NoLowerings())
    told = r"^pack 'lame' is not used, or only in part: fwd_register_lowerings: OptionError: NO_S"
    builder = _builder(plugins=plugins)
    with pytest.warns(ForwardWarning, match=told) as heard:
        builder.build(MODEL, (X,))
    assert len(heard) == 1
    engine = builder.build(MODEL, (X,))  # another warning would be an error of this test
    np.testing.assert_array_equal(engine(X), WANTED)  # no pack breaks another


class NoConverters:
    """A pack that an importer misses."""

    @hookimpl
    def fwd_register_converters(self, register: Any) -> None:
        raise OSError("no library")


def test_an_import_that_fails_tells_of_a_pack_that_failed() -> None:
    plugins = toy_backend.plugins()
    plugins.register("lame", NoConverters())
    with (
        pytest.warns(ForwardWarning, match="pack 'lame' .*: OSError: no library"),
        pytest.raises(KeyError, match="toy::sigmoid"),
    ):
        _builder(plugins=plugins).build(Layers([("sigmoid",)]), (X,))
