"""Loops of exported programs: those of a known number of rounds are unrolled.

``while_loop``, ``scan`` and ``map`` are operators of ``torch._higher_order_ops``; the functions
that they repeat are graph modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fwd_core.errors import ConversionError
from fwd_core.ir import DimExpr, Location
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers import prims, queries
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.refusals import LOOP_HINT, UNROLL_LIMIT, control_flow, too_many_rounds
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.undecided import Undecided

#: Runs a graph module on its inputs: results are flat.
Run = Callable[[Any, Sequence[Any]], list[Any]]


class Loops:
    """The loops of one import.

    Args:
        session: Where operators go.
        run: Runs one of the functions that are repeated.
    """

    def __init__(self, session: Session, run: Run) -> None:
        self._session = session
        self._run = run

    def unrolled(self, name: str, arguments: Sequence[Any], where: Location) -> tuple[Any, ...]:
        """The results of a loop.

        Args:
            name: One of :data:`LOOPS`.
            arguments: Those of the operator.
            where: Where in the user's model.

        Raises:
            CannotContinueError: The number of rounds is not known; the session's problems say why.
            ConversionError: There are too many rounds.
        """
        return tuple(LOOPS[name](self, where, *arguments))

    def _while(
        self, where: Location, condition: Any, body: Any, carried: Sequence[Any],
        more: Sequence[Any] = (),
    ) -> list[Any]:  # fmt: skip
        """while_loop(condition, body, carried, more): (carried, more) -> bool, and -> carried."""
        held, rounds = list(carried), 0
        while True:
            (again,) = self._run(condition, (*held, *more))
            truth = queries.number(again, bool) if isinstance(again, TensorRef) else again
            if isinstance(truth, Undecided):
                self._refuse("while_loop", truth, where)
            if not truth:
                return held
            rounds += 1
            self._require_few(rounds, where)
            held = self._run(body, (*held, *more))

    def _scan(
        self, where: Location, body: Any, carried: Sequence[Any], xs: Sequence[Any],
        more: Sequence[Any] = (),
    ) -> list[Any]:  # fmt: skip
        """scan(body, carried, xs, more): (carried, one of xs, more) -> (carried, one result)."""
        held, rows = list(carried), []
        for index in range(self._count("scan", xs, where)):
            results = self._run(body, (*held, *self._one_of(xs, index, where), *more))
            held = results[: len(held)]
            rows.append(results[len(held) :])
        return [*held, *self._stacked(rows, where)]

    def _map(
        self, where: Location, body: Any, xs: Sequence[Any], more: Sequence[Any] = ()
    ) -> list[Any]:
        """map_impl(body, xs, more): (one of xs, more) -> one result."""
        count = self._count("map", xs, where)
        rows = [self._run(body, (*self._one_of(xs, i, where), *more)) for i in range(count)]
        return self._stacked(rows, where)

    def _count(self, name: str, xs: Sequence[Any], where: Location) -> int:
        size = xs[0].type.shape[0]
        if isinstance(size, DimExpr):
            self._refuse(name, prims.dynamic_count(size), where)
        self._require_few(size, where)
        if size == 0:
            raise ConversionError(f"a {name} of no rounds has no results", where=where)
        return int(size)

    def _require_few(self, rounds: int, where: Location) -> None:
        if rounds > UNROLL_LIMIT:
            raise too_many_rounds(where)

    def _refuse(self, name: str, doubt: Undecided, where: Location) -> None:
        hint = LOOP_HINT if doubt.data else doubt.hint
        label = f"higher_order::{name}"
        self._session.problems.add(label, control_flow("prim::Loop", doubt), where, hint)
        raise CannotContinueError(label)

    def _one_of(self, xs: Sequence[Any], index: int, where: Location) -> list[Any]:
        return [
            self._session.call(_SELECT, {"self": x, "dim": 0, "index": index}, where) for x in xs
        ]

    def _stacked(self, rows: Sequence[Sequence[Any]], where: Location) -> list[Any]:
        return [
            self._session.call(_STACK, {"tensors": list(column), "dim": 0}, where)
            for column in zip(*rows, strict=True)
        ]


LOOPS: dict[str, Callable[..., list[Any]]] = {
    "while_loop": Loops._while,
    "scan": Loops._scan,
    "map_impl": Loops._map,
}
(_STACK,) = (one for one in schemas.overloads("aten::stack") if not one.has_out)
_SELECT = schemas.overload("aten::select", "int")
