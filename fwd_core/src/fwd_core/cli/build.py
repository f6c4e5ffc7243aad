"""``fwd build``: compile a model to an engine file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fwd_core.cli import calibration, inputs, options, output
from fwd_core.cli.progress import phases
from fwd_core.cli.session import session_of
from fwd_core.errors import CalibrationError

if TYPE_CHECKING:
    from fwd_core.engine import Engine
    from fwd_core.quantize.calibrate import Calibrator


def build(
    ctx: typer.Context,
    model: options.Model,
    out: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Engine file to write.")
    ],
    input: options.Inputs = None,  # noqa: A002 - the option's own name
    mode: options.Mode = "float32",
    backend: options.BackendName = "auto",
    dynamic_batch: options.DynamicBatch = False,
    opt_batch: options.OptBatch = None,
    gpu: options.Gpu = None,
    threads: options.Threads = None,
    hint: options.Hint = None,
    workspace: options.Workspace = None,
    option: options.BackendOptions = None,
    calibrate: calibration.Calibrate = None,
    algorithm: calibration.Algorithm = None,
    cache: calibration.Cache = None,
    scales: calibration.Scales = None,
    skip: calibration.Skip = None,
    attention: calibration.Attention = False,
    embed_graph: Annotated[
        bool,
        typer.Option("--embed-graph", help="Keep the graph, so that another machine can rebuild."),
    ] = False,
    no_self_check: options.NoSelfCheck = False,
    json: options.Json = False,
) -> None:
    """Compile a model to an engine file.

    fwd build model.pth --input 1x3x224x224 --mode float16 -o model.engine

    fwd build model.pth --input 1x3x224x224 --mode int8 --calibrate images/ -o model.engine
    """
    session = session_of(ctx, json=json)
    asked = options.given_options(option, gpu=gpu, threads=threads, hint=hint, workspace=workspace)
    specs = inputs.parse_all(input)
    mode = options.checked_mode(mode)
    calibrator = calibration.calibrator_of(
        session,
        mode,
        calibrate=calibrate,
        algorithm=algorithm,
        cache=cache,
        scales=scales,
        skip=skip,
        attention=attention,
    )
    from fwd_core import self_check
    from fwd_core.builder import Builder

    start = time.perf_counter()
    examples, dynamic = inputs.examples(specs, dynamic_batch=dynamic_batch, opt_batch=opt_batch)
    output.require_engine(out, model)
    with phases(session) as progress:
        builder = Builder(
            backend=backend,
            mode=mode,
            embed_graph=embed_graph,
            plugins=session.plugins,
            on_event=progress,
            calibrator=calibrator,
            self_check=not no_self_check,
        )
        options.load(builder, model, asked)
        with inputs.advising(specs), _asking_for_data(calibrator):
            engine = builder.build(model, examples, dynamic=dynamic)
        with builder.events.phase("save", detail=out):
            engine.save(out)
    spent = time.perf_counter() - start
    count = os.path.getsize(out)
    checked = engine.manifest.get(self_check.KEY)
    found = calibration.placed(calibrator) if calibrator and mode == "int8" else None
    if session.json:
        document = {"engine": out, **summary(engine), "bytes": count, "seconds": spent}
        document |= {} if found is None else {"int8": found}
        document |= {} if checked is None else {"self_check": checked}
        session.emit(document | {"phases": progress.seconds})
        return
    text = f"built {out}: {title(engine.manifest)}, {output.size(count)}, {output.seconds(spent)}"
    output.print_text(session.out, text)
    if checked is not None:
        output.print_text(session.out, f"self-check: {self_check.told(checked)}")
    if found is not None:
        calibration.show(session, found)
    elif calibrator is not None:
        output.print_text(session.out, calibration.ranges_of_a_cache(calibrator))


@contextmanager
def _asking_for_data(calibrator: Calibrator | None) -> Iterator[None]:
    """Say how data is given here, where the builder asks for a calibrator."""
    try:
        yield
    except CalibrationError as error:
        if calibrator is not None:
            raise
        raise CalibrationError(
            "this model was not trained with quantization, so mode int8 needs data",
            expected="a .npy or .npz file or a folder of them, a cache, or scales",
            hint="--calibrate DATA; or --cache FILE, or --scales FILE",
        ) from error


def title(manifest: Any) -> str:
    """Backend and mode of an engine, with the type that it computes in where that differs."""
    mode, compute = manifest["mode"], manifest.get("compute", manifest["mode"])
    return f"{manifest['backend']} {mode}" + (f" ({compute})" if compute != mode else "")


def summary(engine: Engine) -> dict[str, Any]:
    """What an engine is, as JSON."""
    return {
        "backend": engine.manifest["backend"],
        "mode": engine.manifest["mode"],
        "compute": engine.manifest.get("compute", engine.manifest["mode"]),
        "inputs": [port(one) for one in engine.inputs],
        "outputs": [port(one) for one in engine.outputs],
    }


def port(one: Any) -> dict[str, Any]:
    """An input or output of an engine, as JSON."""
    return {
        "name": one.name,
        "dtype": str(one.type.dtype),
        "shape": [dim if isinstance(dim, int) else str(dim) for dim in one.type.shape],
    }
