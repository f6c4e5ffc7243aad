"""Padding removed: real tokens give what they give in a padded run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoders import HIDDEN, LAYERS, MODELS, SIZES, VOCABULARY, kinds
from fusing import every, fuse
from torch import nn

import forward
from fwd_core import Builder, Engine, core_pack
from fwd_core.errors import EngineFileError, InputError, OptionError
from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_core.plugins import Plugins
from fwd_core.quantize.calibrate import Calibrator
from fwd_ops_torch.importers import jit
from fwd_plugins_bert.packing import VariableLength, packed_rows, remove_padding
from fwd_plugins_bert.packing.maker import NAME, packed_rows_of_padding

MASK = "attention_mask"


def _inputs(lengths: tuple[int, ...] = (10, 3, 7, 1), longest: int = 10) -> tuple[Any, Any]:
    torch.manual_seed(2)
    ids = torch.randint(2, VOCABULARY, (len(lengths), longest))
    mask = torch.zeros(len(lengths), longest, dtype=torch.int64)
    for row, count in enumerate(lengths):
        mask[row, :count] = 1
    return ids, mask


class _Named(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return found.last_hidden_state, found.pooler_output


def _bert(attention: str = "sdpa", **more: Any) -> nn.Module:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(**{**SIZES, "attn_implementation": attention, **more})
    return _Named(BertModel(config)).eval()


def _assert_same(engine: Any, model: nn.Module, given: tuple[Any, Any]) -> None:
    ids, mask = given
    with torch.no_grad():
        hidden, pooled = model(ids, mask)
    found, found_pooled = engine(ids, mask)
    real = mask.bool()
    assert found.shape == hidden.shape
    assert found.dtype == hidden.dtype
    torch.testing.assert_close(found[real], hidden[real], rtol=1e-4, atol=1e-5)
    assert torch.equal(found[~real], torch.zeros_like(found[~real]))
    torch.testing.assert_close(found_pooled, pooled, rtol=1e-4, atol=1e-5)


def _openvino(model: nn.Module, given: tuple[Any, ...], **more: Any) -> Any:
    pytest.importorskip("openvino")
    return forward.build(model, given, backend="openvino", **more)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_real_tokens_give_the_same(attention: str, dynamic: bool) -> None:
    model, given = _bert(attention), _inputs()
    engine = _openvino(model, given, dynamic_batch=dynamic, variable_length=MASK)
    assert [port.name for port in engine.engine.inputs] == ["input_ids", MASK]
    _assert_same(engine, model, given)
    for lengths in ((10, 10, 10, 10), (1, 1, 1, 1), *([(2, 9)] if dynamic else [])):
        _assert_same(engine, model, _inputs(lengths))


def test_equal_sizes_are_not_mistaken() -> None:
    """Batch, length and heads of 4, and as many features in a head."""
    model = _bert("eager", num_attention_heads=4, hidden_size=16)
    given = _inputs((4, 2, 1, 3), longest=4)
    _assert_same(_openvino(model, given, variable_length=MASK), model, given)


def test_every_layer_works_on_tokens_alone() -> None:
    graph = Builder(backend="auto").import_model(_bert("eager"), _inputs())
    removal = remove_padding(graph.verify(), MASK)
    graph.verify()
    assert removal.products == 6 * LAYERS
    tokens = graph.value("packed.rows").type.shape
    products = [node for node in graph if isinstance(node.op, (ops.Linear, ops.MatMul))]
    packed = [node for node in products if node.output.type.shape[:1] == tokens]
    assert len(packed) == removal.products
    norms = [node for node in graph if isinstance(node.op, ops.LayerNorm)]
    assert [node.output.type.shape[0] for node in norms] == [*tokens] * (2 * LAYERS + 1)
    assert {"packed.rows", "packed.places"} <= {value.name for value in graph.inputs}
    (derived,) = graph.derived
    assert (derived.maker, derived.reads) == (NAME, (MASK,))


def _several(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


#: Products with weights of two layers that work on tokens alone, where they are not 12.
PRODUCTS = {
    "ELECTRA": 13,  # with the one between the embeddings and the layers
    "ALBERT": 13,
    "DeBERTa": 8,  # it has one product for query, key and value
}


#: Whose attention is not that of a token to all of its sequence, or is written out in a way of
#: which a row without keys makes NaN: it stays between places.
BETWEEN_PLACES = {
    "MPNet",
    "DeBERTa",
    "BERT with relative positions",
    "DistilBERT of transformers 2 and 3",
}


@pytest.mark.filterwarnings("ignore")  # the tracer's, and those of transformers
@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("ViT", "DeiT")])
def test_every_family_is_packed(name: str) -> None:
    pytest.importorskip("openvino")
    model, given = MODELS[name](kinds(name)[-1])
    traced = jit.trace(model, given, check=False)
    graph = Builder(backend="auto").import_model(traced, given)
    mask = graph.inputs[1].name
    marks = given[1].dtype is torch.bool
    found = remove_padding(graph, mask, marks_padding=marks)
    assert found.products == PRODUCTS.get(name, 12)
    fused = fuse(graph, every()).get("packed-self-attention", 0)
    assert fused == (0 if name in BETWEEN_PLACES else LAYERS)
    asked = f"~{mask}" if marks else mask
    engine = forward.build(traced, given, backend="openvino", variable_length=asked)
    real = given[1] == 0 if marks else given[1].bool()
    with torch.no_grad():
        wanted, results = model(*given), engine(*given)
    pairs = zip(*map(_several, (results, wanted)), strict=True)
    for place, (result, exact) in enumerate(pairs):
        kept = real if place == 0 else slice(None)
        torch.testing.assert_close(result[kept], exact[kept], rtol=1e-4, atol=1e-5)


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        layer = nn.TransformerEncoderLayer(HIDDEN, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.encoder(x, src_key_padding_mask=padding)  # type: ignore[no-any-return]


def test_a_mask_may_mark_padding() -> None:
    model = _Encoder().eval()
    _, mask = _inputs()
    x, padding = torch.randn(4, 10, HIDDEN), mask == 0
    with torch.no_grad():
        wanted = model(x, padding)
    found = _openvino(model, (x, padding), variable_length="~padding")(x, padding)
    torch.testing.assert_close(found[~padding], wanted[~padding], rtol=1e-4, atol=1e-5)
    assert not found[padding].any()


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0))


@pytest.mark.filterwarnings("ignore")  # the tracer's, and those of transformers
@pytest.mark.parametrize("name", ["BERT", "MPNet", "nn.TransformerEncoder"])
def test_float16_is_packed_too(name: str) -> None:
    model, given = MODELS[name](kinds(name)[-1])
    marks = given[1].dtype is torch.bool
    asked = "~padding" if marks else "given_1"
    engine = _openvino(model, given, mode="float16", variable_length=asked)
    real = given[1] == 0 if marks else given[1].bool()
    with torch.no_grad():
        found, exact = (_several(one(*given))[0].float() for one in (engine, model))
    assert _cosine(found[real], exact[real]) >= 0.999
    assert not found[~real].any()


class _Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = _bert()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        found, _ = self.model(input_ids, attention_mask)
        kept = attention_mask[..., None].to(found.dtype)
        return found, (found * kept).sum(1) / kept.sum(1)


@pytest.mark.parametrize(
    ("make", "attention"),
    [
        (_bert, False),
        (_bert, True),
        (lambda: _bert("eager"), True),
        (_Mean, False),
    ],
    ids=["hidden", "attention", "eager-attention", "mean"],
)
def test_int8_is_packed_too(make: Any, attention: bool) -> None:
    model, given = make().eval(), _inputs()
    pytest.importorskip("openvino")
    data = [_inputs(lengths) for lengths in ((10, 4, 2, 8), (3, 3, 10, 5))]
    chosen: list[dict[str, Any]] = [{}, {"variable_length": MASK}]
    engines = [
        forward.build(
            model,
            given,
            backend="openvino",
            mode="int8",
            calibrator=Calibrator(
                [[one.numpy() for one in batch] for batch in data], attention=attention
            ),
            **options,
        )
        for options in chosen
    ]
    real = given[1].bool()
    (padded, pooled), (packed, found) = (engine(*given) for engine in engines)
    with torch.no_grad():
        exact, exact_pooled = model(*given)
    assert _cosine(padded[real], packed[real]) > 0.999
    assert _cosine(exact[real], packed[real]) > 0.99
    assert _cosine(pooled, found) > 0.999
    assert _cosine(exact_pooled, found) > 0.99
    assert not packed[~real].any()


def test_an_engine_file_knows_what_to_make(tmp_path: Path) -> None:
    model, given = _bert(), _inputs()
    engine = _openvino(model, given, variable_length=MASK, embed_graph=True)
    engine.engine.save(tmp_path / "packed.engine")
    feeds = {"input_ids": given[0].numpy(), MASK: given[1].numpy()}
    wanted = engine.engine.run(feeds)
    with Engine.load(tmp_path / "packed.engine") as loaded:
        assert loaded.manifest["build options"] == {"variable_length": MASK}
        assert [port.name for port in loaded.inputs] == ["input_ids", MASK]
        for found in (loaded.run(feeds), loaded.run_async(feeds).result()):
            for name, array in wanted.items():
                np.testing.assert_array_equal(found[name], array)
    with pytest.raises(EngineFileError) as told:
        Engine.load(tmp_path / "packed.engine", plugins=Plugins({"core": core_pack}))
    assert str(told.value).endswith("Hint: install pack 'bert'")
    with pytest.raises(EngineFileError, match=r"let pack 'bert' in: it is left out by FWD_PACKS"):
        Engine.load(
            tmp_path / "packed.engine", plugins=Plugins.discover({"FWD_DISABLE_PACKS": "bert"})
        )
    assert "packed.rows, packed.places are made by 'bert.packed_rows', of no loaded pack" in str(
        told.value
    )


def test_tensorrt_builds_it() -> None:
    pytest.importorskip("tensorrt_rtx")
    engine = forward.build(
        _bert(),
        _inputs(),
        backend="tensorrt",
        flavour="tensorrt_rtx",
        gpu="sm_89",
        mode="float16",
        variable_length=MASK,
    )
    names = [port.name for port in engine.engine.all_inputs]
    assert names == ["input_ids", MASK, "packed.rows", "packed.places"]


def test_a_mask_without_tokens_is_refused() -> None:
    engine = _openvino(_bert(), _inputs(), variable_length=MASK)
    ids, mask = _inputs()
    with pytest.raises(InputError, match="the mask keeps no token\n") as told:
        engine(ids, torch.zeros_like(mask))
    assert "got:      [4, 10] places of padding" in str(told.value)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (True, "attention_mask"),
        (False, ""),
        ("true", "attention_mask"),
        ("False", ""),
        ("~p", "~p"),
    ],
)
def test_what_may_be_asked_for(asked: object, wanted: str) -> None:
    assert VariableLength().parse(asked) == wanted


@pytest.mark.parametrize("asked", [1, "", "~", None])
def test_what_may_not(asked: object) -> None:
    with pytest.raises(OptionError, match="the name of the input that is the padding mask"):
        VariableLength().parse(asked)


def test_nothing_is_done_if_it_is_not_asked_for() -> None:
    graph = Builder(backend="auto").import_model(_bert(), _inputs())
    before = str(graph)
    VariableLength().apply(graph, "")
    assert str(graph) == before


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (True, "the model has no input 'attention_mask'\n  expected: the padding mask, [batch, "),
        ("given_7", "variable_length: the model has no input 'given_7'"),
    ],
)
def test_a_model_without_the_mask_is_refused(asked: object, told: str) -> None:
    graph, _ = _graph(2, 3)
    option = VariableLength()
    with pytest.raises(OptionError) as error:
        option.apply(graph, option.parse(asked))
    assert told in str(error.value)
    assert "'~NAME' one that marks padding" in str(error.value)
    assert "%" not in str(error.value), "names as they are typed"


def test_the_mask_of_attention_is_named_where_there_is_no_such_input() -> None:
    graph = Builder(backend="auto").import_model(_bert(), _inputs())
    with pytest.raises(OptionError) as error:
        VariableLength().apply(graph, "mask")
    assert "[batch, length]: one of input_ids, attention_mask" in str(error.value)
    assert str(error.value).endswith(
        "Hint: variable_length='attention_mask', by which attention is masked"
    )


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("~attention_mask", "input 'attention_mask' marks tokens, not padding"),
        ("input_ids", "attention is not masked by input 'input_ids'"),
    ],
)
def test_another_mask_than_attentions_is_refused(attention: str, asked: str, told: str) -> None:
    graph = Builder(backend="auto").import_model(_bert(attention), _inputs())
    before = str(graph)
    with pytest.raises(OptionError) as error:
        VariableLength().apply(graph, asked)
    assert f"variable_length: {told}\n  expected: attention_mask\n" in str(error.value)
    assert "Hint: variable_length='attention_mask'" in str(error.value)
    assert str(graph) == before


def test_a_mask_of_padding_is_not_one_of_tokens() -> None:
    _, mask = _inputs()
    given = (torch.randn(4, 10, HIDDEN), mask == 0)
    graph = Builder(backend="auto").import_model(jit.trace(_Encoder().eval(), given), given)
    with pytest.raises(OptionError, match="input 'padding' marks padding, not tokens") as told:
        VariableLength().apply(graph, "padding")
    assert "Hint: variable_length='~padding'" in str(told.value)


def _graph(*shape: int, linear: bool = False) -> tuple[Graph, Value]:
    graph = Graph("small")
    mask = graph.add_input("mask", TensorType(DType.INT64, shape))
    x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 3, 4)))
    weight = graph.constant(np.ones((4, 4), np.float32))
    y = graph.add(ops.Linear(x, weight)) if linear else graph.add(ops.Relu(x))
    graph.set_outputs([y], ["y"])
    return graph, mask


def test_a_mask_of_another_rank_is_refused() -> None:
    graph, _ = _graph(2, 3, 1)
    with pytest.raises(OptionError, match=r"input 'mask' is no padding mask\n  expected: \[batch,"):
        remove_padding(graph, "mask")


def test_a_model_without_layers_on_tokens_is_refused() -> None:
    graph, _ = _graph(2, 3)
    with pytest.raises(OptionError, match="no linear layer of this model works on"):
        remove_padding(graph, "mask")
    # Another batch: its rows are no tokens of this mask.
    graph, _ = _graph(2, 5, linear=True)
    with pytest.raises(OptionError, match="no linear layer of this model works on"):
        remove_padding(graph, "mask")


def test_sizes_do_not_tell_whose_the_mask_is() -> None:
    graph, mask = _graph(2, 3, linear=True)
    before = str(graph)
    with pytest.raises(OptionError) as told:
        remove_padding(graph, "mask")
    assert "nothing shows that input 'mask' is the mask of these tokens" in str(told.value)
    assert "expected: attention that is masked by it, or a product with it" in str(told.value)
    assert str(graph) == before
    kept = graph.add(ops.Unsqueeze(graph.add(ops.Cast(mask, DType.FLOAT32)), (2,)))
    graph.set_outputs([graph.add(ops.Mul(graph.outputs[0], kept))], ["y"])
    assert remove_padding(graph, "mask").products == 1


def test_rows_and_places() -> None:
    mask = np.array([[1, 0, 1], [0, 0, 1]])
    rows, places = packed_rows(mask)
    assert rows.tolist() == [0, 2, 5]
    assert places.tolist() == [[0, 0, 1], [0, 0, 2]]
    assert {rows.dtype, places.dtype} == {np.dtype(np.int32)}
    # 32 counts of tokens at most, so that shapes come again.
    for count in (31, 32, 33, 63, 64, 100):
        every = (np.arange(count) < kept for kept in range(1, count + 1))
        assert len({len(packed_rows(one[None])[0]) for one in every}) <= 32
    many = np.random.default_rng(0).random((32, 128)) < 0.3
    rows, places = packed_rows(many)
    assert len(rows) % 128 == 0
    assert many.sum() <= len(rows) < many.sum() + 128
    np.testing.assert_array_equal(rows[places[many]], np.flatnonzero(many))
    assert set(rows[many.sum() :]) <= {rows[0]}
    assert rows.dtype == np.int32
    assert len(packed_rows(np.ones((5, 13)))[0]) == 65  # not 66: there are no more places
    rows, places = packed_rows(mask)
    for one, other in zip(packed_rows_of_padding(mask == 0), (rows, places), strict=True):
        np.testing.assert_array_equal(one, other)
