"""Whether an engine gives what its model gives: both run once more on the example inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fwd_core.engine.engine import Engine
from fwd_core.errors import ForwardError, PluginError
from fwd_core.importing import ModelResults
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.tensor import Tensor
from fwd_core.self_check.messages import KEY, NOT_RUN, refusal
from fwd_core.self_check.nearness import EXACT, HALF, INT8, Nearness, Needed, summary
from fwd_core.user_warnings import warn

if TYPE_CHECKING:
    from fwd_core.builder import Builder

_HALVES = (DType.FLOAT16, DType.BFLOAT16)


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
                line = (str(error).splitlines() or [""])[0]
                return {NOT_RUN: f"the model itself fails: {type(error).__name__}: {line}"}
            self._require_fit(model)
            try:
                arrays = engine.run(
                    dict(zip(self._names, [one.data for one in model.inputs], strict=True))
                )
            except ForwardError as error:
                raise error.noted(
                    "the engine was built, and failed when it was checked against the model; "
                    "self_check=False (--no-self-check) leaves that run out"
                ) from None
        names = [port.name for port in engine.outputs]
        got = [Tensor(arrays[port.name], port.type.dtype) for port in engine.outputs]
        if len(model.outputs) != len(got):
            told = {"*": f"the engine has {len(got)} outputs, and the model {len(model.outputs)}"}
            self._tell(told, len(got), made_up, types=True)
        found = [Nearness.of(*pair) for pair in zip(model.outputs, got, strict=True)]
        wrong = {
            name: why
            for name, one in zip(names, found, strict=True)
            if (why := one.wrong(self._needed))
        }
        if wrong and _is_random(model):
            return {NOT_RUN: "the model's own results differ from run to run"}
        if wrong:
            self._tell(wrong, len(names), made_up, any(one.types for one in found))
        return summary(found)

    def _require_fit(self, model: object) -> None:
        got = f"one of {len(model.inputs)}" if isinstance(model, ModelResults) else repr(model)
        if not isinstance(model, ModelResults) or len(model.inputs) != len(self._names):
            raise PluginError(
                f"importer {self._importer!r}: its method 'results' does not fit its graphs",
                expected=f"a ModelResults of its inputs: {', '.join(self._names)}",
                got=got,
                hint="return what the graph's inputs are, in their order",
            )

    def _tell(self, wrong: dict[str, str], count: int, made_up: bool, types: bool) -> None:
        """Refuse the engine, or warn; no mode explains other types and shapes."""
        error = refusal(self._builder, self._needed, wrong, count, made_up)
        if self._refuses or types:
            raise error
        warn(str(error))


def _needed(mode: str, graph: Graph) -> Needed:
    """How near results have to be: as the least type that the model computes in allows."""
    nodes = list(graph.walk())
    if mode == "int8" or any(isinstance(node.op, ops.Quantize) for node in nodes):
        return INT8
    made = [value.type.dtype for node in nodes for value in node.outputs]
    given = [value.type.dtype for value in graph.inputs]
    halves = any(dtype in _HALVES for dtype in [*made, *given])
    return HALF if mode == "float16" or halves else EXACT


def _is_random(model: ModelResults) -> bool:
    try:
        again = model.again()
    except Exception:  # noqa: BLE001 - it is the user's own code, and ran before
        return True
    if [one.type for one in model.outputs] != [one.type for one in again]:
        return True
    pairs = zip(model.outputs, again, strict=True)
    return any(Nearness.of(*pair).is_noise is False for pair in pairs)
