"""Inputs that an engine makes of those that a benchmark gives, since times can depend on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.cli import output

if TYPE_CHECKING:
    from fwd_core.engine import Engine


def of(engine: Engine, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is made of what, as JSON: shapes, and how many elements that are read are not 0.

    Args:
        engine: What is measured.
        values: Its inputs, by name.
    """
    import numpy as np

    if not engine.derived:
        return []
    arrays = engine.made_inputs([values[port.name] for port in engine.inputs])
    found, known = [], {**values, **arrays}  # what was made may be read in turn
    for one in engine.derived:
        reads = {
            name: {"elements": np.size(known[name]), "not_0": int(np.count_nonzero(known[name]))}
            for name in one.reads
        }
        gives = {name: f"{arrays[name].dtype}{list(arrays[name].shape)}" for name in one.gives}
        found.append({"maker": one.maker, "reads": reads, "gives": gives})
    return found


def facts(document: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The same as a line of text, none where an engine makes nothing."""
    texts = []
    for one in document:
        gives = ", ".join(f"{name} {text}" for name, text in one["gives"].items())
        reads = ", ".join(
            f"{name} ({output.share(read['not_0'], read['elements'])} not 0)"
            for name, read in one["reads"].items()
        )
        texts.append(f"{gives} of {reads}")
    return {"made": "; ".join(texts)} if texts else {}
