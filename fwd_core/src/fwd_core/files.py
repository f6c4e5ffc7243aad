"""The one container that Forward writes: a safetensors file with a JSON header.

Graphs and engines are both such files: tensors (weights, or a plan's bytes) and one JSON
document under the metadata key ``forward``, which names its format and version and holds the
SHA-256 of everything. Files are written to a temporary name and moved into place, so a reader
never sees half of one; they are checked before their contents are trusted; tensors are mapped,
not read.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import secrets
import struct
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import EngineFileError

Tensors = Mapping[str, NDArray[Any]]

_KEY = "forward"
#: What safetensors itself takes.
_LONGEST_HEADER = 100_000_000
#: Bytes of a tensor whose pages are let go on their own; not on Windows.
_WORTH_RELEASING = 1 << 16
_CAN_RELEASE = hasattr(mmap, "MADV_DONTNEED")
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "U16": "uint16",
    "BOOL": "bool",
}


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it when the block ends without error.

    Raises:
        EngineFileError: The folder does not exist or cannot be written, the disk is full, or
            ``path`` is a folder. What was at ``path`` is as it was.
    """
    target = Path(path)
    if not target.name:
        raise EngineFileError(
            f"cannot write {os.fspath(path)!r}: it names no file",
            hint="give the path of a file, as 'model.engine'",
        )
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        mode = os.fstat(handle).st_mode
        os.close(handle)
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(mode)  # safetensors makes files that only their owner may read
        temporary.replace(target)
    except OSError as error:
        raise EngineFileError(
            f"cannot write {target}: {error.strerror or error}",
            hint="create the folder, or choose another",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check before long work that its result can be written.

    Raises:
        EngineFileError: The folder does not exist or cannot be written, or the path is a folder.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        with tempfile.TemporaryFile(dir=os.fspath(target.parent)):
            pass
    except OSError as error:
        raise EngineFileError(
            f"cannot write {target}: {error.strerror}", hint="create the folder, or choose another"
        ) from None


def write(
    path: str | os.PathLike[str],
    header: Mapping[str, Any],
    tensors: Tensors,
    *,
    format: str,  # noqa: A002 - the header's own word
    version: int,
) -> None:
    """Write a container atomically.

    Args:
        path: The file.
        header: What is not tensors, as JSON can hold it.
        tensors: Arrays by name.
        format: What kind of file it is, for example ``forward-graph``.
        version: Version of that format.

    Raises:
        EngineFileError: The folder does not exist or cannot be written, or the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    document = {"format": format, "version": version, **header}
    document["sha256"] = _digest(document, arrays)
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    with atomic_path(path) as temporary:
        try:
            save_file(arrays, temporary, metadata={_KEY: text})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def read(
    path: str | os.PathLike[str],
    *,
    format: str,  # noqa: A002
    version: int,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The JSON header, and the tensors as read-only arrays over the mapped file.

    Args:
        path: The file.
        format: The kind of file that is wanted.
        version: The version of that format that is wanted.

    Raises:
        EngineFileError: The file is missing, damaged or altered, no container of Forward, or of
            another format or version.
    """
    target = Path(path)
    document, tensors, buffer = _parsed(target)
    if document.get("format") != format:
        raise EngineFileError(
            f"{target} is another kind of file",
            expected=format,
            got=document.get("format", "nothing"),
        )
    if document.get("version") != version:
        raise EngineFileError(
            f"{target} has another version of {format}",
            expected=f"version {version}",
            got=f"version {document.get('version')}",
            hint="make it again with this version of Forward",
        )
    stated = document.pop("sha256", None)
    found = _digest(document, tensors)
    if _CAN_RELEASE:  # what was read to be checked is read again where it is used
        buffer.madvise(mmap.MADV_DONTNEED)
    if stated != found:
        raise EngineFileError(
            f"{target} was altered or damaged: its SHA-256 does not fit",
            expected=stated,
            got=found,
            hint="make it again, or copy it again",
        )
    return document, tensors


def format_of(path: str | os.PathLike[str]) -> str | None:
    """What kind of container a file is, or ``None`` for a file that is no safetensors container.

    Raises:
        EngineFileError: The file is missing or cannot be read, or is a damaged or a stranger's
            safetensors file.
    """
    target = Path(path)
    with _reading(target), target.open("rb") as stream:
        head = stream.read(9)
    if len(head) < 9:  # nothing that is a model either is so short
        raise _damaged(target, "")
    if head[8:] != b"{":  # after eight bytes of length, the header is a JSON object
        return None
    document, _, _ = _parsed(target)
    return str(document.get("format"))


@contextmanager
def _reading(target: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise EngineFileError(f"there is no file {target}") from None
    except OSError as error:
        raise EngineFileError(f"cannot read {target}: {error.strerror}") from error


def _parsed(target: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]], mmap.mmap]:
    from safetensors import SafetensorError, safe_open

    try:
        with _reading(target):
            with target.open("rb") as stream:
                if not os.fstat(stream.fileno()).st_size:
                    raise ValueError("the file is empty")
                buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            with safe_open(target, "np") as checked:  # checks offsets and sizes against the file
                metadata = checked.metadata() or {}
        if _KEY in metadata:
            return dict(json.loads(metadata[_KEY])), _mapped(buffer), buffer
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(target, str(error)) from None
    raise EngineFileError(
        f"{target} is a safetensors file, but Forward did not write it",
        expected=f"metadata key {_KEY!r}",
        got=sorted(metadata) or "no metadata",
    )


def _damaged(target: Path, words: str) -> EngineFileError:
    """The error for a file that does not form a container: empty, cut off, or something else."""
    size, hint = target.stat().st_size, "make it again, or copy it again"
    if not size:
        return EngineFileError(f"{target} is an empty file", got="0 bytes", hint=hint)
    if size < 9:
        return EngineFileError(
            f"{target} is too short for an engine, a graph or a model",
            got=f"{size} bytes",
            hint=hint,
        )
    whole = _whole_size(target)
    if whole is not None and size < whole:
        return EngineFileError(
            f"{target} is truncated",
            expected=f"{whole} bytes",
            got=f"{size} bytes",
            hint=hint,
        )
    return EngineFileError(
        f"{target} is not a file that Forward wrote, or it is damaged", details=[words], hint=hint
    )


def _whole_size(target: Path) -> int | None:
    """How long a container is by its own header; the header's end if that is cut off itself."""
    with target.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if stream.read(1) != b"{" or length > _LONGEST_HEADER:
            return None
        stream.seek(8)
        header = stream.read(length)
    if len(header) < length:
        return 8 + int(length)
    try:
        entries = [entry for name, entry in json.loads(header).items() if name != "__metadata__"]
        return 8 + int(length) + max((entry["data_offsets"][1] for entry in entries), default=0)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _mapped(buffer: mmap.mmap) -> dict[str, NDArray[Any]]:
    (length,) = struct.unpack_from("<Q", buffer)
    start = 8 + length
    tensors: dict[str, NDArray[Any]] = {}
    for name, entry in json.loads(buffer[8:start]).items():
        if name == "__metadata__":
            continue
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), entry["shape"]
        begin = start + entry["data_offsets"][0]
        count = int(np.prod(shape, dtype=np.int64))
        flat = np.frombuffer(buffer, dtype, count, begin) if count else np.empty(0, dtype)
        _release_with(flat, buffer, begin)
        tensors[name] = flat.reshape(shape)
    return tensors


def _release_with(flat: NDArray[Any], buffer: mmap.mmap, begin: int) -> None:
    """Let a tensor's pages go with it, and not only when the whole file is closed.

    A model that is turned to half as it is read would hold its weights twice otherwise.
    """
    first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (begin + flat.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if _CAN_RELEASE and end - first >= _WORTH_RELEASING:
        release = weakref.finalize(flat, buffer.madvise, mmap.MADV_DONTNEED, first, end - first)
        release.atexit = False


def _digest(document: Mapping[str, Any], tensors: Tensors) -> str:
    state = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name]
        state.update(f"{name} {array.dtype} {array.shape};".encode())
        if array.size:
            state.update(array.reshape(-1).view(np.uint8).data)
    # Sorted keys make the text the same before and after the file.
    state.update(json.dumps(document, sort_keys=True).encode())
    return state.hexdigest()
