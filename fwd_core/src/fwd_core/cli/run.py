"""``fwd run``: run an engine on arrays from files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fwd_core.cli import arrays, feeds, inputs, options, output
from fwd_core.cli.session import session_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def run(
    ctx: typer.Context,
    engine: options.EngineFile,
    input: Annotated[  # noqa: A002 - the option's own name
        Optional[list[str]],
        typer.Option(
            "--input",
            "-i",
            metavar="INPUT",
            help="Values of an input, [NAME=]@FILE with a .npy or .npz file; repeatable. One "
            ".npz without a name gives all inputs.",
        ),
    ] = None,
    out: Annotated[
        Optional[str],
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the outputs to a .npz (one: .npy) file."
        ),
    ] = None,
    rebuild: options.Rebuild = False,
    json: options.Json = False,
) -> None:
    """Run an engine once and write or summarize its outputs.

    fwd run model.engine --input x=@x.npy -o out.npz
    """
    session = session_of(ctx, json=json)
    specs = inputs.parse_all(input)
    if made_up := [spec.text for spec in specs if not spec.path]:
        raise typer.BadParameter(
            f"{made_up[0]!r} is no file of values; `fwd bench` makes values up",
            param_hint="--input",
        )
    if out is not None:
        if not out.endswith((".npy", ".npz")):
            raise typer.BadParameter(f"{out} is no .npz or .npy file", param_hint="--output")
        output.require_writable(out)
        output.require_other(out, [engine, *(spec.path for spec in specs)], "what is read here")
    from fwd_core.engine import Engine

    with Engine.load(engine, plugins=session.plugins, rebuild=rebuild) as loaded:
        if out is not None and out.endswith(".npy") and len(loaded.outputs) != 1:
            raise typer.BadParameter(
                f"the engine has {len(loaded.outputs)} outputs, and a .npy file holds one array",
                param_hint="--output",
            )
        named = feeds.by_name(loaded.inputs, inputs.given(specs))
        start = time.perf_counter()
        with inputs.advising(specs, "@x.npy"):
            results = loaded.run(named)
        spent = time.perf_counter() - start
        ports = loaded.outputs
    results = {one.name: feeds.readable(one, results[one.name]) for one in ports}
    if out is not None:
        arrays.write_arrays(out, results)
    if session.json:
        found = [{"name": name, **statistics(array)} for name, array in results.items()]
        session.emit({"engine": engine, "seconds": spent, "output": out, "outputs": found})
    elif out is not None:
        names = ", ".join(f"{name} {_type(array)}" for name, array in results.items())
        output.print_text(session.out, f"wrote {out}: {names}")
    else:
        rows = [[name, _type(array), *_row(array)] for name, array in results.items()]
        output.print_table(session.out, ["output", "type", "min", "max", "mean", "note"], rows)


def statistics(array: NDArray[Any]) -> dict[str, Any]:
    """What an array holds, as JSON: extremes and mean of its finite values, and other ones."""
    import numpy as np

    found: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    numbers = array if array.dtype.kind in "iu" else array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    if finite.size:
        found |= {"min": finite.min().item(), "max": finite.max().item()}
        found["mean"] = float(finite.mean(dtype=np.float64))
    else:
        found |= {"min": None, "max": None, "mean": None}
    found["nan"] = int(np.isnan(numbers).sum())
    found["inf"] = int(np.isinf(numbers).sum())
    return found


def _type(array: NDArray[Any]) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _row(array: NDArray[Any]) -> list[str]:
    found = statistics(array)
    notes = [f"{found[kind]} {kind}" for kind in ("nan", "inf") if found[kind]]
    numbers = [found[key] for key in ("min", "max", "mean")]
    return ["-" if number is None else f"{number:.6g}" for number in numbers] + [", ".join(notes)]
