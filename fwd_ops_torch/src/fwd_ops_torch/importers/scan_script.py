"""A look at all calls of a TorchScript program, without running it.

A value is *live* if it depends on the contents of the model's inputs. Sizes and types of live
tensors are not: they are known, or expressions that are. So a condition that is live is on data and
the engine will choose: both branches are looked at. A condition that is not live is decided at
import. If the import came by it, the branch that it took is looked at; if not, neither is, because
one of them is dead. What they return may be live all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fwd_core.ir import Location
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers import nested, prims, queries, refusals, scalars
from fwd_ops_torch.importers.locations import locate
from fwd_ops_torch.importers.nearby import frames_of
from fwd_ops_torch.importers.problems import tags
from fwd_ops_torch.importers.scan import Scan
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.undecided import depends_on_data

#: Operators without a schema that say what the program is, and are no problem by themselves.
_STRUCTURE = frozenset({"prim::Constant", "prim::GetAttr", "prim::SetAttr", "prim::CallFunction"})
#: Operators whose plain results depend on the contents of tensors.
_READS = queries.NUMBERS | {"aten::is_nonzero", "aten::equal", "aten::allclose", "prim::tolist"}


def scan_script(session: Session, graph: Any, decisions: Mapping[str, set[bool]]) -> None:
    """Look at a TorchScript program.

    Args:
        session: The import.
        graph: The method that the import ran, with all calls inlined.
        decisions: How conditions came out, by the places of their branches.
    """
    scan = Scan(session)
    inputs = list(graph.inputs())[1:]  # without the module; numbers are fixed at build
    live = {value.debugName() for value in inputs if _holds_tensors(value)}
    _Walk(scan, live, decisions).block(graph, see=True)
    scan.end()


class _Walk:
    """Goes through blocks, in the order of the program."""

    def __init__(self, scan: Scan, live: set[str], decisions: Mapping[str, set[bool]]) -> None:
        self._scan = scan
        self._live = live
        self._decisions = decisions

    def block(self, block: Any, *, see: bool) -> None:
        """Learn what is live in a block; with ``see``, take its calls too."""
        for node in block.nodes():
            kind = node.kind()
            if kind == "prim::If":
                self._if(node, see=see)
            elif kind == "prim::Loop":
                self._loop(node, see=see)
            else:
                self._call(node, see=see)

    def _if(self, node: Any, *, see: bool) -> None:
        on_data = self._is_live(node.inputsAt(0))
        taken = {True, False} if on_data else self._taken(node)
        for chosen, branch in zip((True, False), node.blocks(), strict=True):
            self.block(branch, see=see and chosen in taken)
            for output, result in zip(node.outputs(), branch.outputs(), strict=True):
                self._mark(output, on_data or self._is_live(result))

    def _taken(self, node: Any) -> set[bool]:
        maker = node.inputsAt(0).node()
        if maker.kind() == "prim::Constant":
            return {bool(maker.output().toIValue())}
        place = node.sourceRange()
        return self._decisions.get(place, set()) if place else set()

    def _loop(self, node: Any, *, see: bool) -> None:
        limit, condition, *carried = node.inputs()
        (body,) = node.blocks()
        _, *entries = body.inputs()
        again, *results = body.outputs()
        known = -1
        while known != len(self._live):  # what one round makes live, the next one starts with
            known = len(self._live)
            for before, entry, result in zip(carried, entries, results, strict=True):
                self._mark(entry, self._is_live(before) or self._is_live(result))
            self.block(body, see=False)
        on_data = any(map(self._is_live, (limit, condition, again)))
        if on_data and see:
            self._refuse_loop(node)
        self.block(body, see=see)
        for output, entry in zip(node.outputs(), entries, strict=True):
            self._mark(output, on_data or self._is_live(entry))

    def _call(self, node: Any, *, see: bool) -> None:
        kind, schema = node.kind(), refusals.schema_of(node)
        refused = schema is None and _is_refused(node)
        if refused and see:
            reason, hint = refusals.reason_of(node)
            self._scan.refuse(kind, reason, _where(node), hint)
        operands = [value for value in node.inputs() if self._is_live(value)]
        if not operands and not refused and not _is_random(kind):
            return
        reads_data = kind in _READS or not any(map(_holds_tensors, operands))
        for output in node.outputs():
            self._mark(output, _holds_tensors(output) or reads_data)
        if schema is None:
            return
        if schema.written is not None:
            self._mark_written(node, schema)
        if see and kind not in prims.HANDLERS and kind not in nested.KINDS:
            self._scan.see(schema, _where(node))

    def _mark_written(self, node: Any, schema: Schema) -> None:
        """What an operator in place writes is live, and so is what that is a view of."""
        value = node.inputsAt(0)
        while True:
            self._mark(value, True)
            maker = value.node()
            schema_of_maker = refusals.schema_of(maker)
            if schema_of_maker is None or not any(one.alias for one in schema_of_maker.returns):
                return
            value = maker.inputsAt(0)

    def _is_live(self, value: Any) -> bool:
        return value.debugName() in self._live

    def _mark(self, value: Any, live: bool) -> None:
        if live:
            self._live.add(value.debugName())

    def _refuse_loop(self, node: Any) -> None:
        reason = refusals.control_flow(node.kind(), depends_on_data(""))
        self._scan.refuse(node.kind(), reason, _where(node), refusals.LOOP_HINT)


def _holds_tensors(value: Any) -> bool:
    return _mentions_tensors(value.type())


def _mentions_tensors(kind: Any) -> bool:
    if "Tensor" in str(kind):
        return True
    # A named tuple is told by its name alone.
    return bool(kind.kind() == "TupleType" and any(map(_mentions_tensors, kind.elements())))


def _is_refused(node: Any) -> bool:
    kind = node.kind()
    if kind in _STRUCTURE or kind in prims.HANDLERS or scalars.is_known(kind):
        return False
    if kind == "prim::CreateObject":
        return not prims.is_mode(node)
    # Methods of objects are those of one that is listed already, or of a mode.
    return bool(kind != "prim::CallMethod")


def _is_random(kind: str) -> bool:
    return kind.startswith("aten::") and torch.Tag.nondeterministic_seeded in tags(kind)


def _where(node: Any) -> Location:
    return locate("", node.kind(), frames_of(node))
