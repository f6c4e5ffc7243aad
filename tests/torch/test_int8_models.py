"""How much of real architectures OpenVINO computes with integers, as its execution graph tells."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("openvino")

from machine import beside_int8
from openvino_kernels import integer_kernels
from torch_models import traced

import forward
from benchmarks.integers import counted, told
from fwd_core.quantize import Calibrator
from fwd_core.quantize.report import Placement

pytestmark = integer_kernels
NUMBERS = torch.Generator().manual_seed(1)


def _built(model: Any, data: Sequence[Any], *others: Any, **more: Any) -> tuple[Placement, Any]:
    batches = [(one, *others) for one in data]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of transformers' Python conditions, for the tracer
        made = traced(model.eval(), batches[0])
    calibrator = Calibrator(batches, algorithm="minmax", **more)
    engine = forward.build(
        made, batches[0], mode="int8", calibrator=calibrator, backend="openvino"
    ).engine
    assert calibrator.placement is not None
    return calibrator.placement, engine


def _kernels(engine: Any) -> Counter[tuple[str, str]]:
    nodes = engine.plan.compiled.get_runtime_model().get_ordered_ops()
    keys = ("layerType", "runtimePrecision")
    return Counter(tuple(node.get_rt_info()[key].astype(str) for key in keys) for node in nodes)


def test_every_product_of_resnet_50_is_of_integers() -> None:
    """Transformers' default configuration is ResNet-50; images are small, weights are drawn."""
    torch.manual_seed(0)
    config = transformers.ResNetConfig(num_labels=10, return_dict=False)
    data = [torch.randn(1, 3, 64, 64, generator=NUMBERS) for _ in range(2)]
    placement, engine = _built(transformers.ResNetForImageClassification(config), data)
    assert placement.title == "54 of 54 products"
    kernels = _kernels(engine)
    convolutions = {dtype: n for (kind, dtype), n in kernels.items() if kind == "Convolution"}
    linear = {dtype: n for (kind, dtype), n in kernels.items() if kind == "FullyConnected"}
    assert (sum(convolutions.values()), sum(linear.values())) == (53, 1)
    assert set(convolutions) | set(linear) <= {"i8", "u8"}
    assert counted(engine.plan.compiled) == (54, 54)
    assert told(engine) == f"int8 54 of 54 products, {beside_int8()}"


def _ids() -> list[Any]:
    return [torch.randint(0, 200, (1, 32), generator=NUMBERS) for _ in range(2)]


def _bert(written: str) -> tuple[Any, int, int]:
    """A model, how many linear layers it has, and how many products of attention."""
    layers = 2
    torch.manual_seed(0)
    config = transformers.BertConfig(
        num_hidden_layers=layers,
        hidden_size=128,
        num_attention_heads=4,
        intermediate_size=256,
        vocab_size=200,
        attn_implementation=written,
        return_dict=False,
    )
    return transformers.BertModel(config), 6 * layers + 1, 2 * layers


@pytest.mark.parametrize("attention", [False, True])
def test_a_mask_of_bytes_makes_no_attention_of_integers(attention: bool) -> None:
    """OpenVINO's operator of attention with a mask stays in floats, whatever is asked for."""
    model, linear, scores = _bert("sdpa")
    mask = torch.ones(1, 32, dtype=torch.int64)
    mask[:, 20:] = 0
    _, engine = _built(model, _ids(), mask, attention=attention)
    assert counted(engine.plan.compiled) == (linear, linear + scores)


@pytest.mark.parametrize("written", ["eager", "sdpa"])
def test_linear_layers_of_bert_are_of_integers_and_attention_if_asked(written: str) -> None:
    """Six linear layers and two products of attention a layer, and the pooler."""
    model, linear, scores = _bert(written)
    data = _ids()
    placement, engine = _built(model, data)
    assert placement.title == f"{linear} of {linear} products, and 4 products of attention in float"
    kernels = _kernels(engine)
    of_integers = sum(kernels["FullyConnected", dtype] for dtype in ("i8", "u8"))
    assert of_integers == sum(n for (kind, _), n in kernels.items() if kind == "FullyConnected")
    assert of_integers == linear
    assert counted(engine.plan.compiled) == (linear, linear + scores)
    _, engine = _built(model, data, attention=True)
    assert counted(engine.plan.compiled) == (linear + scores, linear + scores)
