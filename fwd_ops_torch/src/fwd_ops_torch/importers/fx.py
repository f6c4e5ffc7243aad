"""Walking torch.fx graphs, as torch.export makes them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node

from fwd_core.errors import ForwardError
from fwd_core.ir import Location
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers import numbers, queries, refusals
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.branches import Run, tell_unchecked
from fwd_ops_torch.importers.locations import frames_of_trace, locate
from fwd_ops_torch.importers.loops_fx import LOOPS, Loops
from fwd_ops_torch.importers.merging import choose
from fwd_ops_torch.importers.problems import CannotContinueError
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.symbols import SymbolTable
from fwd_ops_torch.importers.undecided import Undecided

#: Operators that check and compute nothing.
ASSERTIONS = frozenset(
    {
        "aten::_assert_tensor_metadata",
        "aten::sym_constrain_range",
        "aten::sym_constrain_range_for_size",
        "aten::_assert_scalar",
    }
)


class FxInterpreter:
    """Runs a graph module on tensor refs.

    Args:
        session: Where operators go.
        symbols: What symbolic sizes stand for.
    """

    def __init__(self, session: Session, symbols: SymbolTable) -> None:
        self.session = session
        self.symbols = symbols

    def run(self, module: GraphModule, env: dict[Node, Any], path: str = "") -> list[Any]:
        """The outputs, flat.

        Args:
            module: The graph module.
            env: What its placeholders hold.
            path: Path of the modules around it.

        Raises:
            ForwardError: Something cannot be converted; the place is named.
        """
        for node in module.graph.nodes:
            if node.op == "output":
                (results,) = node.args
                listed = [results] if isinstance(results, Node) else results
                return [self._argument(item, env) for item in listed]
            if node.op == "get_attr":
                env[node] = self._attribute(module, node.target, path)
            elif node.op == "call_function":
                try:
                    env[node] = self._call(node, env, path)
                except ForwardError as error:
                    raise error.located(location_of(node, path)) from None
        raise CannotContinueError("the graph has no output")

    def _call(self, node: Node, env: Mapping[Node, Any], path: str) -> Any:
        args = [self._argument(item, env) for item in node.args]
        kwargs = {name: self._argument(item, env) for name, item in node.kwargs.items()}
        target: Any = node.target
        if target is operator.getitem:
            return args[0][args[1]]
        if isinstance(target, torch._ops.HigherOrderOperator):
            return self._higher_order(node, target, args, path)
        if not isinstance(target, torch._ops.OpOverload):
            return self._python(node, target, args, path)
        schema = schemas.of(target._schema)
        if schema.name in ASSERTIONS:
            if isinstance(args[0], Undecided) and args[0].data:
                told = args[1] if len(args) > 1 else "a condition does not hold"
                tell_unchecked(f"the model may raise an exception: {told}", location_of(node, path))
            return None
        if schema.name == "aten::_assert_async" and _is_torchs_own(node):
            return None
        names = [argument.name for argument in schema.arguments]
        return self.session.call(
            schema, dict(zip(names, args, strict=False)) | kwargs, location_of(node, path)
        )

    def _python(self, node: Node, target: Callable[..., Any], args: list[Any], path: str) -> Any:
        """Arithmetic on sizes, which torch.fx writes as calls of Python's own functions."""
        name = _PYTHON.get(target)
        known = numbers.UNKNOWN
        if name is not None:
            known = numbers.compute(self.session, name, args, location_of(node, path))
        if known is numbers.UNKNOWN:
            label = getattr(target, "__name__", str(target))
            self.session.problems.add(label, "it is no operator of torch", location_of(node, ""))
            raise CannotContinueError(f"{label} is no operator of torch")
        return known

    def _higher_order(self, node: Node, target: Any, args: list[Any], path: str) -> Any:
        if target.name() == "cond":
            return self._cond(node, args, path)
        if target.name() in LOOPS:

            def run(module: GraphModule, inputs: Sequence[Any]) -> list[Any]:
                return self.run(module, dict(zip(_entries(module), inputs, strict=True)), path)

            where = location_of(node, path)
            return Loops(self.session, run).unrolled(target.name(), args, where)
        refusal = refusals.higher_order(target.name(), args)
        if refusal is None:
            body = next(item for item in args if isinstance(item, GraphModule))
            inputs = args[args.index(body) + 1 :]
            return self.run(body, dict(zip(_entries(body), inputs, strict=True)), path)
        operator, reason, hint = refusal
        self.session.problems.add(operator, reason, location_of(node, path), hint)
        raise CannotContinueError(operator)

    def _cond(self, node: Node, args: list[Any], path: str) -> Any:
        """torch.cond(predicate, module, other module, operands): a tuple of results."""
        condition, *modules = args[:3]
        operands = args[3] if len(args) > 3 else ()

        def run(module: GraphModule) -> Run:
            env = dict(zip(_entries(module), operands, strict=True))
            return lambda: self.run(module, {**env}, path)

        if isinstance(condition, TensorRef):
            condition = queries.number(condition, bool)
        runs = [run(module) for module in modules]
        if not isinstance(condition, Undecided):
            return tuple(runs[0 if condition else 1]())
        if condition.value is None:
            raise condition.error("the condition of torch.cond")
        return tuple(choose(self.session, condition, runs, location_of(node, path)))

    def _argument(self, item: Any, env: Mapping[Node, Any]) -> Any:
        if isinstance(item, Node):
            held = env[item]
            if held is not None and not isinstance(held, (TensorRef, Undecided)):
                return held
            value = item.meta.get("val")
            if isinstance(held, Undecided) and isinstance(value, torch.SymInt) and not held.data:
                if self.symbols.knows(value.node.expr):  # torch knows the size although we do not
                    return self.symbols.dim(value.node.expr)
            return held
        if isinstance(item, (list, tuple)):
            return type(item)(self._argument(one, env) for one in item)
        if isinstance(item, torch.SymInt):
            return self.symbols.dim(item.node.expr)
        return item

    def _attribute(self, module: GraphModule, target: Any, path: str) -> Any:
        held: Any = module
        for part in str(target).split("."):
            held = getattr(held, part)
        if isinstance(held, torch.Tensor):
            return self.session.attribute(f"{path}.{target}" if path else str(target), held)
        return held


def _entries(module: GraphModule) -> list[Node]:
    return [one for one in module.graph.nodes if one.op == "placeholder"]


def location_of(node: Node, path: str = "") -> Location:
    """Where in the user's model a node comes from; ``path`` is that of modules around it."""
    stack = node.meta.get("nn_module_stack") or {}
    inner = list(stack.values())[-1][0] if stack else ""
    module = inner if isinstance(inner, str) and not inner.startswith("_empty_nn") else ""
    frames = frames_of_trace(node.meta.get("stack_trace") or "")
    target: Any = node.target
    schema = getattr(target, "_schema", None)
    return locate(module or path, schema.name if schema is not None else str(target), frames)


def _is_torchs_own(node: Node) -> bool:
    """Whether a check stands for an operator's own, as ``one_hot`` has: values are undefined then.

    torch says which of its functions the model called.
    """
    called = node.meta.get("torch_fn")
    return called is not None and "_assert_async" not in str(called)


_PYTHON: dict[Any, str] = {
    operator.add: "aten::add",
    operator.sub: "aten::sub",
    operator.mul: "aten::mul",
    operator.floordiv: "aten::floordiv",
    operator.mod: "aten::remainder",
    operator.truediv: "aten::div",
    operator.pow: "aten::pow",
    operator.neg: "aten::neg",
    operator.rshift: "aten::__rshift__",
    operator.lshift: "aten::__lshift__",
    operator.abs: "prim::abs",
    math.trunc: "aten::Int",
    math.floor: "aten::floor",
    math.ceil: "aten::ceil",
    operator.eq: "aten::eq",
    operator.ne: "aten::ne",
    operator.lt: "aten::lt",
    operator.le: "aten::le",
    operator.gt: "aten::gt",
    operator.ge: "aten::ge",
    operator.and_: "aten::__and__",
    operator.or_: "aten::__or__",
    operator.not_: "aten::__not__",
    torch.sym_max: "prim::max",
    torch.sym_min: "prim::min",
    torch.sym_not: "aten::__not__",
    torch.sym_int: "aten::Int",
    torch.sym_float: "aten::Float",
}
