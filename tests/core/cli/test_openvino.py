"""The program with the core's own pack, on OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("openvino")

from toy_program import Pack, fwd, model

from fwd_core import Plugins, core_pack
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.cli.codes import ExitCode

X = np.array([[1.0, -2.0], [3.0, 0.5]], np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model(tmp_path, [["linear", 3], ["wave"], ["relu"]])
    np.save("x.npy", X)
    return tmp_path


@pytest.fixture
def packs() -> Plugins:
    return Plugins({"core": core_pack, "files": Pack()})


def test_from_a_model_to_results(packs: Plugins) -> None:
    result = fwd("build", "model.layers", "-i", "2x2", "-o", "m.engine", packs=packs)
    assert (result.code, result.out) == (
        ExitCode.OK,
        "built m.engine: openvino float32, SIZE, T s\n",
    )
    assert result.err == (
        "load: packs\nimport: layers-file\nrewrite: clean-up\nrewrite: fusion\nlower\ncompile\n"
        "save: m.engine\n"
    )
    result = fwd("run", "m.engine", "--input", "x=@x.npy", "-o", "out.npz", packs=packs)
    assert (result.code, result.out) == (ExitCode.OK, "wrote out.npz: y float32[2, 3]\n")
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    with np.load("out.npz") as outputs:
        expected = np.maximum(np.tanh(X @ weight.T), 0)
        np.testing.assert_allclose(outputs["y"], expected, rtol=1e-6)  # one rounding of tanh


def test_options_by_their_flags(packs: Plugins) -> None:
    flags = ["--threads", "1", "--hint", "throughput", "--option", "streams=1"]
    result = fwd("build", "model.layers", "-i", "2x2", "-o", "m.engine", *flags, packs=packs)
    assert result.code == ExitCode.OK, result.err
    document = fwd("inspect", "m.engine", "--json", packs=packs).json
    assert document["manifest"]["options"] == {"threads": 1, "hint": "throughput", "streams": 1}


def test_the_precision_that_is_really_used_is_shown(packs: Plugins) -> None:
    if not {"FP16", "BF16"} & set(OpenVINOBackend()._machine()["capabilities"]):
        pytest.skip("this CPU has no half type")
    build = ["build", "model.layers", "-i", "2x2", "--mode", "float16", "-o", "m.engine"]
    document = fwd(*build, "--json", packs=packs).json
    assert document["mode"] == "float16"
    assert document["compute"] in ("float16", "bfloat16")
    bench = fwd("bench", "m.engine", "--iterations", "3", packs=packs)
    assert f"  compute     {document['compute']}\n" in bench.out
    title = "openvino float16"
    if document["compute"] == "bfloat16":
        title += " (bfloat16)"
    assert bench.out.startswith(f"m.engine: {title}\n")


def test_layers_with_their_times(packs: Plugins) -> None:
    result = fwd("build", "model.layers", "-i", "2x2", "-o", "m.engine", packs=packs)
    assert result.code == ExitCode.OK, result.err
    bench = ["bench", "m.engine", "--iterations", "3", "--layers"]
    document = fwd(*bench, "--json", packs=packs).json
    assert document["layer_runs"] == 20
    layers = {node: one for one in document["layers"] for node in one["nodes"]}
    assert layers["layer0.linear"]["kind"] == "FullyConnected"
    assert layers["layer0.linear"]["dtype"] == "f32"
    assert layers["layer2.relu"]["milliseconds"] >= 0
    result = fwd(*bench, packs=packs)
    assert result.code == ExitCode.OK
    assert result.err == "layers\nwarm-up\nmeasure\n"
    _, _, table = result.out.partition("compiled layers (")
    header, *rows = table.splitlines()[1:]
    assert header.split() == ["time", "share", "kernel", "type", "computes"]
    assert len(rows) == len(document["layers"])
    assert any("FullyConnected" in row and "layer0.linear" in row for row in rows)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            ["--gpu", "sm_89"],
            "error: backend 'openvino' has no option 'gpu'\n"
            "  expected: threads, hint, streams\n"
            "  Hint: leave it out, or choose --backend tensorrt, which has it\n",
        ),
        (
            ["--workspace", "1G"],
            "error: backend 'openvino' has no option 'workspace'\n"
            "  expected: threads, hint, streams\n"
            "  Hint: leave it out, or choose --backend tensorrt, which has it\n",
        ),
        (
            ["--hint", "fast"],
            "error: option 'hint' of backend 'openvino'\n"
            "  expected: 'latency' or 'throughput'\n"
            "  got:      'fast'\n",
        ),
        (
            ["--option", "thread=2"],
            "error: backend 'openvino' has no option 'thread'\n"
            "  expected: threads, hint, streams\n"
            "  Hint: did you mean 'threads'?\n",
        ),
    ],
)
def test_options_that_cannot_be_honoured(packs: Plugins, flags: list[str], text: str) -> None:
    build = ["build", "model.layers", "-i", "2x2", "--backend", "openvino", "-o", "m.engine"]
    result = fwd(*build, *flags, packs=packs)
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    assert result.err.endswith(text)


def test_check(packs: Plugins) -> None:
    result = fwd("check", "model.layers", "-i", "2x2", "-b", "openvino", packs=packs)
    assert (result.code, result.out) == (
        ExitCode.OK,
        "PASSED model.layers: openvino: 3 operators, 3 supported, 100 %\n",
    )


def test_doctor_and_plugins(packs: Plugins) -> None:
    document = fwd("doctor", "--json", packs=packs).json
    assert document["usable"] is True
    (found,) = [one for one in document["findings"] if one["name"] == "backend openvino"]
    assert found["state"] == "ok"
    assert found["text"].startswith("builds and runs with openvino 20")
    core = fwd("plugins", "--json", packs=packs).json["packs"][0]
    assert core["registers"]["backends"] == ["openvino", "tensorrt"]
    assert "openvino:fwd.Linear" in core["registers"]["lowerings"]
