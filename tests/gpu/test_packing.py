"""Padding removed, on a GPU: `pytest -m gpu tests/gpu` with a GPU. Truth is the padded engine.

In float16 attention is left to NVIDIA's plugin on rows of tokens, unless that is asked not to be.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from encoder_graphs import LENGTH, Mask, encoder, feeds
from numpy.typing import NDArray

import fwd_plugins_bert.pack
from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.ir import Dim, symbol
from fwd_core.plugins import Plugins
from fwd_plugins_bert.tensorrt.choice import VARIABLE

pytest.importorskip("tensorrt")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not TensorRTBackend().availability().run, reason=TensorRTBackend().availability().reason
    ),
]


PLUGIN, NORM = "CustomQKVToContextPluginDynamic 2", "CustomSkipLayerNormPluginDynamic 1"
BATCH = symbol("batch", 1, 2, 4)


def _engine(
    mode: str, mask: Mask = True, batch: Dim = BATCH, length: int = LENGTH, **options: Any
) -> Engine:
    plugins = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    builder = Builder(backend="tensorrt", mode=mode, plugins=plugins, options=options)
    return builder.compile(encoder(batch, mask, length=length))


def _plugins(engine: Engine) -> set[str]:
    return set(engine.manifest.get("plugins", ()))


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _given(batch: int, length: int = LENGTH) -> dict[str, NDArray[Any]]:
    given = feeds(True, batch, length)
    given["tokens"][-1, length // 4 :] = 0
    given["tokens"][-1, 0] = 1
    return given


def _assert_same(packed: Engine, padded: Engine, given: dict[str, Any], least: float) -> None:
    real = given["tokens"].astype(bool)
    (found,), (wanted,) = packed.run(given).values(), padded.run(given).values()
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    assert np.isfinite(found).all()
    assert _cosine(found[real], wanted[real]) >= least
    assert not found[~real].any()


@pytest.mark.parametrize(
    ("mode", "used", "least"),
    [("float32", set(), 0.999999), ("float16", {PLUGIN, NORM}, 0.999)],
)
def test_real_tokens_give_what_they_give_in_a_padded_run(
    monkeypatch: pytest.MonkeyPatch, mode: str, used: set[str], least: float
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with _engine("float32") as padded, _engine(mode, variable_length="tokens") as packed:
        assert _plugins(packed) == used
        for batch in (1, 3, 4, 2):
            given = _given(batch)
            for _ in range(4):  # by the third, the run of these sizes is recorded and replayed
                _assert_same(packed, padded, given, least)


@pytest.mark.parametrize(
    ("chosen", "used"),
    [
        ("none", set()),
        ("packed", {PLUGIN}),
        ("packed,skip", {PLUGIN, NORM}),
        ("packed,packed-skip", {PLUGIN, NORM}),
        ("packed,skip,fc", {PLUGIN, NORM}),
    ],
)
def test_what_is_left_to_plugins(
    monkeypatch: pytest.MonkeyPatch, chosen: str, used: set[str]
) -> None:
    with _engine("float32", -10000.0, 3) as padded:
        monkeypatch.setenv(VARIABLE, chosen)
        with _engine("float16", -10000.0, 3, variable_length="tokens") as packed:
            assert _plugins(packed) == used
            _assert_same(packed, padded, _given(3), 0.999)


# Kernels differ for up to four sequences, and by length.
@pytest.mark.parametrize(("batch", "length"), [(8, 128), (3, 128), (8, 64), (8, 96), (8, 384)])
def test_kernels_of_each_length(monkeypatch: pytest.MonkeyPatch, batch: int, length: int) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    shape = {"mask": True, "batch": batch, "length": length}
    with (
        _engine("float32", **shape) as padded,
        _engine("float16", **shape, variable_length="tokens") as packed,
    ):
        assert _plugins(packed) == {PLUGIN, NORM}
        _assert_same(packed, padded, _given(batch, length), 0.999)


def test_a_sequence_of_padding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with _engine("float32") as padded, _engine("float16", variable_length="tokens") as packed:
        for empty in (0, 1, 2):
            given = _given(3)
            given["tokens"][empty] = 0
            _assert_same(packed, padded, given, 0.999)
