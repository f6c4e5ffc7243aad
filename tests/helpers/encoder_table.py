"""What fuses in which model, as the documentation shows it.

Run as a program it writes the table: ``python tests/helpers/encoder_table.py``.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from encoders import LAYERS, MODELS, TOKENS, kinds
from fusing import every, fuse

from fwd_core import Builder
from fwd_core.ir import Graph
from fwd_ops_torch.importers import jit
from fwd_plugins_bert import fusions
from fwd_plugins_bert.ops import SelfAttention
from fwd_plugins_bert.padding import padding

PAGE = Path(__file__).parents[2] / "docs/reference/encoders.md"
BEGIN, END = "<!-- made by tests/helpers/encoder_table.py -->", "<!-- end -->"
#: Columns of fused operators, and how many there could be in a model.
FUSED = {
    "embedding-norm": ("embeddings + norm", 1),
    "self-attention": ("self-attention", LAYERS),
    "skip-norm": ("skip + norm", 2 * LAYERS),
    "gelu-bias": ("GELU + bias", LAYERS),
}
WRITTEN = {
    "linear": "linear",
    "layer-norm": "norm",
    "gelu": "GELU",
    "attention": "attention",
    "neutral-mask": "mask of nothing",
}


@dataclass(frozen=True)
class Form:
    """One import of a model."""

    kind: str
    source: str
    graph: Graph
    inputs: tuple[torch.Tensor, ...]
    model: torch.nn.Module


def forms(name: str) -> Iterator[Form]:
    """A model in every kind of attention, traced and exported."""
    builder = Builder(backend="openvino")
    for kind in kinds(name):
        model, inputs = MODELS[name](kind)
        with quiet():
            traced = builder.import_model(jit.trace(model, inputs, check=False), inputs)
            exported = builder.import_model(model, inputs)
        yield Form(kind, "traced", traced, inputs, model)
        yield Form(kind, "exported", exported, inputs, model)


def dynamic(name: str, kind: str) -> Form:
    """A traced model whose batch and length may change."""
    model, inputs = MODELS[name](kind)
    sizes: dict[int, Any] = {0: ("batch", 1, 2, 4)}
    if inputs[0].ndim < 4:  # a sequence and no image
        sizes[1] = ("length", 2, TOKENS, 2 * TOKENS - 2)
    builder = Builder(backend="openvino")
    with quiet():
        traced = jit.trace(model, inputs, check=False)
        names = [value.name for value in builder.import_model(traced, inputs).inputs]
        graph = builder.import_model(traced, inputs, dynamic=dict.fromkeys(names, sizes))
    return Form(kind, "dynamic", graph, inputs, model)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what models of transformers say of themselves."""
    with warnings.catch_warnings():
        # they check shapes with Python's if while they are traced
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        warnings.filterwarnings("ignore", message="To copy construct from a tensor.*")
        yield


def row(name: str, found: list[tuple[Form, dict[str, int], list[fusions.Refused]]]) -> str:
    """A model's row of the table.

    Args:
        name: The model.
        found: Its forms, what was fused in each, and what was left.
    """
    fused = {tuple(counts.get(key, 0) for key in FUSED) for _, counts, _ in found}
    assert len(fused) == 1, f"{name}: forms differ: {[(f.kind, f.source, c) for f, c, _ in found]}"
    (counts,) = fused
    cells = [f"{count} of {FUSED[key][1]}" for key, count in zip(FUSED, counts, strict=True)]
    written = dict.fromkeys(
        WRITTEN[key] for _, changed, _ in found for key in changed if key in WRITTEN
    )
    left: Counter[str] = Counter()
    for _, _, refused in found:
        each = Counter(f"{one.fusion.removeprefix('bert-')}: {one.reason}" for one in refused)
        left |= each
    padded = {masks(form.graph) for form, _, _ in found}
    assert len(padded) == 1, f"{name}: masks differ: {padded}"
    cells += padded
    reasons = "; ".join(f"{count} x {text}" for text, count in sorted(left.items()))
    return f"| {name} | {', '.join(written) or '-'} | {' | '.join(cells)} | {reasons or '-'} |"


def masks(graph: Graph) -> str:
    """What the masks of fused attention are."""
    held = [node.op.mask for node in graph if isinstance(node.op, SelfAttention)]
    if not held:
        return "-"
    if all(mask is None for mask in held):
        return "no mask"
    known = all(mask is not None and padding(mask) is not None for mask in held)
    return "padding" if known else "more than padding"


def heading() -> list[str]:
    """The table's first two lines."""
    titles = [
        "model",
        "written out",
        *(title for title, _ in FUSED.values()),
        "mask",
        "left, and why",
    ]
    return [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]


def fused_forms(name: str) -> list[tuple[Form, dict[str, int], list[fusions.Refused]]]:
    """Forms of a model, fused."""
    found: list[Any] = []
    for form in forms(name):
        counts = fuse(form.graph, every())
        found.append((form, counts, fusions.refusals(form.graph, every())))
    return found


def main() -> None:
    """Write the page's table."""
    rows = [row(name, fused_forms(name)) for name in MODELS]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    table = "\n".join([BEGIN, "", *heading(), *rows, "", END])
    PAGE.write_text(f"{before}{table}{after}")


if __name__ == "__main__":
    main()
