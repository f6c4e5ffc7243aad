"""Files of arrays: ``.npy`` and ``.npz``. Nothing is unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fwd_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
            held = np.load(stream, allow_pickle=False)
            arrays = {"": held} if isinstance(held, np.ndarray) else dict(held)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read",
            expected="an array that numpy.save wrote, or arrays of numpy.savez",
            details=[str(error)],
        ) from None
    if not arrays:
        raise InputError(f"{path} holds no array")
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
