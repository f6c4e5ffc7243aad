"""What layers lose in int8, at their own output, and beside what the model's output tells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net
from values import kind

from fwd_core import Builder
from fwd_core.errors import CalibrationError
from fwd_core.ir import Graph, ops, symbol
from fwd_core.ir.serialize import copied
from fwd_core.quantize.calibrate import Calibrator
from fwd_core.quantize.fidelity import Fidelity, decibels
from fwd_core.quantize.sensitivity import LayerLoss, _with_twins, sensitivity

NUMBERS = np.random.default_rng(11)


def _deep(width: int = 16) -> Graph:
    """Products, of which two have a few far greater weights per channel than others."""
    net = Net(3)
    numbers = np.random.default_rng(11)
    y = net.input(4, width, 3, 3)
    for index in range(6):
        weight = numbers.standard_normal((width, width)).astype(np.float32) / math.sqrt(width)
        if index in (2, 4):
            weight[:, :2] *= 3.0 ** (index + 1)
        value = net.graph.constant(weight[:, :, None, None], name=f"w{index}")
        y = net.conv(y, f"conv{index}", width, weight=value)
        y = net.add(ops.Tanh(y), f"tanh{index}")
    return net.finish(y)


def _image() -> Graph:
    """With normalization, pooling and padding between products, two branches and their sum."""
    net = Net(1)
    x = net.input(2, 3, 8, 8)
    y = net.add(ops.Relu(net.norm(net.conv(x, "stem", kernel=3), "norm")), "relu")
    y = net.pool(y, "pool")
    left = net.conv(y, "left", kernel=3)
    y = net.add(ops.Relu(net.add(ops.Add(left, y), "sum")), "out")
    return net.finish(net.conv(y, "head"))


def _builder() -> Builder:
    return Builder(backend="openvino")


def _data(graph: Graph, count: int = 4) -> list[Any]:
    shape = graph.inputs[0].type.shape
    return [NUMBERS.standard_normal(shape).astype(np.float32) for _ in range(count)]


def _ranges(graph: Graph, data: list[Any]) -> Any:
    return Calibrator(data, algorithm="minmax").calibrate(graph, _builder())


def _losses(graph: Graph) -> list[LayerLoss]:
    data = _data(graph)
    return sensitivity(graph, _ranges(graph, data), data, _builder())


def _at_the_output(graph: Graph, data: list[Any], only: str, names: list[str]) -> float:
    """Signal to noise of the model's output when only one product is in int8."""
    calibrator = Calibrator(data, algorithm="minmax", skip=[name for name in names if name != only])
    builder = Builder(backend="openvino", mode="int8", calibrator=calibrator)
    small = builder.compile(copied(graph, builder.plugins.operators))
    exact = _builder().compile(copied(graph, builder.plugins.operators))
    found = Fidelity()
    for x in data:
        found.add(exact.run_list([x])[0], small.run_list([x])[0])
    return found.sqnr


def test_the_order_is_that_of_the_models_output() -> None:
    graph = _deep()
    data = _data(graph)
    losses = sensitivity(graph, _ranges(graph, data), data, _builder())
    names = [one.name for one in losses]
    assert sorted(names) == [f"conv{index}" for index in range(6)]
    exact = {name: _at_the_output(graph, data, name, names) for name in names}
    ranks = [sorted(exact, key=exact.__getitem__).index(name) for name in names]
    correlation = np.corrcoef(ranks, range(len(ranks)))[0, 1]
    assert correlation > 0.8, (exact, losses)
    assert ranks[0] <= 1


def test_what_is_measured_is_int8_in_one_layer() -> None:
    net = Net(2)
    x = net.input(4, 8)
    graph = net.finish(net.linear(net.add(ops.Relu(net.linear(x, "a", 8)), "relu"), "b", 8))
    data = _data(graph, 1)
    ranges = _ranges(graph, data)
    losses = {one.name: one for one in sensitivity(graph, ranges, data, _builder())}

    def rounded(array: Any, amax: Any, low: int = -128, high: int = 127) -> Any:
        scale = np.asarray(amax / high, np.float32)
        return np.clip(np.round(array / scale), low, high) * scale

    def product(x: Any, name: str, amax: float | None) -> Any:
        (weight,) = (one.constant.data for one in graph.values() if one.name == f"{name}.weight")
        if amax is not None:
            limits = (-128, 127) if x.min() < 0 else (0, 255)  # what comes out of a Relu
            x = rounded(x, amax, *limits)
            weight = rounded(weight, np.abs(weight).max(1, keepdims=True))
        return x @ weight.T

    a = np.maximum(product(data[0], "a", None), 0)
    for name, value, source in (("a", data[0], "x"), ("b", a, "relu")):
        want = Fidelity()
        want.add(product(value, name, None), product(value, name, ranges[source]))
        assert losses[name].sqnr == pytest.approx(want.sqnr, abs=0.1)
        assert losses[name].operator == "Linear"


def test_products_of_images() -> None:
    graph = _image()
    before = str(graph)
    losses = _losses(graph)
    assert sorted(one.name for one in losses) == ["head", "left", "stem"]
    assert all(15 < one.sqnr < 60 for one in losses), losses
    assert str(graph) == before


def test_products_of_activations_and_dynamic_sizes() -> None:
    graph = Graph("products")
    x = graph.add_input("x", kind(symbol("n", 1, 4, 8), 6))
    weight = graph.constant(NUMBERS.standard_normal((6, 6)).astype(np.float32), name="weight")
    y = graph.add(ops.Linear(x, weight), name="linear")
    z = graph.add(ops.Transpose(graph.add(ops.Relu(y), name="relu"), (1, 0)), name="transpose")
    graph.set_outputs([graph.add(ops.MatMul(y, z), name="scores")], ["scores"])
    data = [NUMBERS.standard_normal((rows, 6)).astype(np.float32) for rows in (2, 7)]
    losses = sensitivity(graph, _ranges(graph, data), data, _builder())
    assert sorted((one.name, one.operator) for one in losses) == [
        ("linear", "Linear"),
        ("scores", "MatMul"),
    ]
    assert all(15 < one.sqnr < 60 for one in losses), losses


def test_a_whole_attention_is_measured() -> None:
    net = Net(2)
    query, key, value = (net.input(1, 2, 8, 4, name=name) for name in "qkv")
    graph = net.finish(net.add(ops.Attention(query, key, value), "attention"))
    shape = (1, 2, 8, 4)
    data = [[NUMBERS.standard_normal(shape).astype(np.float32) for _ in "qkv"] for _ in range(2)]
    calibrator = Calibrator(data, algorithm="minmax", attention=True)
    ranges = calibrator.calibrate(graph, _builder())
    assert sensitivity(graph, ranges, data, _builder()) == []
    (loss,) = sensitivity(graph, ranges, data, _builder(), attention=True)
    assert (loss.name, loss.operator) == ("attention", "Attention")
    assert 15 < loss.sqnr < 60


def test_memory_is_bounded() -> None:
    """What is looked at are single numbers, whatever the sizes of the model's tensors."""
    graph, data = _image(), _data(_image())
    changed, pairs = _with_twins(graph, _ranges(graph, data), _builder(), (), False)
    sums = [changed.find(name) for names in pairs.values() for name in names]
    assert len(sums) == 6
    assert all(one is not None and one.type.shape == () for one in sums)


def test_what_is_skipped_is_not_measured() -> None:
    graph, data = _image(), _data(_image())
    ranges = _ranges(graph, data)
    losses = sensitivity(graph, ranges, data, _builder(), skip=["stem", "head"])
    assert [one.name for one in losses] == ["left"]
    assert sensitivity(graph, ranges, data, _builder(), skip=["*"]) == []


def test_progress_and_batches_that_are_missing() -> None:
    graph, data = _image(), _data(_image())
    ranges = _ranges(graph, data)
    told: list[Any] = []
    builder = Builder(backend="openvino", on_event=told.append)
    sensitivity(graph, ranges, data, builder)
    steps = [(one.state, one.step, one.detail) for one in told if one.phase == "sensitivity"]
    assert steps[:2] == [("start", 0, "3 products"), ("step", 1, "batch 1")]
    with pytest.raises(CalibrationError, match="no batches to measure sensitivity with"):
        sensitivity(graph, ranges, [], builder)


@pytest.mark.parametrize(
    ("exact", "found", "sqnr", "cosine"),
    [
        ([3.0, 4.0], [3.0, 4.5], 20.0, 0.998),
        ([1.0, 2.0], [1.0, 2.0], math.inf, 1.0),
        ([0.0, 0.0], [1.0, 0.0], -math.inf, 0.0),
        ([0.0], [0.0], math.inf, 1.0),
        ([math.inf, 3.0], [math.inf, 3.0], math.inf, 1.0),
        ([math.nan, 10.0], [math.nan, 9.0], 20.0, 1.0),
        ([1.0, 3.0], [math.inf, 3.0], -math.inf, 1.0),
    ],
)
def test_fidelity(exact: Any, found: Any, sqnr: float, cosine: float) -> None:
    of = Fidelity()
    of.add(np.array(exact), np.array(found))
    assert of.sqnr == pytest.approx(sqnr)
    assert of.cosine == pytest.approx(cosine, abs=1e-3)


def test_outputs_count_together() -> None:
    of = Fidelity()
    of.add(np.array([10.0]), np.array([10.0]))
    of.add(np.array([[0.0]]), np.array([[1.0]]))
    assert of.sqnr == pytest.approx(decibels(100, 1))
