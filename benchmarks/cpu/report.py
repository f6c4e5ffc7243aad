"""The page of measurements from what ``nox -s bench`` wrote.

``python -m benchmarks.cpu.report FOLDER … > docs/benchmarks/cpu.md``: a chapter per folder, which
holds the JSON files of one machine. Folders where BERT alone was measured give a page of its own.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cpu import bert_goals, fusing
from benchmarks.models import MODELS

OURS = "forward float32"
HALF = "forward float16"
BERT = "bert_base"
HEAD = """# {title}

Made by `nox -s bench` and `python -m benchmarks.cpu.report`; nothing here is typed by hand. Batch
1, {inputs}, 2 threads, random weights. All routes run in one
session, each in a process of its own, in short rounds whose order is drawn anew. Numbers are
medians over rounds; a ratio is Forward's time over that route's, round by round, with the 95 %
bootstrap interval of its median: below 1 Forward is faster. Machines are shared and noisy, so
compare ratios and not milliseconds.
"""


def latency(document: dict[str, Any]) -> Iterator[str]:
    """A table per model."""
    yield "### Latency"
    for model in MODELS:
        if model not in document:
            continue
        yield f"\n**{model}**\n"
        yield "| route | computes in | ms | float32 / route | float16 / route | error | cosine |"
        yield "|---|---|---:|---:|---:|---:|---:|"
        for route, row in document[model].items():
            if "failed" in row:
                yield f"| {route} | *{row['failed']}* | | | | | |"
                continue
            cells = [_ratio(row.get(f"{ours} / this")) for ours in (OURS, HALF)]
            yield (
                f"| {route} | {row['precision']} | {row['median_ms']:.2f} | {' | '.join(cells)} "
                f"| {row['error']:.1e} | {row['cosine']:.6f} |"
            )


def importing(document: dict[str, Any]) -> Iterator[str]:
    """Import and rewrites of BERT-base, and chains."""
    yield "\n### Importing\n"
    yield "| | nodes | s | peak memory above the module / weights |"
    yield "|---|---:|---:|---:|"
    for name, row in document.items():
        if name.startswith("bert"):
            peak = row["peak_above_module_x_weights"]
            yield (
                f"| BERT-base, {Path(name.split()[1]).suffix} file: import and all rewrites "
                f"| {row['nodes']:.0f} | {row['seconds']:.2f} | {peak:.2f} |"
            )
    yield ""
    yield (
        f"A node of a chain of 10,000 takes {document['chain 10000']['us_per_node']:.0f} µs to "
        f"import, one of 1,000 takes {document['chain 1000']['us_per_node']:.0f} µs: "
        f"{document['chain ratio']:.2f} times as long."
    )


def overhead(document: dict[str, Any]) -> Iterator[str]:
    """What calls cost beside the bare request."""
    yield "\n### Overhead of a call\n"
    yield "A graph of one node; `infer()` has its tensors bound beforehand.\n"
    yield "| call | µs | above infer() |"
    yield "|---|---:|---:|"
    base = next(iter(document.values()))
    for name, value in document.items():
        yield f"| {name} | {value:.1f} | {value - base:.1f} |"


def kernels(document: dict[str, Any]) -> Iterator[str]:
    """Profiles beside one another."""
    yield f"\n### Kernels of {document['model']}\n"
    yield "With the libraries' own profilers on, which cost time themselves.\n"
    for title, profile in document["profiles"].items():
        yield f"| {title} | count | ms |"
        yield "|---|---:|---:|"
        for kind, (spent, count) in sorted(profile.items(), key=lambda item: -item[1][0])[:8]:
            yield f"| {kind} | {count} | {spent:.2f} |"
        yield f"| all | | {sum(spent for spent, _ in profile.values()):.2f} |\n"


def padding(document: dict[str, Any]) -> Iterator[str]:
    """BERT-base with and without padding, by the share of tokens."""
    yield "\n### Padding removed\n"
    note = f"; {document['note']}" if document["note"] else ""
    yield (
        f"`python -m benchmarks.cpu.padding`: BERT-base of {document['layers']} layers, "
        f"{document['threads']} threads, as it is and with `variable_length`, in turns in one "
        f"process, what is done on the host before each run included{note}. Cosines are of "
        "tokens, with torch in float32."
    )
    yield ""
    times = "padded ms | packed ms | packed / padded"
    yield f"| mode | computes in | batch | tokens | {times} | cosine |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for row in document["rows"]:
        if "failed" in row:
            yield f"| {row['mode']} | *{row['failed']}* | | | | | | |"
            continue
        padded, packed = (row["routes"][name] for name in ("padded", "packed"))
        yield (
            f"| {row['mode']} | {row['computes']} | {row['batch']} x {row['length']} "
            f"| {row['share']:.0%} | {padded['median_ms']:.1f} | {packed['median_ms']:.1f} "
            f"| {_ratio(row['packed / padded'])} | {packed['cosine']:.6f} |"
        )


def fusing_time(document: dict[str, Any]) -> Iterator[str]:
    """How long the BERT pack looks at an encoder."""
    yield "\n### Recognising an encoder\n"
    yield f"`python -m benchmarks.cpu.fusing`. {fusing.told(document)}"


def head(folders: Iterable[Path]) -> str:
    """The head of a page, which names the inputs of the models that were measured."""
    if all(_of_bert(_read(folder)) for folder in folders):
        inputs = "sequences of 128 places, the last 28 padding"
        return HEAD.format(title="BERT on CPUs", inputs=inputs)
    inputs = "images of 224 x 224, BERT with 128 tokens"
    return HEAD.format(title="Measurements on CPUs", inputs=inputs)


PARTS = {
    "latency": latency,
    "padding": padding,
    "fusing": fusing_time,
    "importing": importing,
    "overhead": overhead,
    "kernels": kernels,
}


def chapter(folder: Path) -> Iterator[str]:
    """All that was measured on one machine."""
    documents = _read(folder)
    machine = next(iter(documents.values()))["machine"]
    yield f"\n## {machine['processor']}\n"
    yield ", ".join(f"{name} {value}" for name, value in machine.items() if name != "processor")
    yield ""
    for name, document in documents.items():
        yield from PARTS[name](document["results"])
    if _of_bert(documents):
        int8 = _read(folder, ["int8"])
        rows = int8["int8"]["results"]["models"].get(BERT, {}) if int8 else {}
        found = documents.get("fusing", {}).get("results")
        yield from bert_goals.table(documents["latency"]["results"][BERT], rows, found)


def _read(folder: Path, names: Iterable[str] = tuple(PARTS)) -> dict[str, Any]:
    return {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in names
        if (folder / f"{name}.json").exists()
    }


def _of_bert(documents: dict[str, Any]) -> bool:
    """Whether it is BERT alone, which has a page of its own."""
    return "latency" in documents and set(documents["latency"]["results"]) == {BERT}


def _ratio(found: list[float] | None) -> str:
    return "" if found is None else "{:.3f} [{:.3f}, {:.3f}]".format(*found)


def main(
    head: str | Callable[[Sequence[Path]], str],
    chapter: Callable[[Path], Iterable[str]],
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Print a page: its head, then a chapter for each folder that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args(arguments).folders
    print((head if isinstance(head, str) else head(folders)).rstrip())
    for folder in folders:
        print("\n".join(chapter(folder)))


if __name__ == "__main__":
    main(head, chapter, __doc__)
