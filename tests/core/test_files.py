"""The container: what is written comes back, and what was damaged is refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from fwd_core import files
from fwd_core.errors import EngineFileError

TENSORS: dict[str, np.ndarray[Any, Any]] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array(3, np.uint16),
    "c": np.zeros((0, 4), np.bool_),
}
HEADER = {"note": "text \u00e9", "list": [1, 2.5, None, {"x": True}]}


def _write(path: Path, **more: Any) -> None:
    files.write(path, HEADER, TENSORS, **{"format": "toy", "version": 1, **more})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return files.read(path, format="toy", version=1)


def test_round_trip(tmp_path: Path) -> None:
    _write(tmp_path / "f")
    header, tensors = _read(tmp_path / "f")
    assert header == {"format": "toy", "version": 1, **HEADER}
    assert set(tensors) == set(TENSORS)
    for name, array in TENSORS.items():
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)
        assert tensors[name].tobytes() == array.tobytes()
        assert not tensors[name].flags.writeable or not array.size


@pytest.mark.parametrize(
    "dtype",
    ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "bool"],
)
def test_every_dtype(tmp_path: Path, dtype: str) -> None:
    array = np.array([0, 1, 1], dtype)
    files.write(tmp_path / "f", {}, {"t": array}, format="toy", version=1)
    found = _read(tmp_path / "f")[1]["t"]
    assert found.dtype == array.dtype
    assert found.tolist() == array.tolist()


def test_no_tensors_at_all(tmp_path: Path) -> None:
    files.write(tmp_path / "f", {}, {}, format="toy", version=1)
    assert _read(tmp_path / "f")[1] == {}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident pages are not told")
def test_pages_of_a_tensor_go_with_it(tmp_path: Path) -> None:
    names = [f"t{i}" for i in range(8)]
    path = tmp_path / "file"
    tensors = {name: np.ones(1 << 21, np.float32) for name in names}
    files.write(path, {}, tensors, format="toy", version=1)
    before = _mapped_mib()
    _, tensors = _read(path)
    assert _mapped_mib() - before < 8  # checked, and let go
    for name in names:
        assert tensors[name].sum() == 1 << 21
    assert _mapped_mib() - before > 56
    for name in names[1:]:
        del tensors[name]
    assert _mapped_mib() - before < 16
    assert tensors["t0"].sum() == 1 << 21


def _mapped_mib() -> float:
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "RssFile" in x]
    return int(line.split()[1]) / 1024


def test_arrays_that_are_not_contiguous(tmp_path: Path) -> None:
    array = np.arange(6).reshape(2, 3).T
    files.write(tmp_path / "f", {}, {"t": array}, format="toy", version=1)
    assert _read(tmp_path / "f")[1]["t"].tolist() == array.tolist()


class TestReading:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(EngineFileError, match="there is no file .*nothing"):
            _read(tmp_path / "nothing")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(EngineFileError, match=f"cannot read {tmp_path}: Is a directory"):
            _read(tmp_path)

    @pytest.mark.parametrize(
        "content", [b"", b"x", b"not a container at all", b"\0" * 64, b"\xff" * 9]
    )
    def test_something_else(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(
            EngineFileError,
            match="f is (an empty file|too short for|not a file that Forward wrote, or it is dam)",
        ):
            _read(tmp_path / "f")

    def test_a_safetensors_file_of_others(self, tmp_path: Path) -> None:
        save_file({"t": np.zeros(2)}, tmp_path / "f", metadata={"format": "pt"})
        with pytest.raises(
            EngineFileError,
            match=r"but Forward did not write it\n  expected: metadata key 'forward'\n"
            r"  got:      \['format'\]",
        ):
            _read(tmp_path / "f")
        save_file({"t": np.zeros(2)}, tmp_path / "g")
        with pytest.raises(EngineFileError, match="got:      no metadata"):
            _read(tmp_path / "g")

    @pytest.mark.parametrize("header", ["[1, 2]", "3", "{", "null"])
    def test_a_header_that_is_none(self, tmp_path: Path, header: str) -> None:
        save_file({"t": np.zeros(2)}, tmp_path / "f", metadata={"forward": header})
        with pytest.raises(EngineFileError, match="is not a file that Forward wrote, or it is dam"):
            _read(tmp_path / "f")

    def test_a_dtype_that_forward_does_not_write(self, tmp_path: Path) -> None:
        save_file({"t": np.zeros(2, np.uint32)}, tmp_path / "f", metadata={"forward": "{}"})
        with pytest.raises(EngineFileError, match="not a file that Forward wrote[\\s\\S]*'U32'"):
            _read(tmp_path / "f")

    def test_another_format(self, tmp_path: Path) -> None:
        _write(tmp_path / "f", format="other")
        with pytest.raises(
            EngineFileError, match="another kind of file\n  expected: toy\n  got:      other"
        ):
            _read(tmp_path / "f")

    def test_another_version(self, tmp_path: Path) -> None:
        _write(tmp_path / "f", version=7)
        with pytest.raises(
            EngineFileError,
            match="has another version of toy\n  expected: version 1\n  got:      version 7\n",
        ):
            _read(tmp_path / "f")

    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
    def test_truncated(self, tmp_path: Path, kept: float) -> None:
        _write(tmp_path / "f")
        data = (tmp_path / "f").read_bytes()
        (tmp_path / "f").write_bytes(data[: int(len(data) * kept)])
        with pytest.raises(EngineFileError, match=r"is truncated\n  expected: \d+ bytes\n  got:"):
            _read(tmp_path / "f")

    def test_longer(self, tmp_path: Path) -> None:
        _write(tmp_path / "f")
        with (tmp_path / "f").open("ab") as stream:
            stream.write(b"x")
        with pytest.raises(EngineFileError, match="is not a file that Forward wrote, or it is dam"):
            _read(tmp_path / "f")

    def test_every_single_altered_byte_is_noticed(self, tmp_path: Path) -> None:
        _write(tmp_path / "f")
        data = (tmp_path / "f").read_bytes()
        assert len(data) > 400
        for place in range(len(data)):
            altered = bytearray(data)
            altered[place] ^= 1
            (tmp_path / "g").write_bytes(altered)
            with pytest.raises(EngineFileError):
                _read(tmp_path / "g")

    @given(data=st.data())
    def test_random_damage_is_noticed(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        path = tmp_path_factory.getbasetemp() / "damaged"
        _write(path)
        content = bytearray(path.read_bytes())
        start = data.draw(st.integers(0, len(content) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=16))
        before = bytes(content)
        content[start : start + len(noise)] = noise
        if bytes(content) == before:
            return
        path.write_bytes(content)
        try:
            header, tensors = _read(path)
        except EngineFileError:
            return
        # Blanks around the header's JSON do not matter; everything else would be noticed.
        assert header == {"format": "toy", "version": 1, **HEADER}
        assert {name: array.tobytes() for name, array in tensors.items()} == {
            name: array.tobytes() for name, array in TENSORS.items()
        }


class TestWriting:
    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(
            EngineFileError,
            match="cannot write .*f: No such file or directory\n  Hint: create the folder",
        ):
            _write(tmp_path / "nowhere" / "f")

    def test_a_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(EngineFileError, match="cannot write .*f: Not a directory"):
            _write(tmp_path / "file" / "f")

    def test_a_folder_in_place_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").mkdir()
        with pytest.raises(EngineFileError, match="cannot write .*f: Is a directory"):
            _write(tmp_path / "f")
        assert [path.name for path in tmp_path.iterdir()] == ["f"], "no temporary file stays"

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        if os.geteuid() == 0:  # permissions do not stop root; /proc does
            folder, words = Path("/proc/self"), "cannot write .*: "
        else:
            folder, words = tmp_path / "closed", "cannot write .*: Permission denied"
            folder.mkdir(mode=0o500)
        with pytest.raises(EngineFileError, match=words):
            _write(folder / "f")

    def test_a_full_disk_leaves_the_old_file(self, tmp_path: Path) -> None:
        _write(tmp_path / "f")
        old = (tmp_path / "f").read_bytes()
        code = (
            "import resource, signal, sys, numpy as np\n"
            "from fwd_core import files\n"
            "from fwd_core.errors import EngineFileError\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "try:\n"
            "    files.write(sys.argv[1], {}, {'t': np.zeros(1 << 16)}, format='toy', version=1)\n"
            "except EngineFileError as error:\n"
            "    print(error)\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "f")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"cannot write {tmp_path / 'f'}: ")
        assert "File too large" in done.stdout
        assert (tmp_path / "f").read_bytes() == old
        assert [path.name for path in tmp_path.iterdir()] == ["f"]

    def test_a_crash_in_the_middle_leaves_the_old_file(self, tmp_path: Path) -> None:
        _write(tmp_path / "f")
        code = (
            "import os, sys\n"
            "from fwd_core.files import atomic_path\n"
            "with atomic_path(sys.argv[1]) as temporary:\n"
            "    temporary.write_bytes(b'half of it')\n"
            "    os._exit(7)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "f")], check=False)
        assert done.returncode == 7
        assert _read(tmp_path / "f")[0]["note"] == HEADER["note"]

    def test_an_error_in_the_middle_leaves_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("old")
        with pytest.raises(ZeroDivisionError), files.atomic_path(tmp_path / "f") as temporary:
            temporary.write_text("new")
            raise ZeroDivisionError
        assert (tmp_path / "f").read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["f"]

    def test_a_reader_of_the_old_file_keeps_it(self, tmp_path: Path) -> None:
        _write(tmp_path / "f")
        old = _read(tmp_path / "f")[1]
        files.write(tmp_path / "f", {}, {"a": np.zeros(9)}, format="toy", version=1)
        assert old["a"].tolist() == TENSORS["a"].tolist()

    def test_others_may_read_it_as_the_umask_says(self, tmp_path: Path) -> None:
        old = os.umask(0o027)
        try:
            _write(tmp_path / "f")
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640

    def test_a_path_without_a_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        files.write("f", HEADER, TENSORS, format="toy", version=1)
        assert _read(tmp_path / "f")[0]["note"] == HEADER["note"]

    def test_the_header_is_plain_json(self, tmp_path: Path) -> None:
        from safetensors import safe_open

        _write(tmp_path / "f")
        with safe_open(tmp_path / "f", "np") as opened:
            document = json.loads(opened.metadata()["forward"])
        assert document["format"] == "toy"
        assert len(document["sha256"]) == 64


@pytest.mark.parametrize("path", [".", ""])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with (
        pytest.raises(EngineFileError, match="it names no file\n  Hint: give the path of a file"),
        files.atomic_path(path),
    ):
        pass
