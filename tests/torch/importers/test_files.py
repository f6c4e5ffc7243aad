"""Files that are models, and files that are not: what is read, and what is told."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn
from torch_models import importing, scripted, traced

from fwd_core.errors import UnsupportedModelError
from fwd_ops_torch.importers import jit

X = torch.randn(2, 3)


@pytest.fixture(scope="module")
def archive() -> bytes:
    return bytes(scripted(nn.Linear(3, 4)).save_to_buffer())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"there is no file .*nothing\.pth"):
        importing(tmp_path / "nothing.pth", (X,))


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="is a folder, not a model file") as caught:
        importing(tmp_path, (X,))
    assert caught.value.hint == "name the file in it"


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "text.pth"
    path.write_text("hello")
    with pytest.raises(
        UnsupportedModelError, match="no TorchScript file and no torch.export"
    ) as caught:
        importing(path, (X,))
    assert "5 bytes" in str(caught.value)
    assert "Hint: save it again with torch.jit.save" in str(caught.value)
    path.touch()
    path.write_bytes(b"")
    with pytest.raises(UnsupportedModelError, match=r"text\.pth is an empty file"):
        importing(path, (X,))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.98])
def test_a_truncated_file(tmp_path: Path, archive: bytes, part: float) -> None:
    path = tmp_path / "short.pth"
    path.write_bytes(archive[: int(len(archive) * part)])
    with pytest.raises(UnsupportedModelError, match="or it is damaged"):
        importing(path, (X,))


def test_a_file_damaged_inside(tmp_path: Path, archive: bytes) -> None:
    source = zipfile.ZipFile(io.BytesIO(archive))
    path = tmp_path / "damaged.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            text = source.read(name)
            target.writestr(name, b"def broken(:" if name.endswith(".py") else text)
    with pytest.raises(UnsupportedModelError, match="torch cannot load it") as caught:
        importing(path, (X,))
    assert "Hint: the file may be damaged" in str(caught.value)


def test_a_pickled_checkpoint_is_named_for_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(nn.Linear(3, 4).state_dict(), path)
    with pytest.raises(UnsupportedModelError, match="a pickled checkpoint") as caught:
        importing(path, (X,))
    assert "torch.jit.trace(model.eval(), example).save(path)" in str(caught.value)


def test_an_export_program_that_torch_cannot_load(tmp_path: Path) -> None:
    path = tmp_path / "bad.pt2"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("bad/archive_format", "pt2")
        target.writestr("bad/models/model.json", "{}")
    with pytest.raises(UnsupportedModelError, match="looks like a torch.export program"):
        importing(path, (X,))


def test_something_that_is_no_model() -> None:
    with pytest.raises(
        UnsupportedModelError,
        match="no importer takes dict\n  expected: torchscript, torch-export, torch-module$",
    ):
        importing({"a": 1}, (X,))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (nn.Linear(3, 4).state_dict(), "a dict of weights is no model|and pass the module"),
        (torch.relu, "a function is no model|in the forward of an nn.Module"),
        (lambda x: x, "a function is no model|in the forward of an nn.Module"),
        (nn.Linear, "the class Linear is no model|pass a model: Linear(…).eval()"),
        (X, "a tensor is no model|the model comes first"),
    ],
    ids=["weights", "builtin", "function", "class", "tensor"],
)
def test_objects_that_are_no_models(source: object, text: str) -> None:
    what, hint = text.split("|")
    with pytest.raises(UnsupportedModelError, match=what) as caught:
        importing(source, (X,))
    assert "expected: an nn.Module, a ScriptModule, an exported program" in str(caught.value)
    assert hint in str(caught.value.hint)


def test_a_scripted_function() -> None:
    with jit.quiet():
        function = torch.jit.script(_doubled)
    with pytest.raises(UnsupportedModelError, match="a scripted function is no model"):
        importing(function, (X,))


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_paths_may_be_text_or_path_objects(tmp_path: Path, archive: bytes) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(archive)
    assert str(importing(path, (X,))) == str(importing(str(path), (X,)))


def test_weights_of_a_models_owner_are_copied_and_those_of_a_file_are_not(
    tmp_path: Path, archive: bytes
) -> None:
    module = nn.Linear(3, 4)
    graph = importing(traced(module, (X,)), (X,))
    before = graph.constants[graph.value("weight").producer.op.digest].data.copy()  # type: ignore[union-attr,attr-defined]
    with torch.no_grad():
        module.weight.fill_(7)
    after = graph.value("weight").constant
    assert after is not None
    assert (after.data == before).all()


class Numbers(nn.Module):
    """Python numbers beside tensors without axes, where a tensor would decide the dtype."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        total = x.sum()
        count = total.to(torch.int32)
        halves = total.to(torch.float16)
        return total * 0.5, 1 - total, count * 2, count | 3, halves * 0.5, total > 0.5, 2**total


def test_numbers_of_a_trace_stay_numbers_in_its_file(tmp_path: Path) -> None:
    """They are 0-d float64 and int64 tensors there, which torch takes for numbers."""
    here = traced(Numbers(), (X,))
    here.save(tmp_path / "numbers.pth")
    from_file = importing(tmp_path / "numbers.pth", (X,))
    dtypes = [value.type.dtype for value in importing(here, (X,)).outputs]
    assert [value.type.dtype for value in from_file.outputs] == dtypes
    assert [str(dtype) for dtype in dtypes] == [
        str(result.dtype).removeprefix("torch.") for result in here(X)
    ]


SCALE = torch.tensor(0.5, dtype=torch.float64)
PLACE = torch.tensor(1)


class Tensors(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x.sum() * SCALE, x.index_select(0, PLACE)


def test_tensors_that_a_trace_holds_are_tensors_where_it_was_made(tmp_path: Path) -> None:
    here = traced(Tensors(), (X,))
    assert str(importing(here, (X,)).outputs[0].type.dtype) == "float64"
    here.save(tmp_path / "tensors.pth")
    # A file does not tell them from numbers; where no number is taken they stay tensors.
    scaled, picked = importing(tmp_path / "tensors.pth", (X,)).outputs
    assert str(scaled.type.dtype) == "float32"
    assert picked.type.shape == (1, 3)
