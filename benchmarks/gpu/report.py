"""The page of measurements: ``python -m benchmarks.gpu.report rows.jsonl docs/benchmarks/gpu.md``.

Several files of rows may be given. A chapter is one day on one device; a plot per chapter is
written beside the page.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import arguments, rows
from benchmarks.gpu.plot import bars

FORWARD, ONNX, RUN = "forward", "onnx", "forward run_list"
EAGER, COMPILED, RECORDED = rows.TORCH_ROUTES
HEAD = """# Measurements on GPUs

Made by `nox -s bench-gpu` and `python -m benchmarks.gpu.report`; nothing here is typed by hand
but remarks behind the routes in lists of arguments. GPUs of one kind and day are told apart by the
beginning of their ids, where that was kept.
[How to measure on a GPU of your own](../how-to/measure-on-a-gpu.md) says what is run.

Images of 224 x 224, BERT with 128 tokens, random weights. Milliseconds are medians of single calls
on the host's clock, each with a wait for the device. *Forward* and *ONNX parser* are engines of the
same TensorRT, built with the same scratch memory and sources of kernels: a call is the replay of
one CUDA graph over buffers that stay where they are. *recorded* is the code of `torch.compile`,
recorded and replayed in the same way; *torch.compile* is called from Python and replays CUDA graphs
of its own (`mode="reduce-overhead"`), as `Engine.run_list` is on arrays of the device. The two
routes on TensorRT take turns in one process, so that a ratio has a 95 % bootstrap interval of its
median; those of torch take turns in another, within minutes. In float32 all routes have TF32 off;
in float16 the engines take and give float32, and torch takes and gives float16.
"""
_Document = dict[str, Any]
_DAY = ("date", "gpu", "driver", "gpu id")


def chapters(documents: Sequence[_Document]) -> dict[tuple[str, ...], list[_Document]]:
    """Rows by day and GPU; of a row that was measured twice, the later."""
    found: dict[tuple[str, ...], dict[tuple[Any, ...], _Document]] = {}
    for one in documents:
        machine = one["machine"]
        day = tuple(machine.get(key, "") for key in _DAY)
        half = (rows.of(one), one["kind"])
        found.setdefault(day, {})[half] = one
    return {day: list(kept.values()) for day, kept in sorted(found.items())}


def joined(documents: Sequence[_Document]) -> list[tuple[rows.Row, _Document, _Document]]:
    """Rows in order, with the half on TensorRT and that of torch; ``{}`` for one not measured."""
    by = {(rows.of(one), one["kind"]): one for one in documents}
    ours, torch = rows.KINDS
    order = {row: place for place, row in enumerate(rows.in_order())}

    def place(row: rows.Row) -> tuple[int, int]:
        return order[dataclasses.replace(row, layers=None)], row.layers or 0

    return [
        (row, by.get((row, ours), {}), by.get((row, torch), {}))
        for row in sorted({row for row, _ in by}, key=place)
    ]


def latency(halves: Sequence[tuple[rows.Row, _Document, _Document]]) -> Iterator[str]:
    """Medians of all routes, and the ratio that a number is set for."""
    yield "### Latency [ms]\n"
    yield (
        "| | Forward | ONNX parser | Forward / ONNX [95 %] | recorded | `run_list` "
        "| torch.compile | torch eager |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for row, ours, torch in halves:
        cells = [
            *(_cell(ours, route) for route in (FORWARD, ONNX)),
            _ratio(ours.get("ratios", {}).get(f"{FORWARD} / {ONNX}")),
            _cell(torch, RECORDED),
            _cell(ours, RUN),
            *(_cell(torch, route) for route in (COMPILED, EAGER)),
        ]
        yield f"| {row} | {' | '.join(cells)} |"


def tails(halves: Sequence[tuple[rows.Row, _Document, _Document]]) -> Iterator[str]:
    """99th percentiles, the device's own clock, and throughput."""
    yield "\n### 99th percentile, the device's clock, throughput\n"
    yield (
        "The device's clock runs between two events around a launch. Throughput is of calls that "
        "are queued without waiting for each.\n"
    )
    yield (
        "| | Forward p99 [ms] | ONNX p99 | recorded p99 | Forward device [ms] | ONNX device "
        "| Forward [1/s] | ONNX [1/s] | recorded [1/s] |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    for row, ours, torch in halves:
        pairs = ((ours, FORWARD), (ours, ONNX), (torch, RECORDED))
        cells = [_cell(half, route, "p99_ms") for half, route in pairs]
        cells += [_cell(ours, route, "event_ms") for route in (FORWARD, ONNX)]
        cells += [_cell(half, route, "throughput", ".0f") for half, route in pairs]
        yield f"| {row} | {' | '.join(cells)} |"


def builds(halves: Sequence[tuple[rows.Row, _Document, _Document]]) -> Iterator[str]:
    """What a build takes, and how near its engine comes to torch in float32."""
    yield "\n### Builds and accuracy\n"
    yield (
        "Each build is a process of its own. Host memory is the peak of that process less what it "
        "held with TensorRT imported and a builder made, as a multiple of the weights in float32. "
        "`torch` is the time until the fifth call of the recorded route. Errors are the greatest "
        "of all outputs, relative to the greatest value, against torch in float32 on the CPU. "
        "*In half* are products of those that the engine tells of; TensorRT's second compiler "
        "takes transformers as one layer and tells nothing of it (*opaque*).\n"
    )
    yield (
        "| | Forward, in half | ONNX, in half | Forward build [s] | ONNX | torch "
        "| Forward engine [MB] | ONNX "
        "| Forward host memory [x weights] | ONNX | Forward error | cosine | ONNX error | cosine |"
    )
    yield f"|---|{'---:|' * 13}"
    for row, ours, torch in halves:
        both = (FORWARD, ONNX)
        cells = [_narrow(ours, route, "Half") for route in both]
        cells += [_build(ours, route) for route in both]
        cells += [_cell(torch, RECORDED, "build_s", ".0f")]
        cells += [_cell(ours, route, "engine_mb", ".1f") for route in both]
        cells += [_cell(ours, route, "host_x_weights", ".2f") for route in both]
        for route in both:
            cells += [_cell(ours, route, "error", ".1e"), _cell(ours, route, "cosine", ".6f")]
        yield f"| {row} | {' | '.join(cells)} |"
    yield from notes(halves)


def notes(halves: Sequence[tuple[rows.Row, _Document, _Document]]) -> Iterator[str]:
    """What words beside the seconds of builds mean, and what is not alike in older rows."""
    yield (
        "\n*again*, and *warm* where the first build was on another day: a build with the times "
        "of all its kernels kept by an earlier one (*mixed*: of some). *At once*: both builds ran "
        "at the same time on one GPU and disturbed each other, so they took longer than alone."
    )
    if any(ours and "asked" not in ours for _, ours, _ in halves):
        yield "Of rows whose arguments were not kept it is not known whether their builds ran so."
    older = [
        str(row)
        for row, ours, _ in halves
        if "listed" not in ours.get("routes", {}).get(FORWARD, {"listed": ""})
        and "products" in ours["routes"][FORWARD]
    ]
    if older:
        yield (
            f"Forward's builds of {', '.join(older)} were measured with the listing of compiled "
            "layers in them, which loads the engine once more; those of the ONNX route without."
        )


def int8(halves: Sequence[tuple[rows.Row, _Document, _Document]]) -> Iterator[str]:
    """Int8 beside half of the same model, and beside TensorRT's own calibrator."""
    yield "\n### Int8\n"
    yield (
        "Forward calibrates the model itself, on the GPU, and writes what it found into the graph; "
        "the parser's route is calibrated with the same data by TensorRT's calibrator "
        "(`IInt8EntropyCalibrator2`) and may compute any layer in half. Batch normalization has "
        "the statistics of what comes in, and residual branches end in a gain of 0.2, so that "
        "results depend on the inputs. *In int8* are products (convolutions and matrix products) "
        "of those that the engine tells of; a layer of TensorRT's second compiler tells nothing of "
        "those inside it (*opaque*). Calibrating has no time (–) where an earlier run had found "
        "the ranges.\n"
    )
    yield (
        "| | Forward [ms] | Forward float16 | int8 / float16 [95 %] | ONNX parser int8 "
        "| Forward / ONNX [95 %] |"
    )
    yield "|---|---:|---:|---:|---:|---:|"
    for row, ours, _ in halves:
        ratios = ours.get("ratios", {})
        cells = [
            *(_cell(ours, FORWARD), _cell(ours, rows.HALF)),
            _ratio(ratios.get(f"{FORWARD} / {rows.HALF}")),
            _cell(ours, ONNX),
            _ratio(ratios.get(f"{FORWARD} / {ONNX}")),
        ]
        yield f"| {row} | {' | '.join(cells)} |"
    yield (
        "\n| | Forward SQNR [dB] | cosine | float16 SQNR | cosine | ONNX SQNR | cosine "
        "| Forward in int8 | ONNX in int8 | calibrating [s] | Forward build | ONNX |"
    )
    yield f"|---|{'---:|' * 11}"
    for row, ours, _ in halves:
        cells = []
        for route in (FORWARD, rows.HALF, ONNX):
            cells += [_cell(ours, route, "sqnr_db", ".1f"), _cell(ours, route, "cosine", ".5f")]
        cells += [_narrow(ours, route, "Int8") for route in (FORWARD, ONNX)]
        cells += [_cell(ours, FORWARD, "calibrate_s", ".0f")]
        calibrates = ours.get("routes", {}).get(ONNX, {}).get("calibrates")
        cells += [_build(ours, FORWARD)]
        cells += [_build(ours, ONNX) + (" *with calibrating*" if calibrates else "")]
        yield f"| {row} | {' | '.join(cells)} |"
    yield from notes(halves)


def _narrow(half: _Document, route: str, kind: str) -> str:
    """How many products are of a type, of those that the engine tells of."""
    found = half.get("routes", {}).get(route, {})
    if "products" not in found:
        return "–"
    counts = found["products"]
    text = f"{counts.get(kind, 0)} of {sum(counts.values())}"
    return f"{text}, {found['opaque']} opaque" if found["opaque"] else text


def calls(row: rows.Row, found: _Document) -> Iterator[str]:
    """What calls of an engine take above a bare launch of the same graph."""
    for name, one in (("run_list", found), ("run", found.get("run", {}))):
        if "late_us" in one:
            yield (
                f"\n{row}: `{name}` on arrays of the device returns after "
                f"{one['call_us']:.1f} µs, a bare launch of the same graph after "
                f"{found['launch_us']:.1f} µs: "
                "{:+.1f} [{:+.1f}, {:+.1f}] µs. ".format(*one["overhead_us"])
                + f"With the wait for the GPU it takes {one['run_us']:.1f} µs, and the launch "
                f"{found['bare_us']:.1f} µs: "
                "{:+.1f} [{:+.1f}, {:+.1f}] µs.".format(*one["late_us"])
            )


def more(halves: Sequence[tuple[rows.Row, _Document, _Document]]) -> Iterator[str]:
    """Overhead of a call, memory of libraries, and whatever failed."""
    for row, ours, _ in halves:
        yield from calls(row, ours.get("overhead", {}))
        if "tiny_mb" in ours:
            base = ours["routes"].get(FORWARD, {})
            yield (
                f"\n{row}: a process that builds a network of one layer peaks at "
                f"{ours['tiny_mb']:.0f} MiB, Forward's build of the model at "
                f"{base.get('host_peak_mb', float('nan')):.0f} MiB, of which "
                f"{base.get('host_base_mb', float('nan')):.0f} MiB were there with TensorRT "
                f"imported and a builder made; the weights are {ours['weights_mb']:.0f} MiB."
            )
    failures = [
        f"- {row}, {route}: {found['failed'].splitlines()[0][:300]}"
        for row, *both in halves
        for half in both
        for route, found in half.get("routes", {}).items()
        if "failed" in found
    ]
    failures += [
        f"- {row}, {route}, types of compiled layers: {found['untold'].splitlines()[0][:300]}"
        for row, ours, _ in halves
        for route, found in ours.get("routes", {}).items()
        if "untold" in found
    ]
    failures += [
        f"- {row}, overhead of calls: {ours['overhead']['failed'].splitlines()[0][:300]}"
        for row, ours, _ in halves
        if "failed" in ours.get("overhead", {})
    ]
    if failures:
        yield "\nNot measured:\n"
        yield from failures


def chapter(day: Sequence[str], documents: Sequence[_Document], plot: str) -> Iterator[str]:
    """One day on one GPU."""
    date, gpu, driver, name = day
    versions: dict[str, str] = {}
    for one in documents:
        skipped = (*_DAY, "python")
        versions |= {k: v for k, v in one["machine"].items() if k not in skipped and v}
    yield f"\n## {gpu}{f' {name}' * bool(name)}, {date}\n"
    yield ", ".join([f"driver {driver}", *(f"{key} {value}" for key, value in versions.items())])
    yield "\nMeasured with `python -m benchmarks.gpu`, whose arguments were\n"
    yield from arguments.told(documents)
    yield ""
    halves = joined(documents)
    floats = [half for half in halves if half[0].mode != "int8"]
    if floats:
        yield f"![Forward's time over that of each other route]({plot})\n"
        for part in (latency, tails, builds):
            yield from part(floats)
    if integers := [half for half in halves if half[0].mode == "int8"]:
        yield from int8(integers)
    yield from more(halves)


def plotted(documents: Sequence[_Document]) -> str:
    """A plot of Forward's time over the others'."""
    groups = []
    for row, ours, torch in joined(documents):
        mine = ours.get("routes", {}).get(FORWARD, {}).get("median_ms")
        pairs = ((ours, ONNX), (torch, RECORDED), (torch, EAGER))
        others = [half.get("routes", {}).get(route, {}).get("median_ms") for half, route in pairs]
        if mine is not None and row.mode != "int8":
            groups.append((str(row), [mine / one if one else None for one in others]))
    names = ["Forward / ONNX parser", "Forward / torch.compile recorded", "Forward / torch eager"]
    return bars(groups, names)


def _cell(half: _Document, route: str, key: str = "median_ms", form: str = ".3f") -> str:
    value = half.get("routes", {}).get(route, {}).get(key)
    return "–" if value is None else format(value, form)


def _build(half: _Document, route: str) -> str:
    text = _cell(half, route, "build_s", ".0f")
    found = half.get("routes", {}).get(route, {})
    if "build_s" in found and half.get("asked", {}).get("together"):
        text += " *at once*"
    if "again_s" in found:
        return f"{text}, again {found['again_s']:.0f}"
    cache = found.get("timing cache")
    return f"{text} *{cache}*" if cache in ("warm", "mixed") else text


def _ratio(found: Sequence[float] | None) -> str:
    return "–" if found is None else "{:.3f} [{:.3f}, {:.3f}]".format(*found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page and its plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("page", type=Path)
    asked = parser.parse_args(arguments)
    if missing := [str(path) for path in asked.rows if not path.exists()]:
        parser.error(f"there is no {', '.join(missing)}")  # and the page stays as it is
    documents = [one for path in asked.rows for one in rows.read(path)]
    lines = [HEAD.rstrip()]
    for index, (day, kept) in enumerate(chapters(documents).items(), 1):
        plot = asked.page.with_name(f"{asked.page.stem}-{index}.svg")
        plot.write_text(plotted(kept), encoding="utf-8")
        lines += chapter(day, kept, plot.name)
    asked.page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
