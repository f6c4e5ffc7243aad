"""Files of arrays: ``.npy`` and ``.npz``. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fwd_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXPECTED = "an array that numpy.save wrote (.npy), or arrays of numpy.savez (.npz)"


def read_arrays(path: str, name: str = "") -> dict[str, NDArray[Any]]:
    """Arrays of a file, in native byte order: one for ``.npy``, all for ``.npz``.

    Args:
        path: The file.
        name: Of a ``.npz``, take the array of this name, or the only one.

    Raises:
        InputError: The file is missing or is no such file, holds no array of that name, or an
            element type that Forward has not.
    """
    import numpy as np

    from fwd_core.ir.dtypes import DType

    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
            stream.seek(0)
            if not head.startswith((b"\x93NUMPY", b"PK")):
                raise _no_arrays(path, f"it begins with {head!r}" if head else "it is empty")
            held = np.load(stream, allow_pickle=False)
            arrays = {"": held} if isinstance(held, np.ndarray) else dict(held)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read", expected=_EXPECTED, details=[str(error)]
        ) from None
    if not arrays:
        raise InputError(f"{path} holds no array")
    if others := [key for key, array in arrays.items() if not isinstance(array, np.ndarray)]:
        raise _no_arrays(path, f"it is an archive that holds {others[0]}")
    if name and "" not in arrays and len(arrays) != 1:
        if name not in arrays:
            raise InputError(
                f"{path} holds no array {name!r}", expected=name, got=", ".join(arrays) or "nothing"
            )
        arrays = {name: arrays[name]}
    for array in arrays.values():
        try:
            DType.of(array.dtype)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
    return {
        key: array.astype(array.dtype.newbyteorder("="), copy=False)
        for key, array in arrays.items()
    }


def write_arrays(path: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name to a ``.npz``, or the only one to a ``.npy``, atomically.

    Raises:
        EngineFileError: The folder does not exist or cannot be written.
    """
    import numpy as np

    from fwd_core.files import atomic_path

    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        if path.endswith(".npy"):
            (array,) = arrays.values()
            np.lib.format.write_array(stream, array, allow_pickle=False)
            return
        # numpy.savez takes names as keywords, of which it has some itself.
        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)


def _no_arrays(path: str, why: str) -> InputError:
    return InputError(
        f"{path} is no file of arrays",
        expected=_EXPECTED,
        details=[why],
        hint="write arrays of what the model takes: numpy.savez('x.npz', NAME=array)",
    )
