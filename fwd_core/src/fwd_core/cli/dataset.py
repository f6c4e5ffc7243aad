"""Calibration data of the command line: files of arrays, cut into batches."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.cli import feeds
from fwd_core.cli.arrays import read_arrays
from fwd_core.errors import ForwardWarning, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fwd_core.backends import Port

#: Stands for batches that are made up.
RANDOM = "random"
RANDOM_BATCHES = 4
_ENDINGS = (".npy", ".npz")


class Dataset:
    """Batches of files, for the inputs of a model; it can be gone through again.

    A ``.npy`` file gives a model of one input its array, a ``.npz`` file gives arrays by the names
    of the inputs, or in their order where the names are NumPy's own. A folder gives its files in
    the order of their names. Arrays of more rows than the model's batch are cut into batches.

    Args:
        path: A file or a folder.

    Raises:
        InputError: There is no such file, or none in the folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.files = _files(path)

    def __call__(self, ports: Sequence[Port]) -> Iterator[Mapping[str, Any]]:
        """Batches for the inputs of a model, which are read as they are asked for.

        Raises:
            InputError: A file does not fit the inputs.
        """
        for file in self.files:
            arrays = _by_name(file, ports)
            yield from _cut(file, ports, arrays)


def random_batches(ports: Sequence[Port]) -> Iterator[Mapping[str, Any]]:
    """A few batches as ``fwd bench`` makes them up. They tell how fast int8 is, not how good."""
    from fwd_core.quantize.batches import MadeUp

    for seed in range(RANDOM_BATCHES):
        yield MadeUp(feeds.complete(ports, {}, None, seed=seed))


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise InputError(
                f"there is no file or folder {path}",
                hint="calibration data is a .npy or .npz file, or a folder of them",
            )
        return [path]
    found = [os.path.join(path, name) for name in sorted(os.listdir(path))]
    if not (found := [one for one in found if one.endswith(_ENDINGS)]):
        raise InputError(f"there are no .npy or .npz files in {path}")
    return found


def _by_name(file: str, ports: Sequence[Port]) -> dict[str, NDArray[Any]]:
    arrays = read_arrays(file)
    names = [port.name for port in ports]
    expected = ", ".join(map(str, ports))
    if all(re.fullmatch(r"arr_\d+", name) for name in arrays) or set(arrays) == {""}:
        if len(arrays) != len(ports):
            raise InputError(
                f"{file} holds another number of arrays than the model has inputs",
                expected=expected,
                got=len(arrays),
                hint="numpy.savez(file, NAME=array, …) names them",
            )
        return dict(zip(names, arrays.values(), strict=True))
    if set(arrays) != set(names):
        raise InputError(
            f"{file} holds other arrays than the model has inputs",
            expected=expected,
            got=", ".join(arrays),
            hint="write the arrays of the model's inputs alone, by their names: numpy.savez(file, "
            "NAME=array, …); a stream of text has inputs=[...] for that",
        )
    return {name: arrays[name] for name in names}


def _cut(
    file: str, ports: Sequence[Port], arrays: dict[str, NDArray[Any]]
) -> Iterator[Mapping[str, Any]]:
    """Batches of arrays that hold many rows: as many as the model takes, or is tuned for."""
    from fwd_core.ir.dims import single_symbol
    from fwd_core.quantize.batches import FromFile

    rows = {len(array) if array.ndim else 0 for array in arrays.values()}
    first = ports[0].type
    batch = first.shape[0] if first.rank else 0
    if not isinstance(batch, int):
        symbol = single_symbol(batch)
        batch = 0 if symbol is None or rows == {0} or min(rows) <= symbol.max else symbol.opt
    apart = any(arrays[port.name].ndim != port.type.rank for port in ports)
    if apart or len(rows) != 1 or batch < 1 or (count := rows.pop()) <= batch:
        yield FromFile(arrays, file)  # one batch; what does not fit is refused where it is run
        return
    whole = count - count % batch
    for start in range(0, whole, batch):
        yield _rows(file, arrays, start, start + batch)
    if whole == count:
        return
    if isinstance(first.shape[0], int):
        warnings.warn(
            f"{file}: the last {count - whole} of {count} rows fill no batch of {batch} and are "
            "left out",
            ForwardWarning,
            stacklevel=2,
        )
    else:
        yield _rows(file, arrays, whole, count)


def _rows(file: str, arrays: dict[str, NDArray[Any]], start: int, end: int) -> Mapping[str, Any]:
    from fwd_core.quantize.batches import FromFile

    cut = {name: array[start:end] for name, array in arrays.items()}
    return FromFile(cut, f"{file}, rows {start} … {end - 1}")
