"""``fwd bench``: how long runs of an engine take."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from fwd_core.cli import calibration, compare, feeds, inputs, layer_times, made, options, output
from fwd_core.cli.build import summary, title
from fwd_core.cli.progress import phases
from fwd_core.cli.session import session_of
from fwd_core.cli.timing import Timings, measure
from fwd_core.errors import UnsupportedModelError
from fwd_core.events import Events

_SECONDS = 3.0


def bench(
    ctx: typer.Context,
    engine: Annotated[
        str, typer.Argument(metavar="ENGINE", help="Engine file; with --modes, a model.")
    ],
    input: Annotated[  # noqa: A002 - the option's own name
        Optional[list[str]],
        typer.Option(
            "--input",
            "-i",
            metavar="INPUT",
            help="Shape or values of an input, as for `fwd build`; repeatable. Inputs that are "
            "not given are random: floats in 0 … 1, integers 0 or 1; with --modes and --calibrate "
            "DATA those of its first batch, if that is of the sizes that are measured.",
        ),
    ] = None,
    seconds: Annotated[
        Optional[float],
        typer.Option(metavar="S", min=0.0, help=f"How long ({_SECONDS:g})."),
    ] = None,
    iterations: Annotated[
        Optional[int], typer.Option(metavar="N", min=1, help="How many runs, in place of seconds.")
    ] = None,
    warmup: Annotated[int, typer.Option(metavar="N", min=0, help="Runs before the clock.")] = 5,
    batch: Annotated[
        Optional[int], typer.Option(metavar="N", min=1, help="Size of a dynamic batch.")
    ] = None,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="Callers at once.")] = 1,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Measure the compiled layers too, in runs of their own; on TensorRT, an engine "
            "that was built with --option layers=true tells more of them.",
        ),
    ] = False,
    rebuild: options.Rebuild = False,
    modes: Annotated[
        Optional[str],
        typer.Option(
            metavar="MODES",
            help="Build a model in each of these modes, as float32,float16,int8, measure them "
            "beside each other and say which to choose. SQNR is of the first batches of "
            "--calibrate, by which int8 is calibrated.",
        ),
    ] = None,
    min_sqnr: Annotated[
        Optional[float],
        typer.Option(
            metavar="DB",
            help="Signal to noise, against float32, that a mode needs to be chosen "
            f"({compare.MIN_SQNR:g}).",
        ),
    ] = None,
    calibrate: calibration.CalibrateOrRandom = None,
    algorithm: calibration.Algorithm = None,
    cache: calibration.Cache = None,
    scales: calibration.Scales = None,
    skip: calibration.Skip = None,
    attention: calibration.Attention = False,
    no_self_check: options.NoSelfCheck = False,
    backend: options.BackendName = "auto",
    option: options.BackendOptions = None,
    json: options.Json = False,
) -> None:
    """Measure latency and throughput of an engine.

    fwd bench model.engine --seconds 5

    Or of a model in several modes, each with its error against float32:

    fwd bench model.pth --input 1x3x224x224 --modes float32,float16,int8 --calibrate images/
    """
    session = session_of(ctx, json=json)
    specs = inputs.parse_all(input)
    if seconds is not None and iterations is not None:
        raise typer.BadParameter("give one of them", param_hint="--seconds and --iterations")
    of_int8: dict[str, Any] = {"calibrate": calibrate, "algorithm": algorithm, "cache": cache}
    of_int8 |= {"scales": scales, "skip": skip, "attention": attention}
    limit = seconds if seconds is not None else _SECONDS
    if modes is not None:
        _require_model(engine)
        if layers or rebuild:
            raise typer.BadParameter(
                "it is for engine files", param_hint="--layers" if layers else "--rebuild"
            )
        least = compare.MIN_SQNR if min_sqnr is None else min_sqnr
        runs = compare.Runs(limit, iterations, warmup, threads, batch, least, not no_self_check)
        asked = options.given_options(option)
        compared = compare.Comparison(session, compare.modes_of(modes), backend, asked, of_int8)
        document = compared.run(engine, specs, runs)
        session.emit(document) if session.json else compare.show(session, document)
        return
    more: dict[str, Any] = {"min-sqnr": min_sqnr, "option": option}
    more |= {"backend": None if backend == "auto" else backend}
    more |= {"no-self-check": no_self_check}
    if names := calibration.given({**of_int8, **more}):
        raise _unneeded(engine, names[0])
    from fwd_core.engine import Engine

    with Engine.load(engine, plugins=session.plugins, rebuild=rebuild) as loaded:
        named = feeds.by_name(loaded.inputs, inputs.given(specs))
        values = feeds.complete(loaded.inputs, named, batch)
        arrays = [values[port.name] for port in loaded.inputs]
        with phases(session) as progress:
            events = Events(progress)
            times = None
            if layers:  # first, so that a backend that cannot tell says so at once
                with events.phase("layers"):
                    times = layer_times.measure(session, loaded, arrays)
            with events.phase("warm-up", warmup) as phase:
                for _ in range(warmup):
                    loaded.run_list(arrays)
                    phase.step()
            with events.phase("measure", iterations) as phase:
                found = measure(loaded, arrays, threads, iterations, limit, phase)
        shapes = {name: f"{array.dtype}{list(array.shape)}" for name, array in values.items()}
        document = {
            "engine": engine,
            **summary(loaded),
            "shapes": shapes,
            "made": made.of(loaded, values),
            "threads": threads,
            "in_flight": loaded.contexts.peak,
            "warmup": warmup,
            **found.document(),
        }
    if times is not None:
        document |= layer_times.document(times)
    if session.json:
        session.emit(document)
        return
    output.print_text(session.out, f"{engine}: {title(loaded.manifest)}")
    output.print_facts(session.out, _facts(document, found))
    if times is not None:
        layer_times.show(session.out, times)


class _Missing(typer.BadParameter):
    """An option that is not there has no value, which other such errors call invalid."""

    def format_message(self) -> str:
        return self.message


def _unneeded(file: str, option: str) -> typer.BadParameter:
    """Why an option of a build means nothing for a file without ``--modes``.

    Raises:
        EngineFileError: There is no such file, or it is damaged.
    """
    from fwd_core import files

    if files.format_of(file) is None:
        return _Missing(
            f"--modes is missing, which {option} needs: {file} is a model, and --modes builds it "
            "in each of its modes to measure that; or build it with `fwd build`, and measure the "
            "engine"
        )
    return typer.BadParameter(
        "an engine is built already: only --modes needs it, which takes a model", param_hint=option
    )


def _require_model(file: str) -> None:
    """Check that ``--modes`` has something to build. What else is wrong is told by importers.

    Raises:
        UnsupportedModelError: The file is an engine.
    """
    from fwd_core.choosing import refuse_engine

    try:
        refuse_engine(file)
    except UnsupportedModelError as error:
        hint = "leave --modes out to measure this engine, or give the model"
        raise error.hinted(hint, error.hint) from None


def _facts(document: dict[str, Any], found: Timings) -> dict[str, str]:
    median, p90, p99 = (output.milliseconds(found.percentile(share)) for share in (50, 90, 99))
    threads = output.plural(document["threads"], "thread")
    flight = "" if document["threads"] == 1 else f", {document['in_flight']} in flight at most"
    return {
        "inputs": ", ".join(f"{name} {text}" for name, text in document["shapes"].items()),
        **made.facts(document["made"]),
        "compute": document["compute"],
        "runs": f"{found.count:,} in {output.seconds(found.seconds)}, {threads}{flight}",
        "latency": f"median {median}, p90 {p90}, p99 {p99}",
        "throughput": f"{found.count / found.seconds:.1f} runs/s",
    }
