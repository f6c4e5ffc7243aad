"""Int8 within a bound: which layers go to float, and what is said if none will do."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net

from fwd_core import Builder
from fwd_core.errors import CalibrationError, InputError, OptionError
from fwd_core.ir import Graph, ops
from fwd_core.ir.serialize import copied
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.calibrate import Calibrator
from fwd_core.quantize.fidelity import Fidelity
from fwd_core.quantize.search import Quantized, search

NUMBERS = np.random.default_rng(7)
DATA = [NUMBERS.standard_normal((4, 16, 3, 3)).astype(np.float32) for _ in range(6)]
BAD = ("conv3", "conv5")


def _net(layers: int = 8, width: int = 16) -> Graph:
    """Products of which two multiply channels of very different sizes, which int8 cannot hold."""
    numbers = np.random.default_rng(7)
    net = Net(3)
    y = net.input(4, width, 3, 3)
    for index in range(layers):
        name = f"conv{index}"
        weight = numbers.standard_normal((width, width)).astype(np.float32) / math.sqrt(width)
        if name in BAD:
            y = net.add(ops.Mul(y, _scales(net, 300.0, width)), f"up{index}")
            weight[:, 0] /= 300
        value = net.graph.constant(weight[:, :, None, None], name=f"w{index}")
        y = net.conv(y, name, width, weight=value)
        y = net.add(ops.Relu(y), f"relu{index}")
    return net.finish(y)


def _scales(net: Net, first: float, width: int) -> Any:
    scales = np.ones((width, 1, 1), np.float32)
    scales[0] = first
    return net.graph.constant(scales, name="scales")


def _metric(graph: Graph) -> Any:
    """The SQNR of an engine's output, at most 40 dB, in hundreds: near 0.4 for float32."""
    exact = Builder(backend="openvino").compile(_again(graph))
    wanted = [exact.run_list([x])[0] for x in DATA]

    def metric(engine: Any) -> float:
        found = Fidelity()
        for x, one in zip(DATA, wanted, strict=True):
            found.add(one, engine.run_list([x])[0])
        return min(found.sqnr, 40.0) / 100

    return metric


def _again(graph: Graph) -> Graph:
    return copied(graph, Builder(backend="openvino").plugins.operators)


def _search(graph: Graph, max_drop: float, metric: Any = None, **more: Any) -> Quantized:
    more.setdefault("batches", DATA)
    calibrator = Calibrator(algorithm="minmax", **more)
    builder = Builder(backend="openvino", mode="int8", calibrator=calibrator)
    return search(graph, builder, metric or _metric(graph), max_drop)


def test_the_most_sensitive_layers_go_to_float() -> None:
    graph = _net()
    before = str(graph)
    metric = _metric(graph)
    found = _search(graph, 0.2, metric)
    assert sorted(one.name for one in found.floats) == list(BAD)
    assert found.baseline == pytest.approx(0.4)
    assert found.drop <= 0.2 < found.attempts[0].drop
    assert metric(found.engine) == pytest.approx(found.value)
    assert [one.floats for one in found.attempts] == [0, 1, 2]
    assert [name for name in found.placement.products if name in found.placement.floats] == [*BAD]
    lines = str(found).splitlines()
    assert lines[1] == "int8: 6 of 8 products, in 3 builds"
    assert lines[2] == "moved to float, the most sensitive first:"
    assert len(lines) == 5
    assert str(graph) == before


def test_nothing_goes_to_float_if_the_bound_holds() -> None:
    found = _search(_net(), 0.5)
    assert (found.floats, len(found.attempts)) == ((), 1)
    assert found.placement.coverage == 1
    assert str(found).endswith("int8: 8 of 8 products, in 1 build")


@pytest.mark.parametrize("needed", [1, 2, 3, 5, 6, 7])
def test_the_fewest_layers_are_found_in_a_few_builds(needed: int) -> None:
    """A metric that counts the weights in int8: the search must end at exactly that many."""
    told: list[int] = []

    def metric(engine: Any) -> float:
        if engine.manifest["mode"] == "float32":
            return 1.0
        told.append(_weights_in_int8(engine))
        return 1.0 if told[-1] <= 8 - needed else 0.0

    found = _search(_net(), 0.01, metric)
    assert len(found.floats) == needed
    assert [8 - one.floats for one in found.attempts] == told
    assert len(told) <= 7


def _weights_in_int8(engine: Any) -> int:
    model = engine.plan.compiled.get_runtime_model()
    facts = [one.get_rt_info() for one in model.get_ordered_ops()]
    return sum(
        one["layerType"].astype(str) == "Convolution"
        and one["runtimePrecision"].astype(str) in ("i8", "u8")
        for one in facts
    )


def test_a_bound_that_cannot_hold() -> None:
    def metric(engine: Any) -> float:
        return 1.0 if engine.manifest["mode"] == "float32" else 0.25

    with pytest.raises(CalibrationError) as raised:
        _search(_net(), 0.005, metric)
    text = str(raised.value)
    assert "int8 does not stay within the bound, whatever is kept in float" in text
    assert "expected: a drop of at most 0.005 from 1" in text
    assert "got:      a drop of 0.75 (0.25), int8" in text
    assert "int8 with 7 layers in float: 0.25, a drop of 0.75" in text
    assert "Hint: try another algorithm (percentile=99.99, mse), more data, or mode 'float1" in text
    (told,) = [line for line in text.splitlines() if "in float at the end" in line]
    assert told.startswith("  in float at the end, the most sensitive first: conv")
    assert all(name in told for name in BAD)
    assert told.count("conv") == 7


def _refusal(layers: int = 2, **given: Any) -> str:
    calibrator = Calibrator(**given)
    builder = Builder(backend="openvino", mode="int8", calibrator=calibrator)

    def metric(engine: Any) -> float:
        return 1.0 if engine.manifest["mode"] == "float32" else 0.25

    with pytest.raises(CalibrationError) as raised:
        search(_net(layers), builder, metric, 0.005)
    return str(raised.value)


@pytest.mark.parametrize(
    ("algorithm", "others"),
    [
        (None, "minmax, percentile=99.99"),
        ("mse", "minmax, percentile=99.99"),
        ("percentile", "minmax, mse"),
        ("percentile=99.9", "minmax, percentile=99.99, mse"),
    ],
)
def test_the_algorithm_in_use_is_not_advised(algorithm: str | None, others: str) -> None:
    text = _refusal(batches=DATA, algorithm=algorithm)
    assert f"Hint: try another algorithm ({others}), more data, or mode 'float16'" in text


def test_ranges_of_files_that_are_in_use_are_not_advised(tmp_path: Path) -> None:
    path = tmp_path / "m.cache"
    _refusal(batches=DATA, cache=path)
    text = _refusal(batches=DATA, cache=path)
    assert "try another algorithm (minmax, percentile=99.99)," in text, "it may be of mse"
    names = Calibrator(DATA).names(_net(2))
    scales = tmp_path / "m.scales"
    scales.write_text("".join(f"{name}:3.0\n" for name in names))
    text = _refusal(batches=DATA, scales=scales)
    assert "Hint: try ranges of an algorithm in place of the scale file, more data, or" in text


def test_many_layers_in_float_are_counted() -> None:
    (told,) = [line for line in _refusal(13, batches=DATA).splitlines() if "at the end" in line]
    assert told.count("conv") == 10
    assert told.endswith(", and 2 more")


def test_no_layer_is_named_where_none_was_in_float() -> None:
    assert "in float at the end" not in _refusal(1, batches=DATA)


def test_what_is_skipped_stays_in_float() -> None:
    found = _search(_net(), 0.2, skip=["conv3"])
    assert [one.name for one in found.floats] == ["conv5"]
    assert "conv3" in found.placement.floats


def test_a_cache_is_written_and_read(tmp_path: Path) -> None:
    graph = _net()
    path = tmp_path / "m.cache"
    first = _search(graph, 0.2, cache=path)
    assert list(CalibrationCache.load(path)) == Calibrator(DATA).names(graph)
    again = _search(graph, 0.2, cache=path)
    assert [one.name for one in again.floats] == [one.name for one in first.floats]
    with pytest.raises(CalibrationError, match="there is no data to rank layers with"):
        _search(graph, 0.2, cache=path, batches=None)


def test_sums_of_branches_when_one_goes_to_float() -> None:
    """The other operand of the sum needs a range then, which int8 alone does not need."""
    net = Net(1)
    x = net.input(2, 3, 8, 8)
    y = net.add(ops.Relu(net.conv(x, "stem", kernel=3)), "relu")
    total = net.add(ops.Add(net.conv(y, "left", kernel=3), net.conv(y, "right")), "sum")
    graph = net.finish(net.conv(net.add(ops.Relu(total), "out"), "head"))
    data = [NUMBERS.standard_normal((2, 3, 8, 8)).astype(np.float32) for _ in range(3)]
    values = iter([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    found = _search(graph, 0.1, lambda engine: next(values), batches=data)
    assert len(found.floats) == 3


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (lambda engine: math.nan, "the metric gave no finite number"),
        (
            lambda engine: None,
            "the metric gave None\n  expected: a number for the engine that it is",
        ),
        (lambda engine: [], r"the metric failed: TypeError: float\(\) argument must be"),
        (lambda engine: next(iter(())), "the metric failed: StopIteration\n"),
        (lambda engine: 1 / 0, "the metric failed: ZeroDivisionError: division by zero"),
    ],
)
def test_metrics_that_fail(metric: Any, text: str) -> None:
    with pytest.raises(OptionError, match=text) as caught:
        _search(_net(2), 0.1, metric)
    place = f"{__file__}:{metric.__code__.co_firstlineno}"
    inside = "ZeroDivisionError" in text or "StopIteration" in text
    assert caught.value.where == (place if inside else None)


def test_errors_of_an_engine_in_a_metric_say_where() -> None:
    def metric(engine: Any) -> float:
        return float(engine(np.zeros((1, 1), np.float32)))

    place = rf"in the metric, at {__file__}:{metric.__code__.co_firstlineno + 1}$"
    with pytest.raises(InputError, match=place):
        _search(_net(2), 0.1, metric)


def test_arguments_that_are_wrong() -> None:
    for wrong in (-0.1, "0.5%", math.nan, True):
        with pytest.raises(OptionError, match="argument 'max_drop'"):
            _search(_net(2), wrong)  # type: ignore[arg-type]
    with pytest.raises(CalibrationError, match="there is no calibrator"):
        search(_net(2), Builder(backend="openvino", mode="int8"), lambda engine: 1.0, 0.1)
