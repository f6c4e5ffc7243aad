"""Routes in int8 that no other test runs: what they say when a peer is missing."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("transformers")
pytest.importorskip("torch")

from benchmarks.cpu.int8_routes import ROUTES, MissingPeerError
from benchmarks.models import make


@pytest.mark.parametrize(
    ("route", "module", "told"),
    [
        ("openvino + nncf", "nncf", "NNCF is not installed"),
        ("onnxruntime int8", "onnxruntime", "ONNX Runtime is not installed"),
    ],
)
def test_a_missing_peer_is_told_with_its_reason(
    route: str, module: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as where it is not installed
    model, inputs = make("mobilenet_v2")
    with pytest.raises(MissingPeerError, match=told):
        ROUTES[route]("mobilenet_v2", model, inputs, 1)
