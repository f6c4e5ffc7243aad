"""The page of BERT on GPUs, and that the committed pages are what their data gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import bert_report, report, variants_report

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
FOLDERS = sorted((DOCS / "data").glob("h200-*"))
MACHINE = {"gpu": "A GPU", "date": "2026-01-02", "driver": "1.2", "tensorrt": "8.6.0"}


def _write(folder: Path, name: str, *documents: dict[str, Any]) -> None:
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in documents), "utf-8")


def test_a_chapter_for_each_file_that_is_there(tmp_path: Path) -> None:
    route = {"median_ms": 2.0, "cosine": 0.5}
    row = {"model": "bert_base", "batch": 32, "mode": "float16"}
    routes = dict.fromkeys(("packed", "forward", "onnx"), route)
    ratios = {"packed / forward": [0.5, 0.4, 0.6], "packed / onnx": [0.7, 0.6, 0.8]}
    more = {"machine": MACHINE, "routes": routes, "ratios": ratios, "share": 0.5}
    more |= {"host_us": 133.4, "host_calls": 100}
    _write(tmp_path, "padding.jsonl", {**row, **more, "plugins": ""})
    later = tmp_path / "later"
    later.mkdir()
    _write(later, "padding.jsonl", {**row, **more, "plugins": "packed", "machine": {"gpu": "B"}})
    text = bert_report.page([tmp_path, later, tmp_path / "none"])
    head = "Measured on A GPU, 2026-01-02, driver 1.2, tensorrt 8.6.0.\n\n| batch |"
    assert text.index("## Padding removed") < text.index(head) < text.index("Measured on B.\n")
    assert text.count("## ") == 1
    assert "Kernels" not in text
    cells = "2.000 | 2.000 | 2.000 | 0.500 [0.400, 0.600] | 0.700 [0.600, 0.800] | 0.500000 | 133"
    assert f"| 32 float16 | 50% | none | {cells} |\n" in text


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is none of padding.jsonl, bert-kernels"):
        bert_report.page([tmp_path])


def test_the_committed_pages_are_what_their_data_gives(tmp_path: Path) -> None:
    assert FOLDERS

    def files(name: str) -> list[str]:
        return [str(one / name) for one in FOLDERS if (one / name).exists()]

    report.main([*files("rows.jsonl"), str(tmp_path / "gpu.md")])
    assert (tmp_path / "gpu.md").read_text("utf-8") == (DOCS / "gpu.md").read_text("utf-8")
    bert_report.main([*map(str, FOLDERS), str(tmp_path / "gpu-bert.md")])
    made = (tmp_path / "gpu-bert.md").read_text("utf-8")
    assert made == (DOCS / "gpu-bert.md").read_text("utf-8")
    variants_report.main([*files("variants.jsonl"), str(tmp_path / "gpu-settings.md")])
    made = (tmp_path / "gpu-settings.md").read_text("utf-8")
    assert made == (DOCS / "gpu-settings.md").read_text("utf-8")


def test_a_file_without_measurements_has_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path, "variants.jsonl", {"variant": "forward", "failed": 1})
    with pytest.raises(SystemExit):
        variants_report.main([str(tmp_path / "variants.jsonl"), str(tmp_path / "page.md")])
    assert "variants.jsonl: no variant that was measured" in capsys.readouterr().err


def test_runs_of_one_case_stay_apart() -> None:
    one = {"model": "m", "layers": None, "batch": 1, "mode": "int8", "machine": MACHINE}
    one |= {"median_ms": 1.0, "device_ms": 1.0, "build_s": 2.0, "cosine": 1.0}
    runs = [
        {**one, "variant": name, "over": "onnx", "ratio": [ratio] * 3}
        for name, ratio in (("onnx", 1.0), ("forward", 0.5), ("onnx", 1.0), ("forward", 2.0))
    ]
    text = variants_report.page(runs)
    assert text.count("## m, batch 1, int8: A GPU, 2026-01-02\n\n| variant ") == 2
    assert text.index("| 0.500 [0.500, 0.500] |") < text.rindex("## ") < text.index("| 2.000 [")
