"""Models of the benchmark, placed as graphs."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("transformers")
pytest.importorskip("openvino")


from benchmarks import models
from fwd_core import Builder
from fwd_core.ir import Graph, ops
from fwd_core.quantize.placement import place, quantizable

_LAYERS = {"bert_base": 3, "bert_base eager": 3, "vit_base": 3}


@pytest.fixture(scope="module", params=["resnet50", "mobilenet_v2", *_LAYERS])
def model(request: pytest.FixtureRequest) -> tuple[str, Graph]:
    module, inputs = models.make(request.param, _LAYERS.get(request.param))
    return request.param, Builder(backend="openvino").import_model(module, inputs)


def test_all_products_are_quantized_fast(model: tuple[str, Graph]) -> None:
    name, graph = model
    names = [value.name for value in graph.values()]
    started = time.process_time()
    found = quantizable(graph)
    placement = place(graph, dict.fromkeys(found, 2.0))
    assert time.process_time() - started < 1.0
    graph.verify()
    assert placement.coverage >= 0.9
    assert set(found) <= set(names)
    assert placement.unquantized == {}
    kinds = [type(node.op) for node in graph]
    assert ops.BatchNorm not in kinds
    roles = list(placement.quantized.values())
    additions = {"resnet50": 15, "mobilenet_v2": 10}
    assert roles.count("residual addition") == additions.get(name, 0)
