"""The Python blocks of the document that Forward implements, read from it and executed.

What has to be changed before a block runs is listed here; a change that no longer applies fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

import document
from torch_models import traced

from fwd_ops_torch.importers import jit

pytestmark = document.available

#: What the first chapters need: paths, and a device that is there.
EXPORT_PATCH: document.Patch = []
BUILD_PATCH = [
    ("'path/to/jit/module'", "module_path"),
    ("'path/to/engine'", "engine_file"),
]
NO_GPU_PATCH = [(".cuda()", "")]


def run(title: str, patch: document.Patch, **names: Any) -> dict[str, Any]:
    """Execute the block under a heading and return its names."""
    return document.run(title, document.block(title), patch, **names)


def python_patch() -> document.Patch:
    return BUILD_PATCH + ([] if torch.cuda.is_available() else NO_GPU_PATCH)


class Net(torch.nn.Module):
    """Takes one image, as the document's model does."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Conv2d(3, 4, 7, 4)
        self.head = torch.nn.Linear(4, 5)

    def forward(self, input: Any) -> Any:  # noqa: A002 - the document's name
        return self.head(torch.relu(self.features(input)).mean((2, 3)))


@pytest.fixture
def module_path(tmp_path: Path) -> str:
    path = str(tmp_path / "net.pth")
    torch.manual_seed(0)
    traced(Net(), (torch.randn(1, 3, 224, 224),)).save(path)
    return path


def test_export_block_makes_a_file_that_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import forward

    monkeypatch.chdir(tmp_path)
    scope = run("Pytorch JIT 模型导出", EXPORT_PATCH)
    assert "filename :  arithmetic.pth" in capsys.readouterr().out
    a, b = scope["a"], scope["b"]
    outputs = forward.TorchBuilder().build("arithmetic.pth", [a, b]).forward([a, b])
    assert isinstance(outputs, list)
    for output, expected in zip(outputs, scope["model"](a, b), strict=True):
        torch.testing.assert_close(output, expected)


def test_python_example_runs_as_written(tmp_path: Path, module_path: str) -> None:
    engine_file = str(tmp_path / "net.engine")
    scope = run("Python Example", python_patch(), module_path=module_path, engine_file=engine_file)
    assert Path(engine_file).is_file()
    inputs, outputs = scope["inputs"], scope["outputs"]
    assert outputs.device == inputs.device
    with jit.quiet():
        expected = torch.jit.load(module_path)(inputs.cpu())
    torch.testing.assert_close(outputs.cpu(), expected, rtol=1e-4, atol=1e-5)


def test_its_blocks_in_quotes_run_too(tmp_path: Path, module_path: str) -> None:
    quoted = document.quoted(document.block("Python Example"))
    assert len(quoted) == 2, "the document has other parts in quotes"
    names = {"module_path": module_path, "torch": torch}
    names["builder"] = __import__("forward").TorchBuilder()
    exec(quoted[0].replace("'path/to/jit/module'", "module_path"), names)
    exec(quoted[1], names)
    assert names["outputs"].shape == (1, 5)
    document.tell("Python Example, build_with_name and forward_with_name")


#: 500 batches are many for a test; the stream's arrays are flat, in the order of the input.
INT8_PATCH = [
    ("self.maxbatch = 500", "self.maxbatch = 20"),
    ('"calibrator.cache"', "cache_file"),
    ("'path/to/jit/module'", "module_path"),
]
#: The block calls its calibrator ``calib`` in one line and ``calibrator`` in another.
SCALE_PATCH = [
    ('"calibrator.cache"', "cache_file"),
    ('"path/to/scale_file.txt"', "scale_file"),
    ("builder.set_calibrator(calibrator)", "builder.set_calibrator(calib)"),
    ("'path/to/jit/module'", "module_path"),
]


class Small(torch.nn.Module):
    """Takes images of 24 x 24, as the document's stream gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.second = torch.nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, image: Any) -> Any:
        return torch.relu(self.second(torch.relu(self.first(image)))).mean((2, 3))


@pytest.fixture
def small(tmp_path: Path) -> tuple[str, Any]:
    path = str(tmp_path / "small.pth")
    torch.manual_seed(1)
    image = torch.randn(1, 3, 24, 24)
    traced(Small(), (image,)).save(path)
    return path, image


def _close(engine: Any, path: str, image: Any) -> None:
    with jit.quiet():
        expected = torch.jit.load(path)(image)
    found = engine.forward(image)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert torch.nn.functional.cosine_similarity(found.ravel(), expected.ravel(), 0) > 0.99
    assert not torch.equal(found, expected)


def test_int8_example_runs_as_written(tmp_path: Path, small: tuple[str, Any]) -> None:
    path, image = small
    cache_file = tmp_path / "calibrator.cache"
    names = {"module_path": path, "dummy_inputs": image, "cache_file": str(cache_file)}
    scope = run("Python INT8 Example", INT8_PATCH, **names)
    _close(scope["engine"], path, image)
    header, *lines = cache_file.read_text().splitlines()
    assert header == "TRT-8600-MinMaxCalibration"
    assert [line.rpartition(": ")[0] for line in lines] == ["image", "relu"]
    assert scope["bs"].batch == 20


def test_hand_set_scales_run_as_written(tmp_path: Path, small: tuple[str, Any]) -> None:
    import forward

    path, image = small
    scale_file = tmp_path / "scales.txt"
    scale_file.write_text("TRT-7000-EntropyCalibration\nimage:4.6586\nrelu:3.5\n")
    title = "使用手工设定scale进行量化"
    chapter = document.text().partition(f"## {title}")[2]
    found = re.search(r"### Python\n+```python\n(.*?)```", chapter, re.DOTALL)
    assert found is not None
    scope = document.run(
        title,
        found.group(1),
        SCALE_PATCH,
        forward=forward,
        builder=forward.TorchBuilder(),
        module_path=path,
        dummy_inputs=image,
        cache_file=str(tmp_path / "calibrator.cache"),
        scale_file=str(scale_file),
    )
    _close(scope["engine"], path, image)
