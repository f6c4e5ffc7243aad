"""``fwd inspect``: what is in an engine file, a graph file or a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fwd_core.cli import calibration, contents, inputs, options, output, sensitivity
from fwd_core.cli.build import title
from fwd_core.cli.progress import phases
from fwd_core.cli.session import Session, session_of

if TYPE_CHECKING:
    from fwd_core.builder import Builder
    from fwd_core.ir import Graph

#: Entries of an engine's manifest that have a line of their own or are the backend's internals.
_OWN_LINES = frozenset(
    {
        "backend",
        "mode",
        "compute",
        "options",
        "build options",
        "packs",
        "forward",
        "layers",
        "profiles",
        "self check",
    }
)


def inspect(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Engine file, graph file, or model.")],
    input: options.Inputs = None,  # noqa: A002 - the option's own name
    dynamic_batch: options.DynamicBatch = False,
    opt_batch: options.OptBatch = None,
    tensors: Annotated[
        bool,
        typer.Option("--tensors", help="List the graph's values, and which int8 needs ranges of."),
    ] = False,
    fused: Annotated[
        bool,
        typer.Option(
            "--fused",
            help="Show the graph as a build in float32 for --backend lowers it, with what packs "
            "fuse.",
        ),
    ] = False,
    layers: Annotated[
        bool,
        typer.Option(
            "--sensitivity",
            help="List the layers that lose most in int8, measured on --calibrate data.",
        ),
    ] = False,
    calibrate: calibration.Calibrate = None,
    algorithm: calibration.Algorithm = None,
    cache: calibration.Cache = None,
    scales: calibration.Scales = None,
    skip: calibration.Skip = None,
    attention: calibration.Attention = False,
    backend: options.BackendName = "auto",
    option: options.PackOptions = None,
    json: options.Json = False,
) -> None:
    """Show what is in an engine, a graph or a model.

    fwd inspect model.engine

    Of a model it shows the graph that Forward makes of it, for which it needs --input:

    fwd inspect model.pth --input 1x3x224x224

    Names that caches and scale files hold, and which of them --skip leaves:

    fwd inspect model.pth --input 1x3x224x224 --tensors --skip 'head.*'

    fwd inspect model.pth --input 1x3x224x224 --sensitivity --calibrate images/

    What an option of a pack makes of the graph, as removing padding:

    fwd inspect bert.pth --input … --option variable_length=true

    What packs fuse for a backend, as attention and norms that a model writes out:

    fwd inspect bert.pth --input … --fused
    """
    session = session_of(ctx, json=json)
    specs = inputs.parse_all(input)
    asked = options.given_options(option)
    if asked and (tensors or layers):
        raise typer.BadParameter(
            "names and ranges of int8 are of the model before options change it",
            param_hint="--option",
        )
    if fused and (tensors or layers):
        raise typer.BadParameter(
            "names and ranges of int8 are of the model before packs fuse it",
            param_hint="--fused",
        )
    measured = sensitivity.Wanted.of(
        session,
        layers,
        tensors,
        "auto" if fused else backend,
        calibrate=calibrate,
        algorithm=algorithm,
        cache=cache,
        scales=scales,
        skip=skip,
        attention=attention,
    )
    from fwd_core import files
    from fwd_core.builder import Builder
    from fwd_core.engine import file as engines
    from fwd_core.ir import Derived, serialize

    kind = files.format_of(file)
    if kind is not None and (specs or dynamic_batch or opt_batch is not None):
        raise typer.BadParameter(f"{file} knows its inputs", param_hint="--input")
    if kind == engines.FORMAT and asked:
        raise typer.BadParameter(f"{file} is built already", param_hint="--option")
    if kind == engines.FORMAT and fused:
        raise typer.BadParameter(
            f"{file} is built already: give the model, or a graph file", param_hint="--fused"
        )
    document: dict[str, Any] = {"file": file, "bytes": os.path.getsize(file)}
    graph: Graph | None = None
    if kind == engines.FORMAT:
        stored, held = engines.read(file)
        if "graph" in stored:
            graph = engines.graph_of(stored, held, session.plugins)
        document |= {"kind": "engine", "manifest": stored["manifest"], "graph": None}
        derived = [Derived.from_json(one) for one in stored.get("derived", ())]
        document |= contents.with_made(*engines.ports_of(stored), derived)
    elif kind is not None:
        with phases(session) as progress:
            builder = Builder(backend=backend, plugins=session.plugins, on_event=progress)
            changes = options.pack_options(builder, asked)
            graph = serialize.load(file, session.plugins.operators)
            document |= {"kind": "graph"} | _changed(builder, graph, changes, fused)
    else:
        examples, dynamic = inputs.examples(specs, dynamic_batch=dynamic_batch, opt_batch=opt_batch)
        with phases(session) as progress:
            builder = Builder(backend=backend, plugins=session.plugins, on_event=progress)
            with builder.events.phase("load", detail="packs"):
                builder.importer(file)
                changes = options.pack_options(builder, asked)
                if fused:  # before minutes of import
                    builder.require()
            with inputs.advising(specs):
                graph = builder.import_model(file, examples, dynamic=dynamic)
            document |= {"kind": "model"} | _changed(builder, graph, changes, fused)
    if graph is not None:
        document |= contents.of_graph(graph) if kind != engines.FORMAT else {}
        document["graph"] = contents.operators(graph)
    if tensors:
        document["tensors"] = contents.tensors(graph, file, skip or (), attention)
    if measured is not None:
        document["sensitivity"] = measured.of_graph(session, graph, file)
    if session.json:
        session.emit(document)
        return
    shown = kind != engines.FORMAT and not tensors and measured is None
    _print(session, document, graph if shown else None)


def _changed(
    builder: Builder, graph: Graph, changes: Mapping[str, Any], fused: bool
) -> dict[str, Any]:
    """Change a graph as is asked for; which backend it is fused for, if for one."""
    builder.apply_options(graph, changes)
    if not fused:
        return {}
    builder.fuse(graph)
    return {"fused": builder.backend().name}


def _print(session: Session, document: dict[str, Any], graph: Graph | None) -> None:
    out = session.out
    output.print_text(
        out, f"{document['file']}: {document['kind']}, {output.size(document['bytes'])}"
    )
    output.print_facts(out, _facts(document))
    for side in ("inputs", "outputs"):
        output.print_text(out, side)
        rows = [[one["name"], contents.type_text(one)] for one in document[side]]
        output.print_table(out, [], rows, indent=2)
    if document["made"]:
        output.print_text(out, "made inputs")
        rows = [
            [one["name"], contents.type_text(one), f"of {', '.join(one['of'])}"]
            for one in document["made"]
        ]
        output.print_table(out, [], rows, indent=2)
    if document["dims"]:
        output.print_text(out, "dynamic sizes")
        rows = [
            [name, f"{dim['min']} … {dim['max']}, tuned for {dim['opt']}"]
            for name, dim in document["dims"].items()
        ]
        output.print_table(out, [], rows, indent=2)
    if rows := contents.profile_rows(document.get("manifest", {})):
        output.print_text(out, "profiles")
        output.print_table(out, [], rows, indent=2)
    if rows := contents.layer_rows(document.get("manifest", {})):
        output.print_text(out, f"compiled layers ({len(rows)})")
        output.print_table(out, ["kernel", "type", "computes"], rows, indent=2)
    if graph is not None:
        output.print_text(out, "graph")
        output.print_text(out, str(graph))
    if "tensors" in document:
        output.print_text(out, "tensors")
        output.print_names(out, contents.tensor_rows(document["tensors"]), indent=2)
    if "sensitivity" in document:
        sensitivity.show(session, document["sensitivity"])
    if document["graph"] is not None:
        output.print_text(out, "operators")
        rows = [[f"{count:,}", name] for name, count in document["graph"]["operators"].items()]
        output.print_table(out, [], rows, indent=2)


def _facts(document: dict[str, Any]) -> dict[str, str]:
    facts: dict[str, str] = {}
    if (manifest := document.get("manifest")) is not None:
        from fwd_core.self_check import KEY, told

        facts["backend"] = title(manifest)
        facts["forward"] = manifest["forward"]
        facts["needs packs"] = ", ".join(manifest["packs"])
        facts["options"] = contents.value_text(
            {**manifest["options"], **manifest.get("build options", {})}
        )
        for name, value in manifest.items():
            if name not in _OWN_LINES and not isinstance(value, dict):
                facts[name] = contents.value_text(value)
        if (checked := manifest.get(KEY)) is not None:
            facts["self-check"] = told(checked)
    if "fused" in document:
        facts["fused"] = f"for {document['fused']} in float32"
    graph = document["graph"]
    if graph is None:
        facts["graph"] = "not kept"
    else:
        facts["graph"] = (
            f"{graph['name']}: {output.plural(sum(graph['operators'].values()), 'operator')}, "
            f"{output.plural(graph['constants'], 'constant')} of "
            f"{output.size(graph['constant_bytes'])}"
        )
    return facts
