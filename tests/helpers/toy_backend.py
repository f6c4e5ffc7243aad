"""A small real backend: an interpreter over NumPy for three operators, and importers to feed it.

It implements the public contracts and nothing else, so it proves them on a machine that has no
inference library, and shows how little a backend needs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_bytes
from safetensors.numpy import save as save_bytes
from toy_ops import Halves, Tagged, Twice

from fwd_core import hookimpl, lowering
from fwd_core.backends import (
    Availability,
    Backend,
    BuildConfig,
    Context,
    Executable,
    Options,
    Plan,
    Port,
)
from fwd_core.backends.lowering import LoweringContext, legalize, lower
from fwd_core.errors import EngineFileError, InputError
from fwd_core.events import Events
from fwd_core.importing import ImportRequest, resolve_dynamic
from fwd_core.ir import Graph, TensorType, ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.serialize import from_parts, to_parts
from fwd_core.plugins import Plugins
from fwd_core.plugins import registers as reg

VERSION = "1.0"
Array = NDArray[Any]
Step = tuple[Callable[..., Array], tuple[int, ...], int]


@dataclass(frozen=True)
class ToyOptions(Options):
    """Options of the interpreter.

    Attributes:
        parallel: How many contexts run at once.
        device: Name of the device that plans are made for.
    """

    parallel: int = 2
    device: str = "here"


class ToyPlan(Plan):
    """A graph that has only operators of the interpreter."""

    def __init__(self, graph: Graph, manifest: Mapping[str, Any]) -> None:
        self.graph = graph
        self.manifest = manifest

    def payload(self) -> bytes:
        """The graph's document and constants."""
        document, tensors = to_parts(self.graph)
        arrays = {key: tensor.data for key, tensor in tensors.items()}
        arrays["document"] = np.frombuffer(json.dumps(document).encode(), np.uint8)
        return bytes(save_bytes(arrays))


class ToyLowering(LoweringContext[int]):
    """Numbers values, and writes down the steps that compute them."""

    def __init__(self, graph: Graph) -> None:
        super().__init__("toy", graph)
        self.steps: list[Step] = []
        self.constants: dict[int, Array] = {}
        self.size = 0

    def slot(self) -> int:
        """A place for one more array."""
        self.size += 1
        return self.size - 1

    def step(self, function: Callable[..., Array], *operands: int) -> int:
        """A place that holds what the function makes of others."""
        result = self.slot()
        self.steps.append((function, operands, result))
        return result


class ToyContext(Context):
    """Runs the steps; counts how many contexts run at once."""

    def __init__(self, executable: ToyExecutable) -> None:
        self._executable = executable

    def run(self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """Run all steps in order."""
        program = self._executable.program
        if program is None:
            raise RuntimeError("used after close")
        meeting = self._executable.meeting
        if meeting is not None:
            meeting.wait(timeout=30)
        arrays: list[Any] = [None] * program.size
        for slot, array in program.constants.items():
            arrays[slot] = array
        for value, array in zip(program.graph.inputs, inputs, strict=True):
            arrays[program[value]] = array
        for function, operands, result in program.steps:
            arrays[result] = function(*(arrays[operand] for operand in operands))
        results = [np.array(arrays[program[value]]) for value in program.graph.outputs]
        for array, shape in zip(results, shapes, strict=True):
            assert array.shape == shape, "the engine says which shapes it expects"
        return results


class ToyExecutable(Executable):
    """A program that contexts share."""

    def __init__(self, program: ToyLowering, parallel: int) -> None:
        self.program: ToyLowering | None = program
        self.parallel = parallel
        #: Set by tests: every run waits here for the others.
        self.meeting: threading.Barrier | None = None

    def context(self) -> ToyContext:
        """A new context."""
        return ToyContext(self)

    def close(self) -> None:
        """Let go of the program."""
        self.program = None


class ToyBackend(Backend):
    """The interpreter."""

    name: ClassVar[str] = "toy"
    priority: ClassVar[int] = 1
    precision: ClassVar[Literal["typed", "hint"]] = "hint"
    options: ClassVar[type[Options]] = ToyOptions

    def availability(self) -> Availability:
        """Everywhere."""
        return Availability(True, True, versions={"toy": VERSION}, devices=["here"])

    def build(self, graph: Graph, config: BuildConfig) -> ToyPlan:
        """Check that every operator can be interpreted."""
        assert isinstance(config.options, ToyOptions)
        context = ToyLowering(graph)
        legalize(context, config.plugins.lowerings)
        manifest = {
            "toy": VERSION,
            "device": config.options.device,
            "parallel": config.options.parallel,
        }
        plan = ToyPlan(graph, manifest)
        program(plan, config.events)
        return plan

    def read_plan(self, manifest: Mapping[str, Any], payload: memoryview) -> ToyPlan:
        """Check version and device."""
        for key, wanted in (("toy", VERSION), ("device", "here")):
            if manifest[key] != wanted:
                raise EngineFileError(
                    f"the plan was made for another {key}", expected=wanted, got=manifest[key]
                )
        arrays = load_bytes(bytes(payload))
        document = json.loads(arrays.pop("document").tobytes())
        return ToyPlan(from_parts(document, arrays), manifest)

    def load(self, plan: Plan, ports: tuple[Sequence[Port], Sequence[Port]]) -> ToyExecutable:
        """Lower again; nothing else is kept."""
        assert isinstance(plan, ToyPlan)
        return ToyExecutable(program(plan, Events()), plan.manifest["parallel"])


class AbsentBackend(ToyBackend):
    """One whose library is not installed."""

    name: ClassVar[str] = "absent"
    priority: ClassVar[int] = 9

    def availability(self) -> Availability:
        """Nowhere."""
        return Availability(False, False, "its library is missing: pip install absent")


@lowering("toy", ops.Constant)
def constant(ctx: ToyLowering, op: ops.Constant) -> int:
    """Keep the array."""
    slot = ctx.slot()
    ctx.constants[slot] = ctx.graph.constants[op.digest].numpy()
    return slot


@lowering("toy", ops.Relu)
def relu(ctx: ToyLowering, op: ops.Relu) -> int:
    """max(x, 0)."""
    return ctx.step(lambda x: np.maximum(x, x.dtype.type(0)), ctx[op.x])


def _no_integers(_ctx: ToyLowering, op: ops.Add) -> str | None:
    return None if op.a.type.dtype.is_float else "adds floats only"


@lowering("toy", ops.Add, unless=_no_integers)
def add(ctx: ToyLowering, op: ops.Add) -> int:
    """a + b."""
    return ctx.step(np.add, ctx[op.a], ctx[op.b])


@lowering("toy", ops.MatMul)
def matmul(ctx: ToyLowering, op: ops.MatMul) -> int:
    """The product of the last two axes."""

    def product(a: Array, b: Array) -> Array:
        left = np.swapaxes(a, -1, -2) if op.transpose_a else a
        right = np.swapaxes(b, -1, -2) if op.transpose_b else b
        return np.asarray(left @ right)

    return ctx.step(product, ctx[op.a], ctx[op.b])


def program(plan: ToyPlan, events: Events) -> ToyLowering:
    """The steps of a plan."""
    lowerings: dict[str, reg.Lowering] = {
        "toy:fwd.Constant": constant,
        "toy:fwd.Relu": relu,
        "toy:fwd.Add": add,
        "toy:fwd.MatMul": matmul,
    }
    context = ToyLowering(plan.graph)
    for value in plan.graph.inputs:
        context[value] = context.slot()
    lower(context, lowerings, events)
    return context


@dataclass
class Layers:
    """A model of the toy framework: a list of layers, run in order.

    ``("linear", weight)``, ``("add", array)``, ``("relu",)`` or the name of a converter.
    """

    layers: Sequence[tuple[Any, ...]]
    nested: bool = False


class LayersImporter:
    """Reads :class:`Layers`."""

    name = "layers"
    priority = 5

    def accepts(self, source: object) -> bool:
        """Models of the toy framework."""
        return isinstance(source, Layers)

    def load(self, source: object, request: ImportRequest) -> Graph:
        """One node per layer, by the converters."""
        assert isinstance(source, Layers)
        if isinstance(request.inputs, Mapping) or len(request.inputs) != 1:
            raise InputError("a list of layers takes one input", got=len(request.inputs))
        (example,) = request.inputs
        assert isinstance(example, np.ndarray)
        shapes = resolve_dynamic(request.dynamic, {"x": example.shape})
        graph = Graph("layers")
        value = graph.add_input("x", TensorType(DType.of(example.dtype), shapes["x"]))
        for ordinal, (name, *arguments) in enumerate(source.layers):
            convert = request.plugins.converters[f"toy::{name}"]
            value = convert(graph, f"{ordinal}.{name}", value, *arguments)
        if source.nested:
            graph.input_structure = {"tuple": [{"list": ["*"]}]}
            structure: Any = {"dict": [["y", "*"]]}
        else:
            structure = None
        graph.set_outputs([value], ["y"], structure)
        return graph


def _linear(graph: Graph, name: str, x: Any, weight: Array) -> Any:
    return graph.add(ops.Linear(x, graph.constant(weight, name=f"{name}.weight")), name=name)


def _add(graph: Graph, name: str, x: Any, other: Array) -> Any:
    return graph.add(ops.Add(x, graph.constant(other, name=f"{name}.other")), name=name)


def _relu(graph: Graph, name: str, x: Any) -> Any:
    return graph.add(ops.Relu(x), name=name)


_CONVERTERS: dict[str, reg.Converter] = {"linear": _linear, "add": _add, "relu": _relu}
for _name, _function in _CONVERTERS.items():
    setattr(_function, reg.CONVERTER_KEYS, (f"toy::{_name}",))


@hookimpl
def fwd_register_operators(register: reg.OperatorRegister) -> None:
    """The operators of the tests."""
    for cls in (*ops.core_operators(), Halves, Tagged, Twice):
        register.add(cls)


@hookimpl
def fwd_register_importers(register: reg.ImporterRegister) -> None:
    """Reads lists of layers."""
    register.add(LayersImporter())


@hookimpl
def fwd_register_converters(register: reg.ConverterRegister) -> None:
    """One per layer."""
    for function in _CONVERTERS.values():
        register.add(function)


@hookimpl
def fwd_register_lowerings(register: reg.LoweringRegister) -> None:
    """Three operators, and constants."""
    for function in (constant, relu, add, matmul):
        register.add(function)


@hookimpl
def fwd_register_rewrites(register: reg.RewriteRegister) -> None:
    """The clean-up of the core."""
    from fwd_core.rewrite import cleanup

    for rewrite in cleanup.all_rewrites():
        register.add(rewrite, stage="clean-up")


@hookimpl
def fwd_register_backends(register: reg.BackendRegister) -> None:
    """The interpreter, and one that is never there."""
    register.add(ToyBackend())
    register.add(AbsentBackend())


def plugins(**more: object) -> Plugins:
    """The toy pack alone, and packs of a test."""
    import toy_backend

    return Plugins({"toy": toy_backend, **more})
