"""The document's block that calibrates BERT and builds it in int8, read from it and executed.

What has to be changed before it runs is listed here; a change that no longer applies fails.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")
pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

import document
from machine import beside_int8
from openvino_kernels import integer_kernels, products
from squad import PIECES, SQUAD, VOCABULARY
from torch_models import traced

pytestmark = document.available

TITLE = "Python BERT-INT8 Example"
BATCH, LENGTH, LAYERS = 2, 128, 3
#: It binds no name ``tokenization``, gives its stream no arguments, and has comments of C++.
PATCH = [
    ("import bert_helpers.tokenization\n", "from bert_helpers import tokenization\n"),
    ("bs = BertBatchStream()", "bs = BertBatchStream(*stream_arguments)"),
    ('"calibrator.cache"', "cache_file"),
    (" //（可选）若不设置, 则默认为 FP32", ""),
    ("'path/to/jit/module'", "module_path"),
]
#: Its inputs by name are three times ``xxx``.
QUOTED_PATCH = [
    ('"input_ids" : xxx', '"input_ids" : ids'),
    ('"attention_mask" : xxx', '"attention_mask" : mask'),
    ('"input" : xxx', '"input" : types'),
    (" // 模型输入名可通过 Netron 查看模型获知", ""),
    ("'path/to/jit/module'", "module_path"),
]


class Bert(torch.nn.Module):
    """The hidden states of a BERT whose inputs have the document's names.

    Its weights are five times as wide as BERT's initial ones: with those, layers add next to
    nothing to what embeddings give, and would be near in any precision.
    """

    def __init__(self) -> None:
        super().__init__()
        config = transformers.BertConfig(
            vocab_size=PIECES,
            hidden_size=128,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=512,
            initializer_range=0.1,
        )
        self.bert = transformers.BertModel(config, add_pooling_layer=False)

    def forward(self, input_ids: Any, attention_mask: Any, input: Any) -> Any:  # noqa: A002
        return self.bert(input_ids, attention_mask, input)[0]


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return Bert().eval()


@pytest.fixture
def names(model: Any, tmp_path: Path) -> dict[str, Any]:
    """What the block finds around it."""
    ids = torch.randint(5, PIECES, (BATCH, LENGTH))
    inputs = (ids, torch.ones_like(ids), torch.zeros_like(ids))
    path, cache = str(tmp_path / "bert.pth"), str(tmp_path / "calibrator.cache")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        traced(model, inputs).save(path)
    arguments = (str(SQUAD), str(VOCABULARY), cache, BATCH, LENGTH, 38)
    return {
        "module_path": path,
        "cache_file": cache,
        "dummy_inputs": inputs,
        "stream_arguments": arguments,
    }


def _nearness(engine: Any, model: Any, scope: dict[str, Any]) -> float:
    """The least cosine of any real token's hidden states with torch's, over a stream's data."""
    stream = scope["BertBatchStream"](*scope["stream_arguments"])
    found, padded = [], 0
    while stream.next():
        flat = stream.getNumpyBatch()
        inputs = [torch.from_numpy(one).long().reshape(BATCH, LENGTH) for one in flat]
        with torch.no_grad():
            expected = model(*inputs)
        outputs = engine.forward(inputs)
        assert (outputs.shape, outputs.dtype) == (expected.shape, expected.dtype)
        real = inputs[1].bool()
        padded += int((~real).sum())
        found.append(torch.nn.functional.cosine_similarity(outputs[real], expected[real], -1).min())
    assert padded > 100
    return float(torch.stack(found).min())


def test_the_block_runs_as_written(
    model: Any, names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scope = document.run(TITLE, document.block(TITLE), PATCH, **names)
    assert "Calibrating batch 10, containing 2 sentences" in capsys.readouterr().out
    header, *lines = Path(names["cache_file"]).read_text().splitlines()
    assert header == "TRT-8600-MinMaxCalibration"
    assert len(lines) == 4 * LAYERS
    assert scope["bs"].current_index == 38
    engine = scope["engine"]
    assert engine.engine.manifest["compute"].startswith("int8")
    assert 0.99 < _nearness(engine, model, scope) < 0.9999


@integer_kernels
def test_its_projections_are_of_integers_and_all_else_is_not(names: dict[str, Any]) -> None:
    engine = document.run(TITLE, document.block(TITLE), PATCH, **names)["engine"].engine
    floats = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[beside_int8()]
    linear = [kernel for kernel in products(engine) if kernel.kind == "FullyConnected"]
    assert len(linear) == 6 * LAYERS
    assert all(kernel.is_of_integers for kernel in linear)
    nodes = engine.plan.compiled.get_runtime_model().get_ordered_ops()
    infos = [node.get_rt_info() for node in nodes]
    norms = [one for one in infos if one["layerType"].astype(str) == "MVN"]
    assert len(norms) == 2 * LAYERS + 1
    assert {one["runtimePrecision"].astype(str) for one in norms} == {"f32"}
    # Softmax is inside one kernel of all of attention, which reads what these give.
    heads = [
        one
        for one in infos
        if one["layerType"].astype(str) == "FullyConnected"
        and "attention.self" in one["originalLayersNames"].astype(str)
    ]
    assert len(heads) == 3 * LAYERS
    assert {one["outputPrecisions"].astype(str) for one in heads} == {floats}
    inside = [one["originalLayersNames"].astype(str) for one in infos]
    attention = [names for names in inside if "Softmax" in names]
    assert len(attention) == LAYERS
    assert not [names for names in attention if "quantiz" in names.lower()]


def test_its_lines_in_quotes_run_too(model: Any, names: dict[str, Any]) -> None:
    code = document.block(TITLE)
    (quoted,) = document.quoted(code)
    scope = document.run(TITLE, code, PATCH, **names)
    ids, mask, types = names["dummy_inputs"]
    again = document.run(
        f"{TITLE}, build_with_name",
        quoted,
        QUOTED_PATCH,
        **{**scope, "ids": ids, "mask": mask, "types": types},
    )
    assert again["engine"] is not scope["engine"]
    by_name = again["engine"].forward_with_name(again["dummy_inputs"])
    torch.testing.assert_close(by_name, scope["engine"].forward((ids, mask, types)))
    assert _nearness(again["engine"], model, scope) > 0.99
