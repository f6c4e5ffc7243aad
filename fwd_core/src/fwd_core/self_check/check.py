"""Whether an engine gives what its model gives: both run once more on the example inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from fwd_core.engine.engine import Engine
from fwd_core.errors import ForwardError, PluginError
from fwd_core.importing import ModelResults
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.tensor import Tensor
from fwd_core.self_check.messages import KEY, NOT_RUN, UNSURE, refusal
from fwd_core.self_check.nearness import EXACT, HALF, INT8, Nearness, Needed, summary
from fwd_core.user_warnings import warn

if TYPE_CHECKING:
    from fwd_core.builder import Builder

_HALVES = (DType.FLOAT16, DType.BFLOAT16)
#: Runs in which a model may show that it explains an engine: two numbers that are drawn may be
#: near one another by chance.
_RUNS = 3


class SelfCheck:
    """Compares an engine with the model that it was built of.

    Args:
        builder: What builds.
        graph: The model's graph, before it is compiled.
        results: Runs the model.
        importer: Name of what runs it.
    """

    def __init__(
        self,
        builder: Builder,
        graph: Graph,
        results: Callable[[], ModelResults],
        importer: str = "",
    ) -> None:
        self._builder = builder
        self._results, self._importer = results, importer
        self._names = [value.name for value in graph.inputs]
        self._outputs = list(graph.output_names)
        self._needed = _needed(builder.mode, graph)
        self._refuses = builder.mode in ("float32", "int8_calib") and self._needed is not INT8

    def require(self, engine: Engine, *, made_up: bool) -> None:
        """Compare, and write what was found into the engine's manifest.

        An engine that is refused is closed. In lower modes there is a warning instead.

        Args:
            engine: What was built.
            made_up: Whether values of the example inputs are no real data.

        Raises:
            SelfCheckError: The engine's results are not those of the model.
            PluginError: What ran the model gives something else than results of its inputs.
            ForwardError: The engine cannot run on the example inputs.
        """
        engine.manifest.pop(KEY, None)
        try:
            engine.manifest[KEY] = self._found(engine, made_up)
        except BaseException:
            engine.close()
            raise

    def _found(self, engine: Engine, made_up: bool) -> dict[str, Any]:
        backend = self._builder.backend()
        if not (can := backend.availability()).run:
            return {NOT_RUN: f"backend {backend.name!r} cannot run here: {can.reason}"}
        changing = [name for name, value in self._builder.asked.of_packs(backend).items() if value]
        if changing:
            return {NOT_RUN: f"option {changing[0]!r} may change what the model gives"}
        with self._builder.events.phase("self-check"):
            try:
                model = self._results()
            except Exception as error:  # noqa: BLE001 - it is the user's own code that runs
                return {NOT_RUN: f"the model fails when it is run for this: {_line(error)}"}
            self._require_fit(model)
            return self._compared(engine, model, made_up)

    def _compared(self, engine: Engine, model: ModelResults, made_up: bool) -> dict[str, Any]:
        names = [port.name for port in engine.outputs]
        got = self._run(engine, model)
        found = {
            name: Nearness.of(*pair) for name, *pair in zip(names, model.outputs, got, strict=True)
        }
        wrong = {name: one.wrong(self._needed) or one.unequal for name, one in found.items()}
        wrong = {name: why for name, why in wrong.items() if why}
        unsure, notes = _explained(model, found, wrong)
        for name in unsure:
            del wrong[name], found[name]
        if wrong:
            types = any(found[name].types for name in wrong)
            only_integers = all(found[name].unequal for name in wrong)
            error = refusal(self._builder, self._needed, wrong, len(names), made_up, notes)
            if types or (self._refuses and not only_integers):  # no mode explains other types
                raise error
            warn(str(error))
        if unsure and not found:
            return {NOT_RUN: f"{UNSURE} as much as the engine's are off"}
        return summary(list(found.values())) | ({"unsure": unsure} if unsure else {})

    def _run(self, engine: Engine, model: ModelResults) -> list[Tensor]:
        given = zip(self._names, [one.data for one in model.inputs], strict=True)
        try:
            arrays = engine.run(dict(given))
        except ForwardError as error:
            raise error.noted(
                "the engine was built, and failed when it was checked against the model; "
                "self_check=False (--no-self-check) leaves that run out"
            ) from None
        return [Tensor(arrays[port.name], port.type.dtype) for port in engine.outputs]

    def _require_fit(self, model: object) -> None:
        """Refuse what is not made of tensors for the graph's inputs and outputs."""
        if not isinstance(model, ModelResults):
            self._misfit("a ModelResults", repr(model))
        for kind, given, wanted in (
            ("inputs", model.inputs, self._names),
            ("outputs", model.outputs, self._outputs),
        ):
            if not all(isinstance(one, Tensor) for one in given):
                types = ", ".join(type(one).__name__ for one in given)
                self._misfit(f"{kind} that are fwd_core.ir.Tensor", types)
            if len(given) != len(wanted):
                self._misfit(f"{len(wanted)} {kind}: {', '.join(wanted)}", str(len(given)))

    def _misfit(self, expected: str, got: str) -> NoReturn:
        raise PluginError(
            f"importer {self._importer!r}: its method 'results' does not fit its graphs",
            expected=expected,
            got=got,
            hint="return what the graph's inputs and outputs are, in their order",
        )


def _explained(
    model: ModelResults, found: Mapping[str, Nearness], wrong: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Which wrong outputs the model explains, whose own change as much; and what is to be said."""
    if not wrong or all(found[name].types for name in wrong):
        return [], []
    explained: set[str] = set()
    for _ in range(_RUNS):
        try:
            again = model.again()
        except Exception as error:  # noqa: BLE001 - it is the user's own code, and ran before
            return [], [f"the model fails when it is run again: {_line(error)}"]
        pairs = zip(found, model.outputs, again, strict=False)  # of a strange model fewer may come
        of = {name: Nearness.of(*pair) for name, *pair in pairs}
        explained |= {name for name in wrong if name in of and of[name].explains(found[name])}
        if len(explained) == len(wrong):
            break
    return [name for name in wrong if name in explained], []


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".rstrip(": ")


def _needed(mode: str, graph: Graph) -> Needed:
    """How near results have to be: as the least type that the model computes in allows."""
    nodes = list(graph.walk())
    if mode == "int8" or any(isinstance(node.op, ops.Quantize) for node in nodes):
        return INT8
    made = [value.type.dtype for node in nodes for value in node.outputs]
    given = [value.type.dtype for value in graph.inputs]
    halves = any(dtype in _HALVES for dtype in [*made, *given])
    return HALF if mode == "float16" or halves else EXACT
