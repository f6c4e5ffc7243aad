"""The page of BERT on GPUs: ``python -m benchmarks.gpu.bert_report FOLDER gpu-bert.md``.

FOLDER holds what was measured on one device: ``padding.jsonl`` is what
:mod:`benchmarks.gpu.padding` printed, and ``bert-kernels.jsonl`` what
:mod:`benchmarks.gpu.bert_kernels` did. A file that is not there has no chapter.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
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
    yield "\n## Padding removed\n"
    yield (
        "`python -m benchmarks.gpu.padding`: *packed* is `variable_length=True`, with lowerings "
        "that `FWD_BERT_PLUGINS` names: by default those with `packed-`. `packed` leaves attention "
        "to NVIDIA's plugin, *none* computes it in padded form, between gathers in every layer. "
        "[The reference](../reference/encoders.md#nvidias-plugins) has the others. GELU of half is "
        "by tanh in all engines by now; before, `tanh` named it, and rows that have neither that "
        "nor `packed-` were without it. Cosines are those "
        "of real tokens to Forward's padded engine of the same mode. Which rows are tokens is "
        "found on the host before each run, and not in the milliseconds: the last column says what "
        "that takes, in a call like any other or in the first of a process.\n"
    )
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
    yield "\n## Kernels of the pack's own plugins\n"
    yield (
        "`python -m benchmarks.gpu.bert_kernels`: the share that each has of the bandwidth of a "
        "copy within the device that moves as many bytes, in turns with it: median, least and "
        f"greatest of the rounds. Sizes are 16 times the cache of {facts['cache MiB']} MiB. What "
        "stays in the cache is not counted. They run without TensorRT here.\n"
    )
    yield "| kernel | width | type | writes | bias | GB/s | copy GB/s | share |"
    yield "|---|---:|---|---|---|---:|---:|---:|"
    for one in measured:
        share = f"{one['share']:.3f} [{one['least']:.3f}, {one['greatest']:.3f}]"
        yield (
            f"| {one['kernel']} | {one['width']} | {one['dtype']} | {one['out']} "
            f"| {'yes' if one['bias'] else 'no'} | {one['GB/s']:.0f} | {one['copy GB/s']:.0f} "
            f"| {share} |"
        )


def page(folder: Path) -> str:
    """The page of what a folder holds.

    Raises:
        FileNotFoundError: It holds none of the files.
    """
    chapters = (
        ("padding.jsonl", paddings),
        ("bert-kernels.jsonl", kernels),
    )
    found = [(_read(folder / name), chapter) for name, chapter in chapters]
    documents = [one for kept, _ in found for one in kept]
    if not documents:
        raise FileNotFoundError(f"{folder} holds none of {', '.join(n for n, _ in chapters)}")
    # What was measured without TensorRT tells of other versions on the same machine.
    machines: dict[tuple[str, ...], dict[str, None]] = {}
    for one in documents:
        place, versions = _machine(one)
        machines.setdefault(place, {}).update(dict.fromkeys(versions))
    told = [", ".join((*place, *versions)) for place, versions in machines.items() if place]
    lines = [HEAD.rstrip(), "", *(f"Measured on {one}." for one in told)]
    for kept, chapter in found:
        lines += chapter(kept) if kept else ()
    return "\n".join(lines) + "\n"


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _machine(one: _Document) -> tuple[tuple[str, ...], list[str]]:
    """A GPU with its day and driver, and versions of libraries."""
    machine = one.get("machine", one if "gpu" in one else {})
    named = [machine[key] for key in ("gpu", "date") if machine.get(key)]
    if machine.get("driver"):
        named.append(f"driver {machine['driver']}")
    libraries = ("tensorrt", "cuda-bindings")
    return tuple(named), [f"{key} {machine[key]}" for key in libraries if machine.get(key)]


def _ratio(found: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    asked = parser.parse_args(arguments)
    asked.page.write_text(page(asked.folder), encoding="utf-8")


if __name__ == "__main__":
    main()
