"""Rows and files that were made with other arguments than those of a command, and what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import arguments, host, overhead, prepared, report, rows
from benchmarks.gpu.replay import Recorded
from benchmarks.gpu.rows import Row
from fwd_core.backends.tensorrt.runtime.cuda import CudaError

ROW = Row("bert_base", 1, "float16")
MACHINE = {"date": "2026-11-28", "gpu": "NVIDIA H200", "driver": "580"}
MADE: dict[str, Any] = {
    "layers": None, "onnx opset": 17, "onnx attention": "eager", "weights_mb": 417.6
}  # fmt: skip


def _half(kind: str, row: Row = ROW, *routes: str, **more: Any) -> dict[str, Any]:
    """Half a row with the routes that are named, of which those with an exclamation mark failed."""
    measured = {"build_s": 60.0, "median_ms": 0.5, "p99_ms": 0.6, "throughput": 9.0}
    kept: dict[str, dict[str, Any]] = {
        name.rstrip("!"): {"failed": "no room"} if name.endswith("!") else dict(measured)
        for name in routes
    }
    return rows.document(kind, row, machine=MACHINE, routes=kept, ratios={}, **more)


def _files(work: Path, row: Row, **facts: Any) -> None:
    folder = work / row.case
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({**MADE, **facts}))


def _run(tmp_path: Path, *arguments: str) -> int:
    command = ["--output", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    command += ["--only", "bert_base", "--batch", "1", "--mode", "float16", "--kinds", "tensorrt"]
    return program.main([*command, "--tensorrt-python", "false", *arguments])


def test_rows_tell_which_models_have_layers_to_leave_out() -> None:
    pytest.importorskip("torch")
    from benchmarks import models

    assert set(rows.TRANSFORMERS) == set(models.TRANSFORMERS) & set(rows.MODELS)
    few = rows.in_order(["bert_base", "resnet50"], [1], ["float16"], 2)
    assert [str(row) for row in few] == [
        "resnet50 batch 1 float16", "bert_base batch 1 float16, 2 layers"
    ]  # fmt: skip


def test_a_row_of_fewer_layers_is_another_row() -> None:
    few = Row(*("bert_base", 1, "float16"), layers=2)
    found = [_half("tensorrt", few, "forward")]
    assert rows.has(found, "tensorrt", few)
    assert not rows.has(found, "tensorrt", ROW)
    older = _half("tensorrt", ROW, "forward", prepared={"layers": 2})
    del older["layers"]
    assert not rows.has([older], "tensorrt", ROW)
    del older["prepared"]
    assert rows.has([older], "tensorrt", ROW)  # which kept nothing: of the whole model


def test_a_row_has_the_routes_that_did_not_fail() -> None:
    found = [_half("torch", ROW, "torch eager", "torch.compile!")]
    assert rows.has(found, "torch", ROW)
    assert rows.has(found, "torch", ROW, ["torch eager"])
    assert not rows.has(found, "torch", ROW, ["torch eager", "torch.compile"])
    assert not rows.has(found, "torch", ROW, ["torch.compile recorded"])


def test_a_row_is_of_the_files_that_are_asked_for() -> None:
    found = [_half("tensorrt", ROW, "forward", prepared=MADE)]
    wanted = {"onnx opset": 17, "onnx attention": "eager"}
    assert rows.has(found, "tensorrt", ROW, prepared=wanted)
    assert rows.has(found, "tensorrt", ROW, prepared={"images": 64})  # which it does not keep
    assert not rows.has(found, "tensorrt", ROW, prepared={**wanted, "onnx opset": 16})


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ([], "layers: expected all, got 2"),
        (["--layers", "3"], "layers: expected 3, got 2"),
        (["--layers", "2", "--attention", "sdpa"], "onnx attention: expected sdpa, got eager"),
        (["--layers", "2", "--opset", "16"], "onnx opset: expected 16, got 17"),
    ],
)
def test_files_of_other_arguments_are_refused(
    asked: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _files(tmp_path / "work", ROW, layers=2)
    with pytest.raises(SystemExit, match="2"):
        _run(tmp_path, *asked)
    said = capsys.readouterr().err
    assert f"{tmp_path / 'work' / ROW.case} holds files that were made with other arguments" in said
    assert told in said
    assert "name another folder (--work), or remove this one" in said
    assert not (tmp_path / "out" / "rows.jsonl").exists()


def test_images_are_compared_in_int8_alone(tmp_path: Path) -> None:
    asked: Any = {"layers": None, "attention": "eager", "opset": 17, "images": 64}
    whole, greater = Row("resnet50", 1, "int8"), Row("resnet50", 32, "int8")
    assert prepared.asked(whole, **asked) == {"onnx opset": 17, "images": 64}
    assert prepared.asked(greater, **{**asked, "images": 8})["images"] == 32  # one batch at least
    assert "images" not in prepared.asked(ROW, **asked)
    _files(tmp_path, whole)
    with pytest.raises(prepared.OtherFilesError, match="images: expected 64, got not kept"):
        prepared.is_there(tmp_path / whole.case, prepared.asked(whole, **asked), half=False)


def test_files_are_made_if_those_in_half_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _files(tmp_path / "work", ROW)
    command = ["--half-onnx", "--torch-python", "false"]
    assert _run(tmp_path, *command) == 1
    assert "prepare failed with exit code 1" in capsys.readouterr().out
    (tmp_path / "work" / ROW.case / prepared.HALF_ONNX).touch()
    assert _run(tmp_path, *command) == 1
    assert "measure failed with exit code 1" in capsys.readouterr().out


def test_a_row_whose_peer_failed_is_measured_again_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    rows.append(tmp_path / "out" / "rows.jsonl", _half("tensorrt", ROW, "forward", "onnx!"))
    _files(tmp_path / "work", ROW)
    assert _run(tmp_path) == 0
    assert _run(tmp_path, "--again") == 1
    assert "measure failed with exit code 1" in capsys.readouterr().out


def test_a_row_of_fewer_layers_does_not_replace_the_whole(tmp_path: Path) -> None:
    few = Row("bert_base", 1, "float16", layers=2)
    path, page = tmp_path / "rows.jsonl", tmp_path / "gpu.md"
    rows.append(path, _half("tensorrt", ROW, "forward", "onnx!"))
    rows.append(path, _half("tensorrt", few, "forward"))
    report.main([str(path), str(page)])
    text = page.read_text()
    assert text.index("| bert_base batch 1 float16 |") < text.index("float16, 2 layers |")
    assert "Not measured:\n\n- bert_base batch 1 float16, onnx: no room\n" in text


ALONE = {"seconds": 10.0, "workspace": 4096, "level": None, "together": False}


def test_the_page_tells_what_was_asked(tmp_path: Path) -> None:
    other = Row("resnet50", 1, "float16")
    path, page = tmp_path / "rows.jsonl", tmp_path / "gpu.md"
    both = {**ALONE, "together": True, "level": 2, "timings": 8, "routes": ["forward", "onnx"]}
    torch = {"seconds": 7, "routes": ["torch eager"], "device": "cuda"}
    for one in (
        _half("tensorrt", ROW, "forward", "onnx", asked=both),
        _half("tensorrt", other, "forward", "onnx"),
        _half("torch", ROW, "torch eager", asked=torch),
        _half("torch", other, "torch eager", asked=torch),
    ):
        rows.append(path, one)
    report.main([str(path), str(page)])
    text = page.read_text()
    assert "--output DIR" not in text
    assert (
        "- TensorRT (bert_base batch 1 float16): 10 s of calls; 4096 MiB of scratch memory for "
        "each builder; optimization level: 2; each kernel timed 8 times; both builds at once on "
        "the one GPU; routes: forward, onnx.\n"
        "- TensorRT (resnet50 batch 1 float16): arguments not kept.\n"
        "- torch: 7 s of calls; routes: torch eager.\n"
    ) in text
    assert "| bert_base batch 1 float16 | – | – | 60 *at once* | 60 *at once* |" in text
    assert "| resnet50 batch 1 float16 | – | – | 60 | 60 |" in text
    assert "Of rows whose arguments were not kept it is not known" in text


def test_rows_of_two_gpus_stand_in_two_tables() -> None:
    told = [
        "NVIDIA H200, 580, 1980 MHz, 700.00 W, GPU-4b631383-cb96-9a53-9e5b-b1bc7c981771",
        "A, 1",
    ]
    first, older = map(host.told_by, told)
    assert first == {
        "gpu": "NVIDIA H200", "driver": "580", "greatest clock": "1980 MHz",
        "power limit": "700.00 W", "gpu id": "4b631383"
    }  # fmt: skip
    assert older == {
        "gpu": "A", "driver": "1", "greatest clock": "", "power limit": "", "gpu id": ""
    }  # fmt: skip
    rows = [_half("tensorrt", ROW, "forward") for _ in range(3)]
    rows[1]["machine"] = {**MACHINE, **first}
    rows[2]["machine"] = {**MACHINE, **first, "gpu id": "fdf55793"}
    found = report.chapters(rows)
    assert list(found.values()) == [[rows[0]], [rows[1]], [rows[2]]]
    titles = ["\n".join(report.chapter(day, kept, "plot")) for day, kept in found.items()]
    for title, wanted in zip(titles, ("", " 4b631383", " fdf55793"), strict=True):
        assert title.startswith(f"\n## NVIDIA H200{wanted}, 2026-11-28\n")


def test_arguments_in_words() -> None:
    assert arguments.in_words("tensorrt", ALONE) == (
        "10 s of calls; 4096 MiB of scratch memory for each builder; "
        "optimization level: TensorRT's own; one build after the other; all routes"
    )
    asked = {"device": "cpu", "compile_mode": "max-autotune", "freezing": True, "routes": ["a"]}
    assert arguments.in_words("torch", asked) == (
        "on the cpu; mode `max-autotune` of the compiler; weights frozen by the compiler; routes: a"
    )


def test_listing_inside_of_a_build_is_told() -> None:
    older, newer = (_half("tensorrt", row, "forward") for row in (ROW, ROW))
    older["routes"]["forward"] |= {"products": {"Half": 1}, "opaque": 0}
    newer["routes"]["forward"] |= {**older["routes"]["forward"], "listed": "after the build"}
    told = [" ".join(report.notes([(ROW, one, {})])) for one in (older, newer)]
    assert "Forward's builds of bert_base batch 1 float16 were measured with the listing" in told[0]
    assert "listing" not in told[1]


def test_a_gpu_that_failed_does_not_look_fast() -> None:
    pytest.importorskip("cuda.bindings")
    nothing = Recorded(0, 0)  # no graph, and here no GPU either
    for call in (nothing.launch, nothing.once, lambda: nothing.burst(2)):
        with pytest.raises(CudaError, match="cudaGraphLaunch failed: cudaError"):
            call()


def test_both_calls_are_set_beside_the_launch() -> None:
    hosts = [[4.0, 24.0, 30.0], [5.0, 26.0, 31.0], [6.0, 25.0, 35.0]]
    ends = np.array(hosts) * 10
    found = overhead.summed_up(hosts, ends.tolist())
    assert (found["launch_us"], found["call_us"], found["run"]["call_us"]) == (5.0, 25.0, 31.0)
    assert (found["overhead_us"][0], found["run"]["overhead_us"][0]) == (20.0, 26.0)
    assert (found["bare_us"], found["run_us"], found["run"]["late_us"][0]) == (50.0, 250.0, 260.0)
    text = "\n".join(report.calls(ROW, found))
    assert "`run_list` on arrays of the device returns after 25.0 µs, a bare launch" in text
    assert "`run` on arrays of the device returns after 31.0 µs, a bare launch" in text
