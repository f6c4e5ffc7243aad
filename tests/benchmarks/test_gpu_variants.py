"""Variants of an engine, as far as they go without a GPU."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
pytest.importorskip("tensorrt_rtx")

from benchmarks.gpu import onnx_route, padding, variants
from benchmarks.gpu.case import Case
from benchmarks.gpu.prepare import prepare
from benchmarks.gpu.variants import Variant
from fwd_core.backends.tensorrt.runtime import device


def test_what_a_name_says() -> None:
    found = Variant.read("forward:level=5,timings=8,plugins=skip+qkv,layers=true,flavour=tensorrt")
    assert (found.route, found.plugins) == ("forward", "skip,qkv")
    assert found.shared == {"level": 5, "timings": 8}
    assert found.options == {"layers": True, "flavour": "tensorrt"}
    assert Variant.read("onnx:sources=cublas+cublas_lt").shared == {
        "sources": ("CUBLAS", "CUBLAS_LT")
    }
    half = Variant.read("onnx:mode=float16,level=2")
    assert half.settings("int8", 64) == onnx_route.Settings("float16", 64, level=2)
    case = Case(Path("cases"), "bert_base", 1)
    assert half.file(case, "int8").name == "variant-onnx_mode=float16_level=2-float16.json"
    assert found.file(case, "float16").name == (
        "variant-forward_level=5_timings=8_plugins=skip+qkv_layers=true_flavour=tensorrt-float16.json"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("forwrad", "there is no route 'forwrad': forward, onnx"),
        ("onnx:plugins=skip", "'onnx:plugins=skip': the ONNX route has no 'plugins'"),
        ("onnx:mode=half", "there is no mode 'half': float16, float32, int8"),
        ("forward:level=high", "'forward:level=high': level is a whole number, not 'high'"),
    ],
)
def test_names_that_say_nothing(name: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        variants.main(["cases", name])
    assert told in capsys.readouterr().err


def test_variants_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's
        prepare(tmp_path, "bert_base", 1, 1)
    case = Case(tmp_path, "bert_base", 1)
    monkeypatch.delenv(variants.PLUGINS, raising=False)
    for name in ("forward", "forward:plugins=packed,layers=true"):
        variant = Variant.read(name)
        settings = variant.settings("float16", 256)
        variants.make(variant, case, settings)
        facts = json.loads(variant.file(case, "float16").read_text("utf-8"))
        assert facts["names"]["inputs"] == ["input_ids", "attention_mask"]
        assert facts["build_s"] > 0
        monkeypatch.delenv(variants.PLUGINS, raising=False)  # which the build of plugins= sets
        assert variants.is_built(variant, case, settings)
        monkeypatch.setenv(variants.PLUGINS, "none")
        assert variants.is_built(variant, case, settings) == ("plugins" in name)
        monkeypatch.delenv(variants.PLUGINS)
        assert not variants.is_built(variant, case, replace(settings, workspace=128))
        assert variant.file(case, "float16").with_suffix(".plan").stat().st_size > 2**20


@pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")
@pytest.mark.parametrize("main", [variants.main, padding.main])
def test_a_machine_without_a_gpu_is_told_first(main: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="run this where there is one"):
        main([str(tmp_path), *(["forward"] if main is variants.main else [])])
    assert not list(tmp_path.iterdir())
