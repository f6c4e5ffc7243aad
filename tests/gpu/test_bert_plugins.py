"""NVIDIA's plugins for BERT against TensorRT's own layers: `pytest -m gpu tests/gpu` with a GPU.

Truth is the encoder in float32 without plugins, on the same machine.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Union

import numpy as np
import pytest
from numpy.typing import NDArray

import fwd_plugins_bert.pack
from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops, symbol
from fwd_core.plugins import Plugins
from fwd_plugins_bert.tensorrt.choice import VARIABLE
from fwd_plugins_bert.tensorrt.common import capability

pytest.importorskip("tensorrt")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not TensorRTBackend().availability().run, reason=TensorRTBackend().availability().reason
    ),
]
VOCABULARY, BATCH, LENGTH = 50, 3, 128
#: What a mask adds where there is no token, or that it is bool, or absent.
Mask = Union[float, bool, None]
NAMES = {
    "gelu": "CustomGeluPluginDynamic 1",
    "skip": "CustomSkipLayerNormPluginDynamic 1",
    "emb": "CustomEmbLayerNormPluginDynamic 1",
    "masked": "CustomQKVToContextPluginDynamic 1",
    "whole": "CustomQKVToContextPluginDynamic 2",
}


def encoder(batch: Dim, mask: Mask, size: int = 64, heads: int = 2, layers: int = 2) -> Graph:
    """Embeddings and layers of an encoder, with a scale of attention that is not the usual one."""
    numbers, wide, graph = np.random.default_rng(3), heads * size, Graph("encoder")

    def drawn(*shape: int) -> Value:
        width = shape[-1] if len(shape) > 1 else 16
        return graph.constant(numbers.standard_normal(shape, np.float32) / np.float32(width**0.5))

    def linear(x: Value, out: int) -> Value:
        features = x.type.shape[-1]
        assert isinstance(features, int)
        return graph.add(ops.Linear(x, drawn(out, features), drawn(out)))

    def norm(x: Value) -> Value:
        scale = graph.constant(1 + numbers.standard_normal(wide, np.float32) / 4)
        return graph.add(ops.LayerNorm(x, scale, drawn(wide), 1, 1e-12))

    def cut(x: Value) -> Value:
        apart = graph.add(ops.Reshape(x, (batch, LENGTH, heads, size)))
        return graph.add(ops.Transpose(apart, (0, 2, 1, 3)))

    ids = graph.add_input("ids", TensorType(DType.INT64, (batch, LENGTH)))
    keep: Value | None = None
    if mask is not None:
        tokens = graph.add_input("tokens", TensorType(DType.INT64, (batch, LENGTH)))
        keep = graph.add(ops.Cast(graph.add(ops.Unsqueeze(tokens, (1, 2))), DType.BOOL))
    if isinstance(mask, float) and keep is not None:
        zero, low = (graph.constant(np.array(each, np.float32)) for each in (0.0, mask))
        keep = graph.add(ops.Where(keep, zero, low))
    x = graph.add(ops.Gather(drawn(VOCABULARY, wide), ids, 0))
    x = norm(graph.add(ops.Add(graph.add(ops.Add(x, drawn(1, wide))), drawn(1, LENGTH, wide))))
    for _ in range(layers):
        query, key, value = (cut(linear(x, wide)) for _ in range(3))
        context = graph.add(ops.Attention(query, key, value, keep, False, 0.2))
        turned = graph.add(ops.Transpose(context, (0, 2, 1, 3)))
        joined = graph.add(ops.Reshape(turned, (batch, LENGTH, wide)))
        x = norm(graph.add(ops.Add(linear(joined, wide), x)))
        between = graph.add(ops.Gelu(linear(x, 2 * wide)))
        x = norm(graph.add(ops.Add(linear(between, wide), x)))
    graph.set_outputs([x], ["y"])
    return graph.verify()


def feeds(mask: Mask, batch: int = BATCH) -> dict[str, NDArray[np.generic]]:
    """Tokens with gaps; of the last of several sequences a bool mask keeps none."""
    numbers = np.random.default_rng(batch)
    given: dict[str, NDArray[np.generic]] = {"ids": numbers.integers(0, 50, (batch, LENGTH))}
    if mask is not None:
        given["tokens"] = (numbers.random((batch, LENGTH)) > 0.3).astype(np.int64)
        given["tokens"][:, 0] = 1
        if mask is True and batch > 1:
            given["tokens"][-1] = 0
    return given


def engine(graph: Graph, mode: str) -> Engine:
    plugins = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    return Builder(backend="tensorrt", mode=mode, plugins=plugins).compile(graph)


def plugins_of(built: Engine) -> set[str]:
    return set(built.manifest.get("plugins", ()))


@lru_cache(maxsize=None)
def truth(mask: Mask, size: int = 64, heads: int = 2, batch: int = BATCH) -> NDArray[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "none")
        with engine(encoder(batch, mask, size, heads), "float32") as built:
            assert not plugins_of(built)
            return np.asarray(built.run(feeds(mask, batch))["y"])


def assert_close(found: NDArray[Any], wanted: NDArray[Any], mode: str) -> None:
    assert np.isfinite(found).all()
    across = (found.astype(np.float64) * wanted).sum()
    assert across / np.sqrt((found.astype(np.float64) ** 2).sum() * (wanted**2).sum()) > 0.9999
    np.testing.assert_allclose(found, wanted, atol=5e-2 if mode == "float16" else 1e-4)


@pytest.mark.parametrize(
    ("chosen", "used"),
    [
        ("gelu", ["gelu"]),
        ("skip", ["skip"]),
        ("emb", ["emb"]),
        ("qkv", ["masked", "emb"]),
        ("fc", []),
        ("fc,tanh", []),
        ("all", ["gelu", "skip", "emb", "masked"]),
        ("skip,qkv,emb,fc,tanh", ["skip", "emb", "masked"]),
    ],
)
def test_each_gives_the_same_in_half(
    monkeypatch: pytest.MonkeyPatch, chosen: str, used: list[str]
) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    with engine(encoder(BATCH, True), "float16") as built:
        assert plugins_of(built) == {NAMES[name] for name in used}
        assert_close(built.run(feeds(True))["y"], truth(True), "float16")


@pytest.mark.parametrize("mask", [None, -10000.0, True])
def test_any_batch(monkeypatch: pytest.MonkeyPatch, mask: Mask) -> None:
    monkeypatch.setenv(VARIABLE, "all")
    with engine(encoder(symbol("batch", 1, 2, 4), mask), "float16") as built:
        assert NAMES["whole" if mask is None else "masked"] in plugins_of(built)
        for batch in (1, BATCH):
            found = built.run(feeds(mask, batch))["y"]
            assert_close(found, truth(mask, batch=batch), "float16")


def test_all_tokens_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "qkv")
    with engine(encoder(BATCH, None), "float16") as built:
        assert plugins_of(built) == {NAMES["whole"]}
        assert_close(built.run(feeds(None))["y"], truth(None), "float16")


@pytest.mark.parametrize("mask", [None, True])
def test_small_heads(monkeypatch: pytest.MonkeyPatch, mask: Mask) -> None:
    """Heads of 32 have kernels without a mask, and none on sm_90: they are decomposed."""
    monkeypatch.setenv(VARIABLE, "qkv")
    with engine(encoder(BATCH, mask, 32, 4), "float16") as built:
        fits = mask is None and capability() != 90
        assert plugins_of(built) == ({NAMES["whole"]} if fits else set())
        assert_close(built.run(feeds(mask))["y"], truth(mask, 32, 4), "float16")


def test_float32_takes_norms_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "all")
    with engine(encoder(BATCH, True), "float32") as built:
        assert plugins_of(built) == {NAMES["skip"], NAMES["emb"]}
        assert_close(built.run(feeds(True))["y"], truth(True), "float32")


def test_an_engine_with_plugins_is_loaded_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "all")
    with engine(encoder(BATCH, True), "float16") as built:
        built.save(tmp_path / "bert.engine")
        wanted = built.run(feeds(True))["y"]
    given: dict[str, Any] = dict(feeds(True))
    np.savez(tmp_path / "feeds.npz", **given)
    script = (
        "import sys, numpy as np; from fwd_core import Engine\n"
        "folder = sys.argv[1]\n"
        "engine = Engine.load(folder + '/bert.engine')\n"
        "given = dict(np.load(folder + '/feeds.npz'))\n"
        "np.save(folder + '/y.npy', engine.run(given)['y'])\n"
    )
    monkeypatch.delenv(VARIABLE)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), wanted, atol=1e-3)
