"""``fwd check``: everything in a model that stands in the way of an engine, without building."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import typer

from fwd_core.cli import contents, inputs, options, output
from fwd_core.cli.codes import ExitCode
from fwd_core.cli.progress import phases
from fwd_core.cli.session import Session, session_of
from fwd_core.errors import ConversionError, Problem, UnsupportedModelError


def check(
    ctx: typer.Context,
    model: options.Model,
    input: options.Inputs = None,  # noqa: A002 - the option's own name
    mode: options.Mode = "float32",
    backend: options.BackendName = "auto",
    dynamic_batch: options.DynamicBatch = False,
    opt_batch: options.OptBatch = None,
    option: options.BackendOptions = None,
    json: options.Json = False,
) -> None:
    """List every operator of a model that cannot be converted or lowered, without building.

    fwd check model.pth --input 1x3x224x224

    Ends with code 3 if there is one.
    """
    session = session_of(ctx, json=json)
    asked = options.given_options(option)
    specs = inputs.parse_all(input)
    mode = options.checked_mode(mode)
    if mode in ("int8", "int8_calib"):
        raise typer.BadParameter(
            "int8 is written into a model with data, which is not read here; what float32 "
            "converts, int8 does too",
            param_hint="--mode",
        )
    from fwd_core.builder import Builder

    examples, dynamic = inputs.examples(specs, dynamic_batch=dynamic_batch, opt_batch=opt_batch)
    with phases(session) as progress:
        builder = Builder(backend=backend, mode=mode, plugins=session.plugins, on_event=progress)
        with builder.events.phase("load", detail="packs"):
            builder.importer(model)
            if asked:  # for which a backend is needed, as it is not to tell what is not converted
                builder.options = options.backend_options(builder, asked)
                builder.require()
        try:
            with inputs.advising(specs):
                graph = builder.import_model(model, examples, dynamic=dynamic)
        except (UnsupportedModelError, ConversionError) as error:
            if isinstance(error, ConversionError):
                problems: tuple[Problem, ...] = (error.problem(),)
            elif not (problems := error.problems):
                raise
            stage = "converting"
            total = progress.steps.get("import", 0) + _occurrences(problems)
        else:
            stage, problems = builder.backend().name, tuple(builder.unsupported(graph))
            total = sum(contents.operators(graph)["operators"].values())
    _report(session, model, stage, total, problems)
    if problems:
        raise typer.Exit(ExitCode.UNSUPPORTED)


def _report(
    session: Session, model: str, stage: str, total: int, problems: Sequence[Problem]
) -> None:
    supported = total - _occurrences(problems)
    if session.json:
        session.emit(
            {
                "model": model,
                "stage": stage,
                "operators": total,
                "supported": supported,
                "convertible": not problems,
                "problems": [asdict(problem) for problem in problems],
            }
        )
        return
    for problem in problems:
        print_problem(session, problem)
    coverage = (
        f"{output.plural(total, 'operator')}, {supported:,} supported, "
        f"{output.share(supported, total)}"
    )
    verdict = "FAILED" if problems else "PASSED"
    output.print_text(session.out, f"{verdict} {model}: {stage}: {coverage}")


def print_problem(session: Session, problem: Problem) -> None:
    """Print one problem: operator, count and reason; where; what to do."""
    session.out.print(problem.operator, style="bold", markup=False, end="")
    output.print_text(session.out, f" ({problem.count}x): {problem.reason}")
    for place in problem.places:
        output.print_text(session.out, f"  at {place}")
    if problem.hint:
        output.print_text(session.out, f"  Hint: {problem.hint}")


def _occurrences(problems: Iterable[Problem]) -> int:
    return sum(problem.count for problem in problems)
