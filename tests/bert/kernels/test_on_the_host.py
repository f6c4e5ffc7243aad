"""What the kernels compute, on threads of the host; tests/gpu has the same on a GPU."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import host_cuda
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_cases import Case, embedding_norms, skip_norms

from fwd_plugins_bert.kernels import norms
from fwd_plugins_bert.kernels.norms import Norm

pytestmark = pytest.mark.skipif(host_cuda.COMPILER is None, reason="no g++")
#: Each example compiles a kernel, which takes half a second.
FEW = settings(max_examples=6)
BLOCKS = st.sampled_from([None, 1, 2])


def result(case: Case, folder: Path, blocks: int | None, vector: int | None = None) -> Any:
    norm = case.norm
    vector = vector or norm.vector()
    held = {name: None if (array := getattr(case, name)) is None else host_cuda.aligned(array)
            for name in ("x", "skip", "bias", "scale", "shift")}  # fmt: skip
    lists = [list(map(host_cuda.aligned, each)) for each in (case.tables, case.indices, case.added)]
    out = host_cuda.aligned(case.out())

    def pointers(*names: str) -> list[Any]:
        return [ctypes.c_void_p(host_cuda.address(held[name])) for name in names]

    if norm.tables:
        terms = norms._terms(norm)()
        for i, (table, index) in enumerate(zip(lists[0], lists[1], strict=True)):
            terms.tables[i], terms.sizes[i] = host_cuda.address(table), len(table)
            terms.indices[i] = host_cuda.address(index)
        for i, one in enumerate(lists[2]):
            terms.added[i], terms.periods[i] = host_cuda.address(one), len(one)
        arguments = [terms, *pointers("scale", "shift")]
    else:
        arguments = pointers("x", "skip", "bias", "scale", "shift")
    arguments += [ctypes.c_void_p(host_cuda.address(out)), ctypes.c_longlong(case.rows)]
    arguments += [ctypes.c_float(case.epsilon), ctypes.c_float(case.step)]
    per_block = norm.threads(vector)[1]
    host_cuda.run(norm, vector, folder, blocks or -(-case.rows // per_block), arguments)
    return out


@FEW
@given(case=skip_norms(9, 1200), blocks=BLOCKS)
def test_residual_sums(
    tmp_path_factory: pytest.TempPathFactory, case: Case, blocks: int | None
) -> None:
    case.check(result(case, tmp_path_factory.mktemp("kernel"), blocks))


@FEW
@given(case=embedding_norms(9, 1200), blocks=BLOCKS)
def test_embeddings(
    tmp_path_factory: pytest.TempPathFactory, case: Case, blocks: int | None
) -> None:
    case.check(result(case, tmp_path_factory.mktemp("kernel"), blocks))


@pytest.mark.parametrize("half", [False, True])
def test_narrow_loads_give_the_same_bits(tmp_path: Path, half: bool) -> None:
    numbers = np.random.default_rng(2)
    case = Case(Norm(48, half, False, False), 5)
    case.x, case.skip = (numbers.standard_normal((5, 48)).astype(case.dtype) for _ in range(2))
    found = [result(case, tmp_path, None, vector) for vector in (1, 2, 4)]
    for one in found:
        case.check(one)


def test_ties_of_int8_go_to_the_even(tmp_path: Path) -> None:
    # A row of -1 and 1 stays what it is, and times these vectors gives ties.
    ties = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 200.5, -300.5, np.inf], np.float32)
    case = Case(Norm(8, int8=True), 1, epsilon=0.0, step=0.25)
    case.x = np.array([[1, -1] * 4], np.float32)
    case.skip, case.scale = np.zeros((1, 8), np.float32), np.zeros(8, np.float32)
    case.shift = ties * np.float32(0.25)
    assert result(case, tmp_path, None).tolist() == [[0, 2, 2, 0, -2, 127, -128, 127]]


def test_an_index_that_no_table_has_makes_a_row_of_nan(tmp_path: Path) -> None:
    case = Case(Norm(40, tables=2), 6)
    numbers = np.random.default_rng(3)
    case.scale, case.shift = np.ones((2, 40), np.float32)
    case.tables = [numbers.standard_normal((n, 40)).astype(np.float32) for n in (4, 2)]
    case.indices = [
        np.array([0, 4, 1, -4, -5, 3], np.int32),
        np.array([0, 0, 2, 1, 1, -3], np.int32),
    ]
    found = np.isnan(result(case, tmp_path, None))
    assert (found.all(-1) == found.any(-1)).all()
    assert found.any(-1).tolist() == [False, True, True, False, True, True]
