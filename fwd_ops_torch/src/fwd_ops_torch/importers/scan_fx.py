"""A look at all calls of an exported program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import GraphModule, Node

from fwd_core.ir import Location
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers import refusals
from fwd_ops_torch.importers.scan import Scan
from fwd_ops_torch.importers.session import Session

Where = Callable[[Node], Location]


def scan_fx(session: Session, module: GraphModule, inputs: set[Any], where: Where) -> None:
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


def _scan_module(scan: Scan, module: GraphModule, live: set[Any], where: Where) -> None:
    for node in module.graph.nodes:
        target: Any = node.target
        known = isinstance(target, torch._ops.OpOverload)
        random = known and torch.Tag.nondeterministic_seeded in target.tags
        if not random and not any(operand in live for operand in node.all_input_nodes):
            continue
        live.add(node)
        if known:
            schema = schemas.of(target._schema)
            if schema.written is not None:
                live.update(_written(node))
            scan.see(schema, where(node))
        elif isinstance(target, torch._ops.HigherOrderOperator):
            if (refusal := refusals.higher_order(str(target), node.args)) is not None:
                operator, reason, hint = refusal
                scan.refuse(operator, reason, where(node), hint)
            for body in node.all_input_nodes:
                inner = getattr(module, str(body.target), None) if body.op == "get_attr" else None
                if isinstance(inner, GraphModule):
                    entries = {one for one in inner.graph.nodes if one.op == "placeholder"}
                    _scan_module(scan, inner, entries, where)


def _written(node: Node) -> set[Any]:
    """The tensor that an operator in place writes, and those that it is a view of."""
    found: set[Any] = set()
    target: Any = node
    while isinstance(target, Node):
        found.add(target)
        schema = getattr(target.target, "_schema", None)
        told = schema is not None and schema.returns and schema.returns[0].alias_info is not None
        target = target.args[0] if told and target.args else None
    return found
