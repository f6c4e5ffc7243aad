"""Inputs that pick rows of tables, as token ids do, and which numbers there are rows for.

Backends do not check indices: one that is out of range picks zeros, or whatever stands there, and
a calibration with it goes wrong in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.errors import InputError
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Node, Value

#: What keeps every number of its operand ``x``, so that an id in the input is one in the result.
_KEEPING = (ops.Reshape, ops.Squeeze, ops.Unsqueeze, ops.Transpose, ops.Expand)
_WIDE = {DType.INT32, DType.INT64}
#: In the names of operators that take no negative ids; others count those from the end.
_EMBEDDING = "embedding"


@dataclass(frozen=True)
class Table:
    """What an input picks from.

    Attributes:
        node: What picks.
        rows: How many rows there are.
        least: The least number that picks one.
    """

    node: Node
    rows: int
    least: int

    def check(self, name: str, array: NDArray[Any]) -> None:
        """Refuse numbers that there are no rows for.

        Raises:
            InputError: There are such numbers.
        """
        if not array.size or (array.min() >= self.least and array.max() < self.rows):
            return
        wrong = np.argwhere((array < self.least) | (array >= self.rows))
        first = tuple(int(one) for one in wrong[0])
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(
            f"input {name!r} has numbers that pick no row of a table of {self.rows}",
            expected=f"{self.least} … {self.rows - 1}",
            got=f"{array[first]} at {list(first)}{more}",
            details=[f"the table is picked from by {str(self.node.location) or self.node.name}"],
            hint="the ids must be of this very model's vocabulary: look at its tokenizer",
        )


def tables(graph: Graph) -> dict[str, list[Table]]:
    """Tables by the names of the inputs whose every number picks a row.

    Inputs that are computed with before they pick, or cut, are left out: what is picked is not
    known then.
    """
    found: dict[str, list[Table]] = {}
    inputs = set(graph.inputs)
    for node in graph:
        if not isinstance(node.op, ops.Gather):
            continue
        source = _source(node.op.indices)
        rows = node.op.x.type.shape[node.op.axis]
        if source in inputs and isinstance(rows, int):
            least = 0 if _EMBEDDING in node.location.operator else -rows
            found.setdefault(source.name, []).append(Table(node, rows, least))
    return found


def check(known: Mapping[str, list[Table]], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse inputs with numbers that pick no row.

    Args:
        known: From :func:`tables`.
        arrays: By input name.

    Raises:
        InputError: There are such numbers.
    """
    for name, picked in known.items():
        for table in picked:
            table.check(name, arrays[name])


def _source(value: Value) -> Value:
    """The tensor that a value has its numbers from."""
    while (made := value.producer) is not None:
        op = made.op
        kept = isinstance(op, ops.Cast) and {op.x.type.dtype, value.type.dtype} <= _WIDE
        if not (kept or isinstance(op, _KEEPING)):
            break
        value = next(op.operands())
    return value
