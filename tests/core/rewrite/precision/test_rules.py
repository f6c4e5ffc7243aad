from __future__ import annotations

from fwd_core.ir import ops
from fwd_core.rewrite.precision import RULES

#: Operators without a float among their operands have no precision to choose.
WITHOUT_FLOATS = {
    ops.And,
    ops.Or,
    ops.Xor,
    ops.Not,
    *(ops.BitAnd, ops.BitOr, ops.BitXor, ops.ShiftLeft, ops.ShiftRight),
    ops.ReduceAny,
    ops.ReduceAll,
    ops.Constant,
    ops.DimValue,
    ops.Full,
    ops.Arange,
}


def test_every_operator_on_floats_has_a_rule() -> None:
    assert set(ops.core_operators()) - WITHOUT_FLOATS == set(RULES)
