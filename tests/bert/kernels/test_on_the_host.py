"""What the kernels compute, on threads of the host; tests/gpu has the same on a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_kernels import COMPILER, Held, HostDriver
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from norm_cases import Array, Case, Launch, embedding_norms, skip_norms

from fwd_plugins_bert.kernels import driver
from fwd_plugins_bert.kernels.norms import Norm

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="there is no g++"),
    pytest.mark.usefixtures("host"),
]
#: Each example compiles a kernel, which takes half a second; a failing one is not made smaller.
FEW = settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BLOCKS = st.sampled_from([driver.MOST_BLOCKS, 1, 2])
OFFSETS = st.sampled_from([0, 0, 1, 2])


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kernels are that some test has compiled."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, libraries: Path) -> Any:
    made = HostDriver(libraries)
    monkeypatch.setattr(driver, "function", made.function)
    monkeypatch.setattr(driver, "launch", made.launch)
    return made


def result(case: Case, offset: int = 0, blocks: int = driver.MOST_BLOCKS) -> Array:
    launch = Launch(case, Held, offset)
    launch.queue(blocks=blocks)
    found: Array = launch.out.array
    return found


@FEW
@given(case=skip_norms(9, 1200), blocks=BLOCKS, offset=OFFSETS)
def test_residual_sums(case: Case, blocks: int, offset: int) -> None:
    case.check(result(case, offset, blocks))


@FEW
@given(case=embedding_norms(9, 1200), blocks=BLOCKS, offset=OFFSETS)
def test_embeddings(case: Case, blocks: int, offset: int) -> None:
    case.check(result(case, offset, blocks))


def test_ties_of_int8_go_to_the_even() -> None:
    # A row of -1 and 1 stays what it is, and times these vectors gives ties.
    ties = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 200.5, -300.5, np.inf], np.float32)
    case = Case(Norm(8, int8=True), 1, epsilon=0.0, step=0.25)
    case.x = np.array([[1, -1] * 4], np.float32)
    case.skip, case.scale = np.zeros((1, 8), np.float32), np.zeros(8, np.float32)
    case.shift = ties * np.float32(0.25)
    assert result(case).tolist() == [[0, 2, 2, 0, -2, 127, -128, 127]]


@pytest.mark.parametrize("step", [0.25, 0.1, 0.03, 0.007])
def test_int8_is_the_quotient_and_no_product_with_an_inverse(step: float) -> None:
    case = Case(Norm(256, int8=True), 1, epsilon=0.0, step=step)
    case.x = np.array([[1, -1] * 128], np.float32)
    case.skip, case.scale = np.zeros((1, 256), np.float32), np.zeros(256, np.float32)
    case.shift = (np.arange(-128, 128, dtype=np.float32) + np.float32(0.5)) * np.float32(step)
    wanted = np.clip(np.rint(case.shift / np.float32(step)), -128, 127)
    assert result(case)[0].tolist() == wanted.tolist()


def test_int8_is_made_of_halves_where_operands_are() -> None:
    case = Case(Norm(2, half=True, int8=True), 1, epsilon=0.0, step=1.0)
    case.x, case.skip = np.array([[[1, -1]], [[0, 0]]], np.float16)
    # 1.5 less so little that it is 1.5 in half, which goes to 2.
    case.scale, case.shift = np.array([[2**-12] * 2, [1.5] * 2], np.float16)
    assert result(case).tolist() == [[2, 2]]


def test_an_index_that_no_table_has_makes_a_row_of_nan() -> None:
    case = Case(Norm(40, tables=2), 6)
    numbers = np.random.default_rng(3)
    case.scale, case.shift = np.ones((2, 40), np.float32)
    case.tables = [numbers.standard_normal((n, 40)).astype(np.float32) for n in (4, 2)]
    rows = ([0, 4, 1, -4, -5, 3], [0, 0, 2, 1, 1, -3])
    case.indices = [np.array(each, np.int32) for each in rows]
    found = np.isnan(result(case))
    assert (found.all(-1) == found.any(-1)).all()
    assert found.any(-1).tolist() == [False, True, True, False, True, True]


def test_no_rows(host: HostDriver) -> None:
    case = Case(Norm(8, scale=False, shift=False), 0)
    case.x, case.skip = np.zeros((2, 0, 8), np.float32)
    assert result(case).shape == (0, 8)
    assert host.launches == 0
