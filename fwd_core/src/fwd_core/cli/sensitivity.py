"""``fwd inspect --sensitivity``: the layers that lose most in int8."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from fwd_core.cli import calibration, output
from fwd_core.cli.progress import phases
from fwd_core.cli.session import Session
from fwd_core.errors import EngineFileError

if TYPE_CHECKING:
    from fwd_core.ir import Graph
    from fwd_core.quantize.calibrate import Calibrator

#: Batches to measure with: more change no rank.
BATCHES = 8
_SHOWN = 20


@dataclass(frozen=True)
class Wanted:
    """What is to be measured, and with what.

    Attributes:
        calibrator: Has ranges.
        data: Batches to run, for the inputs of a model.
        backend: Runs the model.
    """

    calibrator: Calibrator
    data: Any
    backend: str

    @classmethod
    def of(
        cls, session: Session, asked: bool, tensors: bool, backend: str, **given: Any
    ) -> Wanted | None:
        """What the options say, or ``None`` where nothing is to be measured.

        Raises:
            typer.BadParameter: They say nothing without ``--sensitivity`` (or ``--tensors``), or
                there is no data.
        """
        if not asked:
            more = [] if backend == "auto" else ["--backend"]
            listing = {"--skip", "--attention"}  # what --tensors takes too
            names = [*calibration.given(given), *more]
            if names := [one for one in names if not (tensors and one in listing)]:
                both = "only --sensitivity and --tensors need it"
                only = both if names[0] in listing else "only --sensitivity needs it"
                if names[0] == "--backend":
                    only = "only --sensitivity and --fused need it"
                raise typer.BadParameter(only, param_hint=names[0])
            return None
        if given["calibrate"] is None:
            raise typer.BadParameter(
                "--sensitivity needs data to run the model on", param_hint="--calibrate"
            )
        data = calibration.data(given["calibrate"])
        if given["scales"] is not None:  # then the data only measures
            given = given | {"calibrate": None}
        calibrator = calibration.calibrator_of(session, "int8", **given)
        assert calibrator is not None, "the mode is int8"
        return cls(calibrator, data, backend)

    def of_graph(self, session: Session, graph: Graph | None, file: str) -> list[dict[str, Any]]:
        """Measure a graph; it is not changed.

        Raises:
            EngineFileError: There is no graph.
            ForwardError: Another, of the calibration or a run.
        """
        if graph is None:
            raise EngineFileError(
                f"{file} holds no graph whose layers could be measured",
                hint="build it with --embed-graph, or inspect the model",
            )
        from fwd_core.backends import Port
        from fwd_core.builder import Builder
        from fwd_core.quantize.sensitivity import sensitivity

        calibrator = self.calibrator
        with phases(session) as progress:
            builder = Builder(backend=self.backend, plugins=session.plugins, on_event=progress)
            ranges = calibrator.ranges(graph, builder)
            batches = self.data([Port(value.name, value.type) for value in graph.inputs])
            few = itertools.islice(batches, BATCHES)
            found = sensitivity(
                *(graph, ranges, few, builder),
                skip=calibrator.skip,
                attention=calibrator.attention,
            )
        return [asdict(one) | {"sqnr": one.sqnr} for one in found]


def show(session: Session, found: Sequence[Mapping[str, Any]]) -> None:
    """Print the worst layers."""
    if not found:
        output.print_text(session.out, "sensitivity: no product would be in int8")
        return
    more = f", the worst {_SHOWN} of {len(found)}" if len(found) > _SHOWN else ""
    output.print_text(session.out, f"sensitivity: signal to noise in int8, worst first{more}")
    rows = [
        [decibels(one["sqnr"]), one["name"], one["operator"], one["module"]]
        for one in found[:_SHOWN]
    ]
    output.print_table(session.out, ["SQNR", "layer", "operator", "module"], rows, indent=2)


def decibels(value: float) -> str:
    """A ratio, as ``31.4 dB``."""
    if value == float("inf"):
        return "exact"
    return "none" if value == -float("inf") else f"{value:.1f} dB"
