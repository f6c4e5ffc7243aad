"""The one container that Forward writes: a safetensors file with a JSON header.

Graphs and engines are both such files: tensors (weights, or a plan's bytes) and one JSON
document under the metadata key ``forward``. Files are written to a temporary name and moved
into place, so a reader never sees half of one; they are checked before their contents are
trusted; tensors are mapped, not read.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import EngineFileError

_KEY = "forward"
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
        EngineFileError: The folder does not exist or cannot be written.
    """
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise EngineFileError(
            f"cannot write {target}: {error.strerror}", hint="create the folder, or choose another"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files that only the owner may read
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write(
    path: str | os.PathLike[str], header: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write a container atomically.

    Raises:
        EngineFileError: The folder does not exist or cannot be written.
    """
    from safetensors.numpy import save_file

    document = json.dumps(header, allow_nan=False, separators=(",", ":"))
    with atomic_path(path) as temporary:
        save_file(dict(tensors), temporary, metadata={_KEY: document})


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The JSON header, and the tensors as read-only arrays over the mapped file.

    Raises:
        EngineFileError: The file is missing, damaged, or no container of Forward.
    """
    from safetensors import SafetensorError, safe_open

    target = Path(path)
    try:
        with safe_open(target, "np") as checked:  # checks offsets and sizes against the file
            metadata = checked.metadata() or {}
        with target.open("rb") as stream:
            buffer = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (SafetensorError, OSError, ValueError) as error:
        if not target.exists():
            raise EngineFileError(f"there is no file {target}") from None
        raise EngineFileError(
            f"{target} is not a file that Forward wrote, or it is damaged",
            details=[str(error)],
            hint="build it again",
        ) from None
    if _KEY not in metadata:
        raise EngineFileError(
            f"{target} is a safetensors file, but Forward did not write it",
            expected=f"metadata key {_KEY!r}",
            got=sorted(metadata) or "no metadata",
        )
    return json.loads(metadata[_KEY]), _mapped(buffer)


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
        tensors[name] = flat.reshape(shape)
    return tensors
