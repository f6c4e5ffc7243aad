"""The other unsupported operators of a program that cannot be run to its end.

An importer runs the program, so what comes after a result that nobody can stand in for is never
reached. To list everything at once, the calls of the whole program are looked at without running
them: those on tensors that depend on the model's inputs are converted or they are problems. Others
are computed by torch itself. ``scan_script.py`` and ``scan_fx.py`` find the calls.
"""

from __future__ import annotations

from fwd_core.ir import Location
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.problems import Problems
from fwd_ops_torch.importers.session import Session


class Scan:
    """Looks at calls, and at its end tells the session what there is in all."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._problems = Problems(session.request.plugins)
        self._supported = 0

    def see(self, schema: Schema, where: Location) -> None:
        """Take one call on a tensor that depends on the model's inputs."""
        if not schema.makes_tensors:
            return
        if schema.name in self._session.table:
            self._supported += 1
        else:
            self._problems.note_unknown(schema.name, where, self._session.table)

    def refuse(self, kind: str, reason: str, where: Location, hint: str) -> None:
        """Take a part of the program that no graph holds."""
        self._problems.add(kind, reason, where, hint)

    def end(self) -> None:
        """Add what was found to the session's problems, and tell how many calls are supported."""
        problems = self._session.problems
        problems.merge(self._problems)
        refused = sum(p.count for p in problems.listed() if p.operator in self._session.table)
        self._session.tell_converted(max(self._session.converted, self._supported - refused))
