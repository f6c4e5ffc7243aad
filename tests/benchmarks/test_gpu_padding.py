"""The measure of removed padding, as far as it goes without a GPU."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

pytest.importorskip("transformers")
pytest.importorskip("tensorrt_rtx")

from benchmarks.gpu import padding
from benchmarks.gpu.case import Case
from benchmarks.gpu.onnx_route import Settings
from benchmarks.gpu.prepare import prepare


def test_routes_are_built(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's
        prepare(tmp_path, "bert_base", 1, 1)
    case = Case(tmp_path, "bert_base", 1)
    for route in ("forward", "packed"):
        padding.build_route(route, case, Settings("float16", 256))
    plans = [padding.file_of(case, route, "float16") for route in ("forward", "packed")]
    names = [json.loads(one.read_text())["names"]["inputs"] for one in plans]
    assert names[1] == [*names[0], "packed.rows", "packed.places"]
    assert names[0][padding.MASK] == "attention_mask"
    assert all(one.with_suffix(".plan").stat().st_size > 2**20 for one in plans)


def test_routes_with_plugins_have_files_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(padding.VARIABLE, raising=False)
    case = Case(tmp_path, "bert_base", 1)
    routes = ("packed", "packed with packed", "packed with packed,skip", "onnx")
    files = [padding.file_of(case, route, "float16").name for route in routes]
    assert files == [
        "padding-packed+packed+packed-skip+packed-fc-float16.json",
        "padding-packed+packed-float16.json",
        "padding-packed+packed+skip-float16.json",
        "padding-onnx-float16.json",
    ]
    with pytest.raises(SystemExit):
        padding.main([str(tmp_path), "--route", "pakced"])
    assert "there is no route 'pakced': forward, packed, onnx" in capsys.readouterr().err
