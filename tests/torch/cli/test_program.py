"""The program on real models: the forms that are promised, and bad input."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

import wrong_lowerings
from torch import Tensor, nn
from torch_models import scripted, traced
from toy_program import Result, normalized
from toy_program import fwd as run_program

from fwd_core import Plugins
from fwd_core.cli.codes import ExitCode
from fwd_core.ir import ops


class Small(nn.Module):
    """A convolution, a norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.body(x).mean((2, 3))).softmax(-1)
        return result


class Unsupported(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.special.bessel_j0(x.relu()) + torch.special.bessel_j0(x)
        result: Tensor = y + torch.nonzero(x).sum()
        return result


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x.relu() + 1
        return x


class Loops(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while x.sum() > 0:
            x = x - 1
        return x


X = torch.rand(1, 3, 8, 8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of each kind."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    small = Small().eval()
    traced(small, (X,)).save(folder / "model.pth")
    torch.export.save(torch.export.export(small, (X,)), folder / "model.pt2")
    traced(Unsupported(), (X,)).save(folder / "unsupported.pth")
    torch.export.save(torch.export.export(Unsupported(), (X,)), folder / "unsupported.pt2")
    scripted(Branches()).save(folder / "branches.pth")
    scripted(Loops()).save(folder / "loops.pth")
    torch.save(small.state_dict(), folder / "weights.pth")
    (folder / "junk.pth").write_text("junk" * 100)
    whole = (folder / "model.pth").read_bytes()
    (folder / "half.pth").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(folder / "other.pth", "w") as archive:
        archive.writestr("notes.txt", "hello")
    np.save(folder / "x.npy", X.numpy())
    np.save(folder / "scores.npy", small(X).detach().numpy())
    return folder


@pytest.fixture(autouse=True)
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(models, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


PLUGINS = Plugins.discover()


def fwd(*arguments: object) -> Result:
    return run_program(*arguments, packs=PLUGINS)


BAD = [
    (
        ["junk.pth"],
        "error: junk.pth is no TorchScript file and no torch.export program, or it is damaged\n"
        "  expected: a zip archive that torch.jit.save or torch.export.save wrote\n"
        "  got:      400 bytes that do not form one\n",
    ),
    (
        ["other.pth"],
        "error: other.pth is no TorchScript file and no torch.export program, or it is damaged\n"
        "  expected: a zip archive that torch.jit.save or torch.export.save wrote\n",
    ),
    (["half.pth"], "error: half.pth is no TorchScript file and no torch.export program, or it is"),
    (["weights.pth"], "error: weights.pth is a pickled checkpoint (weights, or a whole nn.Module)"),
    (["missing.pth"], "error: there is no file missing.pth\n"),
    (["."], "error: . is a folder, not a model file\n  expected: a TorchScript file or a torch.ex"),
    (
        ["model.pth", "-i", "y=1x3x8x8"],
        "error: example inputs: missing 'x'; the model has no 'y'\n  expected: (x)\n  got:  ",
    ),
    (["model.pth", "-i", "1x3x8x8", "-i", "3"], "error: example inputs: the model has no input 2"),
    (
        ["model.pth", "-i", "1x4x8x8"],
        "error: aten::_convolution: fwd.Convolution channels: sizes di",
    ),
    (["model.pth", "-i", "1x3x8x8:int64"], "error: aten::_convolution: "),
    (["model.pth", "-i", "3x8x8"], "error: aten::_convolution: input and weight differ in rank\n"),
    (["unsupported.pth"], "error: the model cannot be converted: 3 operators of 2 kinds not suppo"),
    (["loops.pth"], "error: the model cannot be converted: 1 operator of 1 kind not supported"),
]


@pytest.mark.parametrize("file", ["model.pth", "model.pt2"])
def test_build_run_and_bench(file: str) -> None:
    result = fwd("build", file, "--input", "x=1x3x8x8:float32", "-b", "openvino", "-o", "m.engine")
    assert result.code == ExitCode.OK
    built, checked = result.out.splitlines()
    assert built == "built m.engine: openvino float32, SIZE, T s"
    told = r"cosine 1\.000000 to the model, greatest error \d\.\de-0[678]"
    assert re.fullmatch(f"self-check: {told}", checked)
    result = fwd("inspect", "m.engine")
    assert re.search(rf"\n  self-check +{told}\n", result.out)
    result = fwd("build", file, "-i", "x=1x3x8x8", "-o", "n.engine", "--no-self-check")
    assert result.out == "built n.engine: openvino float32, SIZE, T s\n"
    assert "self-check" not in fwd("inspect", "n.engine").out
    document = fwd("build", file, "-i", "x=1x3x8x8", "-o", "n.engine", "--json").json
    assert document["self_check"]["cosine"] > 0.9999
    assert "self-check" in document["phases"]
    result = fwd("run", "m.engine", "--input", "x=@x.npy", "-o", "out.npz")
    assert (result.code, result.out) == (ExitCode.OK, "wrote out.npz: output float32[1, 5]\n")
    with np.load("out.npz") as outputs:
        np.testing.assert_allclose(outputs["output"], np.load("scores.npy"), rtol=1e-4)
    result = fwd("bench", "m.engine", "--iterations", "5")
    assert result.code == ExitCode.OK
    assert "  inputs      x float32[1, 3, 8, 8]\n" in result.out


def test_modes_are_beside_an_engine_that_was_checked() -> None:
    command = ["bench", "model.pth", "-i", "x=1x3x8x8", "--modes", "float32,int8"]
    command += ["-b", "openvino", "--iterations", "3"]
    result = fwd(*command)
    assert result.code == ExitCode.OK, result.err
    told = r"cosine 1\.000000 to the model, greatest error \d\.\de-0[678]"
    assert re.search(rf"\n  compared on  random\n  self-check +float32: {told}\n", result.out)
    assert fwd(*command, "--json").json["self_check"]["cosine"] > 0.9999
    wrong = wrong_lowerings.plugins(ops.Softmax)
    result = run_program(*command, packs=wrong)
    assert result.code == ExitCode.FAILED, result.err
    assert "error: the engine does not give what the model gives on the example inp" in result.err
    result = run_program(*command, "--no-self-check", packs=wrong)
    assert result.code == ExitCode.OK, result.err
    assert "to the model" not in result.out
    assert "self_check" not in run_program(*command, "--no-self-check", "--json", packs=wrong).json


def test_a_check_is_of_models_alone() -> None:
    assert fwd("build", "model.pth", "-i", "x=1x3x8x8", "-o", "m.engine").code == ExitCode.OK
    result = fwd("bench", "m.engine", "--no-self-check")
    assert result.code == ExitCode.USAGE
    assert "--no-self-check" in result.err
    assert "only --modes" in result.err


def test_values_of_a_file_as_the_example() -> None:
    result = fwd("build", "model.pth", "--input", "x=@x.npy", "-b", "openvino", "-o", "m.engine")
    assert result.code == ExitCode.OK, result.err


@pytest.mark.parametrize(
    ("arguments", "dims"),
    [
        (["-i", "1x3x8x8", "--opt-batch", "4"], {"batch": (1, 4, 4)}),
        (["-i", "8x3x8x8", "--dynamic-batch"], {"batch": (1, 8, 8)}),
        (
            ["-i", "x=batch[1,4,8]x3xh[4,8,16]x8"],
            {"batch": (1, 4, 8), "h": (4, 8, 16)},
        ),
    ],
)
def test_dynamic_sizes(arguments: list[str], dims: dict[str, tuple[int, int, int]]) -> None:
    result = fwd("build", "model.pth", *arguments, "-b", "openvino", "-o", "m.engine")
    assert result.code == ExitCode.OK, result.err
    found = fwd("inspect", "m.engine", "--json").json["dims"]
    assert {n: (one["min"], one["opt"], one["max"]) for n, one in found.items()} == dims
    bench = fwd("bench", "m.engine", "--iterations", "2", "--batch", "3", "--json").json
    assert bench["shapes"]["x"].startswith("float32[3, 3, 8")


def test_check_of_a_model_that_converts() -> None:
    result = fwd("check", "model.pth", "-i", "1x3x8x8", "-b", "openvino")
    assert result.code == ExitCode.OK
    assert re.fullmatch(
        r"PASSED model.pth: openvino: (\d+) operators, \1 supported, 100 %\n", result.out
    )


@pytest.mark.parametrize("file", ["unsupported.pth", "unsupported.pt2"])
def test_check_lists_every_unsupported_operator(file: str) -> None:
    result = fwd("check", file, "-i", "1x3x8x8")
    assert result.code == ExitCode.UNSUPPORTED
    out = re.sub(r"\S*test_program\.py:\d+", "FILE", result.out)
    assert out == (
        "aten::special_bessel_j0 (2x): no installed pack converts it\n"
        "  at FILE in forward\n"
        '  Hint: write a converter (the page "Write a pack" of the documentation says how), or '
        "install a pack that has one\n"
        "aten::nonzero (1x): the size of its result depends on data\n"
        "  at FILE in forward\n"
        "  Hint: use torch.where with three arguments\n"
        f"FAILED {file}: converting: 7 operators, 4 supported, 57.1 %\n"
    )


@pytest.mark.parametrize(("arguments", "text"), BAD[:6], ids=lambda one: str(one)[:40])
def test_check_of_what_is_no_model(arguments: list[str], text: str) -> None:
    result = fwd("check", *arguments, "-i", "1x3x8x8", "--json")
    assert result.code == ExitCode.FAILED
    assert result.json["error"]["text"].startswith(text.removeprefix("error: ").strip())


@pytest.mark.parametrize("backend", ["openvino", "tensorrt"])
def test_check_of_branches_on_data(backend: str) -> None:
    result = fwd("check", "branches.pth", "-i", "1x3x8x8", "-b", backend)
    # The sum, the comparison, the If, and relu and the sum in its branch.
    assert result.out == f"PASSED branches.pth: {backend}: 5 operators, 5 supported, 100 %\n"


def test_check_lists_loops_on_data() -> None:
    result = fwd("check", "loops.pth", "-i", "1x3x8x8")
    assert re.sub(r"\S*test_program\.py:\d+", "FILE", result.out).startswith(
        "prim::Loop (1x): a loop depends on the contents of a tensor\n"
        "  at FILE\n"
        "  Hint: run a fixed number of rounds, and let torch.where keep what is finished\n"
        "FAILED loops.pth: converting"
    )


def test_tensors_of_branches_are_listed_by_names_of_their_own() -> None:
    document = fwd("inspect", "branches.pth", "-i", "1x3x8x8", "--tensors", "--json").json
    names = [one["name"] for one in document["tensors"]]
    assert "if/then/relu" in names
    assert len(set(names)) == len(names)


def test_tensors_by_the_names_that_calibration_caches_use() -> None:
    document = fwd("inspect", "model.pth", "-i", "1x3x8x8", "--tensors", "--json").json
    names = [one["name"] for one in document["tensors"]]
    assert names[0] == "x"
    assert "head/linear" in names


@pytest.mark.parametrize(("arguments", "text"), BAD, ids=lambda one: str(one)[:40])
def test_bad_input(arguments: list[str], text: str) -> None:
    if "-i" not in arguments:
        arguments = [*arguments, "-i", "1x3x8x8"]
    result = fwd("build", *arguments, "-b", "openvino", "-o", "m.engine")
    assert (result.code, result.out) == (ExitCode.FAILED, "")
    message = result.err[result.err.index("error: ") :]
    assert message.startswith(normalized(text))
    assert not Path("m.engine").exists()


def test_the_installed_program() -> None:
    program = shutil.which("fwd", path=str(Path(sys.executable).parent))
    assert program is not None, "fwd-core installs it"

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    build = ["build", "model.pth", "-i", "1x3x8x8", "-b", "openvino", "-o", "m.engine", "--json"]
    done = call(*build)
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout)["engine"] == "m.engine"
    assert "Warning" not in done.stderr
    done = call("check", "unsupported.pth", "-i", "1x3x8x8")
    assert done.returncode == ExitCode.UNSUPPORTED
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ("3x8x8", "give the example inputs a batch axis in front, as in 1x3x224x224"),
        (
            "1x3x8x8:int64",
            "give example inputs of float32, as the weights are (--input SHAPE:float32)",
        ),
    ],
)
def test_hints_at_example_inputs(shape: str, hint: str) -> None:
    result = fwd("build", "model.pth", "-i", shape, "-b", "openvino", "-o", "m.engine")
    assert result.err.endswith(f"  Hint: {hint}\n")


@pytest.mark.parametrize("file", ["model.pth", "model.pt2"])
def test_a_model_in_place_of_an_engine(file: str) -> None:
    kind = "torchscript" if file.endswith("pth") else "torch-export"
    result = fwd("run", file, "-i", "x=@x.npy")
    assert result.code == ExitCode.FAILED
    assert result.err == (
        f"error: {file} is a model, not an engine\n"
        "  expected: an engine file, which a build writes\n"
        f"  got:      a file that importer {kind!r} reads\n"
        f"  Hint: `fwd build {file} --input SHAPE -o FILE.engine` makes an engine of it, and so "
        "does forward.build\n"
    )


def test_inputs_are_asked_for() -> None:
    result = fwd("check", "model.pth", "-b", "openvino")
    assert result.code == ExitCode.FAILED
    assert result.err.endswith(
        "error: example inputs: missing 'x'\n  expected: (x)\n  got:      0 inputs\n"
        "  Hint: give its inputs, as in --input 1x3x224x224 or --input @x.npy\n"
    )


def test_running_an_engine_imports_no_torch() -> None:
    assert fwd("build", "model.pth", "-i", "1x3x8x8", "-b", "openvino", "-o", "m.engine").code == 0
    code = (
        "import sys; from fwd_core.cli.main import run;"
        "code = run(['run', 'm.engine', '-i', '@x.npy']);"
        "print('torch' in sys.modules, 'tensorrt_rtx' in sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
