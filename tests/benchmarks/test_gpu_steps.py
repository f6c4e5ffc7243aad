"""The steps of a measurement on a GPU, as far as they go without one."""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
trt = pytest.importorskip("tensorrt_rtx")

from benchmarks.gpu import build, looks, measure, onnx_route, rows, torch_routes
from benchmarks.gpu.case import Case, accuracy
from benchmarks.gpu.packs import plugins
from benchmarks.gpu.prepare import prepare
from benchmarks.gpu.prepared import OtherFilesError
from benchmarks.gpu.rows import Row
from benchmarks.models import make
from fwd_core import Builder
from fwd_core.backends.base import Mode
from fwd_core.backends.tensorrt import TensorRTBackend, backend
from fwd_core.backends.tensorrt.compiling import configure
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.engine.file import read
from fwd_core.errors import BuildError
from fwd_core.ir.serialize import load
from fwd_core.quantize.placement import quantizable
from fwd_core.quantize.segments import cut

MODEL = "mobilenet_v2"  # the smallest


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("gpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, and those of transformers about itself
        prepare(folder, MODEL, 1, half=True)
    return Case(folder, MODEL, 1)


def _asked(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(  # as the command line gives it
        workspace=1024,
        level=None,
        timings=None,
        timing_cache=None,
        together=False,
        output=tmp_path / "rows.jsonl",
    )


def test_inputs_hold_a_batch_and_weights_stay() -> None:
    for name in ("resnet50", "bert_base"):
        one, (first, *_) = make(name, 1)
        many, inputs = make(name, 1, batch=3)
        assert first.shape[0] == 1
        assert {tensor.shape[0] for tensor in inputs} == {3}
        pairs = zip(one.parameters(), many.parameters(), strict=True)
        assert all(bool((a == b).all()) for a, b in pairs)


def test_the_graph_computes_what_is_expected(case: Case) -> None:
    pytest.importorskip("openvino")
    inputs, expected = case.read()
    graph = load(case.graph, plugins().operators)
    with Builder(backend="openvino").compile(graph) as engine:
        found = accuracy(engine.run_list(inputs), expected)
    assert found["error"] < 1e-4
    assert found["cosine"] > 0.999999


def test_files_that_are_there_are_left_alone(case: Case) -> None:
    before = case.onnx.stat().st_mtime_ns
    assert prepare(case.folder.parent, MODEL, 1, half=True) == case.facts()
    assert case.onnx.stat().st_mtime_ns == before
    assert case.facts()["weights_mb"] == pytest.approx(8.48, abs=0.01)
    with pytest.raises(OtherFilesError, match=r"(?s)onnx opset: expected 16, got 17\n.*--work"):
        prepare(case.folder.parent, MODEL, 1, opset=16)
    assert case.onnx.stat().st_mtime_ns == before


@pytest.mark.parametrize("mode", ["float16", "float32"])
@pytest.mark.parametrize("route", build.ROUTES)
def test_routes_build_in_processes_of_their_own(
    case: Case, route: str, mode: str, tmp_path: Path
) -> None:
    found = measure.built(route, case, mode, _asked(tmp_path))
    assert found["timing cache"] == "cold"
    assert found["host_peak_mb"] > found["host_base_mb"] > 0
    least = 4 if mode == "float16" else 8  # MiB that the weights take
    assert least < found["engine_mb"] < 3 * least
    assert (case.folder / f"{route}-{mode}.plan").stat().st_size > least * 2**20
    (note,) = rows.read(tmp_path / "builds.jsonl")
    assert (note["route"], note["build_s"]) == (route, found["build_s"])
    if (route, mode) == ("forward", "float16"):  # looked up by another build, with no GPU
        assert found["products"] == {"Half": 52}
        document, _ = read(case.folder / "forward-float16.engine")
        assert "layers" not in document["plan"], "the list of layers is not in what is measured"
    elif mode == "float16" and not TensorRTBackend().availability().run:
        assert found["untold"] == "there is no GPU to load the plan on"
    else:
        assert "products" not in found


@pytest.mark.parametrize("mode", ["float16", "float32", "int8"])
def test_both_routes_make_plans_that_tell_as_much(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "configure", configure)  # put back afterwards
    settings, chosen = onnx_route.Settings(mode, 64), build.library()
    if settings.detailed:
        looks.tell_types()
    with listen(chosen.trt) as record:
        builder = chosen.trt.Builder(logger(chosen.trt))
        theirs = onnx_route._configure(chosen, builder, settings, record)
        options = TensorRTOptions(workspace=64 << 20)
        ours = vars(backend)["configure"](chosen, builder, options, mode, {}, [], None, record)
    levels = chosen.trt.ProfilingVerbosity
    wanted = levels.LAYER_NAMES_ONLY if mode == "float32" else levels.DETAILED
    assert ours.profiling_verbosity == theirs.profiling_verbosity == wanted


@pytest.fixture(scope="module")
def integers(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("int8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare(folder, MODEL, 1, int8=True, images=3)
        prepare(folder, MODEL, 2, int8=True, images=3)
        prepare(folder, MODEL, 4, int8=True, images=1)
    return Case(folder, MODEL, 1, int8=True)


def test_int8_is_calibrated_with_data_of_its_own(integers: Case) -> None:
    inputs, _ = integers.read()
    assert [[one.shape for one in batch] for batch in integers.calibration(1)] == [
        [(1, 3, 224, 224)]
    ] * 3
    assert not any((batch[0] == inputs[0]).all() for batch in integers.calibration(1))
    many = Case(integers.folder.parent, MODEL, 2, int8=True)
    assert [batch[0].shape[0] for batch in many.calibration(2)] == [2]  # one is left over
    most = Case(integers.folder.parent, MODEL, 4, int8=True)
    assert [batch[0].shape[0] for batch in most.calibration(4)] == [4]  # one batch at least
    names = [
        quantizable(load(path, plugins().operators))
        for path in (integers.graph, many.calibration_graph, many.graph)
    ]
    assert names[0] == names[1] == names[2]
    assert many.cache("forward") == integers.cache("forward") != most.cache("forward")
    with pytest.raises(OtherFilesError, match="images: expected 64, got 3"):
        prepare(integers.folder.parent, MODEL, 1, int8=True)


def test_pieces_that_are_looked_at_can_be_built(integers: Case) -> None:
    graph = load(integers.calibration_graph, plugins().operators)
    names = [name for name in quantizable(graph) if name not in {x.name for x in graph.inputs}]
    pieces = cut(graph, names, {}, 16 << 20)
    assert len(pieces) > 1
    for piece in pieces:
        engine = Builder(backend="tensorrt", plugins=plugins()).compile(piece.graph)
        assert [port.name for port in engine.outputs] == piece.outputs


def test_int8_and_its_half_build_in_processes_of_their_own(integers: Case, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    asked, kinds = _asked(tmp_path), {}
    for name, (route, mode) in measure.routes(Row(MODEL, 1, "int8"), unasked=True).items():
        if route != "onnx":
            kinds[name] = measure.built(route, integers, mode, asked)["products"]
    assert kinds == {
        "forward": {"Int8": 52},
        "forward float16": {"Half": 52},
        "forward unasked": {"Int8": 52},
    }
    assert integers.cache("forward").exists()
    told = [(one["route"], one["mode"]) for one in rows.read(tmp_path / "builds.jsonl")]
    assert told == [("forward", "int8"), ("forward beside int8", "float16"), ("unasked", "int8")]
    measure.built("forward", integers, "int8", asked)  # what is there is not built again
    assert len(rows.read(tmp_path / "builds.jsonl")) == 3
    asked.workspace = 512
    measure.built("forward", integers, "int8", asked)  # but was built otherwise
    assert len(rows.read(tmp_path / "builds.jsonl")) == 4


def test_a_flavour_without_calibrators_says_so(integers: Case, tmp_path: Path) -> None:
    with pytest.raises(measure.BuildFailedError, match=r"tensorrt_rtx .* has no IInt8EntropyCali"):
        measure.built("onnx", integers, "int8", _asked(tmp_path))


def test_a_second_build_keeps_the_time_of_the_first(tmp_path: Path) -> None:
    row, output = Row("bert_base", 1, "float16"), tmp_path / "rows.jsonl"
    first = {"build_s": 60.0, "timing cache": "cold"}
    second = {"build_s": 9.0, "timing cache": "warm"}
    alone, fewer = {"together": False}, dataclasses.replace(row, layers=2)
    for found in (first, second):
        measure._keep_time(found, row, "onnx", output, alone)
    assert first == {"build_s": 60.0, "timing cache": "cold"}
    assert second == {"build_s": 60.0, "again_s": 9.0, "timing cache": "warm"}
    for other, asked in ((row, {"together": True}), (fewer, alone)):
        third = {"build_s": 9.0, "timing cache": "warm"}
        measure._keep_time(third, other, "onnx", output, asked)
        assert "again_s" not in third


def test_a_build_that_fails_tells_why(case: Case, tmp_path: Path) -> None:
    missing = Case(tmp_path, MODEL, 32)
    with pytest.raises(measure.BuildFailedError, match=r"(?s)exit 1: .*no file .*model\.graph"):
        measure.built("forward", missing, "float16", _asked(tmp_path))


def test_a_file_that_is_no_onnx_is_refused_in_the_words_of_the_parser(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"no protobuf")
    settings = onnx_route.Settings("float32", 1024)
    with pytest.raises(BuildError, match=r"(?s)does not parse model\.onnx\n.*model"):
        onnx_route.build(build.library(), file, settings)


def test_a_row_without_an_engine_is_told_and_not_taken_for_measured(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if TensorRTBackend().availability().run:
        pytest.skip("there is a GPU here")
    output, row = tmp_path / "rows.jsonl", Row(MODEL, 1, "float32")
    command = [str(case.folder.parent), "--only", MODEL, "--batch", "1", "--mode", "float32"]
    assert measure.main([*command, "--output", str(output), "--seconds", "0.1"]) == 0
    (found,) = rows.read(output)
    assert set(found["routes"]) == set(build.ROUTES)
    assert "refuses the engine" in found["failed"] or "CUDA" in found["failed"]
    assert not rows.has([found], "tensorrt", row)
    assert f"{row}, forward: " in capsys.readouterr().out


def test_torch_is_measured(case: Case, tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    command = [str(case.folder.parent), "--only", MODEL, "--batch", "1", "--mode", "float32"]
    command += ["--device", "cpu", "--routes", "torch eager", "--seconds", "0.2"]
    assert torch_routes.main([*command, "--output", str(output)]) == 0
    (row,) = rows.read(output)
    eager = row["routes"]["torch eager"]
    assert eager["error"] < 1e-5
    assert eager["p99_ms"] >= eager["median_ms"] > 0
    assert eager["throughput"] > 0
    assert row["asked"] == {
        "seconds": 0.2,
        "routes": ["torch eager"],
        "device": "cpu",
        "compile_mode": "reduce-overhead",
        "freezing": False,
    }
    assert torch_routes.main([*command, "--output", str(output), "--resume"]) == 0
    assert len(rows.read(output)) == 1
    assert not rows.has([row], "torch", Row(MODEL, 1, "float32"), ["torch eager"])  # on a GPU


def test_steps_on_tensorrt_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import benchmarks.gpu.build, benchmarks.gpu.measure, benchmarks.gpu.report"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_accuracy_is_that_of_the_worst_output() -> None:
    good, bad = np.array([1.0, 2.0]), np.array([1.0, -2.0])
    found = accuracy([good, bad], [good, good])
    assert found["error"] == pytest.approx(2.0)
    assert found["cosine"] == pytest.approx(-0.6)
    assert found["sqnr_db"] == pytest.approx(10 * np.log10(5 / 16))
