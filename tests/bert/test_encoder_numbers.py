"""The truth that plugins on a GPU are held against, against OpenVINO."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openvino")

from encoder_graphs import BATCH, Mask, encoder, feeds
from encoder_numbers import results
from on_openvino import build


@pytest.mark.parametrize("mask", [None, -10000.0, True])
@pytest.mark.parametrize(("size", "heads", "batch"), [(64, 2, BATCH), (32, 4, 1)])
def test_numpy_computes_what_an_engine_does(mask: Mask, size: int, heads: int, batch: int) -> None:
    graph, given = encoder(batch, mask, size, heads), feeds(mask, batch)
    (wanted,) = results(graph, given)
    with build(graph) as engine:
        np.testing.assert_allclose(engine.run(given)["y"], wanted, atol=1e-4)
