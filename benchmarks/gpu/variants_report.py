"""The page of settings: ``python -m benchmarks.gpu.variants_report variants.jsonl PAGE``.

The file holds what :mod:`benchmarks.gpu.variants` printed, on one device.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HEAD = """# What settings do on GPUs

Made by `python -m benchmarks.gpu.variants_report`; nothing here is typed by hand. Engines of one
table were built one after the other by `python -m benchmarks.gpu.variants`, which tells what the
names mean, and ran in turns in one process: medians of replays of a CUDA graph, and ratios with the
95 % bootstrap interval of their median over rounds. Each was built once, and two builds of one
network choose their kernels by times of their own. Of names that are no more, `plugins=tanh` was
GELU by tanh, which half has on TensorRT 8 by itself since, and `fc-gelu` products before GELU alone
as convolutions. What stands in brackets was noted by hand: what another version of Forward did, or
what else went on.
"""
_Document = Mapping[str, Any]


def page(found: Sequence[_Document]) -> str:
    """The page of what was printed."""
    lines = [HEAD]
    for group in _runs(found):
        lines += [f"## {_title(group[0])}", "", *_table(group), ""]
    return "\n".join(lines)


def _runs(found: Sequence[_Document]) -> list[list[_Document]]:
    """What ran together: each begins with what the others are compared with."""
    runs: list[list[_Document]] = []
    for one in found:
        if one["variant"] == one["over"] or not runs:
            runs.append([])
        runs[-1].append(one)
    return runs


def _title(one: _Document) -> str:
    machine, layers = one["machine"], one["layers"]
    few = "" if layers is None else f" of {layers} layers"
    at = f"batch {one['batch']}, {one['mode']}"
    return f"{one['model']}{few}, {at}: {machine['gpu']}, {machine['date']}"


def _table(group: Sequence[_Document]) -> Iterator[str]:
    yield "| variant | median [ms] | device [ms] | ratio to the first | build [s] | cosine |"
    yield "|---|---:|---:|---:|---:|---:|"
    for one in group:
        ratio = "{:.3f} [{:.3f}, {:.3f}]".format(*one["ratio"])
        note = f" ({one['note']})" if "note" in one else ""
        yield (
            f"| `{one['variant']}`{note} | {one['median_ms']:.4f} | {one['device_ms']:.4f} "
            f"| {ratio} | {one['build_s']:.0f} | {one['cosine']:.6f} |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("page", type=Path)
    asked = parser.parse_args(arguments)
    lines = [line for file in asked.files for line in file.read_text(encoding="utf-8").splitlines()]
    found = [one for one in map(json.loads, lines) if "failed" not in one]
    if not found:
        parser.error(f"{', '.join(map(str, asked.files))}: no variant that was measured")
    asked.page.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
