"""What to do about sizes that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from fwd_core.errors import GraphError
from fwd_core.ir import DType, Graph, TensorType, ops, symbol
from fwd_core.ir.dim_hints import LITERAL, ONE_NAME, contradiction, point_text, raise_least

B, H = symbol("batch", 1, 4, 8), symbol("h", 3, 5, 9)


def kind(*shape: Any) -> TensorType:
    return TensorType(DType.FLOAT32, shape)


@pytest.mark.parametrize(
    ("expected", "got", "hint"),
    [
        (B, 4, LITERAL),
        (4, 2 * B, LITERAL),
        (B, H, ONE_NAME),
        (B, B + 1, None),
        (4, 5, None),
        (B, B, None),
        ("rank 2", 3, None),
        (None, None, None),
        (kind(2, B), kind(2, 4), LITERAL),
        (kind(3, B), kind(2, B), None),
        ([B, 2], kind(4, 2), LITERAL),
        ((2, 4), (2, B), LITERAL),
        (B, [2, 2], LITERAL),
        (B, [2, H], ONE_NAME),
        (B, kind(2, 2), None),
        (kind(B), kind(4, 2), None),
    ],
)
def test_contradiction(expected: object, got: object, hint: str | None) -> None:
    assert contradiction(expected, got) == hint


def test_words() -> None:
    assert "write it in the model as x.shape[i] or -1" in LITERAL
    assert point_text({"batch": 1, "h": 3}) == "batch is 1 and h is 3"
    assert raise_least(["a", "b"], "take it whole") == (
        "raise the least value in the range of a and b, or build that size static, or take it whole"
    )


def test_operators_of_a_graph_say_it() -> None:
    graph = Graph()
    x, y = graph.add_input("x", kind(B, 2)), graph.add_input("y", kind(4, 2))
    z = graph.add_input("z", kind(H, 2))
    for op, hint in (
        (lambda: ops.Add(x, y).infer(), LITERAL),
        (lambda: ops.Add(x, z).infer(), ONE_NAME),
        (lambda: ops.Concat((x, y), 1).infer(), LITERAL),
        (lambda: ops.Expand(x, (4, 2)).infer(), LITERAL),
        (lambda: ops.Reshape(x, (4, 2)).infer(), LITERAL),
        (lambda: ops.MatMul(x, y, True, False).infer(), LITERAL),
    ):
        with pytest.raises(GraphError) as caught:
            op()
        assert str(caught.value).endswith(f"Hint: {hint}")
