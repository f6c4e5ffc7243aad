"""Encoders of every family: what fuses, equal numbers, and the page that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openvino")

from encoder_table import PAGE, fused_forms, heading, row
from encoders import MODELS

from fwd_core import Builder
from fwd_core.ir import Graph, text
from fwd_core.ir.structure import flatten


@pytest.mark.parametrize("name", MODELS)
def test_model(name: str) -> None:
    found = fused_forms(name)
    shown = row(name, found)
    assert shown in PAGE.read_text().splitlines(), "run python tests/helpers/encoder_table.py"
    compiled: set[str] = set()
    for form, _, _ in found:
        form.graph.verify()
        if (printed := _anonymous(form.graph)) in compiled:
            continue
        compiled.add(printed)
        assert len(compiled) <= 2, "eager and sdpa round a scale apart; all else is the same"
        with torch.no_grad():
            expected, _ = flatten(form.model(*form.inputs))
        got = Builder(backend="openvino").compile(form.graph)
        results = got.run_list([tensor.numpy() for tensor in form.inputs])
        assert len(results) == len(expected)
        for have, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(have, _array(want), atol=3e-6)


def test_the_page_shows_every_model_and_no_other() -> None:
    lines = PAGE.read_text().splitlines()
    start = lines.index(heading()[0])
    assert lines[start + 1] == heading()[1]
    names = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        names.append(line.split("|")[1].strip())
    assert names == list(MODELS)


def _anonymous(graph: Graph) -> str:
    """The graph as text, with values renamed by their order."""
    for index, value in enumerate(list(graph.values())):
        graph.rename(value, f"v{index}")
    return text(graph).partition("(")[2]


def _array(tensor: Any) -> Any:
    return tensor.numpy()
