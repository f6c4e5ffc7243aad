"""Models of the benchmark, placed as graphs."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers")
pytest.importorskip("openvino")

from steps import calls

from benchmarks import models
from fwd_core import Builder
from fwd_core.ir import Graph, ops
from fwd_core.quantize.placement import place, quantizable

_LAYERS = {"bert_base": 2, "bert_base eager": 2, "vit_base": 2}


@pytest.fixture(scope="module", params=["resnet50", "mobilenet_v2", *_LAYERS])
def model(request: pytest.FixtureRequest) -> tuple[str, Graph]:
    module, inputs = models.make(request.param, _LAYERS.get(request.param))
    return request.param, Builder(backend="openvino").import_model(module, inputs)


def test_all_products_are_quantized(model: tuple[str, Graph]) -> None:
    name, graph = model
    names = [value.name for value in graph.values()]
    size, made = len(graph), []

    def work() -> None:
        found = quantizable(graph)
        made.append((found, place(graph, dict.fromkeys(found, 2.0))))

    assert calls(work) < 600 * size  # half of it for the longest of them
    ((found, placement),) = made
    graph.verify()
    assert placement.coverage >= 0.9
    assert set(found) <= set(names)
    assert placement.unquantized == {}
    kinds = [type(node.op) for node in graph]
    assert ops.BatchNorm not in kinds
    roles = list(placement.quantized.values())
    additions = {"resnet50": 15, "mobilenet_v2": 10}
    assert roles.count("residual addition") == additions.get(name, 0)
