"""NVIDIA's plugins for BERT: `pytest -m gpu tests/gpu` with a GPU.

Truth is the encoder in float64, by NumPy: builds are few, and quick, because they measure nothing.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoder_graphs import BATCH, LENGTH, Mask, encoder, feeds
from encoder_numbers import results
from numpy.typing import NDArray

import fwd_plugins_bert.pack
from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import listen
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
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
NAMES = {
    "gelu": "CustomGeluPluginDynamic 1",
    "skip": "CustomSkipLayerNormPluginDynamic 1",
    "emb": "CustomEmbLayerNormPluginDynamic 1",
    "masked": "CustomQKVToContextPluginDynamic 1",
    "whole": "CustomQKVToContextPluginDynamic 2",
}


def engine(graph: Graph, mode: str, **options: Any) -> Engine:
    plugins = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    # Truth gives zeros to a sequence of padding alone.
    options = {"optimization_level": 0, "empty_sequences": "zeros", **options}
    return Builder(backend="tensorrt", mode=mode, plugins=plugins, options=options).compile(graph)


def plugins_of(built: Engine) -> set[str]:
    return set(built.manifest.get("plugins", ()))


def ran(built: Engine, given: dict[str, NDArray[np.generic]]) -> NDArray[Any]:
    """The result of a run. A plugin that fails says so to the logger alone, and the run goes on."""
    with listen(load("tensorrt").trt) as record:
        found = built.run(given)["y"]
    print(*record.problems(), sep="\n")
    return np.asarray(found)


@lru_cache(maxsize=None)
def truth(mask: Mask, size: int = 64, heads: int = 2, batch: int = BATCH) -> NDArray[Any]:
    (found,) = results(encoder(batch, mask, size, heads), feeds(mask, batch))
    return found


def how_far(found: NDArray[Any], wanted: NDArray[Any], most: float) -> str:
    """Where results are wrong: by sequence, so that one that is read from another place shows."""
    told = []
    for sequence, (one, other) in enumerate(zip(found, wanted, strict=True)):
        apart = np.abs(one - other).max(-1)
        wrong = np.flatnonzero(~(apart <= most))
        first = f", the first {wrong[0]}" if wrong.size else ""
        told.append(
            f"sequence {sequence}: {apart.max():.3g} apart, {wrong.size} of {LENGTH} tokens wrong"
            f"{first}; {int(np.isnan(one).sum())} NaN, {int((one == 0).sum())} zeros"
        )
    return "\n  ".join(told)


def assert_close(found: NDArray[Any], wanted: NDArray[Any], mode: str) -> None:
    assert found.shape == wanted.shape
    most = 5e-2 if mode == "float16" else 1e-4
    told = how_far(found, wanted, most)
    assert np.isfinite(found).all(), told
    across = (found.astype(np.float64) * wanted).sum()
    cosine = across / np.sqrt((found.astype(np.float64) ** 2).sum() * (wanted**2).sum())
    assert cosine > 0.9999, f"cosine {cosine}, {told}"
    assert (np.abs(found - wanted) <= most + 1e-7 * np.abs(wanted)).all(), told


@pytest.mark.parametrize(
    ("chosen", "used"),
    [
        ("gelu", ["gelu"]),
        ("skip", ["skip"]),
        ("emb", ["emb"]),
        ("qkv", ["masked", "emb"]),
        ("fc", []),
        ("all", ["gelu", "skip", "emb", "masked"]),
        ("skip,qkv,emb,fc", ["skip", "emb", "masked"]),
    ],
)
def test_each_gives_the_same_in_half(
    monkeypatch: pytest.MonkeyPatch, chosen: str, used: list[str]
) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    with engine(encoder(BATCH, True), "float16") as built:
        assert plugins_of(built) == {NAMES[name] for name in used}
        assert_close(ran(built, feeds(True)), truth(True), "float16")


def test_all_tokens_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "qkv")
    with engine(encoder(BATCH, None), "float16") as built:
        assert plugins_of(built) == {NAMES["whole"]}
        assert_close(ran(built, feeds(None)), truth(None), "float16")


def test_sequences_begin_one_after_the_other() -> None:
    """What attention without a mask is told of a batch, by itself."""
    batch, graph = symbol("batch", 1, 2, 4), Graph("begins")
    graph.add_input("ids", TensorType(DType.INT64, (batch, LENGTH)))
    begins = graph.add(ops.Arange(batch + 1, 0, LENGTH, DType.INT32))
    graph.set_outputs([begins], ["begins"])
    with engine(graph, "float16") as built:
        for count in (1, BATCH, 4):
            found = built.run(feeds(None, count))["begins"]
            np.testing.assert_array_equal(found, LENGTH * np.arange(count + 1))


@pytest.mark.parametrize(
    ("mask", "chosen"), [(None, "qkv"), (None, "all"), (-10000.0, "all"), (True, "all")]
)
def test_any_batch(monkeypatch: pytest.MonkeyPatch, mask: Mask, chosen: str) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    with engine(encoder(symbol("batch", 1, 2, 4), mask), "float16") as built:
        assert NAMES["whole" if mask is None else "masked"] in plugins_of(built)
        for batch in (1, BATCH):
            found = ran(built, feeds(mask, batch))
            assert_close(found, truth(mask, batch=batch), "float16")


@pytest.mark.parametrize("mask", [None, True])
def test_small_heads(monkeypatch: pytest.MonkeyPatch, mask: Mask) -> None:
    """Heads of 32 have kernels without a mask, and none on sm_90: they are decomposed."""
    monkeypatch.setenv(VARIABLE, "qkv")
    with engine(encoder(BATCH, mask, 32, 4), "float16") as built:
        fits = mask is None and capability() != 90
        assert plugins_of(built) == ({NAMES["whole"]} if fits else set())
        assert_close(ran(built, feeds(mask)), truth(mask, 32, 4), "float16")


def test_float32_takes_norms_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "all")
    with engine(encoder(BATCH, True), "float32") as built:
        assert plugins_of(built) == {NAMES["skip"], NAMES["emb"]}
        assert_close(ran(built, feeds(True)), truth(True), "float32")


def test_an_engine_with_plugins_is_loaded_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "all")
    # As users build, with every kernel measured.
    with engine(encoder(BATCH, True), "float16", optimization_level=None) as built:
        built.save(tmp_path / "bert.engine")
        wanted = ran(built, feeds(True))
        assert_close(wanted, truth(True), "float16")
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
    # Not the same to the last bits: plugins choose products of cuBLAS anew where they are loaded.
    assert_close(np.load(tmp_path / "y.npy"), truth(True), "float16")
