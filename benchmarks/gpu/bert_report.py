"""The page of BERT on GPUs: ``python -m benchmarks.gpu.bert_report FOLDER… gpu-bert.md``.

Each FOLDER holds what was measured on one device and day: ``padding.jsonl`` is what
:mod:`benchmarks.gpu.padding` printed, and ``bert-kernels.jsonl`` what
:mod:`benchmarks.gpu.bert_kernels` did. Each file is a table; a file that none has, no chapter.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HEAD = """# BERT on GPUs

Made by `python -m benchmarks.gpu.bert_report`; nothing here is typed by hand. BERT-base of random
weights with 128 tokens. Milliseconds are medians of replays of a CUDA graph, [as on the page of
all models](gpu.md); a ratio has the 95 % bootstrap interval of its median over rounds in which the
routes took turns. Rows of one table are processes of their own, so compare ratios.
"""
_Document = Mapping[str, Any]


def paddings(found: Sequence[_Document]) -> Iterator[str]:
    """The same batch padded and without its padding."""
    yield (
        "| batch | tokens | lowerings | packed [ms] | padded [ms] | ONNX parser [ms] "
        "| packed / padded | packed / ONNX | cosine | host [µs] |"
    )
    yield f"|---|---:|---|{'---:|' * 7}"
    for one in found:
        for name in one["routes"]:
            if name.startswith("packed"):
                yield f"| {' | '.join(_padding(one, name))} |"


def _padding(one: _Document, name: str) -> Iterator[str]:
    routes, ratios = one["routes"], one["ratios"]
    yield f"{one['batch']} {one['mode']}"
    yield f"{one['share']:.0%}"
    yield name.removeprefix("packed").removeprefix(" with ") or one["plugins"] or "none"
    for each in (name, "forward", "onnx"):
        yield f"{routes[each]['median_ms']:.3f}" if each in routes else "–"
    for each in ("forward", "onnx"):
        found = ratios.get(f"{name} / {each}")
        yield "–" if found is None else _ratio(found)
    yield f"{routes[name]['cosine']:.6f}"
    yield f"{one['host_us']:.0f}" + ("" if "host_calls" in one else " *first call*")


def kernels(found: Sequence[_Document]) -> Iterator[str]:
    """The pack's own kernels beside copies."""
    facts, *measured = found
    yield f"Sizes are 16 times the cache of {facts['cache MiB']} MiB.\n"
    yield "| kernel | width | type | writes | bias | GB/s | copy GB/s | share |"
    yield "|---|---:|---|---|---|---:|---:|---:|"
    for one in measured:
        share = f"{one['share']:.3f} [{one['least']:.3f}, {one['greatest']:.3f}]"
        yield (
            f"| {one['kernel']} | {one['width']} | {one['dtype']} | {one['out']} "
            f"| {'yes' if one['bias'] else 'no'} | {one['GB/s']:.0f} | {one['copy GB/s']:.0f} "
            f"| {share} |"
        )


#: File, title and what the tables mean; and what makes one of what was measured in a folder.
CHAPTERS: tuple[tuple[str, str, Callable[[Sequence[_Document]], Iterator[str]]], ...] = (
    (
        "padding.jsonl",
        "## Padding removed\n\n"
        "`python -m benchmarks.gpu.padding`: *packed* is `variable_length=True`, with lowerings "
        "that `FWD_BERT_PLUGINS` names: by default those with `packed-`. `packed` leaves attention "
        "to NVIDIA's plugin, *none* computes it in padded form, between gathers in every layer. "
        "[The reference](../reference/encoders.md#nvidias-plugins) has the others. GELU of half is "
        "by tanh in all engines by now; before, `tanh` named it, and rows that have neither that "
        "nor `packed-` were without it. Cosines are those "
        "of real tokens to Forward's padded engine of the same mode. Which rows are tokens is "
        "found on the host before each run, and not in the milliseconds: the last column says what "
        "that takes, in a call like any other or in the first of a process.",
        paddings,
    ),
    (
        "bert-kernels.jsonl",
        "## Kernels of the pack's own plugins\n\n"
        "`python -m benchmarks.gpu.bert_kernels`: the share that each has of the bandwidth of a "
        "copy within the device that moves as many bytes, in turns with it: median, least and "
        "greatest of the rounds. What stays in the cache is not counted. They run without TensorRT "
        "here.",
        kernels,
    ),
)


def page(folders: Sequence[Path]) -> str:
    """The page of what folders hold.

    Raises:
        FileNotFoundError: They hold none of the files.
    """
    lines = [HEAD.rstrip()]
    for name, title, table in CHAPTERS:
        measured = [found for folder in folders if (found := _read(folder / name))]
        if measured:
            lines += ["", title]
        for found in measured:
            lines += ["", f"Measured on {_machine(found)}.", "", *table(found)]
    if len(lines) == 1:
        named, files = ", ".join(map(str, folders)), ", ".join(name for name, *_ in CHAPTERS)
        raise FileNotFoundError(f"{named}: there is none of {files}")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _machine(found: Sequence[_Document]) -> str:
    """A GPU with its day and driver, and versions of libraries."""
    told: dict[str, None] = {}
    for one in found:
        machine = one.get("machine", one if "gpu" in one else {})
        told |= dict.fromkeys(machine[key] for key in ("gpu", "date") if machine.get(key))
        libraries = ("driver", "tensorrt", "cuda-bindings")
        told |= dict.fromkeys(f"{key} {machine[key]}" for key in libraries if machine.get(key))
    return ", ".join(told)


def _ratio(found: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("page", type=Path)
    asked = parser.parse_args(arguments)
    asked.page.write_text(page(asked.folders), encoding="utf-8")


if __name__ == "__main__":
    main()
