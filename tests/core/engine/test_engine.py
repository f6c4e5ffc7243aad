"""Running engines."""

from __future__ import annotations

import threading
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import toy_backend
from toy_backend import Layers, ToyExecutable
from values import H, kind

from fwd_core import Builder, Engine, OptBatch
from fwd_core.errors import ForwardError, InputError, OptionError
from fwd_core.ir import Graph, ops, symbol

RNG = np.random.default_rng(1)
WEIGHT = RNG.standard_normal((4, 3)).astype(np.float32)
X = RNG.standard_normal((8, 3)).astype(np.float32)
WANTED = np.maximum(X @ WEIGHT.T, 0)


def _build(**more: Any) -> Engine:
    nested = more.pop("nested", False)
    builder = Builder(plugins=toy_backend.plugins(), options=more)
    return builder.build(
        Layers([("linear", WEIGHT), ("relu",)], nested=nested), (X,), dynamic=OptBatch()
    )


def _two_inputs() -> Engine:
    graph = Graph("sum")
    a, b = graph.add_input("a", kind(2)), graph.add_input("b", kind(2))
    total = graph.add(ops.Add(a, b), name="total")
    graph.set_outputs([total, a, total], ["total", "same", "again"])
    return Builder(plugins=toy_backend.plugins()).compile(graph)


class TestCalls:
    def test_by_name(self) -> None:
        found = _build().run({"x": X})
        assert list(found) == ["y"]
        np.testing.assert_array_equal(found["y"], WANTED)

    def test_by_position_and_keyword(self) -> None:
        engine = _two_inputs()
        a, b = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
        mapping = UserDict({"b": b, "a": a})
        for found in (engine(a, b), engine(a, b=b), engine(a=a, b=b), engine(mapping)):
            assert isinstance(found, tuple)
            assert [one.tolist() for one in found] == [[11, 22], [1, 2], [11, 22]]

    def test_one_output_comes_alone(self) -> None:
        np.testing.assert_array_equal(_build()(X), WANTED)

    def test_results_belong_to_the_caller(self) -> None:
        engine = _two_inputs()
        a = np.zeros(2, np.float32)
        total, same, again = engine(a, a)
        total += 1
        assert not same.any()
        assert not again.any()
        assert not a.any()

    def test_nested_inputs_and_outputs(self) -> None:
        engine = _build(nested=True)
        found = engine([X])
        assert list(found) == ["y"]
        np.testing.assert_array_equal(found["y"], WANTED)
        np.testing.assert_array_equal(engine(x=X)["y"], WANTED)
        np.testing.assert_array_equal(engine.run({"x": X})["y"], WANTED)

    def test_nested_otherwise(self) -> None:
        for given in (X, (X,), {"x": X}, [X, X]):
            with pytest.raises(
                InputError,
                match=r"the inputs are not nested as the model takes them\n  expected: \(\[x\],\)\n"
                r"  got:      \(",
            ):
                _build(nested=True)(given)

    def test_too_many_and_too_few(self) -> None:
        engine, a = _two_inputs(), np.zeros(2, np.float32)
        for given in ((), (a,), (a, a, a)):
            with pytest.raises(InputError) as caught:
                engine(*given)
            assert str(caught.value) == (
                "wrong number of inputs\n"
                "  expected: 2: a: float32[2], b: float32[2]\n"
                f"  got:      {len(given)}"
            )
        with pytest.raises(InputError, match="inputs given by position and by name: a"):
            engine(a, a=a)
        with pytest.raises(InputError, match="inputs by name: missing 'b'; unknown 'c'"):
            engine(a, c=a)
        with pytest.raises(InputError, match="wrong number of inputs\n  expected: 2: a: float32"):
            engine.run_list([a])

    @pytest.mark.parametrize("feeds", [None, 3, np.zeros((2, 2)), [X, X], "ab"])
    def test_names_come_in_a_mapping(self, feeds: Any) -> None:
        with pytest.raises(
            InputError,
            match=r"inputs by name come in a mapping\n"
            r"  expected: {'a': float32\[2\], 'b': float32\[2\]}\n  got:      "
            + type(feeds).__name__,
        ):
            _two_inputs().run(feeds)

    @pytest.mark.parametrize("given", [None, 3])
    def test_inputs_in_order_come_in_a_list(self, given: Any) -> None:
        with pytest.raises(
            InputError,
            match="inputs in order come together\n  expected: a list or tuple of arrays\n"
            f"  got:      {type(given).__name__}",
        ):
            _two_inputs().run_list(given)

    def test_wrong_arrays(self) -> None:
        engine = _build()
        with pytest.raises(InputError, match="input 'x' has the wrong dtype"):
            engine(X.astype(np.float64))
        with pytest.raises(InputError, match="input 'x' has the wrong rank"):
            engine(X[0])
        with pytest.raises(InputError, match=r"expected: 1 … 8 \(batch\)\n  got:      9"):
            engine(np.zeros((9, 3), np.float32))
        with pytest.raises(InputError, match="input 'x' is no array"):
            engine(X.tolist())

    def test_a_size_that_the_model_divides_by(self) -> None:
        zero = symbol("n", 0, 1, 4)
        graph = Graph()
        n = graph.add_input("n", kind(zero))
        x = graph.add_input("x", kind(H // zero, H))
        graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
        engine = Builder(plugins=toy_backend.plugins()).compile(graph)
        assert n.name == "n"
        with pytest.raises(
            InputError,
            match=r"the model divides by a size that is 0 for these inputs[\s\S]*got:      \[0",
        ):
            engine(np.zeros(0, np.float32), np.zeros((4, 8), np.float32))

    def test_checks_are_remembered_and_forgotten(self) -> None:
        graph = Graph()
        x = graph.add_input("x", kind(H))
        graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
        engine = Builder(plugins=toy_backend.plugins()).compile(graph)
        for size in list(range(8, 408)) * 2:
            assert engine(np.zeros(size, np.float32)).shape == (size,)


class TestThreads:
    def test_many_threads_give_the_results_of_one(self) -> None:
        engine = _build(parallel=4)
        inputs = [
            [RNG.standard_normal((n % 8 + 1, 3)).astype(np.float32) for n in range(200)]
            for _ in range(8)
        ]
        serial = [[engine(x) for x in row] for row in inputs]
        with ThreadPoolExecutor(8) as threads:
            parallel = list(threads.map(lambda row: [engine(x) for x in row], inputs))
        for ours, theirs in zip(serial, parallel, strict=True):
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_runs_are_really_in_flight_at_once(self) -> None:
        engine = _build(parallel=2)
        executable = engine._executable
        assert isinstance(executable, ToyExecutable)
        executable.meeting = threading.Barrier(2)  # a run goes on only when another is under way
        with ThreadPoolExecutor(2) as threads:
            for found in threads.map(engine, [X, X]):
                np.testing.assert_array_equal(found, WANTED)
        assert engine.contexts.peak == 2

    def test_contexts_are_bounded(self) -> None:
        engine = _build(parallel=2)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(engine, [X] * 100))
        assert engine.contexts.peak <= 2

    def test_contexts_can_be_asked_for(self) -> None:
        built = _build()
        backend = toy_backend.ToyBackend()
        more = Engine(backend, built.plan, built.inputs, built.outputs, {}, contexts=5)
        assert more.contexts.limit == 5
        with pytest.raises(OptionError, match="argument 'contexts'"):
            Engine(backend, built.plan, built.inputs, built.outputs, {}, contexts=0)

    def test_a_failed_run_gives_its_context_back(self) -> None:
        engine = _build(parallel=1)
        executable = engine._executable
        assert isinstance(executable, ToyExecutable)
        program, executable.program = executable.program, None
        for _ in range(3):
            with pytest.raises(RuntimeError, match="used after close"):
                engine(X)
        executable.program = program
        np.testing.assert_array_equal(engine(X), WANTED)


class TestClosing:
    def test_a_closed_engine_says_so(self) -> None:
        with _build() as engine:
            np.testing.assert_array_equal(engine(X), WANTED)
        with pytest.raises(
            ForwardError, match="the engine is closed\n  Hint: build or load it again"
        ):
            engine(X)
        executable = engine._executable
        assert isinstance(executable, ToyExecutable)
        assert executable.program is None

    def test_closing_twice_is_harmless(self) -> None:
        engine = _build()
        engine.close()
        engine.close()
