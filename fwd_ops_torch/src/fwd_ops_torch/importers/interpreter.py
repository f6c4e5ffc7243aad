"""An abstract interpreter of TorchScript graphs that are not inlined.

Numbers, strings, lists, dicts, modules and sizes are Python values and the program runs on
them as TorchScript would; only tensors become values of the graph. Conditions that are known
choose their branch, and of others both become graphs; loops with a known count are unrolled.
Walking method calls as calls keeps the module path of every operator, which inlining and freezing
lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fwd_core.errors import ConversionError, ForwardError, UnsupportedModelError
from fwd_core.ir import DimExpr, Frame, Location
from fwd_ops_torch.importers import jit, nested, numbers, prims, refusals
from fwd_ops_torch.importers.aliasing import TensorRef
from fwd_ops_torch.importers.attributes import Attributes
from fwd_ops_torch.importers.branches import Run, tell_unchecked
from fwd_ops_torch.importers.locations import locate
from fwd_ops_torch.importers.merging import choose
from fwd_ops_torch.importers.nearby import frames_of
from fwd_ops_torch.importers.problems import Problems
from fwd_ops_torch.importers.session import Session
from fwd_ops_torch.importers.undecided import Undecided

#: Loops longer than this are not unrolled.
#: Rounds of loops that end on data, each a branch inside that of the round before.
ROUNDS_LIMIT = 32


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


@dataclass(frozen=True)
class _Loop:
    """A loop under way."""

    node: Any
    env: dict[str, Any]
    call: _Call
    limit: Any


class Interpreter:
    """Runs one module's method on tensor refs.

    Args:
        session: Where operators go.
        loaded: The program is from a file, which holds numbers of a trace as tensors.
    """

    def __init__(self, session: Session, *, loaded: bool = False) -> None:
        self.session = session
        self._loaded = loaded
        #: How conditions came out, by the places of their branches.
        self.decisions: dict[str, set[bool]] = {}
        self._attributes = Attributes()
        self._bodies: dict[Any, Any] = {}
        self._frames: dict[Any, tuple[Frame, ...]] = {}
        self._literals: dict[Any, TensorRef] = {}
        #: The problems there were before each round on data that is under way.
        self._rounds: list[Problems] = []
        #: What the methods and functions under way hold, by name.
        self._envs: list[dict[str, Any]] = []

    def run(self, module: ModuleRef, inputs: Sequence[Any], method: str = "forward") -> Any:
        """The result of the program: of a module's ``forward``.

        Raises:
            ForwardError: Something in it cannot be converted; the place is named.
        """
        result = self.run_method(module, method, inputs)
        for name, where in self._attributes.changed():
            self.session.note_change(name, where)
        return result

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
        self._envs.append(env)
        try:
            results = self._run_block(graph, env, call)
        finally:
            self._envs.pop()
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
            frames = self._frames_of(node) + call.frames
            return [self._run_graph(self._body(node), inputs, _Call(call.path, frames))]
        inputs = [env[value.debugName()] for value in node.inputs()]
        if kind == "prim::CallMethod":
            frames = self._frames_of(node) + call.frames
            owner = inputs[0]
            if owner is prims.MODE:
                return [None]
            if not isinstance(owner, ModuleRef):
                raise self._unsupported(node, call)
            return [self.run_method(owner, node.s("name"), inputs[1:], frames)]
        if kind == "prim::GetAttr":
            return [self._attribute(node, inputs[0])]
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
        if nested.is_nested(kind, inputs):
            schema, where = refusals.schema_of(node), self._where(node, call)
            return nested.call(self.session, kind, schema, inputs, where)
        handler = prims.HANDLERS.get(kind)
        if handler is not None:
            return handler(self.session, node, inputs, self._where(node, call))
        if kind == "prim::CreateObject" and prims.is_mode(node):
            return prims.MODE
        schema = refusals.schema_of(node)
        if schema is not None and schema.takes_tensors:
            if refusals.changes_container(schema):
                raise self._unsupported(node, call)
            names = [argument.name for argument in schema.arguments]
            arguments = dict(zip(names, inputs, strict=False))
            return self.session.call(schema, arguments, self._where(node, call))
        if schema is not None and schema.written is not None:
            self.session.guards.check(inputs[0], self._where(node, call))
            self._attributes.written_to(inputs[0], self._where(node, call))
        where = self._where(node, call)
        result = numbers.compute(self.session, kind, inputs, where)
        if result is not numbers.UNKNOWN:
            as_float = schema is not None and [one.kind for one in schema.returns] == ["float"]
            return numbers.as_float(self.session, result, where) if as_float else result
        if schema is None or schema.written is not None:
            raise self._unsupported(node, call)
        if any(isinstance(item, DimExpr) for item in inputs):
            raise ConversionError(f"{kind} of a dynamic size is not supported", got=inputs)
        return jit.call_builtin(schema.name, schema.overload, inputs)

    # --- control flow ---------------------------------------------------------------------------

    def _run_if(self, node: Any, env: dict[str, Any], call: _Call) -> list[Any]:
        condition = env[node.inputsAt(0).debugName()]
        if isinstance(condition, Undecided):
            return self._run_branches(node, condition, env, call)
        self.decisions.setdefault(node.sourceRange(), set()).add(bool(condition))
        then, otherwise = node.blocks()
        return self._run_block(then if condition else otherwise, env, call)

    def _run_branches(
        self, node: Any, condition: Undecided, env: dict[str, Any], call: _Call
    ) -> list[Any]:
        """Both branches, of which the engine computes one."""
        if condition.value is None:
            raise self._control_flow("an if", condition, node, call)
        self.decisions[node.sourceRange()] = {True, False}
        where = self._where(node, call)
        blocks = list(node.blocks())
        raising = [_raises(block) for block in blocks]
        if any(raising) and not all(raising):
            told = _message(blocks[raising.index(True)])
            tell_unchecked(f"the model may raise an exception: {told}", where)
            return self._run_block(blocks[raising.index(False)], env, call)

        def run(block: Any) -> Run:
            return lambda: self._run_block(block, env, call)

        return self._choose(condition, [run(block) for block in blocks], node, call)

    def _choose(self, condition: Undecided, runs: list[Run], node: Any, call: _Call) -> list[Any]:
        held = [one for around in self._envs for one in around.values()]
        with self.session.guards.branching([*held, *self._attributes.held()]):
            return list(choose(self.session, condition, runs, self._where(node, call)))

    def _run_loop(self, node: Any, env: dict[str, Any], call: _Call) -> list[Any]:
        limit, condition, *carried = [env[value.debugName()] for value in node.inputs()]
        return self._run_rounds(_Loop(node, env, call, limit), 0, condition, carried)

    def _run_rounds(
        self, loop: _Loop, iteration: int, condition: Any, carried: list[Any]
    ) -> list[Any]:
        """The rounds of a loop from one on, unrolled."""
        node, call, limit = loop.node, loop.call, loop.limit
        while True:
            if isinstance(limit, (DimExpr, Undecided)):
                doubt = limit if isinstance(limit, Undecided) else prims.dynamic_count(limit)
                raise self._control_flow("a loop", doubt, node, call)
            if iteration >= limit:
                return carried
            if isinstance(condition, Undecided):
                return self._run_round_on_data(loop, iteration, condition, carried)
            if not condition:
                return carried
            if iteration >= refusals.UNROLL_LIMIT:
                raise refusals.too_many_rounds(self._where(node, call))
            condition, *carried = self._run_round(loop, iteration, carried)
            iteration += 1

    def _run_round(self, loop: _Loop, iteration: int, carried: list[Any]) -> list[Any]:
        (body,) = loop.node.blocks()
        names = [value.debugName() for value in body.inputs()]
        loop.env.update(zip(names, [iteration, *carried], strict=True))
        return self._run_block(body, loop.env, loop.call)

    def _run_round_on_data(
        self, loop: _Loop, iteration: int, condition: Undecided, carried: list[Any]
    ) -> list[Any]:
        """A round that the engine may leave out, with all that follow."""

        def more() -> list[Any]:
            again, *results = self._run_round(loop, iteration, carried)
            return self._run_rounds(loop, iteration + 1, again, results)

        if condition.value is None or len(self._rounds) >= ROUNDS_LIMIT:
            if self._rounds:  # what the rounds so far had is found once by the look at the whole
                self.session.problems.restore(self._rounds[0])
            raise self._control_flow("a loop", condition, loop.node, loop.call)
        self._rounds.append(self.session.problems.copy())
        try:
            return self._choose(condition, [more, lambda: carried], loop.node, loop.call)
        finally:
            self._rounds.pop()

    def _control_flow(
        self, what: str, doubt: Undecided, node: Any, call: _Call
    ) -> UnsupportedModelError:
        where = self._where(node, call)
        problems = self.session.problems
        hint = refusals.LOOP_HINT if node.kind() == "prim::Loop" and doubt.data else doubt.hint
        problems.add(node.kind(), refusals.control_flow(node.kind(), doubt), where, hint)
        return UnsupportedModelError(
            f"the model has control flow that is not fixed: {what} {doubt.reason}",
            where=where,
            hint=hint,
            problems=problems.listed(),
        )

    # --- modules --------------------------------------------------------------------------------

    def _attribute(self, node: Any, owner: Any) -> Any:
        name = node.s("name")
        if not isinstance(owner, ModuleRef):
            return getattr(owner, name)  # a named tuple
        path = f"{owner.path}.{name}" if owner.path else name
        key = (owner.owner, name)
        if key not in self._attributes:
            # Engines infer: a scripted model takes its evaluation branches.
            value = False if name == "training" else owner.owner.getattr(name)
            if isinstance(value, torch.Tensor) or jit.is_object(value):
                return self._import(value, path)
        return self._attributes.read(key, path, lambda: self._import(value, path))

    def _import(self, value: Any, path: str) -> Any:
        if jit.is_object(value):
            return ModuleRef(value, path)
        if isinstance(value, torch.Tensor):
            return self.session.attribute(path, value)
        if isinstance(value, (list, tuple)):
            items = [self._import(item, f"{path}.{i}") for i, item in enumerate(value)]
            return tuple(items) if isinstance(value, tuple) else items
        if isinstance(value, dict):
            return {key: self._import(item, f"{path}.{key}") for key, item in value.items()}
        return value

    def _set_attribute(self, node: Any, inputs: list[Any], call: _Call) -> list[Any]:
        owner, value = inputs
        name = node.s("name")
        if not isinstance(owner, ModuleRef):
            raise self._unsupported(node, call)
        where = self._where(node, call)
        if self.session.guards.in_branch:
            raise ConversionError(
                f"a branch on data sets an attribute of the model, {name!r}",
                where=where,
                hint="give the value as a result of both branches, and set it after them",
            )
        held = owner.owner.getattr(name) if owner.owner.hasattr(name) else None
        if isinstance(held, torch.Tensor):
            self.session.note_change(f"{owner.path}.{name}" if owner.path else name, where)
        self._attributes.write((owner.owner, name), value, where)
        return []

    # --- small parts ----------------------------------------------------------------------------

    def _constant(self, node: Any) -> Any:
        output = node.output()
        if output.type().kind() == "FunctionType":
            return None  # read by prim::CallFunction from the node itself
        value = output.toIValue()
        if not isinstance(value, torch.Tensor):
            return value
        if self._loaded and jit.is_number(node):
            return value.item()
        # However often a loop or a method comes by, it is the same tensor.
        if node not in self._literals:
            self._literals[node] = self.session.literal(value)
        return self._literals[node]

    def _body(self, node: Any) -> Any:
        # One call is one node, however often a loop or a method runs it.
        if node not in self._bodies:
            self._bodies[node] = jit.called_function(node)
        return self._bodies[node]

    def _where(self, node: Any, call: _Call) -> Location:
        return locate(call.path, node.kind(), self._frames_of(node) + call.frames)

    def _frames_of(self, node: Any) -> tuple[Frame, ...]:
        if node not in self._frames:
            self._frames[node] = frames_of(node)
        return self._frames[node]

    def _unsupported(self, node: Any, call: _Call) -> UnsupportedModelError:
        where = self._where(node, call)
        problems = self.session.problems
        reason, hint = refusals.reason_of(node)
        problems.add(node.kind(), reason, where, hint)
        return UnsupportedModelError(
            f"{node.kind()}: {reason}", where=where, hint=hint, problems=problems.listed()
        )


def _message(block: Any) -> str:
    """What a branch that raises says, where it always says the same."""
    (node, *_) = [one for one in block.nodes() if one.kind() == "prim::RaiseException"]
    said = node.inputsAt(0)
    return str(said.toIValue()) if said.node().kind() == "prim::Constant" else "with a message"


def _raises(block: Any) -> bool:
    """Whether a branch does nothing but raise an exception, whatever it was given."""
    return any(node.kind() == "prim::RaiseException" for node in block.nodes())
