"""The page of measurements in int8 from what ``nox -s bench -- int8 digits`` wrote.

``python -m benchmarks.cpu.int8_report FOLDER … > docs/benchmarks/int8.md``: a chapter per folder,
which holds the JSON files of one machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cpu import calibrating
from benchmarks.cpu.report import main

OURS = "forward int8"
#: The best of these is what int8 is measured against.
FLOAT_PEERS = ("openvino", "onnxruntime")
HALF = "forward float16"
#: Models that int8 is to be far ahead of any float32 on; others are small, or of small products.
_FAR_AHEAD = ("resnet50", "bert_base")
TITLES = ("goal", "at most", "found", "reached")
NNCF = "openvino + nncf"
HEAD = """# Measurements in int8

Made by `nox -s bench -- int8 digits` and `python -m benchmarks.cpu.int8_report`; nothing here is
typed by hand but what is noted so. Batch 1, images of 224 x 224, BERT with 128 tokens, 2 threads,
random weights. Every route in int8 is calibrated with the same 64 inputs, among which the measured
one is not. Routes run in one session, each in a process of its own, in short rounds whose order is
drawn anew. Numbers are medians over rounds; a ratio is the time of Forward's int8 over that
route's, round by round, with the 95 % bootstrap interval of its median: below 1 Forward is faster.
SQNR is the power of torch's float32 result over that of the error, in dB: more is nearer. Machines
are shared and noisy, so compare ratios and not milliseconds.

Products are counted in OpenVINO's execution graph: 90 % of convolutions and matrix products were to
be of integers. All convolutions and linear layers are; of a transformer's products those are three
quarters, since the two of attention stay in floats unless `attention=True` asks for them. SQNR and
cosine are over eight inputs, for BERT over their real tokens. `forward int8` calibrates by `mse`,
the default. Batch normalization has the statistics of random images, and residual branches a gain
of 0.2, without which networks of random weights amplify any error to the size of the signal. SQNR
compares routes and promises nothing of trained networks: for those, see the tables of the digits.
"""


def goals(rows: dict[str, Any], model: str) -> Iterator[tuple[str, str, str, bool]]:
    """What one model is held to: goal, bound, what was found, whether it is reached."""

    def time(route: str) -> float:
        return float(rows[route][f"{OURS} / this"][0])

    peers = [route for route in FLOAT_PEERS if _measured(rows, route)]
    if peers and model in _FAR_AHEAD:
        worst = max(peers, key=time)
        yield f"time / best float32 peer ({worst})", "0.40", *_most(time(worst), 0.4)
    if _measured(rows, HALF):
        yield "time / float16", "1.00", *_most(time(HALF), 1.0)
    if _measured(rows, NNCF):
        yield "time / NNCF", "1.05", *_most(time(NNCF), 1.05)
        for route in (OURS, f"{OURS} minmax"):
            if _measured(rows, route):
                below = rows[NNCF]["sqnr_db"] - rows[route]["sqnr_db"]
                name = "" if route == OURS else ", ours by minmax"
                yield f"dB below NNCF{name}", "1.0", f"{below:.1f}", below <= 1.0


def calibrating_goals(row: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """What calibrating is held to, likewise."""
    yield "time / running in float32", "3.00", *_most(row["ratio"], 3.0)
    yield "peak memory / float32's", "2.00", *_most(row["peak_ratio"], 2.0)


def models(document: dict[str, Any]) -> Iterator[str]:
    """A table per model, and what it is held to."""
    yield "### Latency and nearness"
    for model, rows in document.items():
        yield f"\n**{model}**\n"
        yield f"| route | computes in | ms | {OURS} / route | SQNR dB | cosine | build s |"
        yield "|---|---|---:|---:|---:|---:|---:|"
        for route, row in rows.items():
            if "failed" in row:
                yield f"| {route} | *{row['failed']}* | | | | | |"
                continue
            found = row.get(f"{OURS} / this")
            ratio = "" if found is None else "{:.3f} [{:.3f}, {:.3f}]".format(*found)
            yield (
                f"| {route} | {row['precision']} | {row['median_ms']:.2f} | {ratio} "
                f"| {row['sqnr_db']:.1f} | {row['cosine']:.6f} | {row['build_s']:.1f} |"
            )
        if _measured(rows, OURS):
            yield from _table(TITLES, _judged(goals(rows, model)))


def digits(document: dict[str, Any]) -> Iterator[str]:
    """Accuracy on real data."""
    yield "\n### Accuracy on handwritten digits\n"
    yield (
        "scikit-learn's digits: small networks learn two thirds of the 1797 images from a fixed "
        "seed and are asked about the other 599. One image is 0.17 points; int8 may lose 0.5."
    )
    for model, rows in document.items():
        yield f"\n**{model}**"
        cells = [
            (name, f"*{row['failed']}*", "", "", "")
            if "failed" in row
            else (
                *(name, row["precision"], f"{row['accuracy']:.2f}"),
                *(f"{row['drop']:.2f}", f"{row['sqnr_db']:.1f}"),
            )
            for name, row in rows.items()
        ]
        yield from _table(("mode", "computes in", "accuracy %", "points lost", "SQNR dB"), cells)


def chapter(folder: Path) -> Iterator[str]:
    """All that was measured on one machine."""
    documents = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("int8", "digits")
        if (folder / f"{name}.json").exists()
    }
    machine = next(iter(documents.values()))["machine"]
    title = "processor" if "processor" in machine else "gpu"
    yield f"\n## {machine[title]}\n"
    yield ", ".join(f"{name} {value}" for name, value in machine.items() if name != title)
    yield ""
    if "int8" in documents:
        results = documents["int8"]["results"]
        yield from models(results["models"])
        if "calibrating" in results:
            yield "\n### Calibrating\n"
            yield calibrating.told(results["calibrating"])
            if note := results["calibrating"].get("note"):
                yield f"(Noted by hand: {note})"
            yield from _table(TITLES, _judged(calibrating_goals(results["calibrating"])))
    if "digits" in documents:
        yield from digits(documents["digits"]["results"])


def _measured(rows: dict[str, Any], route: str) -> bool:
    return route in rows and "failed" not in rows[route]


def _judged(goals: Iterable[tuple[str, str, str, bool]]) -> list[tuple[str, ...]]:
    return [(*cells, "yes" if met else "**no**") for *cells, met in goals]


def _most(found: float, bound: float) -> tuple[str, bool]:
    return f"{found:.3f}", found <= bound


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(titles)} |"
    yield f"|---|{'---|' * (len(titles) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    main(HEAD, chapter, __doc__)
