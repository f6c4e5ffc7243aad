"""Runs: the caller's memory, outputs of every origin, threads."""

from __future__ import annotations

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from machine import MODES
from on_openvino import PLUGINS, Array, Pack, assert_same, build, dynamic_types, graph_of, run

from fwd_core import Builder, Engine, Plugins, hookimpl, lowering
from fwd_core.errors import InputError
from fwd_core.ir import DType, Graph, Operator, TensorType, Value, operator, ops, symbol
from fwd_core.plugins import registers as reg

openvino = pytest.importorskip("openvino")

B = symbol("b", 1, 2, 64)
STATIC, DYNAMIC = TensorType(DType.FLOAT32, (3, 4)), TensorType(DType.FLOAT32, (B, 4))


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def request_of(engine: Engine) -> Any:
    """The request that the last run used."""
    context: Any = engine.contexts.acquire()
    engine.contexts.release(context)
    return context.request


def address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


@pytest.mark.parametrize("kind", [STATIC, DYNAMIC])
@pytest.mark.parametrize("mode", MODES)
def test_inputs_and_outputs_are_not_copied(kind: TensorType, mode: str) -> None:
    graph = graph_of(
        lambda graph, x, y: [graph.add(ops.Add(x, y)), graph.add(ops.Transpose(x, (1, 0)))],
        [kind, kind],
    )
    engine = build(graph, mode)
    for seed in range(3):
        given = [normal(seed, 3, 4), normal(seed + 9, 3, 4)]
        results = engine.run_list(given)
        request = request_of(engine)
        for index, array in enumerate(given):
            assert address(request.get_input_tensor(index).data) == address(array)
        for index, array in enumerate(results):
            assert address(request.get_output_tensor(index).data) == address(array)
            assert array.flags.owndata
            assert array.flags.writeable
        assert_same(results[1], given[0].T)


def test_bfloat16_ports_are_not_copied() -> None:
    kind = TensorType(DType.BFLOAT16, (2, 3))
    engine = build(graph_of(lambda graph, x: graph.add(ops.Neg(x)), [kind]))
    words = np.full((2, 3), 0x3F80, np.uint16)
    (got,) = engine.run_list([words])
    request = request_of(engine)
    assert address(request.get_input_tensor(0).data) == address(words)
    assert address(request.get_output_tensor(0).data) == address(got)
    assert_same(got, np.full((2, 3), 0xBF80, np.uint16))


def test_earlier_results_stay_as_they_are() -> None:
    engine = build(graph_of(lambda graph, x: graph.add(ops.Mul(x, x)), [STATIC]))
    given = [normal(seed, 3, 4) for seed in range(5)]
    results = [engine(x) for x in given]
    gc.collect()
    for x, result in zip(given, results, strict=True):
        assert_same(result, x * x)


def test_read_only_unaligned_and_strided_inputs() -> None:
    engine = build(graph_of(lambda graph, x: graph.add(ops.Neg(x)), [STATIC]))
    x = normal(0, 3, 4)
    read_only = np.frombuffer(x.tobytes(), np.float32).reshape(3, 4)
    unaligned = np.zeros(49, np.uint8)[1:].view(np.float32).reshape(3, 4)
    unaligned[...] = x
    assert not unaligned.flags.aligned
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    reversed_ = x[::-1].copy()[::-1]
    for array in (read_only, unaligned, strided, reversed_):
        assert_same(engine(array), -x)
        assert_same(array, x)
    engine(read_only)
    assert address(request_of(engine).get_input_tensor(0).data) == address(read_only)


def test_inputs_are_not_written() -> None:
    def make(graph: Graph, x: Value) -> list[Value]:
        y = graph.add(ops.Relu(x))
        y = graph.add(ops.Add(graph.add(ops.Reshape(y, (4, 3))), graph.constant(normal(1, 4, 3))))
        return [graph.add(ops.Relu(y)), graph.add(ops.Reshape(x, (12,)))]

    engine = build(graph_of(make, [STATIC]))
    x = normal(0, 3, 4)
    before = x.copy()
    got = engine(x)
    assert_same(x, before)
    assert_same(got[1], before.reshape(12))


SHAPES: list[tuple[int, ...]] = [(), (1,), (0,), (2, 0, 3), (1, 1, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, np.float16])
def test_ports_of_no_and_one_element(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    x = np.ones(shape, dtype)
    got = run(lambda graph, x: [graph.add(ops.Cast(x, DType.FLOAT32)), x], x)
    assert_same(got[0], x.astype(np.float32))
    assert_same(got[1], x)


def test_a_dynamic_size_of_zero() -> None:
    z = symbol("z", 0, 1, 4)
    engine = build(
        graph_of(
            lambda graph, x: [graph.add(ops.Relu(x)), graph.add(ops.ReduceSum(x, (0,)))],
            [TensorType(DType.FLOAT32, (z, 3))],
        )
    )
    for size in (2, 0, 4):
        x = normal(size, size, 3)
        got = engine(x)
        assert_same(got[0], np.maximum(x, 0))
        assert_same(got[1], x.sum(0), atol=1e-6)


ALL_TYPES = ["float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ALL_TYPES)
@pytest.mark.parametrize("dynamic", [False, True])
def test_outputs_of_every_origin(dtype: str, dynamic: bool, mode: str) -> None:
    """Inputs unused, passed on, passed on by operators that do nothing, twice; constants; both."""
    x = np.arange(6).reshape(2, 3).astype(dtype)
    unused = np.ones((2,), dtype)
    constant = (np.arange(4) % 2).astype(dtype)

    def make(graph: Graph, x: Value, unused: Value) -> list[Value]:
        same = graph.add(ops.Reshape(x, x.type.shape))
        again = graph.add(ops.Expand(x, x.type.shape))
        moved = graph.add(ops.Transpose(x, (1, 0)))
        known = graph.constant(constant)
        return [x, moved, same, known, x, moved, again, graph.constant(constant), unused]

    types = dynamic_types([x, unused]) if dynamic else None
    engine = build(graph_of(make, types or [_type(x), _type(unused)]), mode)
    for _ in range(2):
        got = engine.run_list([x, unused])
        expected = [x, x.T, x, constant, x, x.T, x, constant, unused]
        for one, wanted in zip(got, expected, strict=True):
            assert_same(one, wanted)
        assert len({address(one) for one in got}) == len(got)
        assert not any(np.shares_memory(one, x) or np.shares_memory(one, unused) for one in got)
        for one in got:  # the caller's to change
            one[...] = 0
    assert_same(x, np.arange(6).reshape(2, 3).astype(dtype))


def _type(x: Array) -> TensorType:
    return TensorType(DType.of(x.dtype), x.shape)


def test_a_graph_that_computes_nothing() -> None:
    x = normal(0, 2, 3)
    assert_same(run(lambda graph, x: x, x)[0], x)
    constant = normal(1, 2)
    assert_same(run(lambda graph: graph.constant(constant))[0], constant)


def test_int64_inputs_must_fit_32_bits_where_they_are_computed_with() -> None:
    graph = graph_of(
        lambda graph, x, y: [graph.add(ops.Neg(x)), y],
        [TensorType(DType.INT64, (2,)), TensorType(DType.INT64, (2,))],
    )
    engine = build(graph)
    wide = np.array([2**40, -(2**40)])
    edges = np.array([2**31 - 1, -(2**31)])
    got = engine.run_list([edges[:1].repeat(2), wide])
    assert_same(got[0], -edges[:1].repeat(2))
    assert_same(got[1], wide)
    engine.run_list([edges, wide])
    for bad, shown in (([0, 2**31], "0 … 2147483648"), ([-(2**31) - 1, 3], "-2147483649 … 3")):
        with pytest.raises(
            InputError, match=rf"'x0' holds values(.|\n)*2147483647: it computes.*\n.*{shown}"
        ):
            engine.run_list([np.array(bad), wide])


def test_values_that_openvino_refuses_while_it_runs() -> None:
    graph = graph_of(
        lambda graph, x, i: graph.add(ops.GatherElements(x, i, 0)),
        [STATIC, TensorType(DType.INT64, (1, 4))],
    )
    engine = build(graph)
    x, picked = normal(0, 3, 4), np.array([[0, 1, 2, 0]])
    with pytest.raises(
        InputError,
        match=r"cannot run the model on these inputs(.|\n)*int64\[1, 4\](.|\n)*axisDimSize(.|\n)*"
        r"Hint: indices may be out of range, or sizes that the model computes impossible",
    ):
        engine(x, picked + 7)
    assert_same(engine(x, picked), np.take_along_axis(x, picked, 0))  # it goes on


def test_sizes_that_become_negative_are_told_as_such() -> None:
    engine = build(graph_of(lambda graph, x: graph.add(ops.Slice(x, 0, 0, B - 3)), [DYNAMIC]))
    with pytest.raises(InputError) as caught:
        engine(normal(0, 2, 4))
    assert str(caught.value) == (
        "output 'y0' would be [-1, 4] for these inputs\n"
        "  expected: x0: float32[b, 4]\n"
        "  got:      [2, 4]\n"
        "  Hint: give other sizes: for these the model itself raises an exception"
    )
    x = normal(0, 5, 4)
    assert_same(engine(x), x[:2])  # it goes on


def test_indices_out_of_range_do_not_crash() -> None:
    x, far = normal(0, 3, 4), np.array([[10**8], [-(10**8)]])
    got = run(
        lambda graph, x, i: [graph.add(ops.GatherND(x, i)), graph.add(ops.Gather(x, i, 0))], x, far
    )
    assert got[0].shape == (2, 4)
    assert got[1].shape == (2, 1, 4)


def test_the_constants_of_a_graph_that_is_gone() -> None:
    weight = normal(1, 64, 64)

    def make(graph: Graph, x: Value) -> Value:
        w = graph.constant(weight.copy())
        return graph.add(ops.Add(graph.add(ops.Mul(x, w)), graph.add(ops.Maximum(x, w))))

    x = normal(0, 64, 64)
    engine = build(graph_of(make, [_type(x)]))
    gc.collect()
    _ = [np.full((64, 64), 7.0, np.float32) for _ in range(200)]  # would reuse freed memory
    assert_same(engine(x), x * weight + np.maximum(x, weight), atol=1e-6)


def network(graph: Graph, x: Value) -> Value:
    for seed in range(3):
        x = graph.add(ops.Relu(graph.add(ops.Linear(x, graph.constant(normal(seed, 4, 4))))))
    return x


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_eight_threads_get_what_one_gets(hint: str) -> None:
    engine = build(graph_of(network, [DYNAMIC]), hint=hint)
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(1 + n % 64, 4)).astype(np.float32) for n in range(8 * 200)]
    expected = [engine(x) for x in given]

    def work(worker: int) -> list[Array]:
        return [engine(x) for x in given[worker::8]]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    for worker, mine in enumerate(results):
        for got, wanted in zip(mine, expected[worker::8], strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert engine.contexts.limit == (2 if hint == "throughput" else 1) or os.cpu_count() != 2
    if hint == "throughput" and (os.cpu_count() or 1) > 1:
        assert engine.contexts.peak >= 2


def test_outputs_that_openvino_simplifies_to_inputs(tmp_path: Path) -> None:
    """It drops Concat and Gather here, and then writes no result."""

    def make(graph: Graph, x: Value, y: Value) -> list[Value]:
        both = graph.add(ops.Concat((x, y), 0))
        second = graph.add(ops.Gather(both, graph.constant(np.array([1])), 0))
        return [second, graph.add(ops.Relu(x)), x, second]

    for dtype in (DType.FLOAT32, DType.INT32):
        engine = build(graph_of(make, [TensorType(dtype, (1,)), TensorType(dtype, (1,))]))
        engine.save(tmp_path / "model.engine")
        x, y = (np.array([number], dtype.storage) for number in (2, 3))
        for one in (engine, Engine.load(tmp_path / "model.engine", plugins=PLUGINS)):
            first, *others = one.run_list([x, y])
            again = one.run_list([y, x])[0]
            for got, wanted in zip([first, *others, again], [y, x, x, y, x], strict=True):
                assert_same(got, wanted)
            assert not any(np.shares_memory(first, other) for other in (x, y, again))


@operator
class Meet(Operator, namespace="test"):
    """x, handed on once two runs are here at the same time."""

    x: Value

    def infer(self) -> TensorType:
        return self.x.type


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two runs at once need two cores")
def test_two_runs_are_really_under_way_at_once() -> None:
    barrier = threading.Barrier(2, timeout=30)
    met: list[bool] = []

    class Node(openvino.Op):  # type: ignore[misc,name-defined]
        def __init__(self, inputs: Any = None) -> None:
            super().__init__(self, inputs)
            if inputs is not None:
                self.constructor_validate_and_infer_types()

        def validate_and_infer_types(self) -> None:
            self.set_output_type(0, self.get_input_element_type(0), self.get_input_partial_shape(0))

        def clone_with_new_inputs(self, inputs: Any) -> Node:
            return Node(inputs)

        def has_evaluate(self) -> bool:
            return True

        def evaluate(self, outputs: Any, inputs: Any) -> bool:
            try:
                barrier.wait()
                met.append(True)
            except threading.BrokenBarrierError:
                met.append(False)
            np.copyto(outputs[0].data, inputs[0].data)
            return True

    @lowering("openvino", Meet)
    def meet(ctx: Any, op: Meet) -> Any:
        return Node([ctx[op.x]])

    class MeetPack:
        @hookimpl
        def fwd_register_lowerings(self, register: reg.LoweringRegister) -> None:
            register.add(meet)

    plugins = Plugins({"openvino-only": Pack(), "meet": MeetPack()})
    graph = graph_of(lambda graph, x: graph.add(Meet(graph.add(ops.Relu(x)))), [STATIC])
    builder = Builder(
        backend="openvino", options={"hint": "throughput", "streams": 2}, plugins=plugins
    )
    engine = builder.compile(graph)
    # OpenVINO may make a request only when one under way has ended: both are made before.
    for context in [engine.contexts.acquire(), engine.contexts.acquire()]:
        engine.contexts.release(context)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(engine, [normal(0, 3, 4), normal(1, 3, 4)]))
    assert met == [True, True]
    assert engine.contexts.peak == 2
    assert "openvino:test.Meet" not in PLUGINS.lowerings
