"""Types of activations with operands of their own."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, ops


@pytest.mark.parametrize("slope", [(), (1,), (3, 1), (1, 3, 1), (B, 3, 4)])
def test_slopes_broadcast(slope: tuple[Dim, ...]) -> None:
    assert ops.PRelu(value(B, 3, 4), value(*slope)).infer() == kind(B, 3, 4)


def test_slopes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(GraphError, match=r"fwd.PRelu: element type not taken"):
        ops.PRelu(value(2, dtype="int32"), value(2, dtype="int32")).infer()
    with pytest.raises(GraphError, match=r"operands need one element type"):
        ops.PRelu(value(2), value(2, dtype="float16")).infer()
    with pytest.raises(GraphError, match=r"fwd.PRelu: shapes .* do not broadcast"):
        ops.PRelu(value(2), value(3)).infer()
    with pytest.raises(GraphError, match=r"the slope has more axes than x\n  expected: at most 1"):
        ops.PRelu(value(2), value(1, 2)).infer()
    for size in (3, H):
        with pytest.raises(GraphError, match=r"fwd.PRelu: sizes differ"):
            ops.PRelu(value(1), value(size)).infer()
