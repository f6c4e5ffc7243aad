"""The other unsupported operators of a program that cannot be run to its end.

An importer runs the program, so what comes after a result that nobody can stand in for is never
reached. To list everything at once, the calls of the whole program are looked at without running
them: those on tensors that depend on the model's inputs are converted or they are problems. Others
are computed by torch itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.fx import GraphModule

from fwd_core.ir import Location
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers import prims
from fwd_ops_torch.importers.locations import frames_of_range, locate
from fwd_ops_torch.importers.problems import Problems, tags
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

    def end(self) -> None:
        """Add what was found to the session's problems, and tell how many calls are supported."""
        problems = self._session.problems
        problems.merge(self._problems)
        refused = sum(p.count for p in problems.listed() if p.operator in self._session.table)
        self._session.tell_converted(max(self._session.converted, self._supported - refused))


def scan_script(session: Session, module: torch.jit.ScriptModule) -> None:
    """Look at a TorchScript program. Branches are left out: whether they are taken is not known."""
    scan = Scan(session)
    graph = module.inlined_graph
    live = {value.debugName() for value in list(graph.inputs())[1:]}  # without the module
    for node in _nodes(graph):
        kind, text = node.kind(), node.schema()
        if not any(value.debugName() in live for value in node.inputs()) and not _random(kind):
            continue
        made = [value for value in node.outputs() if "Tensor" in str(value.type())]
        live |= {value.debugName() for value in made}
        live |= {value.debugName() for block in node.blocks() for value in block.inputs()}
        if kind not in prims.HANDLERS and not text.startswith("("):
            scan.see(schemas.parse(text), locate("", kind, frames_of_range(node.sourceRange())))
    scan.end()


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        if node.kind() != "prim::If":
            for inner in node.blocks():
                yield from _nodes(inner)


def scan_fx(session: Session, module: GraphModule, inputs: set[Any], where: Any) -> None:
    """Look at an exported program.

    Args:
        session: The import.
        module: The program.
        inputs: Placeholders that depend on the model's inputs.
        where: Gives the location of a node.
    """
    scan = Scan(session)
    _scan_module(scan, module, set(inputs), where)
    scan.end()


def _scan_module(scan: Scan, module: GraphModule, live: set[Any], where: Any) -> None:
    for node in module.graph.nodes:
        target = node.target
        known = isinstance(target, torch._ops.OpOverload)
        random = known and torch.Tag.nondeterministic_seeded in target.tags
        if not random and not any(operand in live for operand in node.all_input_nodes):
            continue
        live.add(node)
        if known:
            scan.see(schemas.of(target._schema), where(node))
        elif isinstance(target, torch._ops.HigherOrderOperator):
            for body in node.all_input_nodes:
                inner = getattr(module, str(body.target), None) if body.op == "get_attr" else None
                if isinstance(inner, GraphModule):
                    entries = {one for one in inner.graph.nodes if one.op == "placeholder"}
                    _scan_module(scan, inner, entries, where)


def _random(kind: str) -> bool:
    return kind.startswith("aten::") and torch.Tag.nondeterministic_seeded in tags(kind)
