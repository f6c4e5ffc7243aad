"""Building: what is available, precision, errors, progress."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from machine import MODES, needs_half, without_half
from on_openvino import PLUGINS, Pack, assert_same, build, graph_of, run

from fwd_core import Builder, Plugins, hookimpl, lowering
from fwd_core.backends import Mode
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.backends.openvino.backend import blamed, compute_type, properties_of
from fwd_core.backends.openvino.model import lower_graph
from fwd_core.backends.openvino.options import OpenVINOOptions
from fwd_core.errors import BuildError, EngineFileError, OptionError
from fwd_core.events import Event, Events
from fwd_core.ir import (
    DType,
    Frame,
    Graph,
    Location,
    Operator,
    TensorType,
    Value,
    operator,
    ops,
    symbol,
)
from fwd_core.plugins import registers as reg
from fwd_core.rewrite.precision import PrecisionWarning

openvino = pytest.importorskip("openvino")


def test_availability_here() -> None:
    state = OpenVINOBackend().availability()
    assert state.build
    assert state.run
    assert state.reason == ""
    assert state.versions == {"openvino": openvino.get_version()}
    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    assert state.devices == [name.strip()]


def test_availability_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # what an absent module looks like
    state = OpenVINOBackend().availability()
    assert not state.build
    assert not state.run
    assert state.reason == "openvino is not installed"
    assert state.advice.startswith("pip install 'openvino>=")
    plugins = Plugins({"openvino-only": Pack()})
    with pytest.raises(BuildError, match=r"cannot build here\n.*\n  Hint: pip install 'openv"):
        Builder(backend="openvino", plugins=plugins).backend()


def test_a_missing_half_type_is_told_before_the_model_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = OpenVINOBackend()
    machine = {**backend._machine(), "capabilities": ["FP32"]}
    monkeypatch.setattr(OpenVINOBackend, "_machine", lambda self: machine)
    builder = Builder(backend="openvino", mode="float16")
    with pytest.raises(OptionError, match="this CPU has no instructions for half precision"):
        builder.build("no such file", ())


def test_availability_of_a_broken_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no such device")

    monkeypatch.setattr(openvino, "Core", fail)
    state = OpenVINOBackend().availability()
    assert (state.build, state.run) == (False, False)
    assert state.reason == "OpenVINO does not start: no such device"


CHOICES: list[tuple[Mode, list[str], str, DType]] = [
    ("float32", ["FP32", "BF16", "FP16"], "bf16", DType.FLOAT32),
    ("float16", ["FP32", "BF16", "FP16"], "bf16", DType.BFLOAT16),
    ("float16", ["FP32", "BF16", "FP16"], "f16", DType.FLOAT16),
    ("float16", ["FP32", "BF16", "FP16"], "f32", DType.FLOAT16),
    ("float16", ["FP32", "BF16"], "f32", DType.BFLOAT16),
]


@pytest.mark.parametrize(("mode", "capabilities", "preferred", "expected"), CHOICES)
def test_compute_type(mode: Mode, capabilities: list[str], preferred: str, expected: DType) -> None:
    assert compute_type(mode, capabilities, preferred) is expected
    precision = properties_of(OpenVINOOptions(), expected)["INFERENCE_PRECISION_HINT"]
    assert precision == {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[str(expected)]


def test_a_cpu_without_half_types_says_so() -> None:
    with pytest.raises(
        OptionError,
        match="no instructions for half(.|\\n)*FP16 or BF16(.|\\n)*FP32, INT8(.|\\n)*'float32'",
    ):
        compute_type("float16", ["FP32", "INT8"], "f32")


@without_half
def test_a_cpu_without_half_types_builds_no_half_engine() -> None:
    graph = graph_of(matmul, [TensorType(DType.FLOAT32, (8, 64))])
    with pytest.raises(OptionError, match="no instructions for half precision"):
        build(graph, "float16")


def test_int8_leaves_half_where_there_is_such_a_type() -> None:
    assert compute_type("int8", ["INT8"], "f32") is DType.FLOAT32
    assert compute_type("int8", ["INT8", "BF16"], "bf16") is DType.BFLOAT16
    assert compute_type("int8_calib", ["INT8", "BF16"], "bf16") is DType.FLOAT32


def half_here() -> DType:
    core = openvino.Core()
    preferred = core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    return compute_type("float16", core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"), preferred)


def matmul(graph: Graph, x: Value) -> Value:
    weight = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
    return graph.add(ops.Gelu(graph.add(ops.Linear(x, graph.constant(weight)), name="product")))


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_is_what_is_computed_in(mode: str) -> None:
    engine = build(graph_of(matmul, [TensorType(DType.FLOAT32, (8, 64))]), mode)
    wanted = DType.FLOAT32 if mode == "float32" else half_here()
    assert engine.manifest["compute"] == str(wanted)
    plan: Any = engine.plan
    element = plan.compiled.get_property("INFERENCE_PRECISION_HINT")
    assert (
        element.get_type_name()
        == {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[str(wanted)]
    )
    kernels = {}
    for node in plan.compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kind, precision = (info[key].astype(str) for key in ("layerType", "runtimePrecision"))
        kernels[kind] = precision
    assert kernels["FullyConnected"] == element.get_type_name()


@needs_half
def test_float32_is_float32_and_half_is_near() -> None:
    x = np.random.default_rng(0).normal(size=(8, 64)).astype(np.float32)
    single, half = (run(matmul, x, mode=mode)[0] for mode in ("float32", "float16"))
    weight = np.random.default_rng(1).normal(size=(64, 64))
    product = x.astype(np.float64) @ weight.T
    expected = np.vectorize(lambda v: v / 2 * (1 + math.erf(v / math.sqrt(2))))(product)
    error = np.abs(single - expected).max() / np.abs(expected).max()
    assert error < 1e-6
    cosine = (half.ravel() @ expected.ravel()) / np.linalg.norm(half) / np.linalg.norm(expected)
    assert cosine > 0.9995
    # bfloat16 has 8 bits: had it been float32 after all, the error would be a thousandth of this.
    assert np.abs(half - expected).max() / np.abs(expected).max() > 1e-4


@needs_half
def test_ports_keep_the_types_of_the_model_in_half_mode() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    got = run(
        lambda graph, x: [
            graph.add(ops.Mul(x, x)),
            graph.add(ops.Cast(x, DType.INT64)),
            graph.add(ops.Less(x, x)),
        ],
        x,
        mode="float16",
    )
    assert [str(one.dtype) for one in got] == ["float32", "int64", "bool"]


@pytest.mark.parametrize("mode", MODES)
def test_masks_of_the_least_number_in_every_mode(mode: str) -> None:
    """The least float32 must not become -inf in a smaller type: a masked row would be NaN."""
    least = float(np.finfo(np.float32).min)
    scores = np.random.default_rng(0).normal(size=(1, 2, 4, 8)).astype(np.float32)
    keep = np.ones((1, 1, 4, 8), np.float32)
    keep[..., 5:] = 0
    keep[:, :, 1] = 0

    def make(graph: Graph, scores: Value, keep: Value) -> list[Value]:
        number = graph.constant(np.array(least, np.float32))
        one = graph.constant(np.array(1.0, np.float32))
        added = graph.add(ops.Mul(graph.add(ops.Sub(one, keep)), number))
        masked = graph.add(ops.Add(scores, added))
        kept = graph.add(ops.Cast(keep, DType.BOOL))
        chosen = graph.add(ops.Where(kept, scores, number))
        filled = graph.add(ops.Full((1, 1, 1, 1), least, DType.FLOAT32))
        other = graph.add(ops.Where(kept, scores, filled))
        products = []
        for one_mask in (masked, chosen, other):
            weights = graph.add(ops.Softmax(one_mask, 3))
            products.append(graph.add(ops.MatMul(weights, scores, transpose_b=True)))
        return products

    got = run(make, scores, keep, mode=mode)
    masked = np.where(keep > 0, scores, least)
    weights = np.exp(masked - masked.max(-1, keepdims=True))
    expected = weights / weights.sum(-1, keepdims=True) @ scores.swapaxes(-1, -2)
    for one in got:
        np.testing.assert_allclose(one, expected, atol=1e-5 if mode == "float32" else 0.05)


def test_float64_computes_in_float32_with_one_warning() -> None:
    x = np.array([1.0, 1 / 3], np.float64)
    with pytest.warns(PrecisionWarning, match="float64 and compute in float32") as caught:
        (got,) = run(lambda graph, x: graph.add(ops.Add(graph.add(ops.Add(x, x)), x)), x)
    assert len(caught) == 1
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, 3 * x, rtol=1e-7)


@pytest.mark.filterwarnings("ignore:.*float64 and compute in float32")
@pytest.mark.parametrize("shape", [(5,), (0,), ()])
def test_infinite_float64_stays_infinite(shape: tuple[int, ...]) -> None:
    least, greatest = np.finfo(np.float32).min, np.finfo(np.float32).max
    numbers = np.array([-np.inf, np.inf, np.nan, 1e300, -1e300])
    for x in [numbers] if shape == (5,) else [np.full(shape, one) for one in numbers]:
        narrow = np.clip(x, least, greatest, where=np.isfinite(x), out=x.copy())
        taken, kept, single, again, copied, moved = run(_double, x)
        for got in (taken, kept, single, again, copied, moved):
            assert got.dtype == (np.float32 if got is single else np.float64)
        np.testing.assert_array_equal(taken, np.where(np.isnan(x), np.nan, -narrow))
        np.testing.assert_array_equal(kept, np.abs(narrow))
        np.testing.assert_array_equal(single, narrow.astype(np.float32))
        np.testing.assert_array_equal(again, narrow)
        np.testing.assert_array_equal(copied, x)
        np.testing.assert_array_equal(moved, narrow.reshape(1, *shape))


def _double(graph: Graph, x: Value) -> list[Value]:
    single = graph.add(ops.Cast(x, DType.FLOAT32))
    moved = graph.add(ops.Unsqueeze(x, (0,)))
    taken, kept = graph.add(ops.Neg(x)), graph.add(ops.Abs(x))
    return [taken, kept, single, graph.add(ops.Cast(single, DType.FLOAT64)), x, moved]


@pytest.mark.filterwarnings("ignore:.*float64 and compute in float32")
def test_one_result_may_be_an_output_of_two_float_types() -> None:
    def make(graph: Graph, x: Value) -> list[Value]:
        twice = graph.add(ops.Add(x, x))
        return [twice, graph.add(ops.Cast(twice, DType.FLOAT64)), twice]

    x = np.array([0.1, np.inf], np.float32)
    for got, dtype in zip(run(make, x), (np.float32, np.float64, np.float32), strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, 2 * x)


@operator
class Odd(Operator, namespace="test"):
    """An operator whose lowerings fail in one way or another."""

    x: Value
    way: str = "lower"

    def infer(self) -> TensorType:
        return self.x.type


class Unknown(openvino.Op):  # type: ignore[misc,name-defined]
    """An operator that OpenVINO takes into a model and then has no kernel for."""

    def __init__(self, inputs: Any = None) -> None:
        super().__init__(self, inputs)
        if inputs is not None:
            self.constructor_validate_and_infer_types()

    def validate_and_infer_types(self) -> None:
        self.set_output_type(0, self.get_input_element_type(0), self.get_input_partial_shape(0))

    def clone_with_new_inputs(self, inputs: Any) -> Unknown:
        return Unknown(inputs)


@lowering("openvino", Odd)
def odd(ctx: Any, op: Odd) -> Any:
    if op.way == "lower":
        return ctx.opset.reshape(ctx[op.x], ctx.vector([7]), False)
    return Unknown([ctx[op.x]])


class OddPack:
    @hookimpl
    def fwd_register_lowerings(self, register: reg.LoweringRegister) -> None:
        register.add(odd)


@pytest.mark.parametrize("way", ["lower", "compile"])
def test_errors_name_the_node_the_line_and_openvinos_words(way: str) -> None:
    graph = Graph("wrong")
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 3)))
    place = Location("encoder.layer", "my::odd", Frame("model.py", 12, "forward"))
    y = graph.add(ops.Relu(x), name="odd")
    y = graph.add(Odd(y, way), name="encoder/odd", location=place)
    graph.set_outputs([graph.add(ops.Relu(y), name="end")], ["y"])
    plugins = Plugins({"openvino-only": Pack(), "odd": OddPack()})
    with pytest.raises(BuildError) as caught:
        Builder(backend="openvino", plugins=plugins).compile(graph)
    text = str(caught.value)
    assert "at encoder/odd encoder.layer my::odd (model.py:12 in forward)" in text
    assert text.startswith(
        "openvino refused test.Odd" if way == "lower" else "OpenVINO cannot compile the model"
    )
    assert ("Requested output shape [7]" if way == "lower" else "Unknown") in text


def test_a_size_that_may_be_negative_is_told_with_what_to_do() -> None:
    batch = symbol("batch", 1, 4, 8)
    graph = graph_of(
        lambda graph, x: graph.add(ops.Full((batch - 3,), 1.0, DType.FLOAT32)),
        [TensorType(DType.FLOAT32, (batch,))],
    )
    with pytest.raises(BuildError, match="openvino refused fwd.Full") as caught:
        build(graph)
    hint = "Hint: raise the least value in the range of batch, or build that size static"
    assert str(caught.value).endswith(hint)


def test_a_message_that_names_no_node_blames_none() -> None:
    graph = graph_of(lambda graph, x: graph.add(ops.Relu(x)), [TensorType(DType.FLOAT32, (2,))])
    assert blamed(graph, "Exception: out of memory") is None
    assert blamed(graph, "in node 'relu' (f32[2])") == "relu"


def test_operators_without_a_lowering_are_listed_together() -> None:
    graph = graph_of(
        lambda graph, x: graph.add(Odd(graph.add(ops.Relu(graph.add(Odd(x)))))),
        [TensorType(DType.FLOAT32, (2,))],
    )
    with pytest.raises(
        BuildError, match=r"2 operators cannot be lowered to openvino(.|\n)*test.Odd.*no lowering"
    ):
        build(graph)


def test_nodes_carry_our_names() -> None:
    def make(graph: Graph, x: Value) -> Value:
        y = graph.add(
            ops.LayerNorm(x, graph.constant(np.ones(3, np.float32)), None, 1, 1e-5), name="ln"
        )
        return graph.add(ops.Relu(y), name="end")

    graph = graph_of(make, [TensorType(DType.FLOAT32, (symbol("b", 1, 2, 3), 3))])
    model = lower_graph(graph, PLUGINS.lowerings, Events()).model
    names = {
        node.get_friendly_name() for node in model.get_ops() if node.get_type_name() != "Result"
    }
    assert names == {"x0", "constant", "ln", "ln/MVN_1", "ln/Constant_2", "end"}


def test_progress_is_told() -> None:
    events: list[Event] = []
    graph = graph_of(matmul, [TensorType(DType.FLOAT32, (8, 64))])
    nodes = len(graph)
    Builder(backend="openvino", plugins=PLUGINS, on_event=events.append).compile(graph)
    told = [(event.phase, event.state) for event in events if event.phase in ("lower", "compile")]
    steps = [("lower", "step")] * nodes
    assert told == [
        ("lower", "start"),
        *steps,
        ("lower", "end"),
        ("compile", "start"),
        ("compile", "end"),
    ]


def test_every_operator_of_the_core_has_a_lowering_or_decomposes() -> None:
    missing = [
        operator.kind()
        for operator in ops.core_operators()
        if f"openvino:{operator.kind()}" not in PLUGINS.lowerings
        and operator.decompose is Operator.decompose
    ]
    assert len(ops.core_operators()) > 50
    assert missing == []


def test_importing_the_backend_does_not_import_openvino() -> None:
    code = (
        "import sys, fwd_core.backends.openvino.lowering, fwd_core.backends.openvino as b;"
        "b.OpenVINOBackend(); sys.exit('openvino' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_results_of_any_size_of_one_engine() -> None:
    b, h, w = symbol("b", 1, 2, 4), symbol("h", 8, 16, 40), symbol("w", 8, 16, 40)
    weight = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)

    def make(graph: Graph, x: Value, y: Value) -> list[Value]:
        c = graph.add(
            ops.Convolution(x, graph.constant(weight), None, (2, 2), (1, 1), (1, 1), (1, 1))
        )
        flat = graph.add(ops.Reshape(c, (b, 5, c.type.shape[2] * c.type.shape[3])))
        pooled = graph.add(ops.ReduceMean(flat, (2,)))
        both = graph.add(ops.Concat((y, y), 0))
        return [pooled, both, flat]

    graph = graph_of(
        make,
        [TensorType(DType.FLOAT32, (b, 3, h, w)), TensorType(DType.FLOAT32, (b, 5))],
    )
    engine = build(graph)
    assert [str(port.type) for port in engine.outputs][1] == "float32[2*b, 5]"
    for size, height, width in ((2, 16, 16), (1, 9, 40), (4, 33, 8)):
        x = np.ones((size, 3, height, width), np.float32)
        y = np.full((size, 5), 2.0, np.float32)
        pooled, both, flat = engine(x, y)
        assert flat.shape == (size, 5, ((height + 1) // 2) * ((width + 1) // 2))
        np.testing.assert_allclose(pooled, flat.mean(2), rtol=1e-4, atol=1e-5)
        assert_same(both, np.concatenate([y, y]))


def test_an_engine_where_openvino_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineFileError) as told:
        OpenVINOBackend().read_plan({"openvino": "2026.4"}, memoryview(b""))
    assert str(told.value).startswith("the engine needs openvino 2026.4, which is not installed")
    assert "pip install" in str(told.value)
