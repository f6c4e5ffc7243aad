"""An abstract interpreter of TorchScript graphs that are not inlined.

Numbers, strings, lists, dicts, modules and sizes are Python values and the program runs on
them as TorchScript would; only tensors become values of the graph. Conditions that are known
choose their branch, loops with a known count are unrolled. Walking method calls as calls keeps
the module path of every operator, which inlining and freezing lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fwd_core.errors import ConversionError, ForwardError, UnsupportedModelError
from fwd_core.ir import DimExpr, Frame, Location
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.importers import jit, prims, scalars
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.locations import frames_of_range, locate
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.undecided import Undecided

#: Loops longer than this are not unrolled.
UNROLL_LIMIT = 10_000


@dataclass(frozen=True)
class ModuleRef:
    """A module or TorchScript object, and the dotted path that leads to it."""

    owner: Any
    path: str


@dataclass(frozen=True)
class _Call:
    """A method or function under way: whose it is, and the frames that called it."""

    path: str
    frames: tuple[Frame, ...]


class Interpreter:
    """Runs one module's method on tensor refs.

    Args:
        session: Where operators go.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._bodies: dict[Any, Any] = {}
        self._written: dict[tuple[str, str], Any] = {}

    def run_method(
        self, module: ModuleRef, name: str, inputs: Sequence[Any], frames: tuple[Frame, ...] = ()
    ) -> Any:
        """The result of a method.

        Raises:
            ForwardError: Something in it cannot be converted; the place is named.
        """
        graph = jit.method_graph(module.owner, name)
        return self._run_graph(graph, [module, *inputs], _Call(module.path, frames))

    def _run_graph(self, graph: Any, inputs: Sequence[Any], call: _Call) -> Any:
        env = {
            value.debugName(): given for value, given in zip(graph.inputs(), inputs, strict=True)
        }
        results = self._run_block(graph, env, call)
        return results[0] if len(results) == 1 else tuple(results)

    def _run_block(self, block: Any, env: dict[str, Any], call: _Call) -> list[Any]:
        for node in block.nodes():
            results = self._run_node(node, env, call)
            for output, result in zip(node.outputs(), results, strict=True):
                env[output.debugName()] = result
        return [env[value.debugName()] for value in block.outputs()]

    def _run_node(self, node: Any, env: dict[str, Any], call: _Call) -> Sequence[Any]:
        kind = node.kind()
        if kind == "prim::Constant":
            return [self._constant(node)]
        if kind == "prim::If":
            return self._run_if(node, env, call)
        if kind == "prim::Loop":
            return self._run_loop(node, env, call)
        if kind == "prim::CallFunction":
            inputs = [env[v.debugName()] for v in list(node.inputs())[1:]]
            frames = frames_of_range(node.sourceRange()) + call.frames
            return [self._run_graph(self._body(node), inputs, _Call(call.path, frames))]
        inputs = [env[value.debugName()] for value in node.inputs()]
        if kind == "prim::CallMethod":
            frames = frames_of_range(node.sourceRange()) + call.frames
            owner = inputs[0]
            if not isinstance(owner, ModuleRef):
                raise self._unsupported(node, call, "a method of this kind of object", kind)
            return [self.run_method(owner, node.s("name"), inputs[1:], frames)]
        if kind == "prim::GetAttr":
            return [self._attribute(node, inputs[0], call)]
        if kind == "prim::SetAttr":
            return self._set_attribute(node, inputs, call)
        try:
            result = self._operator(node, kind, inputs, call)
        except ForwardError as error:
            raise error.located(self._where(node, call)) from None
        if node.outputsSize() == 0:
            return []
        return result if node.outputsSize() > 1 else [result]

    def _operator(self, node: Any, kind: str, inputs: list[Any], call: _Call) -> Any:
        handler = prims.HANDLERS.get(kind)
        if handler is not None:
            return handler(self.session, node, inputs, self._where(node, call))
        text = node.schema()
        if text.startswith("("):
            raise self._unsupported(node, call, "TorchScript's own operator", kind)
        schema = schemas.parse(text)
        if schema.takes_tensors:
            names = [argument.name for argument in schema.arguments]
            arguments = dict(zip(names, inputs, strict=False))
            return self.session.call(schema, arguments, self._where(node, call))
        result = scalars.compute(kind, inputs)
        if result is not scalars.UNKNOWN:
            return result
        if any(isinstance(item, DimExpr) for item in inputs):
            raise ConversionError(f"{kind} of a dynamic size is not supported", got=inputs)
        return jit.call_builtin(schema.name, schema.overload, inputs)

    # --- control flow ---------------------------------------------------------------------------

    def _run_if(self, node: Any, env: dict[str, Any], call: _Call) -> list[Any]:
        condition = env[node.inputsAt(0).debugName()]
        if isinstance(condition, Undecided):
            raise self._control_flow("an if", condition, node, call)
        then, otherwise = node.blocks()
        return self._run_block(then if condition else otherwise, env, call)

    def _run_loop(self, node: Any, env: dict[str, Any], call: _Call) -> list[Any]:
        limit, condition, *carried = [env[value.debugName()] for value in node.inputs()]
        (body,) = node.blocks()
        iteration = 0
        while True:
            if isinstance(condition, Undecided):
                raise self._control_flow("a loop", condition, node, call)
            if isinstance(limit, (DimExpr, Undecided)):
                doubt = limit if isinstance(limit, Undecided) else prims.dynamic_count(limit)
                raise self._control_flow("a loop", doubt, node, call)
            if not condition or iteration >= limit:
                return carried
            if iteration >= UNROLL_LIMIT:
                raise ConversionError(
                    f"a loop of more than {UNROLL_LIMIT} rounds would be unrolled",
                    where=self._where(node, call),
                    hint="use tensor operators over an axis instead of a Python loop",
                )
            names = [value.debugName() for value in body.inputs()]
            env.update(zip(names, [iteration, *carried], strict=True))
            condition, *carried = self._run_block(body, env, call)
            iteration += 1

    def _control_flow(
        self, what: str, doubt: Undecided, node: Any, call: _Call
    ) -> UnsupportedModelError:
        where = self._where(node, call)
        problems = self.session.problems
        problems.add(node.kind(), f"{what} {doubt.reason}", where, doubt.hint)
        return UnsupportedModelError(
            f"the model has control flow that is not fixed: {what} {doubt.reason}",
            where=where,
            hint=doubt.hint,
            problems=problems.listed(),
        )

    # --- modules --------------------------------------------------------------------------------

    def _attribute(self, node: Any, owner: Any, call: _Call) -> Any:
        name = node.s("name")
        if not isinstance(owner, ModuleRef):
            return getattr(owner, name)  # a named tuple
        if (owner.path, name) in self._written:
            return self._written[owner.path, name]
        if name == "training":
            return False  # engines infer: a scripted model takes its evaluation branches
        path = f"{owner.path}.{name}" if owner.path else name
        return self._import(owner.owner.getattr(name), path)

    def _import(self, value: Any, path: str) -> Any:
        if jit.is_object(value):
            return ModuleRef(value, path)
        if isinstance(value, torch.Tensor):
            return self.session.attribute(path, value)
        if isinstance(value, (list, tuple)):
            return type(value)(self._import(item, f"{path}.{i}") for i, item in enumerate(value))
        if isinstance(value, dict):
            return {key: self._import(item, f"{path}.{key}") for key, item in value.items()}
        return value

    def _set_attribute(self, node: Any, inputs: list[Any], call: _Call) -> list[Any]:
        owner, value = inputs
        name = node.s("name")
        if not isinstance(owner, ModuleRef):
            raise self._unsupported(node, call, "assignment to an attribute", node.kind())
        held = owner.owner.getattr(name) if owner.owner.hasattr(name) else None
        if isinstance(held, torch.Tensor):
            raise ConversionError(
                f"the model changes its own state while it runs: {owner.path}.{name}".replace(
                    ": .", ": "
                ),
                where=self._where(node, call),
                hint="call model.eval() before export; return new state as an output instead",
            )
        self._written[owner.path, name] = value
        return []

    # --- small parts ----------------------------------------------------------------------------

    def _constant(self, node: Any) -> Any:
        output = node.output()
        if output.type().kind() == "FunctionType":
            return None  # read by prim::CallFunction from the node itself
        value = output.toIValue()
        return TensorRef(value) if isinstance(value, torch.Tensor) else value

    def _body(self, node: Any) -> Any:
        # One call is one node, however often a loop or a method runs it.
        if node not in self._bodies:
            self._bodies[node] = jit.called_function(node)
        return self._bodies[node]

    def _where(self, node: Any, call: _Call) -> Location:
        frames = frames_of_range(node.sourceRange()) + call.frames
        return locate(call.path, node.kind(), frames)

    def _unsupported(self, node: Any, call: _Call, what: str, kind: str) -> UnsupportedModelError:
        where = self._where(node, call)
        self.session.problems.add(kind, f"{what} is not supported", where)
        return UnsupportedModelError(
            f"{kind}: {what} is not supported", where=where, problems=self.session.problems.listed()
        )
