"""Every operator in every case: TensorRT infers the graph's types and shapes, and compiles it."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorrt_rtx")

from operator_cases import BATCH, CASES, STATIC, Case
from tensorrt_networks import assert_types, build

from fwd_core.ir import Dim, ops
from fwd_core.rewrite.precision import narrow_float64

pytestmark = pytest.mark.filterwarnings("ignore::fwd_core.rewrite.precision.PrecisionWarning")


@pytest.mark.parametrize("batch", [STATIC, BATCH], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_types_and_shapes_are_inferred_as_declared(case: Case, batch: Dim) -> None:
    graph = case.graph(case.dtypes, batch)
    narrow_float64(graph)
    assert_types(graph)
    build(graph)


def test_the_cases_use_every_operator() -> None:
    operators = set(ops.core_operators()) - {ops.Constant}  # weights of the others are constants
    assert operators == {case.operator for case in CASES}
