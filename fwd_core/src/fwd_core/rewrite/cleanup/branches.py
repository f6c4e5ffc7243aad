"""Make what is chosen when the engine runs as small as it can be."""

from __future__ import annotations

from fwd_core.ir import ops
from fwd_core.ir.emitter import Emitter
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.inline import inline


class SimplifyBranches:
    """Put a branch that is always taken in place of its If, and pass into others what they read.

    Constants move into the branches that read them, where they can be folded. An output goes if
    nothing reads it or if it is the same captured value in both branches.
    """

    name = "simplify-branches"

    def apply(self, graph: Graph) -> int:
        """Look at each If once, after those inside it."""
        changed = 0
        for node in graph:
            for inner in node.op.graphs():
                changed += self.apply(inner)
            op = node.op
            if not isinstance(op, ops.If):
                continue
            known = op.condition.constant
            if known is not None:
                emit = Emitter.before(node)
                taken = op.then if bool(known.data) else op.otherwise
                graph.replace_node(node, inline(emit, taken, op.captured), renamed=emit.added)
                changed += 1
            else:
                changed += _pass_by(graph, node, op) + _narrow(graph, node, op)
        return changed


def _pass_by(graph: Graph, node: Node, op: ops.If) -> int:
    """Let readers of outputs that are one captured value in both branches read that."""
    then = dict(zip(op.then.inputs, op.captured, strict=True))
    otherwise = dict(zip(op.otherwise.inputs, op.captured, strict=True))
    changed = 0
    for value, a, b in zip(node.outputs, op.then.outputs, op.otherwise.outputs, strict=True):
        source = then.get(a)
        if source is None or otherwise.get(b) is not source or not _is_read(graph, value):
            continue
        if source.type == value.type:
            graph.replace_uses(value, source, keep_name=False)
            changed += 1
    return changed


def _narrow(graph: Graph, node: Node, op: ops.If) -> int:
    """Drop outputs that nothing reads, and captured values that no branch reads."""
    kept = [index for index, value in enumerate(node.outputs) if _is_read(graph, value)]
    if not kept:
        return 0  # all of it is dead code
    branches = (op.then, op.otherwise)
    for branch in branches if len(kept) < len(node.outputs) else ():
        values = [branch.outputs[index] for index in kept]
        branch.set_outputs(values, [str(index) for index in range(len(kept))])
    first: dict[Value, int] = {}
    for position, value in enumerate(op.captured):
        for branch in branches:
            _move(branch, branch.inputs[position], value, first.get(value))
        first.setdefault(value, position)
    entering = [
        position
        for position in range(len(op.captured))
        if any(_is_read(branch, branch.inputs[position]) for branch in branches)
    ]
    if len(kept) == len(node.outputs) and len(entering) == len(op.captured):
        return 0
    for branch in branches:
        for position, value in enumerate(list(branch.inputs)):
            if position not in entering:
                branch.remove_input(value)
    captured = tuple(op.captured[position] for position in entering)
    new = Emitter.before(node).all(ops.If(op.condition, captured, *branches))
    for index, value in zip(kept, new, strict=True):
        graph.replace_uses(node.outputs[index], value)
    graph.remove(node)
    return 1


def _move(branch: Graph, entry: Value, source: Value, earlier: int | None) -> None:
    """Let a branch read a constant of its own, or the input that holds the same value."""
    if not _is_read(branch, entry):
        return
    if earlier is not None:
        branch.replace_uses(entry, branch.inputs[earlier], keep_name=False)
    elif (constant := source.constant) is not None:
        start, name = next(iter(branch), None), entry.name
        branch.rename(entry, f"{name}.replaced")
        own = branch.constant(constant, name=name, before=start)
        branch.replace_uses(entry, own, keep_name=False)


def _is_read(graph: Graph, value: Value) -> bool:
    return bool(value.users) or any(value is output for output in graph.outputs)
