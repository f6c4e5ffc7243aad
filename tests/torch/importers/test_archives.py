"""Archives that are damaged where torch does not look."""

from __future__ import annotations

import contextlib
import functools
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_models import importing, scripted, traced

from fwd_core.errors import UnsupportedModelError
from fwd_ops_torch.importers.archives import require_whole, tensors_of
from fwd_ops_torch.importers.sniff import kind_of

X = torch.randn(2, 3)
CONSTANT = torch.tensor([1.0, 2.0, 3.0, 4.0])


class Net(nn.Module):
    """Parameters and buffers of several dtypes. One of them has 48 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("offset", torch.ones(4, dtype=torch.float16))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.linear(x)) + self.offset
        return y


class WithConstant(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * CONSTANT


def scripted_file(path: Path) -> None:
    scripted(Net()).save(str(path))


def traced_file(path: Path) -> None:
    traced(WithConstant(), (X,)).save(str(path))


def exported_file(path: Path) -> None:
    torch.export.save(torch.export.export(Net().eval(), (X,)), path)


FORMS = pytest.mark.parametrize(
    ("write", "suffix"),
    [(scripted_file, ".pth"), (traced_file, ".pth"), (exported_file, ".pt2")],
    ids=["scripted", "traced", "exported"],
)


def rewrite(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    """The archive with other contents, and checksums that fit them."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records.items():
            archive.writestr(name, change(name, data))


def weight(path: Path) -> zipfile.ZipInfo:
    """The record of the linear layer's weight."""
    with zipfile.ZipFile(path) as archive:
        (record,) = [one for one in archive.infolist() if one.file_size == 48]
    return record


@FORMS
def test_a_whole_file(tmp_path: Path, write: Callable[[Path], None], suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    write(path)
    require_whole(path)
    importing(path, (X,))
    rewrite(path, lambda _, data: data)
    importing(path, (X,))


@FORMS
def test_a_flipped_bit(tmp_path: Path, write: Callable[[Path], None], suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    write(path)
    record = weight(path)
    data = bytearray(path.read_bytes())
    name, extra = struct.unpack_from("<HH", data, record.header_offset + 26)
    data[record.header_offset + 30 + name + extra + 5] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(
        UnsupportedModelError,
        match=rf"model{suffix} is damaged: record '{record.filename}' is not what was written to "
        rf"it\n  expected: 48 bytes with CRC-32 {record.CRC:08x}\n  .*CRC.*\n  Hint: copy it",
    ):
        importing(path, (X,))


@FORMS
def test_damage_in_a_records_header(
    tmp_path: Path, write: Callable[[Path], None], suffix: str
) -> None:
    path = tmp_path / f"model{suffix}"
    write(path)
    record = weight(path)
    data = bytearray(path.read_bytes())
    data[record.header_offset] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UnsupportedModelError, match=f"is damaged: record '{record.filename}'"):
        importing(path, (X,))


@given(seed=st.integers(0, 2**32 - 1), place=st.floats(0, 1), tail=st.booleans())
def test_no_flipped_bit_gives_an_error_without_a_name(seed: int, place: float, tail: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth"
        data = bytearray(_scripted_bytes())
        span = min(2000, len(data)) if tail else len(data)  # the directory is at the end
        data[len(data) - 1 - int(place * (span - 1))] ^= 1 << seed % 8
        path.write_bytes(data)
        if kind_of(path) != "torchscript":
            return
        with contextlib.suppress(UnsupportedModelError):
            require_whole(path)


@functools.cache
def _scripted_bytes() -> bytes:
    return bytes(scripted(Net()).save_to_buffer())


@pytest.mark.parametrize("write", [scripted_file, traced_file], ids=["scripted", "traced"])
@pytest.mark.parametrize("kept", [0, 10, 47])
def test_a_record_that_is_too_short(
    tmp_path: Path, write: Callable[[Path], None], kept: int
) -> None:
    path = tmp_path / "model.pth"
    write(path)
    record = weight(path).filename
    rewrite(path, lambda name, data: data[:kept] if name == record else data)
    with pytest.raises(
        UnsupportedModelError,
        match=rf"model.pth is damaged: record '{record}' is too short for its tensor\n"
        rf"  expected: 48 bytes\n  got:      {kept} bytes\n  Hint: copy it again",
    ):
        importing(path, (X,))


def test_a_constant_that_is_too_short(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    traced_file(path)
    rewrite(path, lambda name, data: data[:8] if "/constants/0" in name else data)
    with pytest.raises(UnsupportedModelError, match="record 'model/constants/0' is too short"):
        importing(path, (X,))


def test_a_short_record_of_a_program_is_torchs_to_find(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    exported_file(path)
    record = weight(path).filename
    rewrite(path, lambda name, data: data[:8] if name == record else data)
    with pytest.raises(UnsupportedModelError, match="torch cannot load it"):
        importing(path, (X,))


def test_records_without_a_checksum_are_taken(tmp_path: Path) -> None:
    """Torch writes zeros instead of checksums when it is asked to."""
    path = tmp_path / "model.pt"
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(Net().state_dict(), path)
    finally:
        torch.serialization.set_crc32_options(True)
    require_whole(path)


def test_compressed_records_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    scripted_file(path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
        (record,) = [one for one in archive.infolist() if one.filename.endswith("/data.pkl")]
    require_whole(path)
    data = bytearray(path.read_bytes())
    data[record.header_offset + 60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UnsupportedModelError, match="record 'model/data.pkl' is not what was"):
        require_whole(path)


def test_sizes_of_all_dtypes(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    scripted_file(path)
    with zipfile.ZipFile(path) as archive:
        found = dict(tensors_of(archive.read("model/data.pkl")))
        sizes = {
            one.filename.rpartition("/")[2]: one.file_size
            for one in archive.infolist()
            if "/data/" in one.filename
        }
    assert found == {key: size for key, size in sizes.items() if key in found}
    assert len(found) == 8
    assert {2 * 4, 4 * 4, 12 * 4, 8} <= set(found.values())


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x02", b"\x80\x02K\x05.", b"("])
def test_what_is_no_pickle_names_no_tensors(data: bytes) -> None:
    assert list(tensors_of(data)) == []
