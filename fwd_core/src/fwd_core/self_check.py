"""Whether an engine gives what its model gives: both run once more on the example inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.engine.engine import Engine
from fwd_core.errors import ForwardError, SelfCheckError
from fwd_core.importing import ModelResults
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.tensor import Tensor
from fwd_core.nearness import EXACT, HALF, INT8, Nearness, Needed, summary
from fwd_core.user_warnings import warn

if TYPE_CHECKING:
    from fwd_core.builder import Builder

#: The entry of an engine's manifest.
KEY = "self check"
_NOT_RUN = "not run"
_HALVES = (DType.FLOAT16, DType.BFLOAT16)


class SelfCheck:
    """Compares an engine with the model that it was built of.

    Args:
        builder: What builds.
        graph: The model's graph, before it is compiled.
        results: Runs the model.
    """

    def __init__(self, builder: Builder, graph: Graph, results: Callable[[], ModelResults]) -> None:
        self._builder = builder
        self._results = results
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
            return {_NOT_RUN: f"backend {backend.name!r} cannot run here: {can.reason}"}
        changing = [name for name, value in self._builder.asked.of_packs(backend).items() if value]
        if changing:
            return {_NOT_RUN: f"option {changing[0]!r} may change what the model gives"}
        with self._builder.events.phase("self-check"):
            try:
                model = self._results()
            except Exception as error:  # noqa: BLE001 - it is the user's own code that runs
                line = (str(error).splitlines() or [""])[0]
                return {_NOT_RUN: f"the model itself fails: {type(error).__name__}: {line}"}
            if _is_random(model):
                return {_NOT_RUN: "the model's own results differ from run to run"}
            try:
                arrays = engine.run(
                    dict(zip(self._names, [one.data for one in model.inputs], strict=True))
                )
            except ForwardError as error:
                raise error.noted(
                    "the engine was built, and failed when it was checked against the model"
                ) from None
        names = [port.name for port in engine.outputs]
        got = [Tensor(arrays[port.name], port.type.dtype) for port in engine.outputs]
        found = [Nearness.of(*pair) for pair in zip(model.outputs, got, strict=True)]
        wrong = {
            name: why
            for name, one in zip(names, found, strict=True)
            if (why := one.wrong(self._needed))
        }
        if wrong:
            self._tell(wrong, len(names), made_up)
        return summary(found)

    def _tell(self, wrong: dict[str, str], count: int, made_up: bool) -> None:
        """Refuse the engine, or warn."""
        builder, backend = self._builder, self._builder.backend()
        versions = [f"{name} {text}" for name, text in backend.availability().versions.items()]
        where = f"backend {backend.name!r} ({', '.join(versions)}), mode {builder.mode!r}"
        lines = [f"output {name!r}: {why}" for name, why in list(wrong.items())[:_SHOWN]]
        if len(wrong) > _SHOWN:
            lines.append(f"… and {len(wrong) - _SHOWN} more outputs")
        error = SelfCheckError(
            "the engine does not give what the model gives on the example inputs "
            f"({len(wrong)} of {count} outputs)",
            expected=str(self._needed),
            details=[*lines, where],
            hint=_HINTS["made up" if made_up and builder.mode != "float32" else ""]
            + _advice(builder.mode, dataclasses.fields(backend.options)),
        )
        if self._refuses:
            raise error
        warn(str(error))


_SHOWN = 8
_HINTS = {"made up": "compare on real data, as example inputs; ", "": ""}


def _advice(mode: str, options: Sequence[Any]) -> str:
    if mode == "int8":
        return (
            "another calibration algorithm, or sensitive layers in float (`fwd quantize` finds "
            "them), keeps more"
        )
    if mode == "float16":
        return "`fwd bench --modes float32,float16` tells what the mode costs; float32 keeps all"
    level = any(one.name == "optimization_level" for one in options)
    return (
        ("another optimization_level, " if level else "")
        + "another backend or other sizes may be compiled right, and a pack's own lowering may be "
        "wrong; self_check=False (--no-self-check) keeps the engine as it is"
    )


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
    if [one.type for one in model.outputs] != [one.type for one in model.again]:
        return True
    pairs = zip(model.outputs, model.again, strict=True)
    return any(Nearness.of(*pair).is_noise is False for pair in pairs)


def told(entry: dict[str, Any]) -> str:
    """What an engine's manifest says of its check, in a few words.

    Example:
        >>> told({"cosine": 0.9999994, "error": 2.1e-06, "equal": None})
        'cosine 0.999999 to the model, greatest error 2.1e-06'
    """
    if (reason := entry.get(_NOT_RUN)) is not None:
        return f"not run: {reason}"
    parts = []
    if entry["cosine"] is not None:
        parts.append(f"cosine {entry['cosine']:.6f} to the model")
    if entry["error"] is not None:
        parts.append(f"greatest error {entry['error']:.1e}")
    if entry["equal"] is not None:
        parts.append(f"{entry['equal']:.4%} of integers and bools equal")
    return ", ".join(parts) or "all outputs are empty"
