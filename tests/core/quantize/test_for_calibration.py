"""Which builder runs pieces of a model to calibrate with, and what it tells meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from nets import Net
from on_openvino import Pack

from fwd_core import Builder, Plugins, hookimpl
from fwd_core.backends import Availability
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.events import Event
from fwd_core.ir import Graph
from fwd_core.plugins import registers as reg
from fwd_core.quantize import Calibrator
from fwd_core.quantize.batches import count_of

X = [np.random.default_rng(seed).standard_normal((1, 4, 6, 6), np.float32) for seed in range(3)]


def _graph() -> Graph:
    net = Net()
    return net.finish(net.conv(net.conv(net.input(1, 4, 6, 6), "conv"), "last"))


def test_all_options_are_kept_where_a_backend_says_nothing_else() -> None:
    made = Builder(backend="openvino", mode="int8", options={"threads": 1}).for_calibration()
    assert (made.backend_name, made.mode, made.options) == ("openvino", "float32", {"threads": 1})
    assert made.calibrator is None


def test_tensorrt_leaves_out_what_is_about_the_engine() -> None:
    given: dict[str, Any] = {"flavour": "tensorrt", "workspace": 1 << 30, "timing_cache": "off"}
    about = {"profiles": [{"n": (1, 2, 4)}], "gpu": "sm_89", "layers": True, "tf32": True}
    about |= {"version_compatible": True, "hardware_compatible": True, "optimization_level": 5}
    found = TensorRTBackend().calibration_options({**given, **about})
    assert found == {**given, "optimization_level": 0}
    assert TensorRTBackend.options.parse("tensorrt", found)


class Elsewhere(OpenVINOBackend):
    """Builds here for a machine that is not here."""

    name = "elsewhere"
    priority = 99

    def availability(self) -> Availability:
        return Availability(True, False, "no such device")


class ElsewherePack:
    @hookimpl
    def fwd_register_backends(self, register: reg.BackendRegister) -> None:
        register.add(Elsewhere())


def test_a_backend_that_cannot_run_here_leaves_it_to_one_that_can() -> None:
    plugins = Plugins({"core": Pack(), "elsewhere": ElsewherePack()})
    builder = Builder(backend="elsewhere", options={"threads": 1}, plugins=plugins)
    made = builder.for_calibration()
    assert (made.backend_name, made.options) == ("auto", {})
    assert made.backend().name == "openvino"


class Some:
    """Iterates, and says how long it is in its own way."""

    def __init__(self, length: Any) -> None:
        self.length = length

    def __iter__(self) -> Iterator[Any]:
        return iter(X)

    def __len__(self) -> int:
        if isinstance(self.length, Exception):
            raise self.length
        return int(self.length)


@pytest.mark.parametrize(
    ("batches", "total"),
    [
        (X, 3),
        (iter(X), 3),
        ((x for x in X), None),
        (Some(3), 3),
        (Some(TypeError("no length")), None),
        (Some(NotImplementedError()), None),
    ],
)
def test_batches_are_told_one_by_one_and_of_how_many(batches: Any, total: int | None) -> None:
    assert count_of(batches) == total
    told: list[Event] = []
    builder = Builder(backend="openvino", on_event=told.append)
    Calibrator(batches).calibrate(_graph(), builder)
    assert {event.phase for event in told} == {"calibrate"}, "pieces are built in silence"
    start, *steps, end = told
    assert (start.state, start.total, start.detail) == ("start", total, "mse")
    assert [(one.state, one.step, one.total) for one in steps] == [
        ("step", count, total) for count in (1, 2, 3)
    ]
    assert (end.state, end.step) == ("end", 3)
