"""Order and file of the rows that are measured on a GPU, and the page that is made of them."""

from __future__ import annotations

import functools
import itertools
import json
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import report, rows
from benchmarks.gpu.rounds import in_turns, timed
from benchmarks.gpu.rows import Row
from benchmarks.summary import difference, latencies, ratio

MACHINE = {"date": "2026-11-28", "gpu": "NVIDIA H100 80GB HBM3", "driver": "580.159.04"}


def _ours(row: Row, milliseconds: float, **more: Any) -> dict[str, Any]:
    """A row on TensorRT as ``measure`` writes it."""
    route = {
        "build_s": 61.5,
        "engine_mb": 50.25,
        "timing cache": "cold",
        "host_peak_mb": 1900.0,
        "host_base_mb": 700.0,
        "host_x_weights": 2.875,
        "median_ms": milliseconds,
        "p99_ms": milliseconds * 1.1,
        "event_ms": milliseconds - 0.004,
        "throughput": 1e3 / milliseconds,
        "error": 0.002,
        "cosine": 0.999998,
    }
    slower = {**route, "median_ms": milliseconds * 2}
    return rows.document(
        "tensorrt",
        row,
        machine={**MACHINE, "tensorrt": "8.6.0"},
        routes={"forward": route, "onnx": slower, "forward run_list": slower},
        ratios={"forward / onnx": [0.5, 0.49, 0.51]},
        weights_mb=417.6,
        **more,
    )


def _torch(row: Row, milliseconds: float) -> dict[str, Any]:
    """A row of torch as ``torch_routes`` writes it."""
    found = {"build_s": 30.0, "median_ms": milliseconds, "p99_ms": milliseconds, "throughput": 9.0}
    return rows.document(
        "torch",
        row,
        machine={**MACHINE, "torch": "2.11.0"},
        routes={
            "torch eager": {**found, "median_ms": milliseconds * 4},
            "torch.compile": found,
            "torch.compile recorded": {"failed": "OutOfMemoryError: no room\nmore lines"},
        },
    )


def test_half_precision_and_the_models_with_a_number_come_first() -> None:
    order = rows.in_order()
    assert [str(row) for row in order[:4]] == [
        "resnet50 batch 1 float16",
        "bert_base batch 1 float16",
        "resnet50 batch 32 float16",
        "bert_base batch 32 float16",
    ]
    assert len(order) == len(set(order)) == 24
    assert [row.mode for row in order] == ["float16"] * 8 + ["float32"] * 8 + ["int8"] * 8
    assert str(order[16]) == "resnet50 batch 32 int8"  # the row that a number is set for


def test_int8_has_files_of_its_own_and_no_half_of_torch() -> None:
    floats, int8 = Row("resnet50", 1, "float16"), Row("resnet50", 1, "int8")
    assert (floats.case, int8.case) == ("resnet50-b1", "resnet50-b1-int8")
    assert (floats.kinds, int8.kinds) == (("tensorrt", "torch"), ("tensorrt",))


def test_rows_can_be_chosen() -> None:
    chosen = rows.in_order(["vit_base", "bert_base"], [32], ["float32"])
    assert chosen == [Row("bert_base", 32, "float32"), Row("vit_base", 32, "float32")]


def test_a_line_that_was_cut_off_is_left_out_and_not_joined_with_the_next(tmp_path: Path) -> None:
    path, row = tmp_path / "rows.jsonl", Row("resnet50", 1, "float16")
    rows.append(path, _ours(row, 0.4))
    with path.open("a") as stream:
        stream.write('{"kind": "torch", "mod')
    rows.append(path, _torch(row, 0.5))
    found = rows.read(path)
    assert [one["kind"] for one in found] == ["tensorrt", "torch"]
    assert rows.has(found, "torch", row)
    assert not rows.has(found, "torch", Row("resnet50", 32, "float16"))


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    earlier, output = tmp_path / "earlier", tmp_path / "output"
    earlier.mkdir()
    row = Row("resnet50", 1, "float16")
    rows.append(earlier / "rows.jsonl", _ours(row, 0.4))
    rows.append(earlier / "rows.jsonl", _torch(row, 0.5))
    (earlier / "onnx.timing").write_bytes(b"times")
    command = ["--from", str(earlier), "--output", str(output), "--work", str(tmp_path / "work")]
    command += ["--only", "resnet50", "--batch", "1", "--mode", "float16"]
    command += ["--routes", "torch eager", "torch.compile"]  # the third failed
    assert program.main(command) == 0
    assert len(rows.read(output / "rows.jsonl")) == 2
    assert (output / "onnx.timing").read_bytes() == b"times"


def test_no_row_is_begun_when_the_budget_is_short(tmp_path: Path) -> None:
    command = ["--output", str(tmp_path), "--work", str(tmp_path / "work")]
    assert program.main([*command, "--budget-seconds", "5"]) == program.UNFINISHED
    assert not (tmp_path / "rows.jsonl").exists()


def test_a_step_that_fails_is_told_and_the_next_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--output", str(tmp_path), "--work", str(tmp_path / "work"), "--batch", "1"]
    command += ["--torch-python", "false", "--only", "resnet50", "--kinds", "torch"]
    assert program.main(command) == 1  # no half of int8 is torch's
    assert capsys.readouterr().out.count("prepare failed with exit code 1") == 2  # two modes


@pytest.mark.parametrize("kept", [True, False])
def test_times_are_kept_unless_told_otherwise(tmp_path: Path, kept: bool) -> None:
    told = tmp_path / "told"
    python = tmp_path / "python"  # notes how it is called, and fails
    python.write_text(f'#!/bin/sh\necho "$@" >> {told}\nexit 1\n')
    python.chmod(0o755)
    command = ["--output", str(tmp_path), "--work", str(tmp_path / "work"), "--kinds", "tensorrt"]
    command += ["--only", "resnet50", "--batch", "1", "--mode", "float16"]
    command += ["--torch-python", "true", "--tensorrt-python", str(python)]
    assert program.main(command if kept else [*command, "--no-timing-cache"]) == 1
    needed, measured = told.read_text().splitlines()
    assert needed.startswith("-m benchmarks.gpu.needs tensorrt")
    assert ("--times" in needed) == kept
    assert measured.startswith("-m benchmarks.gpu.measure")
    assert (f"--timing-cache {tmp_path}" in measured) == kept


def test_a_step_is_ended_with_the_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_LEAST", {"torch": 0.0})
    command = ["--output", str(tmp_path), "--work", str(tmp_path / "work"), "--kinds", "torch"]
    command += ["--torch-python", "sh -c 'sleep 60'", "--budget-seconds", "0.3"]
    assert program.main(command) == program.UNFINISHED
    assert "prepare: the budget ended" in capsys.readouterr().out


def test_the_page_has_a_chapter_per_day_and_the_later_of_two_measurements(tmp_path: Path) -> None:
    row, other = Row("resnet50", 1, "float16"), Row("bert_base", 1, "float16")
    overhead = {
        "launch_us": 8.0, "call_us": 20.5, "overhead_us": [12.5, 11.0, 14.0],
        "bare_us": 400.0, "run_us": 417.0, "late_us": [17.0, 15.0, 19.0],
    }  # fmt: skip
    documents = [
        _ours(row, 0.9),
        _ours(row, 0.4, overhead=overhead),
        _torch(row, 0.5),
        _ours(other, 0.6, tiny_mb=650.0),
    ]
    documents.append(json.loads(json.dumps(documents[-1])))
    documents[-1]["machine"]["date"] = "2026-11-29"
    path, page = tmp_path / "rows.jsonl", tmp_path / "gpu.md"
    for document in documents:
        rows.append(path, document)
    report.main([str(path), str(page)])
    text = page.read_text()
    assert text.count("\n## NVIDIA H100 80GB HBM3, ") == 2
    assert "driver 580.159.04, tensorrt 8.6.0, torch 2.11.0" in text
    assert (
        "| resnet50 batch 1 float16 | 0.400 | 0.800 | 0.500 [0.490, 0.510] | – | 0.800 | 0.500 "
        "| 2.000 |" in text
    )
    assert "| 0.900 |" not in text
    assert "returns after 20.5 µs, a bare launch of the same graph after 8.0 µs: +12.5 [" in text
    assert "+17.0 [+15.0, +19.0] µs" in text
    assert "one layer peaks at 650 MiB" in text
    assert "torch.compile recorded: OutOfMemoryError: no room\n" in text
    first, second = text.split("2026-11-29")
    assert "resnet50" in first
    assert "resnet50" not in second


def test_int8_has_tables_of_its_own(tmp_path: Path) -> None:
    row, path, page = Row("resnet50", 32, "int8"), tmp_path / "rows.jsonl", tmp_path / "gpu.md"
    one = _ours(row, 0.8)
    numbers = {"sqnr_db": 22.25, "cosine": 0.9961, "opaque": 0, "products": {"Int8": 52, "Half": 1}}
    one["routes"]["forward"] |= {**numbers, "calibrate_s": 21.0}
    one["routes"]["onnx"] |= {**numbers, "opaque": 2, "calibrates": True}
    one["routes"]["forward float16"] = {"median_ms": 1.0, "sqnr_db": 60.0, "cosine": 0.99999}
    one["ratios"] |= {"forward / forward float16": [0.8, 0.79, 0.81]}
    rows.append(path, one)
    report.main([str(path), str(page)])
    text = page.read_text()
    assert "### Latency" not in text  # there is no row of floats
    assert (
        "| resnet50 batch 32 int8 | 0.800 | 1.000 | 0.800 [0.790, 0.810] | 1.600 "
        "| 0.500 [0.490, 0.510] |" in text
    )
    assert "| 22.2 | 0.99610 | 60.0 | 0.99999 | 22.2 | 0.99610 | 52 of 53 |" in text
    assert "| 52 of 53, 2 opaque | 21 | 62 | 62 *with calibrating* |" in text
    rows.append(path, _ours(Row("resnet50", 1, "float16"), 0.4))
    report.main([str(path), str(page)])
    assert page.read_text().index("### Latency") < page.read_text().index("### Int8")


def test_the_plot_is_a_picture_with_a_bar_per_ratio() -> None:
    row = Row("resnet50", 1, "float16")
    drawn = report.plotted([_ours(row, 0.4), _torch(row, 0.5)])
    root = ET.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    labels = [one.text for one in root.iter(f"{space}text")]
    assert str(row) in labels
    assert {"0.50", "0.20"} <= set(labels)  # to the parser, and to torch eager
    bars = [one for one in root.iter(f"{space}rect") if float(one.get("width", "0")) > 10]
    assert len(bars) == 2  # the recorded route failed
    assert "prefers-color-scheme:dark" in drawn


def test_routes_take_turns_and_every_round_has_all_of_them() -> None:
    called: list[str] = []

    def call(name: str) -> None:
        called.append(name)
        time.sleep(0.01)

    samples = in_turns({name: functools.partial(call, name) for name in ("a", "b")}, 0.3)
    assert len(samples["a"]) == len(samples["b"]) >= 3
    assert all(sample > 0.009 for rounds in samples.values() for one in rounds for sample in one)
    changes = sum(a != b for a, b in itertools.pairwise(called))
    assert changes >= 3
    assert in_turns({}, 10) == {}
    before = len(called)
    assert len(timed(functools.partial(call, "c"), 4)) == 4
    assert len(called) > before + 4  # the first are not timed


def test_summaries() -> None:
    numbers = np.random.default_rng(0)
    theirs = numbers.uniform(1, 2, 200)
    middle, low, high = ratio(theirs * numbers.normal(0.9, 0.01, 200), theirs)
    assert low < middle < high
    assert abs(middle - 0.9) < 0.01
    assert latencies([0.001] * 99 + [0.005])["median_ms"] == pytest.approx(1.0)
    error, cosine = difference(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    assert error == pytest.approx(0.5)
    assert cosine == pytest.approx(9 / np.sqrt(5 * 17))
