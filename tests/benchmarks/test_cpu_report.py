"""The pages of measurements on CPUs, and that the committed ones are what their data gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("torch")

from benchmarks.cpu import int8_report, report
from benchmarks.cpu.bert_goals import goals

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
OF_BERT = DOCS / "data" / "xeon-amx-2026-11-29"
OF_A_GPU = DOCS / "data" / "h200-2026-11-29"


def _row(float32: float, float16: float, high: float = 0.0) -> dict[str, Any]:
    row = {"precision": "any", "median_ms": 1.0, "error": 0.0, "cosine": 0.5}
    return row | {
        "forward float32 / this": [float32, float32, high or float32],
        "forward float16 / this": [float16, float16, float16],
    }


def test_goals_are_held_against_the_best_peer_in_float32() -> None:
    latency = {
        "forward float32": _row(1, 0.3),
        "forward float16": _row(3, 1) | {"cosine": 0.9995},
        "openvino": _row(0.98, 0.5, high=1.02),
        "onnxruntime + optimizer": _row(0.85, 0.6),
        "torch.compile": {"failed": "no compiler"},
    }
    int8 = {
        "forward int8": {"cosine": 0.985, "forward int8 / this": [1, 1, 1]},
        "forward float32": {"forward int8 / this": [0.9, 0.9, 0.9]},
        "openvino": {"forward int8 / this": [0.2, 0.1, 0.4]},
        "onnxruntime": {"forward int8 / this": [0.1, 0.1, 0.1]},
    }
    found = [(goal.split(" of hidden")[0], told, met) for goal, told, met in goals(latency, int8)]
    assert found == [
        (
            "float32 at most 1.00 × OpenVINO's own front end, the whole interval",
            "0.980 [0.980, 1.020], 0.020 above",
            False,
        ),
        (
            "float32 at most 0.90 × ONNX Runtime with its transformer optimizer",
            "0.850 [0.850, 0.850]",
            True,
        ),
        (
            "float16 at most 0.55 × the best float32 peer (onnxruntime + optimizer)",
            "0.600 [0.600, 0.600], 0.050 above",
            False,
        ),
        ("float16: cosine", "0.999500", True),
        ("int8 at most 0.35 × the best float32 peer (openvino)", "0.200 [0.100, 0.400]", True),
        ("int8: cosine", "0.985000", False),
    ]


def test_what_was_not_measured_has_no_goal() -> None:
    assert list(goals({"forward float32": _row(1, 0.3)}, {})) == []


def test_only_a_page_of_bert_alone_speaks_of_sequences_and_its_goals(tmp_path: Path) -> None:
    rows = {"forward float32": _row(1, 0.3), "openvino": _row(1.5, 0.5)}
    for name, models in (("bert", ["bert_base"]), ("all", ["resnet50", "bert_base"])):
        (tmp_path / name).mkdir()
        results = {"machine": {"processor": "a CPU"}, "results": dict.fromkeys(models, rows)}
        (tmp_path / name / "latency.json").write_text(json.dumps(results))
    bert, every = (tmp_path / name for name in ("bert", "all"))
    assert "images" not in report.head([bert])
    assert "sequences of 128 places" in report.head([bert])
    assert "images of 224 x 224" in report.head([every])
    assert "images of 224 x 224" in report.head([bert, every])
    assert "| **not reached**: 1.500 [1.500, 1.500], 0.500 above |" in "\n".join(
        report.chapter(bert)
    )
    assert "Goals" not in "\n".join(report.chapter(every))


def test_removed_padding_has_a_table(tmp_path: Path) -> None:
    route = {"median_ms": 2.0, "error": 0.0, "cosine": 0.5}
    row = {"mode": "float32", "computes": "float32", "batch": 8, "length": 128, "share": 0.5}
    row |= {"routes": {"padded": route | {"median_ms": 4.0}, "packed": route}}
    rows = [row | {"packed / padded": [0.5, 0.4, 0.6]}, {"mode": "float16", "failed": "no half"}]
    found = {"layers": 12, "threads": 2, "note": "beside other work", "rows": rows}
    document = {"machine": {"processor": "a CPU"}, "results": found}
    (tmp_path / "padding.json").write_text(json.dumps(document))
    page = "\n".join(report.chapter(tmp_path))
    cells = "50% | 4.0 | 2.0 | 0.500 [0.400, 0.600] | 0.500000"
    assert f"| float32 | float32 | 8 x 128 | {cells} |\n" in page
    assert "| float16 | *no half* |" in page
    assert "; beside other work. Cosines" in page
    assert "Goals" not in page


def test_numbers_of_one_chapter_are_of_one_machine() -> None:
    machines = [json.loads(one.read_text("utf-8"))["machine"] for one in OF_BERT.glob("*.json")]
    assert len(machines) == 5
    for name in machines[0]:  # a library that one of them does not need may be missing there
        assert len({one[name] for one in machines} - {"none"}) == 1, name


def test_the_committed_pages_are_what_their_data_gives(capsys: pytest.CaptureFixture[str]) -> None:
    report.main(report.head, report.chapter, None, [str(OF_BERT)])
    assert capsys.readouterr().out == (DOCS / "cpu-bert.md").read_text("utf-8")
    folders = [str(OF_BERT), str(OF_A_GPU)]
    report.main(int8_report.HEAD, int8_report.chapter, None, folders)
    assert capsys.readouterr().out == (DOCS / "int8.md").read_text("utf-8")
