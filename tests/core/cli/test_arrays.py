"""Files of arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fwd_core.cli.arrays import read_arrays, write_arrays
from fwd_core.errors import EngineFileError, InputError


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "file": np.arange(6, dtype=np.int64).reshape(2, 3),
        "a/b": np.ones((0, 2), np.float16),
        "scalar": np.array(True),
        "fortran": np.asfortranarray(np.random.default_rng(0).random((3, 4))),
    }
    path = str(tmp_path / "x.npz")
    write_arrays(path, arrays)
    found = read_arrays(path)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert [one.name for one in tmp_path.iterdir()] == ["x.npz"], "no temporary file is left"


def test_one_array(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npy")
    write_arrays(path, {"y": np.ones(3)})
    assert list(read_arrays(path)) == [""]
    np.testing.assert_array_equal(read_arrays(path, "any")[""], np.ones(3), strict=True)


def test_byte_order_becomes_native(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1, 2], ">i4"))
    found = read_arrays(str(tmp_path / "x.npy"))[""]
    np.testing.assert_array_equal(found, np.array([1, 2], np.int32), strict=True)


def test_by_name(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npz")
    np.savez(path, a=np.zeros(1), b=np.ones(2))
    assert list(read_arrays(path, "b")) == ["b"]
    with pytest.raises(InputError, match=r"holds no array 'c'\n  expected: c\n  got:      a, b"):
        read_arrays(path, "c")


@pytest.mark.parametrize("text", [b"\x93NUMPY\x01\x00", b"PK\x03\x04junk"])
def test_files_that_hold_no_arrays(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"x.npy cannot be read\n  expected: an array that numpy"):
        read_arrays(str(path))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "it is empty"),
        (b'{"data": []}', "it begins with b'{\"data\":'"),
        (b"\x80\x02pickle", r"it begins with b'\x80\x02pickle'"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, text: bytes, why: str) -> None:
    path = tmp_path / "squad.json"
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        read_arrays(str(path))
    assert str(caught.value) == (
        f"{path} is no file of arrays\n"
        "  expected: an array that numpy.save wrote (.npy), or arrays of numpy.savez (.npz)\n"
        f"  {why}\n"
        "  Hint: write arrays of what the model takes: numpy.savez('x.npz', NAME=array)"
    )


def test_archives_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"junk")
    with pytest.raises(InputError, match=r"is no file of arrays[\s\S]*holds model/data.pkl"):
        read_arrays(str(path))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npy")
    np.save(path, np.array([print], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"cannot be read[\s\S]*allow_pickle=False"):
        read_arrays(path)


def test_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_arrays(str(tmp_path / "x.npy"))
    with pytest.raises(InputError, match=r"cannot be read[\s\S]*Is a directory"):
        read_arrays(str(tmp_path))


def test_archives_of_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "x.npz")
    np.savez(path)
    with pytest.raises(InputError, match=r"x.npz holds no array"):
        read_arrays(path)


@pytest.mark.parametrize("dtype", ["complex64", "uint32", "U3", "datetime64[s]"])
def test_element_types_that_forward_has_not(tmp_path: Path, dtype: str) -> None:
    path = str(tmp_path / "x.npy")
    np.save(path, np.zeros(2, dtype))
    with pytest.raises(InputError, match=r"x.npy: no element type '"):
        read_arrays(path)


def test_folders_that_do_not_exist(tmp_path: Path) -> None:
    with pytest.raises(EngineFileError, match="cannot write"):
        write_arrays(str(tmp_path / "nowhere" / "x.npz"), {"x": np.ones(1)})
