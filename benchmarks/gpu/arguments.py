"""What rows were measured with, in words: the page says so beside its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.gpu import rows

_SIDES = dict(zip(rows.KINDS, ("TensorRT", "torch"), strict=True))
NOT_KEPT = "arguments not kept"


def told(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The arguments of rows as a list, each set of them once; which rows, where they differ."""
    for kind, side in _SIDES.items():
        ways: dict[str, list[str]] = {}
        for one in documents:
            if one["kind"] == kind:
                words = in_words(kind, one.get("asked"))
                ways.setdefault(words, []).append(str(rows.of(one)))
        for words, named in ways.items():
            which = f" ({', '.join(named)})" if len(ways) > 1 else ""
            yield f"- {side}{which}: {words}."


def in_words(kind: str, asked: Mapping[str, Any] | None) -> str:
    """The arguments of one row; those that were not kept are not guessed."""
    if asked is None:
        return NOT_KEPT
    words = [f"{asked['seconds']:g} s of calls"] if "seconds" in asked else []
    if kind == "tensorrt":
        if "workspace" in asked:
            words.append(f"{asked['workspace']} MiB of scratch memory for each builder")
        if "level" in asked:
            level = "TensorRT's own" if asked["level"] is None else asked["level"]
            words.append(f"optimization level: {level}")
        if asked.get("timings") is not None:
            words.append(f"each kernel timed {asked['timings']} times")
        if "together" in asked:
            words.append(_BUILDS[bool(asked["together"])])
    elif asked.get("device", "cuda") != "cuda":
        words.append(f"on the {asked['device']}")
    if "compile_mode" in asked and asked["compile_mode"] != "reduce-overhead":
        words.append(f"mode `{asked['compile_mode']}` of the compiler")
    if asked.get("freezing"):
        words.append("weights frozen by the compiler")
    if "plugins" in asked:
        words.append(f"`FWD_BERT_PLUGINS={asked['plugins']}`")
    # Sorted: they are measured in an order that is drawn.
    named = ", ".join(sorted(asked["routes"])) if "routes" in asked else None
    words.append("all routes" if named is None else f"routes: {named}")
    if "note" in asked:  # by hand, where rows of several machines are put into one file
        words.append(asked["note"])
    return "; ".join(words)


_BUILDS = {True: "both builds at once on the one GPU", False: "one build after the other"}
