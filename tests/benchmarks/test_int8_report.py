"""The page of measurements in int8, from numbers written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("torch")

from benchmarks.cpu.int8_report import chapter, goals


def _row(ratio: float, sqnr_db: float) -> dict[str, Any]:
    return {
        "precision": "any",
        "median_ms": 1.0,
        "forward int8 / this": [ratio, ratio, ratio],
        "sqnr_db": sqnr_db,
        "cosine": 1.0,
        "build_s": 1.0,
    }


ROWS = {
    "forward float16": _row(0.9, 50),
    "openvino": _row(0.38, 130),
    "onnxruntime": _row(0.41, 130),
    "forward int8": _row(1, 39),
    "forward int8 minmax": _row(1, 47),
    "openvino + nncf": _row(1.06, 47.5),
}


def test_goals_are_held_against_the_best_float_peer_and_nncf() -> None:
    found = {goal: (value, met) for goal, _, value, met in goals(ROWS, "bert_base")}
    assert found == {
        "time / best float32 peer (onnxruntime)": ("0.410", False),
        "time / float16": ("0.900", True),
        "time / NNCF": ("1.060", False),
        "dB below NNCF": ("8.5", False),
        "dB below NNCF, ours by minmax": ("0.5", True),
    }


def test_a_route_that_failed_has_its_reason_and_no_goal() -> None:
    rows = {
        **ROWS,
        "forward float16": {"failed": "no half type"},
        "openvino + nncf": {"failed": "-"},
    }
    assert [goal for goal, *_ in goals(rows, "resnet50")] == [
        "time / best float32 peer (onnxruntime)"
    ]


def test_small_models_are_not_held_to_be_far_ahead_of_floats() -> None:
    assert "best float32 peer" not in str(list(goals(ROWS, "mobilenet_v2")))


def test_a_gpu_has_a_chapter_too(tmp_path: Path) -> None:
    rows = {"cnn": {"int8": {"precision": "int8", "accuracy": 98, "drop": 0.5, "sqnr_db": 35}}}
    document = {"machine": {"gpu": "a GPU", "tensorrt": "8.6.0"}, "results": rows}
    (tmp_path / "digits.json").write_text(json.dumps(document))
    page = "\n".join(chapter(tmp_path))
    assert "## a GPU\n\ntensorrt 8.6.0\n" in page


def test_the_page_has_every_part_that_was_measured(tmp_path: Path) -> None:
    machine = {"processor": "a CPU", "cores": "2"}
    digits = {
        "cnn": {"float32": {"precision": "float32", "accuracy": 98.5, "drop": 0, "sqnr_db": 130}}
    }
    calibrating = {"model": "resnet50", "images": 64, "weights_mb": 90.0}
    calibrating |= {"float32_s": 2.0, "calibrate_s": 5.0, "ratio": 2.5, "peak_ratio": 2.1}
    calibrating |= {"float32_peak_mb": 200.0, "calibrate_peak_mb": 300.0}
    int8 = {"models": {"resnet50": ROWS}, "calibrating": calibrating}
    for name, results in (("int8", int8), ("digits", digits)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"machine": machine, "results": results}))
    page = "\n".join(chapter(tmp_path))
    assert "## a CPU" in page
    assert "| openvino | any | 1.00 | 0.380 [0.380, 0.380] | 130.0 | 1.000000 | 1.0 |" in page
    assert "| time / NNCF | 1.05 | 1.060 | **no** |" in page
    assert "calibrating 5.00 s, 2.50 times as long" in page
    assert "| time / running in float32 | 3.00 | 2.500 | yes |" in page
    assert "| peak memory / float32's | 2.00 | 2.100 | **no** |" in page
    assert "| float32 | float32 | 98.50 | 0.00 | 130.0 |" in page
