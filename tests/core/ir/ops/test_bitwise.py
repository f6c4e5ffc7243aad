"""Types of operators on bits, and their decompositions, whose values OpenVINO computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from values import B, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Emitter, Graph, Tensor, Value, ops
from fwd_core.ir.ops.bitwise import BitwiseBinary

FAMILY = [ops.BitAnd, ops.BitOr, ops.BitXor, ops.ShiftLeft, ops.ShiftRight]
DTYPES = ["int8", "uint8", "int32"]
#: Masks of low bits and another one; also places.
NUMBERS = (0, 3, 5)


@pytest.mark.parametrize("cls", FAMILY)
def test_types(cls: type[BitwiseBinary]) -> None:
    assert cls(value(B, 1, dtype="int8"), value(3, dtype="int8")).infer() == kind(
        B, 3, dtype="int8"
    )
    with pytest.raises(GraphError, match=f"{cls.kind()}: element type not taken"):
        cls(value(2), value(2)).infer()
    with pytest.raises(GraphError, match="operands need one element type"):
        cls(value(2, dtype="int8"), value(2, dtype="int16")).infer()
    with pytest.raises(GraphError, match="do not broadcast"):
        cls(value(2, dtype="int8"), value(3, dtype="int8")).infer()


def expected(cls: type[BitwiseBinary], a: Any, b: Any) -> Any:
    """NumPy's own, and for shifts what torch gives for places that are none."""
    plain = {ops.BitAnd: np.bitwise_and, ops.BitOr: np.bitwise_or, ops.BitXor: np.bitwise_xor}
    if cls in plain:
        return plain[cls](a, b)
    bits = a.dtype.itemsize * 8
    wide, places = a.astype(np.int64), b.astype(np.int64)
    inside = (places >= 0) & (places < bits)
    if cls is ops.ShiftLeft:
        return np.where(inside, wide << np.where(inside, places, 0), 0).astype(a.dtype)
    return (wide >> np.where(inside, places, 63)).astype(a.dtype)


def operands(cls: type[BitwiseBinary], dtype: str) -> tuple[Any, Any]:
    limits, random = np.iinfo(dtype), np.random.default_rng(0)
    a = random.integers(limits.min, limits.max, (40,), np.int64, endpoint=True)
    a[:4] = limits.min, limits.max, 0, min(limits.max, -1 % 256)
    if cls in (ops.ShiftLeft, ops.ShiftRight):
        b = np.arange(40) - (0 if dtype == "uint8" else 3)
    else:
        b = random.permutation(a)
    return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("decomposed", [False, True], ids=["lowered", "decomposed"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cls", FAMILY)
def test_values(cls: type[BitwiseBinary], dtype: str, decomposed: bool) -> None:
    pytest.importorskip("openvino")
    from on_openvino import assert_same, run

    a, b = operands(cls, dtype)

    def make(graph: Graph, x: Value, y: Value) -> list[Value]:
        whole = graph.add(cls(x, y), name="whole")
        mask = graph.constant(Tensor(b), name="known")
        results = [whole, graph.add(cls(x, mask), name="known places")]
        results += [
            graph.add(cls(x, graph.constant(Tensor(np.array(number, dtype)), name="number")),
                      name="by number")
            for number in NUMBERS
        ]  # fmt: skip
        return [apart(graph, one) for one in results] if decomposed else results

    got = run(make, a, b)
    with np.errstate(over="ignore"):
        wanted = [expected(cls, a, b)] * 2
        wanted += [expected(cls, a, np.full_like(a, n)) for n in NUMBERS]
    assert len(got) == len(wanted)
    for one, right in zip(got, wanted, strict=True):
        assert_same(one, right)


def apart(graph: Graph, result: Value) -> Value:
    """What an operator and those that come of it decompose to."""
    node = result.producer
    assert node is not None
    simpler = node.op.decompose(Emitter(graph, base="apart"))
    assert isinstance(simpler, Value)
    for one in list(graph):
        if isinstance(one.op, BitwiseBinary) and one.name.startswith("apart"):
            inner = one.op.decompose(Emitter.before(one))
            assert inner is not None
            if one.outputs[0] is simpler:
                simpler = inner  # type: ignore[assignment]
            graph.replace_node(one, inner)
    return simpler
