"""What calibrating says of its data, and by which algorithm it goes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

import toy_backend
from nets import Net
from on_openvino import Pack

from fwd_core import Builder, Plugins
from fwd_core.errors import ForwardWarning
from fwd_core.ir import DType, ops
from fwd_core.quantize import CalibrationCache, Calibrator


def _calibrated(count: int, algorithm: str | None, empty: bool = False) -> CalibrationCache:
    net = Net()
    x = net.conv(net.input(1, 4, 10, 10), "conv")
    graph = net.finish(net.conv(x, "last"))
    draw = np.random.default_rng(0)
    batches: list[Any] = [
        draw.standard_normal((1, 4, 10, 10)).astype(np.float32) for _ in range(count)
    ]
    if empty:
        batches = [np.zeros_like(one) for one in batches]
    calibrator = Calibrator(batches, algorithm=algorithm)
    return calibrator.calibrate(graph, Builder(backend="openvino", mode="float32"))


@pytest.mark.parametrize("algorithm", ["entropy", "entropy_2"])
def test_too_few_values_for_an_entropy_search_are_told(algorithm: str) -> None:
    with pytest.warns(ForwardWarning) as told:
        _calibrated(24, algorithm)  # 9600 values of each
    assert [str(one.message) for one in told] == [
        "2 of 2 tensors have had fewer than 10000 values that are not 0, too few for "
        f"'{algorithm}', which then clips more than is good: x, conv. "
        "Calibrate with more batches, or by 'mse' or 'minmax'"
    ]


@pytest.mark.parametrize(
    ("count", "algorithm"), [(25, "entropy"), (1, "minmax"), (1, "mse"), (1, "percentile")]
)
def test_enough_values_and_other_algorithms_are_not(count: int, algorithm: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _calibrated(count, algorithm)


def test_tensors_that_were_always_0_have_no_range_in_any_case() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(_calibrated(1, "entropy", empty=True).values()) == {0.0}


def test_mse_is_what_nothing_else_is_said_for() -> None:
    assert _calibrated(2, None) == _calibrated(2, "mse")
    assert _calibrated(2, None).algorithm == "mse"


@pytest.mark.parametrize(("backend", "dtype"), [("openvino", DType.UINT8), ("toy", DType.INT8)])
def test_the_backend_says_whether_bytes_may_be_unsigned(backend: str, dtype: DType) -> None:
    net = Net()
    relu = net.add(ops.Relu(net.conv(net.input(1, 4, 4, 4), "first")), "relu")
    graph = net.finish(net.conv(relu, "last"))
    plugins = Plugins({"core": Pack(), "toy": toy_backend})
    builder = Builder(backend=backend, mode="int8", plugins=plugins)
    Calibrator(cache=CalibrationCache({"x": 1.0, "relu": 2.0}, "mse")).quantize(graph, builder)
    made = {node.op.x.name: node.op.dtype for node in graph if isinstance(node.op, ops.Quantize)}
    assert (made["x"], made["relu"]) == (DType.INT8, dtype)
