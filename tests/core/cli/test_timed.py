"""What ``fwd bench --modes`` times engines on: given values, else data, else made-up values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from values import kind

from fwd_core.backends import Port
from fwd_core.cli.inputs import parse_all
from fwd_core.cli.timed import Timed, chosen, kept
from fwd_core.ir import DType, TensorType

PORTS = [
    Port("ids", TensorType(DType.INT64, (2, 3))),
    Port("mask", TensorType(DType.INT64, (2, 3))),
]
FIRST = {name: np.full((2, 3), number) for name, number in (("ids", 7), ("mask", 5))}


def _chosen(*texts: str, first: Any = FIRST) -> Timed:
    return chosen(PORTS, parse_all(texts), None, first, "windows.npz")


def _numbers(timed: Timed) -> dict[str, set[int]]:
    return {name: set(array.ravel().tolist()) for name, array in timed.arrays.items()}


def test_the_first_batch_is_timed() -> None:
    for texts in ([], ["ids=2x3:int64", "mask=2x3:int64"]):
        found = _chosen(*texts)
        assert found.told == "the first batch of windows.npz"
        assert _numbers(found) == {"ids": {7}, "mask": {5}}


def test_values_are_made_up_without_data() -> None:
    found = _chosen(first=None)
    assert found.told == "random values"
    assert _numbers(found) == {"ids": {0, 1}, "mask": {0, 1}}


def test_given_values_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", np.full((2, 3), 9))
    found = _chosen("mask=@m.npy")
    assert found.told == "mask: --input; ids: the first batch of windows.npz"
    assert _numbers(found) == {"ids": {7}, "mask": {9}}
    found = _chosen("mask=@m.npy", "ids=@m.npy")
    assert found.told == "values of --input"
    assert _numbers(found) == {"ids": {9}, "mask": {9}}
    found = _chosen("mask=@m.npy", first=None)
    assert found.told == "mask: --input; ids: random values"


def test_a_batch_of_other_shapes_is_left_out(tmp_path: Path) -> None:
    wide = {"ids": np.ones((2, 3), np.int64), "mask": np.ones((2, 4), np.int64)}
    found = _chosen(first=wide)
    assert found.told == (
        "random values; the first batch of windows.npz has other shapes: ids [2, 3], mask [2, 4]"
    )
    assert _numbers(found) == {"ids": {0, 1}, "mask": {0, 1}}
    np.save(path := tmp_path / "m.npy", np.full((2, 3), 9))
    found = _chosen(f"mask=@{path}", first=wide)
    assert found.told == "mask: --input; ids: the first batch of windows.npz", "mask is not needed"


def test_a_batch_is_kept_as_engines_take_it() -> None:
    ports = [Port("x", kind(2, 3))]
    filled = np.zeros((3, 2), np.float32)
    taken = kept(ports, {"x": filled.T, "label": None})
    filled[:] = 1
    assert list(taken) == ["x"]
    assert not taken["x"].any(), "the next batch may be written into the same array"
    assert taken["x"].flags.c_contiguous
