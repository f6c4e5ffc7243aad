"""Options of the OpenVINO backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from on_openvino import build, graph_of, run

from fwd_core.backends.openvino.options import OpenVINOOptions
from fwd_core.errors import OptionError
from fwd_core.ir import DType, TensorType, ops

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"threads": 0}, r"'threads'.*\n.*1 or more, or None\n.*0"),
    ({"threads": -1}, r"got:      -1"),
    ({"threads": 1.0}, r"got:      1.0"),
    ({"threads": True}, r"got:      True"),
    ({"streams": "2"}, r"'streams'.*\n.*integer.*\n.*'2'"),
    ({"hint": "fast"}, r"'hint'.*\n.*'latency' or 'throughput'\n.*'fast'"),
    ({"hint": None}, r"got:      None"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED, ids=str)
def test_wrong_values_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        OpenVINOOptions(**given)


def test_unknown_option_is_refused() -> None:
    with pytest.raises(OptionError, match=r"no option 'thread'(.|\n)*did you mean 'threads'"):
        OpenVINOOptions.parse("openvino", {"thread": 2})


def test_defaults() -> None:
    assert OpenVINOOptions.parse("openvino", {}) == OpenVINOOptions(None, "latency", None)


def relu(**options: Any) -> Any:
    pytest.importorskip("openvino")
    graph = graph_of(lambda graph, x: graph.add(ops.Relu(x)), [TensorType(DType.FLOAT32, (2,))])
    return build(graph, **options).plan


HONOURED: list[tuple[dict[str, Any], dict[str, object]]] = [
    ({"threads": 1}, {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}),
    ({"hint": "throughput"}, {"PERFORMANCE_HINT": "THROUGHPUT"}),
    ({"hint": "throughput", "streams": 1}, {"NUM_STREAMS": 1}),
    ({"hint": "latency", "streams": 1, "threads": 1}, {"NUM_STREAMS": 1}),
]


@pytest.mark.parametrize(("given", "properties"), HONOURED, ids=str)
def test_openvino_takes_them(given: dict[str, Any], properties: dict[str, object]) -> None:
    plan = relu(**given)
    for key, value in properties.items():
        found = plan.compiled.get_property(key)
        assert str(getattr(found, "name", found)).endswith(str(value))


@pytest.mark.parametrize("option", ["threads", "streams"])
def test_more_than_the_machine_has_is_refused(option: str) -> None:
    with pytest.raises(
        OptionError, match=rf"'{option}'.*more than this machine.*\n.*at most \d+\n.*got:      4096"
    ):
        relu(**{option: 4096})


def test_threads_do_not_change_results() -> None:
    pytest.importorskip("openvino")
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    one, all_threads = (
        run(lambda graph, x: graph.add(ops.MatMul(x, x)), x, threads=threads)[0]
        for threads in (1, None)
    )
    np.testing.assert_allclose(one, all_threads, rtol=1e-5, atol=1e-5)
