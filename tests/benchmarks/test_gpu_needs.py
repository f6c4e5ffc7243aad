"""What is missing is told before anything is prepared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import build, measure, needs
from fwd_core.backends.tensorrt import tactics
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.runtime import device

GPU = device.find()[0] is not None


def _bare(folder: Path) -> str:
    """A Python that sees no installed packages."""
    path = folder / "bare"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E -s "$@"\n')
    path.chmod(0o755)
    return str(path)


def _command(folder: Path, *arguments: str) -> list[str]:
    found = ["--output", str(folder / "results"), "--work", str(folder / "work")]
    return [*found, "--only", "resnet50", "--batch", "1", "--mode", "float16", *arguments]


@pytest.mark.parametrize("kinds", [["tensorrt", "torch"], ["torch"]])
def test_packages_that_are_missing_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kinds: list[str]
) -> None:
    bare = _bare(tmp_path)
    command = _command(tmp_path, "--torch-python", bare, "--tensorrt-python", bare)
    assert program.main([*command, "--kinds", *kinds]) == needs.MISSING
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"python -m benchmarks.gpu: prepare: {sys.executable} has no numpy, ")
    assert line.endswith(": pip install numpy safetensors pluggy sympy torch transformers")
    assert not (tmp_path / "results" / "log.txt").exists()
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.skipif(GPU, reason="there is a GPU")
@pytest.mark.parametrize("kind", ["tensorrt", "torch"])
def test_a_machine_without_a_gpu_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    pytest.importorskip("transformers")
    if kind == "tensorrt":
        pytest.importorskip("tensorrt_rtx")
    assert program.main(_command(tmp_path, "--kinds", kind)) == needs.MISSING
    (line,) = capsys.readouterr().err.splitlines()
    words = {"tensorrt": "GPU", "torch": "torch"}
    assert line.startswith(f"python -m benchmarks.gpu: {kind}: ")
    assert words[kind] in line
    assert line.endswith(("where there is one that works", "(pytorch.org)", "as torch asks"))
    assert not list((tmp_path / "work").iterdir())


def test_torch_on_the_processor_needs_no_gpu() -> None:
    pytest.importorskip("transformers")
    command = [sys.executable, "-m", "benchmarks.gpu.needs", "prepare", "torch", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_times_are_not_kept_without_the_cudnn_that_tensorrt_8_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tactics, "_CUDNN", ("libcudnn_of_no_machine.so.8",))
    trt = SimpleNamespace(__version__="8.6.0")
    eight = Library(trt, ROWS["tensorrt", "8.6.0"], "8.6.0")
    told = needs.missing_for_times(eight)
    assert told.startswith("no times of kernels can be kept: libcudnn")
    assert told.endswith(f": {tactics.CUDNN_HINT}")
    assert "nvidia-cudnn-cu12<9" in told
    eleven = Library(trt, ROWS["tensorrt_rtx", "1.7.1.116"], "1.7.1.116")
    assert needs.missing_for_times(eleven) == ""


def test_nothing_is_built_whose_times_could_not_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tactics, "_CUDNN", ("libcudnn_of_no_machine.so.8",))
    trt = SimpleNamespace(__version__="8.6.0")
    monkeypatch.setattr(build, "library", lambda: Library(trt, ROWS["tensorrt", "8.6.0"], "8.6.0"))
    command = [str(tmp_path), "--only", "resnet50", "--batch", "1", "--mode", "float16"]
    output = tmp_path / "rows.jsonl"
    command += ["--output", str(output), "--timing-cache", str(tmp_path)]
    assert measure.main(command) == needs.MISSING
    assert capsys.readouterr().err.endswith(": leave --timing-cache out\n")
    assert not output.exists()


def test_a_tensorrt_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    told = needs.missing("tensorrt")
    words = f"{sys.executable}: neither tensorrt nor tensorrt_rtx is installed; Hint: pip install "
    assert told.startswith(words)
    assert "\n" not in told


def test_a_python_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(_command(tmp_path, "--torch-python", "python2.999")) == needs.MISSING
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m benchmarks.gpu: prepare, torch: 'python2.999' does not start")
