"""``fwd bench --modes``: a model in several modes, beside each other, and which to choose."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import typer

from fwd_core.cli import advice, calibration, feeds, inputs, made, options, output, timed
from fwd_core.cli.dataset import RANDOM, random_batches
from fwd_core.cli.inputs import InputSpec
from fwd_core.cli.progress import phases
from fwd_core.cli.sensitivity import BATCHES, decibels
from fwd_core.cli.session import Session
from fwd_core.cli.timing import Timings, measure
from fwd_core.errors import BuildError, OptionError

if TYPE_CHECKING:
    from fwd_core.builder import Builder
    from fwd_core.engine import Engine
    from fwd_core.quantize.calibrate import Calibrator

MIN_SQNR = 20.0
#: Modes take turns, so that a machine that slows down slows all of them.
_ROUNDS = 3


@dataclass(frozen=True)
class Runs:
    """How to measure: see ``fwd bench``."""

    seconds: float
    iterations: int | None
    warmup: int
    threads: int
    batch: int | None
    min_sqnr: float = MIN_SQNR
    self_check: bool = True

    def of_round(self, index: int) -> tuple[int | None, float]:
        """How many runs, or for how long."""
        if self.iterations is None:
            return None, self.seconds / _ROUNDS
        return len(range(index, self.iterations, _ROUNDS)), 0.0


def modes_of(text: str) -> list[str]:
    """Modes of ``--modes``, each once.

    Raises:
        typer.BadParameter: One is unknown, or calibrates only.
    """
    found = [options.checked_mode(one.strip(), "--modes") for one in text.split(",")]
    if "int8_calib" in found:
        raise typer.BadParameter(
            "int8_calib calibrates and computes in float32; int8 is measured", param_hint="--modes"
        )
    return list(dict.fromkeys(found))


class Comparison:
    """Builds a model in every mode and measures.

    Args:
        session: Of the command.
        modes: What to measure.
        backend: Name of the backend.
        asked: Its options, as text.
        given: Options of the int8 modes.
    """

    def __init__(
        self,
        session: Session,
        modes: Sequence[str],
        backend: str,
        asked: Mapping[str, str | int],
        given: Mapping[str, Any],
    ) -> None:
        self.session, self.modes, self.backend, self.asked = session, modes, backend, asked
        calibrate = given["calibrate"]
        made_up = calibrate is None or (calibrate == RANDOM and not os.path.exists(RANDOM))
        self.data: Any = random_batches if made_up else calibration.data(calibrate)
        self.source = RANDOM if made_up else str(calibrate)
        self.calibrator = self._calibrator(given)

    def _calibrator(self, given: Mapping[str, Any]) -> Calibrator | None:
        rest = {name: value for name, value in given.items() if name != "calibrate"}
        if "int8" not in self.modes:
            if names := calibration.given(rest):
                raise typer.BadParameter("int8 is not among --modes", param_hint=names[0])
            return None
        if self.source != RANDOM and given["scales"] is None:
            return calibration.calibrator_of(self.session, "int8", **given)
        if given["cache"] is not None or given["scales"] is not None:
            return calibration.calibrator_of(self.session, "int8", **rest)
        from fwd_core.quantize.calibrate import Calibrator

        return Calibrator(
            self.data,
            algorithm=given["algorithm"],
            skip=given["skip"] or (),
            attention=given["attention"],
        )

    def run(self, model: str, specs: list[InputSpec], runs: Runs) -> dict[str, Any]:
        """Everything that is to be told, as JSON; numbers that do not exist are infinite."""
        from fwd_core.ir.serialize import copied
        from fwd_core.self_check import KEY

        examples, dynamic = inputs.examples(specs, dynamic_batch=False, opt_batch=None)
        with phases(self.session) as progress, ExitStack() as stack:

            def builder(mode: str) -> Builder:
                return self._builder(mode, progress)

            first = builder("float32")
            with first.events.phase("load", detail="packs"):
                first.importer(model)
            with inputs.advising(specs):
                graph, check = first.import_with_check(model, examples, dynamic=dynamic)
            exact = stack.enter_context(first.compile(copied(graph, first.plugins.operators)))
            if check is not None and runs.self_check:  # the others are compared with it
                check(exact)
            engines: dict[str, Engine] = {}
            rows: dict[str, dict[str, Any]] = {}
            for mode in self.modes:
                if (why := _refusal(one := builder(mode))) is not None:
                    rows[mode] = {"mode": mode, "reason": why}
                    continue
                if mode == "float32":
                    engines[mode] = exact
                else:
                    compiled = one.compile(copied(graph, one.plugins.operators))
                    engines[mode] = stack.enter_context(compiled)
                rows[mode] = {"mode": mode, **_size(engines[mode])}
            with first.events.phase("compare", detail=f"with float32, {self.source}") as phase:
                batch = self._compare(exact, engines, rows, phase)
            on = timed.chosen(exact.inputs, specs, runs.batch, batch, self.source)
            times = _times(engines, on.arrays, runs, first.events)
        for mode, found in times.items():
            rows[mode] |= found.document()
        if self.calibrator is not None and "int8" in engines:
            rows["int8"] |= calibration.placed(self.calibrator)
        choice, words = advice.choose(list(rows.values()), runs.min_sqnr, self.source)
        return {
            "model": model,
            "backend": exact.manifest["backend"],
            "shapes": {name: f"{one.dtype}{list(one.shape)}" for name, one in on.arrays.items()},
            "made": made.of(exact, on.arrays),
            "timed_on": on.told,
            "data": self.source,
            **({"self_check": exact.manifest[KEY]} if KEY in exact.manifest else {}),
            "threads": runs.threads,
            "min_sqnr": runs.min_sqnr,
            "modes": list(rows.values()),
            "choice": choice,
            "advice": words,
        }

    def _builder(self, mode: str, progress: Any) -> Builder:
        from fwd_core.builder import Builder

        builder = Builder(
            backend=self.backend,
            mode=mode,
            plugins=self.session.plugins,
            on_event=progress,
            calibrator=self.calibrator if mode == "int8" else None,
        )
        builder.options = options.backend_options(builder, self.asked)
        return builder

    def _compare(
        self,
        exact: Engine,
        engines: Mapping[str, Engine],
        rows: Mapping[str, dict[str, Any]],
        phase: Any,
    ) -> dict[str, Any] | None:
        """Fill rows with how near modes are to float32.

        Returns:
            The first batch, which data that is gone through once gives no second time; none where
            batches are made up.
        """
        from fwd_core.quantize.batches import at, batches_of, place_of
        from fwd_core.quantize.fidelity import Fidelity

        found = {mode: Fidelity() for mode in engines}
        ports = list(exact.inputs)
        first = None
        batches = islice(batches_of(self.data(ports), ports), BATCHES)
        for index, batch in enumerate(batches):
            with at(place_of(index, batch)):
                wanted = exact.run(batch)
            if index == 0 and self.source != RANDOM:
                first = timed.kept(ports, batch)
            for mode, engine in engines.items():
                got = wanted if engine is exact else engine.run(batch)
                for one in exact.outputs:
                    found[mode].add(
                        feeds.readable(one, wanted[one.name]), feeds.readable(one, got[one.name])
                    )
            phase.step()
        for mode, fidelity in found.items():
            rows[mode] |= {"sqnr": fidelity.sqnr, "cosine": fidelity.cosine}
        return first


def show(session: Session, document: Mapping[str, Any]) -> None:
    """Print a row for each mode, and what to choose."""
    from fwd_core.self_check import told

    out = session.out
    output.print_text(out, f"{document['model']}: {document['backend']}")
    shapes = ", ".join(f"{name} {text}" for name, text in document["shapes"].items())
    facts = {"inputs": shapes, **made.facts(document["made"]), "timed on": document["timed_on"]}
    facts["compared on"] = document["data"]
    if (checked := document.get("self_check")) is not None:
        facts["self-check"] = f"float32: {told(checked)}"
    output.print_facts(out, facts)
    header = ["mode", "computes in", "median", "p99", "size", "SQNR", "cosine"]
    rows = [row for row in document["modes"] if "reason" not in row]
    output.print_table(out, header, [_cells(row) for row in rows], indent=2)
    for row in document["modes"]:
        if "reason" in row:
            output.print_text(out, f"  {row['mode']}: not here: {row['reason']}")
    for line in document["advice"]:
        output.print_text(out, line)


def _cells(row: Mapping[str, Any]) -> list[str]:
    latency = row["latency_ms"]
    return [
        row["mode"],
        row["compute"],
        output.milliseconds(latency["median"] / 1e3),
        output.milliseconds(latency["p99"] / 1e3),
        output.size(row["bytes"]),
        decibels(row["sqnr"]),
        f"{row['cosine']:.6f}",
    ]


def _refusal(builder: Builder) -> str | None:
    """Why this machine refuses a builder's mode, if it does."""
    backend = builder.backend()
    chosen = builder.asked.of_backend(backend)
    try:
        backend.require(builder.mode, chosen)
    except (OptionError, BuildError) as error:
        return error.what
    return None


def _size(engine: Engine) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "engine")
        engine.save(path)
        size = os.path.getsize(path)
    return {"compute": engine.manifest.get("compute", engine.manifest["mode"]), "bytes": size}


def _times(
    engines: Mapping[str, Engine], given: Mapping[str, Any], runs: Runs, events: Any
) -> dict[str, Timings]:
    found = {mode: Timings([], 0.0) for mode in engines}
    for index in range(_ROUNDS):
        count, seconds = runs.of_round(index)
        if count == 0:
            continue
        for mode, engine in engines.items():
            arrays = [given[port.name] for port in engine.inputs]
            with events.phase("measure", count, f"{mode}, round {index + 1} of {_ROUNDS}") as phase:
                for _ in range(runs.warmup):
                    engine.run_list(arrays)
                one = measure(engine, arrays, runs.threads, count, seconds, phase)
            before = found[mode]
            found[mode] = Timings([*before.latencies, *one.latencies], before.seconds + one.seconds)
    return found
