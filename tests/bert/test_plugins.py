"""Lowerings to NVIDIA's plugins: which are in use, what they refuse, and what they hand over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from refusals import Operands, why

import fwd_plugins_bert.pack
from fwd_core import Builder, Plugins, core_pack
from fwd_core.backends.tensorrt import creators
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.errors import BuildError, ForwardWarning, OptionError
from fwd_core.ir import DType, Graph, TensorType, Value, ops
from fwd_plugins_bert.ops import EmbeddingNorm, GeluBias, SelfAttention, SkipNorm
from fwd_plugins_bert.tensorrt import attention, choice, embedding, gelu, skip_norm

RTX = SimpleNamespace(features=ROWS["tensorrt_rtx", "1.7.1.116"])
HALF, SINGLE = DType.FLOAT16, DType.FLOAT32


def owned(monkeypatch: pytest.MonkeyPatch, names: str | None) -> list[str]:
    if names is None:
        monkeypatch.delenv(choice.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(choice.VARIABLE, names)
    packs = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    assert not packs.failures()
    return [key for key in packs.lowerings if packs.lowerings.owner(key) == "bert"]


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (None, ["bert.PackedSelfAttention", "bert.PackedLinear", "bert.PackedSkipNorm"]),
        ("none", []),
        ("packed,skip", ["bert.PackedSelfAttention", "bert.SkipNorm"]),
        ("gelu", ["bert.GeluBias"]),
        (" skip , emb", ["bert.SkipNorm", "bert.EmbeddingNorm"]),
        ("fc", ["fwd.Linear"]),
        ("own-skip", ["bert.SkipNorm"]),
        ("own-emb,gelu", ["bert.EmbeddingNorm", "bert.GeluBias"]),
        ("qkv", ["bert.SelfAttention", "fwd.Linear", "fwd.Gelu"]),
        (
            "all",
            ["bert.GeluBias", "bert.SkipNorm", "bert.SelfAttention", "bert.EmbeddingNorm"]
            + ["bert.PackedSelfAttention", "fwd.Linear", "fwd.Gelu"],
        ),
    ],
)
def test_the_environment_says_which(
    monkeypatch: pytest.MonkeyPatch, names: str | None, keys: list[str]
) -> None:
    assert set(owned(monkeypatch, names)) == {f"tensorrt:{key}" for key in keys}


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(OptionError, match="FWD_BERT_PLUGINS: no lowering is called 'gleu'") as told:
        choice.chosen({choice.VARIABLE: "gleu"})
    assert "gelu, skip, qkv, emb, packed, fc, packed-skip, packed-fc, own-skip, own-emb" in str(
        told.value
    )


def test_a_build_warns_of_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "skp")
    packs = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    graph = Graph()
    x = graph.add_input("x", TensorType(SINGLE, (2,)))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    told = "pack 'bert' .*OptionError: FWD_BERT_PLUGINS: no lowering is called 'skp'"
    with pytest.warns(ForwardWarning, match=told):
        Builder(backend="openvino", plugins=packs).compile(graph)


def test_gelu_takes_tanh_and_in_half_both_forms() -> None:
    for dtype in (HALF, SINGLE):
        of = Operands(dtype)
        x, bias = of.input(2, 8), of.constant(8)
        assert why(gelu.gelu_bias, GeluBias(x, bias, "tanh")) is None
        reason = why(gelu.gelu_bias, GeluBias(x, bias, "none"))
        assert (reason is None) == (dtype is HALF)
        assert reason is None or "by tanh" in reason
    assert why(gelu.gelu_bias, GeluBias(x, of.input(8), "tanh")) == (
        "plugins hold their parameters as constants"
    )
    wide = Operands(DType.FLOAT64)
    told = why(gelu.gelu_bias, GeluBias(wide.input(2, 8), wide.constant(8), "tanh"))
    assert told == "plugins take float32 and float16, not float64"


def test_rtx_has_no_plugins() -> None:
    of = Operands()
    told = why(gelu.gelu_bias, GeluBias(of.input(2, 8), of.constant(8), "tanh"), RTX)
    assert told == "tensorrt_rtx here has no plugins of version 2"


@pytest.mark.parametrize(
    ("dtype", "epsilon", "taken"),
    [(HALF, 1e-12, True), (HALF, 1e-5, True), (HALF, 1e-3, False)]
    + [(SINGLE, 1e-12, True), (SINGLE, 1e-5, False)],
)
def test_norms_with_an_epsilon_that_counts_are_left(
    dtype: DType, epsilon: float, taken: bool
) -> None:
    of = Operands(dtype)
    x, y = of.input(2, 4, 8), of.input(2, 4, 8)
    skip = why(skip_norm.skip_norm, SkipNorm(x, y, None, of.constant(8), None, epsilon))
    ids = of.input(2, 4, dtype=DType.INT64)
    op = EmbeddingNorm((of.constant(9, 8),), (ids,), (of.constant(4, 8),), None, None, epsilon)
    for told in (skip, why(embedding.embedding_norm, op)):
        assert (told is None) == taken
        assert told is None or "plugins have no epsilon" in told


def test_embeddings_that_the_plugin_cannot_add() -> None:
    of = Operands()
    ids = of.input(2, 4, dtype=DType.INT64)
    table, same = of.constant(9, 8), of.constant(2, 4, 8)
    moved = of.graph.constant(np.arange(64, dtype=np.float16).reshape(2, 4, 8))

    def told(tables: int, *added: Value, indices: Value = ids) -> str | None:
        op = EmbeddingNorm((table,) * tables, (indices,) * tables, added, None, None, 1e-12)
        return why(embedding.embedding_norm, op)

    assert told(1) is None
    assert told(2, same, of.constant(1, 4, 8), of.constant(8)) is None
    assert told(3) == "the plugin picks rows of two tables"
    assert told(1, moved) == "the plugin adds one row for each position, whatever the sequence"
    flat = of.input(4, dtype=DType.INT64)
    assert "needs indices [batch, length]" in str(told(1, indices=flat))


def attended(of: Operands, length: int, size: int, mask: Value | None, **more: Any) -> Any:
    weight = of.constant(3 * 2 * size, 16)
    return SelfAttention(of.input(2, length, 16), weight, None, mask, 2, 0.125, **more)


def padded(of: Operands, length: int, low: float) -> Value:
    tokens = of.input(2, length, dtype=DType.BOOL)
    keep = of.graph.add(ops.Unsqueeze(tokens, (1, 2)))
    if low == -np.inf:
        return keep
    zero, number = (of.graph.constant(np.array(each, np.float16)) for each in (0.0, low))
    return of.graph.add(ops.Where(keep, zero, number))


def test_attention_with_a_mask_of_padding() -> None:
    of = Operands()

    def told(op: SelfAttention) -> str | None:
        op.infer()
        return attention._masked_refusal(op, int(op.x.type.shape[1]))  # type: ignore[arg-type]

    for low in (-np.inf, -10000.0):
        assert told(attended(of, 128, 64, padded(of, 128, low))) is None
    assert "heads of 64 and lengths of 64, 96, 128, 384" in str(
        told(attended(of, 100, 64, padded(of, 100, -np.inf)))
    )
    assert "heads of 64" in str(told(attended(of, 128, 32, padded(of, 128, -np.inf))))
    assert told(attended(of, 128, 64, padded(of, 128, -1.0))) == (
        "the mask leaves something of what it takes away"
    )
    assert told(attended(of, 128, 64, of.input(2, 1, 128, 128))) == (
        "the plugin takes masks of padding only"
    )
    nan = attended(of, 128, 64, padded(of, 128, -np.inf), empty_rows="nan")
    assert told(nan) == "a sequence of padding alone gives numbers, not NaN"


def test_attention_of_all_tokens() -> None:
    assert attention.size_refusal(64, 100) is None
    assert attention.size_refusal(64, 600) == ("the plugin takes 512 tokens at most")
    told = attention.size_refusal(48, 100)
    assert told == "the plugin has no kernel for heads of 48 and 100 tokens here"
    single = attended(Operands(SINGLE), 128, 64, None)
    assert why(attention.self_attention, single) == (
        "the plugin has fused kernels for float16 only"
    )


def test_plugins_where_there_are_none() -> None:
    pytest.importorskip("tensorrt_rtx")
    from tensorrt_networks import network

    graph = Graph()
    graph.set_outputs([graph.add(ops.Abs(graph.add_input("x", TensorType(SINGLE, (2,)))))], ["y"])
    refusal = pytest.raises(BuildError, match="tensorrt_rtx has no creators of plugins")
    with network(graph) as ctx, refusal as told:
        ctx.plugin("CustomGeluPluginDynamic", "1", {}, [])
    assert "plugin CustomGeluPluginDynamic version 1" in str(told.value)


def test_rows_of_products_are_put_head_by_head() -> None:
    heads, size = 2, 4
    numbers = np.random.default_rng(1)
    weight = numbers.standard_normal((3 * heads * size, 5), np.float32)
    bias = numbers.standard_normal(3 * heads * size, np.float32)
    x = numbers.standard_normal((7, 5), np.float32)
    made = x @ attention.side_by_side(weight, heads, 3.0).T
    made = (made + attention.side_by_side(bias, heads, 3.0)).reshape(7, heads, 3, size)
    wanted = (x @ weight.T + bias).reshape(7, 3, heads, size)
    np.testing.assert_allclose(made[:, :, 0], 3 * wanted[:, 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(made[:, :, 1], wanted[:, 1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(made[:, :, 2], wanted[:, 2], rtol=1e-5, atol=1e-5)


def test_creators_have_the_fields_that_are_given() -> None:
    """Where TensorRT 8 or 10 is installed, with or without a GPU."""
    trt = pytest.importorskip("tensorrt")
    if not hasattr(trt.get_plugin_registry(), "get_plugin_creator"):
        pytest.skip("TensorRT 11 has no creators of version 2")
    assert creators.initialize(trt)
    given = {
        ("CustomGeluPluginDynamic", "1"): {"type_id", "bias"},
        ("CustomSkipLayerNormPluginDynamic", "1"): {"ld", "type_id", "beta", "gamma", "bias"},
        ("CustomQKVToContextPluginDynamic", "2"): {"type_id", "hidden_size", "var_seqlen"},
        ("CustomEmbLayerNormPluginDynamic", "1"): {"output_fp16", "full_mask", "mha_type_id"},
    }
    for (name, version), fields in given.items():
        creator = trt.get_plugin_registry().get_plugin_creator(name, version, "")
        assert fields <= {field.name for field in creator.field_names}
