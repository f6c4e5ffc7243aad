"""``fwd quantize``: int8 that loses no more than is allowed."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from fwd_core.cli import calibration, inputs, options, output
from fwd_core.cli.build import summary, title
from fwd_core.cli.progress import phases
from fwd_core.cli.sensitivity import decibels
from fwd_core.cli.session import session_of
from fwd_core.errors import OptionError
from fwd_core.user_lines import line_of


def quantize(
    ctx: typer.Context,
    model: options.Model,
    out: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Engine file to write.")
    ],
    calibrate: calibration.Data,
    metric: Annotated[
        str,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="What an engine is worth: a function that takes a fwd_core.Engine and gives a "
            "number, greater is better. The module is looked for in this folder too.",
        ),
    ],
    max_drop: Annotated[
        str,
        typer.Option(
            metavar="DROP",
            help="By how much the metric may be less than of float32, in its own unit: 0.5% is "
            "0.005.",
        ),
    ],
    input: options.Inputs = None,  # noqa: A002 - the option's own name
    backend: options.BackendName = "auto",
    dynamic_batch: options.DynamicBatch = False,
    opt_batch: options.OptBatch = None,
    option: options.BackendOptions = None,
    algorithm: calibration.Algorithm = None,
    cache: calibration.Cache = None,
    skip: calibration.Skip = None,
    attention: calibration.Attention = False,
    json: options.Json = False,
) -> None:
    """Build in int8, with the most sensitive layers in float where accuracy needs it.

    fwd quantize model.pth --input 1x3x224x224 --calibrate images/ --max-drop 0.5%
    --metric mymodule:accuracy -o model.engine
    """
    session = session_of(ctx, json=json)
    specs = inputs.parse_all(input)
    bound = drop_of(max_drop)
    asked = options.given_options(option)
    calibrator = calibration.calibrator_of(
        session,
        "int8",
        calibrate=calibrate,
        algorithm=algorithm,
        cache=cache,
        skip=skip,
        attention=attention,
    )
    from fwd_core.builder import Builder
    from fwd_core.quantize.search import search

    start = time.perf_counter()
    examples, dynamic = inputs.examples(specs, dynamic_batch=dynamic_batch, opt_batch=opt_batch)
    output.require_engine(out, model)
    with phases(session) as progress:
        worth = metric_of(metric)
        builder = Builder(
            backend=backend,
            mode="int8",
            plugins=session.plugins,
            on_event=progress,
            calibrator=calibrator,
        )
        options.load(builder, model, asked)
        with inputs.advising(specs):
            graph = builder.import_model(model, examples, dynamic=dynamic)
        found = search(graph, builder, worth, bound)
        with builder.events.phase("save", detail=out):
            found.engine.save(out)
    spent, count = time.perf_counter() - start, os.path.getsize(out)
    floats = [asdict(one) | {"sqnr": one.sqnr} for one in found.floats]
    placed = calibration.described(found.placement)
    if session.json:
        document = {"engine": out, **summary(found.engine), "bytes": count, "seconds": spent}
        document |= {"int8": placed, "baseline": found.baseline, "value": found.value}
        document |= {"drop": found.drop, "max_drop": bound, "moved": floats}
        session.emit(document | {"attempts": [asdict(one) for one in found.attempts]})
        return
    text = f"{title(found.engine.manifest)}, {output.size(count)}, {output.seconds(spent)}"
    output.print_text(session.out, f"built {out}: {text}")
    output.print_facts(
        session.out,
        {
            "float32": f"{found.baseline:.6g}",
            "int8": f"{found.value:.6g}, a drop of {found.drop:.3g}; at most {bound:.3g}",
            "products": f"{placed['quantized']} of {placed['products']} in int8",
            "builds": str(len(found.attempts)),
        },
    )
    if floats:
        output.print_text(session.out, "moved to float, the most sensitive first")
        rows = [[decibels(one["sqnr"]), one["name"], one["operator"]] for one in floats]
        output.print_table(session.out, ["SQNR", "layer", "operator"], rows, indent=2)


def drop_of(text: str) -> float:
    """A drop as ``0.005`` or ``0.5%``.

    Raises:
        typer.BadParameter: It is neither.
    """
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(
            f"{text!r} is no drop, such as 0.5% or 0.005", param_hint="--max-drop"
        )
    return value


def metric_of(text: str) -> Callable[[Any], float]:
    """The function that ``MODULE:FUNCTION`` names.

    Raises:
        typer.BadParameter: It is malformed.
        OptionError: The module cannot be imported, or has no such function.
    """
    name, colon, function = text.partition(":")
    if not (name and colon and function):
        raise typer.BadParameter(f"{text!r} is not MODULE:FUNCTION", param_hint="--metric")
    if os.getcwd() not in sys.path:  # to stay: the function may import more when it is called
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except Exception as error:  # whatever the user's module does
        raise OptionError(
            f"module {name!r} of --metric cannot be imported",
            where=line_of(error, calls=2),
            details=[f"{type(error).__name__}: {error}"],
            hint="run in its folder, or put that on PYTHONPATH"
            if isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]
            else None,
        ) from error
    found = module
    for part in function.split("."):
        found = getattr(found, part, None)  # type: ignore[assignment]
    if not callable(found):
        raise OptionError(
            f"module {name!r} of --metric has no function {function!r}",
            expected=", ".join(
                key for key, item in vars(module).items() if callable(item) and key[0] != "_"
            )
            or "a function",
        )
    return found
