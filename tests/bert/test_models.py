"""Encoders of every family: what fuses, equal numbers, and the page that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("openvino")

from encoder_table import PAGE, dynamic, fused_forms, heading, row
from encoders import MODELS, kinds
from fusing import every, fuse

from fwd_core import Builder
from fwd_core.ir import Graph, text
from fwd_core.ir.structure import flatten
from fwd_plugins_bert import fusions


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


@pytest.mark.parametrize("name", MODELS)
def test_dynamic_sizes_fuse_alike(name: str) -> None:
    kind = kinds(name)[-1]
    form = dynamic(name, kind)
    found = [(form, fuse(form.graph, every()), fusions.refusals(form.graph, every()))]
    shown = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |"))
    assert row(name, found).split("|")[3:] == shown.split("|")[3:]


def test_other_sizes_give_what_torch_gives() -> None:
    name = "BERT of transformers 2 and 3"
    form = dynamic(name, "eager")
    fuse(form.graph, every())
    engine = Builder(backend="openvino").compile(form.graph)
    for batch, length in ((1, 2), (3, 7), (4, 18)):
        torch.manual_seed(batch)
        ids = torch.randint(1, 50, (batch, length))
        mask = (torch.arange(length) < torch.arange(1, batch + 1)[:, None]).long()
        inputs = (ids, mask, ids % 2)
        with torch.no_grad():
            expected = form.model(*inputs)
        for have, want in zip(engine.run_list([x.numpy() for x in inputs]), expected, strict=True):
            np.testing.assert_allclose(have, want.numpy(), atol=3e-6)


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
