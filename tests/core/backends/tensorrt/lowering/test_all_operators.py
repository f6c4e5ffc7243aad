"""Every operator in every case: TensorRT infers the graph's types and shapes, and compiles it."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorrt_rtx")

from operator_cases import BATCH, CASES, FLOATS, STATIC, Case
from tensorrt_networks import LIKE_8, LIKE_10, assert_types, build

from fwd_core.backends.tensorrt.features import Features
from fwd_core.ir import Dim, ops
from fwd_core.rewrite.precision import narrow_float64

#: They decompose to BitAnd, whose network of every dtype is compiled, which takes seconds.
OF_AND = (ops.BitOr, ops.BitXor)

pytestmark = pytest.mark.filterwarnings("ignore::fwd_core.rewrite.precision.PrecisionWarning")


@pytest.mark.parametrize("batch", [STATIC, BATCH], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_types_and_shapes_are_inferred_as_declared(case: Case, batch: Dim) -> None:
    graph = case.graph(case.dtypes, batch)
    narrow_float64(graph)
    assert_types(graph)
    if case.operator in OF_AND:
        graph = case.graph(("int32", "uint8"), batch)
    build(graph)


@pytest.mark.parametrize(
    ("features", "batch"), [(LIKE_10, BATCH), (LIKE_8, STATIC)], ids=["like-10", "like-8"]
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_other_flavours_forms_are_layers_too(case: Case, features: Features, batch: Dim) -> None:
    dtypes = case.dtypes
    if case.operator is ops.Pow and not features.integer_power:
        dtypes = FLOATS
    graph = case.graph(dtypes, batch)
    narrow_float64(graph)
    assert_types(graph, features)


def test_the_cases_use_every_operator() -> None:
    operators = set(ops.core_operators()) - {ops.Constant}  # weights of the others are constants
    assert operators == {case.operator for case in CASES}
