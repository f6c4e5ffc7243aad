"""Padding removed, on a GPU: `pytest -m gpu tests/gpu` with a GPU. Truth is the padded engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from encoder_graphs import LENGTH, encoder, feeds
from numpy.typing import NDArray

import fwd_plugins_bert.pack
from fwd_core import Builder, Engine, core_pack
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.ir import symbol
from fwd_core.plugins import Plugins

pytest.importorskip("tensorrt")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not TensorRTBackend().availability().run, reason=TensorRTBackend().availability().reason
    ),
]


def _engine(mode: str, **options: Any) -> Engine:
    plugins = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    builder = Builder(backend="tensorrt", mode=mode, plugins=plugins, options=options)
    return builder.compile(encoder(symbol("batch", 1, 2, 4), True))


def _cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(("mode", "least"), [("float32", 0.999999), ("float16", 0.999)])
def test_real_tokens_give_what_they_give_in_a_padded_run(mode: str, least: float) -> None:
    with _engine("float32") as padded, _engine(mode, variable_length="tokens") as packed:
        for batch in (1, 3, 4, 2):
            given = feeds(True, batch)
            given["tokens"][-1, LENGTH // 4 :] = 0
            given["tokens"][-1, 0] = 1
            real = given["tokens"].astype(bool)
            for _ in range(4):  # by the third, the run of these sizes is recorded and replayed
                (found,), (wanted,) = packed.run(given).values(), padded.run(given).values()
                assert found.shape == wanted.shape
                assert found.dtype == wanted.dtype
                assert _cosine(found[real], wanted[real]) >= least
                assert not found[~real].any()
