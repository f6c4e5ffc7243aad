"""Whether a model's archive holds what was written to it. Torch itself does not look.

``torch.jit.load`` ignores the checksums in the archive, and leaves memory as it was where a record
is shorter than the tensor that it is for: a damaged file would build, and compute anything.
"""

from __future__ import annotations

import os
import pickletools
import zipfile
from collections.abc import Iterator
from typing import Any

from fwd_core.errors import UnsupportedModelError

#: Bytes per element of what pickles of TorchScript call a tensor's memory.
_BYTES = {
    **dict.fromkeys(("Bool", "Byte", "Char", "QInt8", "QUInt8", "Untyped"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
_CHUNK = 1 << 20
_ATOMS = frozenset(
    {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "GLOBAL"}
    | {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1"}
)


def require_whole(path: str | os.PathLike[str]) -> None:
    """Read all records of an archive, and compare them with its checksums and its tensors' sizes.

    Takes about half the time of loading the file. Records without a checksum, which torch
    writes on request, are not compared.

    Raises:
        UnsupportedModelError: A record is damaged or too short; it is named.
    """
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            if not record.CRC:
                continue
            try:
                with archive.open(record) as opened:
                    while opened.read(_CHUNK):
                        pass
            except Exception as error:  # noqa: BLE001 - zipfile raises many kinds for damaged bytes
                raise UnsupportedModelError(
                    f"{os.fspath(path)} is damaged: record {record.filename!r} is not what was "
                    "written to it",
                    expected=f"{record.file_size} bytes with CRC-32 {record.CRC:08x}",
                    details=[str(error)],
                    hint="copy it again from where it is whole, or save the model again",
                ) from None
        _require_sizes(path, archive)


def _require_sizes(path: str | os.PathLike[str], archive: zipfile.ZipFile) -> None:
    records = archive.infolist()
    sizes = {record.filename: record.file_size for record in records}
    for record in records:
        if not record.filename.endswith(("/data.pkl", "/constants.pkl")) or not record.CRC:
            continue
        folder = record.filename.removesuffix(".pkl")
        for key, wanted in tensors_of(archive.read(record)):
            name = f"{folder}/{key}"
            if sizes.get(name, wanted) < wanted:
                raise UnsupportedModelError(
                    f"{os.fspath(path)} is damaged: record {name!r} is too short for its tensor",
                    expected=f"{wanted} bytes",
                    got=f"{sizes[name]} bytes",
                    hint="copy it again from where it is whole, or save the model again",
                )


def tensors_of(pickled: bytes) -> Iterator[tuple[str, int]]:
    """Records that a pickle names as memory of tensors, and the bytes that each must have.

    Nothing is unpickled: the opcodes are read, and of these only what makes
    ``('storage', torch.FloatStorage, key, device, count)``. Torch tells what else is wrong.
    """
    memo: dict[Any, Any] = {}
    items: list[Any] = []  # what was pushed since the last mark
    last: Any = None
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            name = opcode.name
            if name == "MARK":
                items = []
            elif name in _ATOMS:
                last = argument
                items.append(last)
            elif name in ("BINGET", "LONG_BINGET", "GET"):
                last = memo.get(argument)
                items.append(last)
            elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
                memo[argument] = last
            elif name == "MEMOIZE":
                memo[len(memo)] = last
            elif name == "TUPLE":
                last, items = tuple(items), []
            elif name == "BINPERSID":
                if (found := _tensor(last)) is not None:
                    yield found
                last = None
            else:
                last = None
    except (ValueError, IndexError):  # no pickle
        return


def _tensor(identity: object) -> tuple[str, int] | None:
    if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
        return None
    _, kind, key, _, count = identity
    size = _BYTES.get(str(kind).removeprefix("torch ").removesuffix("Storage"))
    return None if size is None or not isinstance(count, int) else (str(key), size * count)
