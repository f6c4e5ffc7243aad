"""``fwd bench --layers``: how long each compiled layer takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.cli import contents, output

if TYPE_CHECKING:
    from rich.console import Console

    from fwd_core.backends.layer_times import LayerTime
    from fwd_core.cli.session import Session
    from fwd_core.engine import Engine

#: Runs that the mean is taken of.
RUNS = 20


def measure(session: Session, engine: Engine, arrays: Sequence[Any]) -> list[LayerTime]:
    """Mean times of the layers, of an engine loaded a second time for it.

    Raises:
        ForwardError: The backend cannot tell.
    """
    from fwd_core.engine.inputs import as_array

    backend = session.plugins.backends[engine.manifest["backend"]]
    executable = backend.load(engine.plan, (engine.all_inputs, engine.outputs))
    try:
        given = [as_array(port, one) for port, one in zip(engine.inputs, arrays, strict=True)]
        return executable.layer_times(given, RUNS)
    finally:
        executable.close()


def document(times: Sequence[LayerTime]) -> dict[str, Any]:
    """As JSON, in the order that the layers run in."""
    return {"layer_runs": RUNS, "layers": [one.to_json() for one in times]}


def show(console: Console, times: Sequence[LayerTime]) -> None:
    """Print a table, the slowest layer first."""
    total = sum(one.milliseconds for one in times)
    output.print_text(
        console,
        f"compiled layers ({len(times)}), {output.milliseconds(total / 1e3)} in all, "
        f"mean of {RUNS} runs",
    )
    rows = [
        [
            output.milliseconds(one.milliseconds / 1e3),
            f"{100 * one.milliseconds / total:.1f} %" if total else "",
            one.kind,
            one.dtype,
            contents.computes(one.nodes) or one.name,
        ]
        for one in sorted(times, key=lambda one: -one.milliseconds)
    ]
    output.print_table(console, ["time", "share", "kernel", "type", "computes"], rows, indent=2)
