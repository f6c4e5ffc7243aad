"""Timing caches as files. TensorRT-RTX has the calls, and caches that stay empty."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorrt_rtx")

from fwd_core.backends.tensorrt import timing
from fwd_core.backends.tensorrt.compiling import cache_of
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.library import Library, load
from fwd_core.backends.tensorrt.logger import Record, listen, logger
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.backends.tensorrt.runtime.device import Gpu
from fwd_core.backends.tensorrt.tactics import missing_for_times
from fwd_core.backends.tensorrt.timing import TimingCache, path_of
from fwd_core.errors import EngineFileError, ForwardWarning

GPU = Gpu(0, "NVIDIA H100 80GB HBM3", "sm_90")
OWNER = {"flavour": "tensorrt", "version": "8.6.0", "gpu": "NVIDIA L4", "capability": "sm_89"}
#: TensorRT-RTX says of each call that it does nothing.
pytestmark = pytest.mark.filterwarnings("ignore:Use Deprecated:DeprecationWarning")


@pytest.fixture
def library() -> Library:
    return load("tensorrt_rtx")


@pytest.fixture
def record(library: Library) -> Iterator[Record]:
    with listen(library.trt) as found:
        yield found


@pytest.fixture
def config(library: Library, record: Record) -> Any:
    builder = library.trt.Builder(logger(library.trt))
    builder.error_recorder = record.recorder
    return builder.create_builder_config()


def test_contents_are_kept_with_what_they_are_bound_to(tmp_path: Path) -> None:
    path = tmp_path / "cache.timing"
    assert timing.read(path, OWNER) == b""
    for data in (b"some", b""):
        timing.write(path, OWNER, data)
        assert timing.read(path, OWNER) == data
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("entry", OWNER)
def test_a_file_of_another_library_or_gpu_is_refused(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "cache.timing"
    timing.write(path, OWNER | {entry: "another"}, b"some")
    message = r"it is of another library or GPU\n  expected: tensorrt, 8(.|\n)*got: .*another"
    with pytest.raises(EngineFileError, match=message):
        timing.read(path, OWNER)


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.timing"
    timing.write(path, OWNER, b"some")
    altered = bytearray(path.read_bytes())
    altered[-1] ^= 255
    path.write_bytes(altered)
    with pytest.raises(EngineFileError, match=r"its SHA-256 does not fit"):
        timing.read(path, OWNER)


def test_a_first_build_makes_folder_and_file(
    library: Library, config: Any, record: Record, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "folders" / "cache.timing"
    cache = TimingCache(library, GPU, path)
    cache.attach(config, record)
    cache.save(record)
    assert len(timing.read(path, timing.owner_of(library, GPU))) > 0


@pytest.mark.parametrize("contents", [b"", b"nothing of ours", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_told_and_written_anew(
    library: Library, config: Any, record: Record, tmp_path: Path, contents: bytes
) -> None:
    path = tmp_path / "cache.timing"
    path.write_bytes(contents)
    cache = TimingCache(library, GPU, path)
    with pytest.warns(ForwardWarning, match=r"cache\.timing is not used and will be written anew"):
        cache.attach(config, record)
    cache.save(record)
    assert len(timing.read(path, timing.owner_of(library, GPU))) > 0


def test_a_foreign_file_is_told_and_replaced(
    library: Library, config: Any, record: Record, tmp_path: Path
) -> None:
    path = tmp_path / "cache.timing"
    timing.write(path, OWNER, b"some")
    cache = TimingCache(library, GPU, path)
    with pytest.warns(ForwardWarning, match=r"written anew: it is of another library or GPU"):
        cache.attach(config, record)
    cache.save(record)
    assert len(timing.read(path, timing.owner_of(library, GPU))) > 0


def test_what_tensorrt_cannot_read_is_told(
    library: Library, config: Any, record: Record, tmp_path: Path
) -> None:
    path, owner = tmp_path / "cache.timing", timing.owner_of(library, GPU)
    timing.write(path, owner, b"no cache at all")
    cache = TimingCache(library, GPU, path)
    with pytest.warns(ForwardWarning, match=r"cannot read it; (.|\n)*deserialize timing cache"):
        cache.attach(config, record)
    cache.save(record)
    assert timing.read(path, owner) != b"no cache at all"


class Refusing:
    """A builder's configuration that takes no timing cache."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def create_timing_cache(self, data: bytes) -> Any:
        return self._config.create_timing_cache(data)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        assert cache is not None
        assert not ignore_mismatch
        return False


def test_where_tensorrt_takes_no_cache_the_file_stays(
    library: Library, config: Any, record: Record, tmp_path: Path
) -> None:
    path, owner = tmp_path / "cache.timing", timing.owner_of(library, GPU)
    timing.write(path, owner, config.create_timing_cache(b"").serialize())
    before = path.read_bytes()
    cache = TimingCache(library, GPU, path)
    with pytest.warns(ForwardWarning) as told:
        cache.attach(Refusing(config), record)
    texts = [str(one.message) for one in told if one.category is ForwardWarning]
    assert texts[-1] == (
        "the timing cache is not kept, so the next build measures again: TensorRT takes none"
    )
    assert not any("does not take it" in text for text in texts)
    cache.save(record)
    assert path.read_bytes() == before


def test_what_another_build_wrote_meanwhile_is_merged(
    library: Library, config: Any, record: Record, tmp_path: Path
) -> None:
    path, owner = tmp_path / "cache.timing", timing.owner_of(library, GPU)
    cache = TimingCache(library, GPU, path)
    cache.attach(config, record)
    timing.write(path, owner, b"no cache at all")  # which shows that it is read
    with pytest.warns(ForwardWarning, match=r"TensorRT cannot read it"):
        cache.save(record)
    assert timing.read(path, owner) != b"no cache at all"


def test_a_folder_that_cannot_be_written_is_told(
    library: Library, config: Any, record: Record, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = TimingCache(library, GPU, tmp_path / "file" / "cache.timing")
    cache.attach(config, record)
    with pytest.warns(ForwardWarning, match=r"not kept, so the next build measures again"):
        cache.save(record)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "cache.timing"
    timing.write(path, OWNER, b"")

    def add(_index: int) -> None:
        with timing.locked(path):
            timing.write(path, OWNER, timing.read(path, OWNER) + b"x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert timing.read(path, OWNER) == b"x" * 40


def test_the_default_file_is_one_per_library_and_gpu(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = path_of(library, GPU)
    name = f"tensorrt_rtx-{library.version}-NVIDIA_H100_80GB_HBM3-sm_90.timing"
    assert path.name == name
    assert path.parent.name == "tensorrt"
    assert path != path_of(library, Gpu(0, "NVIDIA L4", "sm_89"))


def test_which_builds_have_a_cache(library: Library, tmp_path: Path) -> None:
    full = Library(library.trt, ROWS["tensorrt", "10.13.3.9"], "10.13.3.9")
    found = cache_of(full, TensorRTOptions(), GPU)
    assert found is not None
    assert found.path == path_of(full, GPU)
    chosen = cache_of(full, TensorRTOptions(timing_cache=str(tmp_path / "x")), GPU)
    assert chosen is not None
    assert chosen.path == tmp_path / "x"
    assert cache_of(full, TensorRTOptions(timing_cache="off"), GPU) is None
    assert cache_of(full, TensorRTOptions(), None) is None
    assert cache_of(library, TensorRTOptions(), GPU) is None, "TensorRT-RTX measures nothing"


@pytest.mark.skipif(missing_for_times() is None, reason="cuDNN 8 is here")
def test_tensorrt_8_keeps_no_times_without_cudnn(library: Library) -> None:
    full = Library(library.trt, ROWS["tensorrt", "8.6.0"], "8.6.0")
    words = "no times of kernels are kept.*libcudnn.so.8.*pip install 'nvidia-cudnn-cu12<9'"
    with pytest.warns(ForwardWarning, match=words):
        assert cache_of(full, TensorRTOptions(), GPU) is None
    assert cache_of(full, TensorRTOptions(timing_cache="off"), GPU) is None
