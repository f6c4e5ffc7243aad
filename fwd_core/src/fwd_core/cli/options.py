"""Options that several commands share, and options of backends as text."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from fwd_core.errors import OptionError

if TYPE_CHECKING:
    from fwd_core.builder import Builder

_SAMPLES = "Samples: 1x3x224x224, ids=1x128:int64, x=batch[1,4,8]x3x224x224, x=@x.npy."

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="TorchScript file or torch.export program (.pt2).")
]
EngineFile = Annotated[str, typer.Argument(metavar="ENGINE", help="Engine file.")]
Inputs = Annotated[
    Optional[list[str]],
    typer.Option(
        "--input",
        "-i",
        metavar="INPUT",
        help="Example input, [NAME=]SHAPE[:DTYPE] or [NAME=]@FILE; repeatable. The dtype is "
        "float32 unless said; values are made up unless a .npy or .npz file gives them; a size "
        f"as NAME[MIN,OPT,MAX] is dynamic, as 4*NAME[MIN,OPT,MAX] a multiple too. {_SAMPLES}",
    ),
]
Mode = Annotated[
    str,
    typer.Option(
        "--mode",
        "-m",
        metavar="MODE",
        help="Precision: float32, float16 or int8; int8_calib calibrates and builds in float32.",
    ),
]
BackendName = Annotated[
    str,
    typer.Option(
        "--backend",
        "-b",
        metavar="NAME",
        help="Backend, or auto: TensorRT where it can run, else OpenVINO.",
    ),
]
DynamicBatch = Annotated[
    bool,
    typer.Option(
        "--dynamic-batch",
        help="Let the batch be 1 … the first size of the first input, which is 2 or more; inputs "
        "with the same first size share it.",
    ),
]
OptBatch = Annotated[
    Optional[int],
    typer.Option(
        "--opt-batch",
        metavar="N",
        min=1,
        help="Tune for batch N. Implies --dynamic-batch; the greatest batch is at least N.",
    ),
]
Gpu = Annotated[
    Optional[str],
    typer.Option(metavar="SM", help="GPUs to build for, as sm_89 or sm_89,sm_120 (TensorRT)."),
]
Threads = Annotated[
    Optional[int], typer.Option(metavar="N", help="Threads that runs share (OpenVINO).")
]
Hint = Annotated[
    Optional[str], typer.Option(metavar="HINT", help="latency or throughput (OpenVINO).")
]
Workspace = Annotated[
    Optional[str],
    typer.Option(metavar="SIZE", help="Most scratch memory, as 512M or 2G (TensorRT)."),
]
BackendOptions = Annotated[
    Optional[list[str]],
    typer.Option(
        "--option", metavar="KEY=VALUE", help="Any other option of the backend; repeatable."
    ),
]
PackOptions = Annotated[
    Optional[list[str]],
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="An option that a pack adds to builds: the graph is shown as it changes that. "
        "Repeatable.",
    ),
]
Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild",
        help="If the plan is of another machine, compile the graph that --embed-graph kept.",
    ),
]
NoSelfCheck = Annotated[
    bool,
    typer.Option(
        "--no-self-check",
        help="Do not compare the engine's results (with --modes, those in float32) with the "
        "model's own on the example inputs.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]


def checked_mode(mode: str, option: str = "--mode") -> str:
    """The mode, if there is one of that name.

    Raises:
        typer.BadParameter: There is none, or this version cannot build it.
    """
    from fwd_core.modes import parse_mode

    try:
        return parse_mode(mode)
    except OptionError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise typer.BadParameter(
            f"{error.what}. It is {error.expected}{hint}", param_hint=option
        ) from None


def given_options(
    texts: Sequence[str] | None,
    *,
    gpu: str | None = None,
    threads: int | None = None,
    hint: str | None = None,
    workspace: str | None = None,
) -> dict[str, str | int]:
    """Options of the backend that were given, by the backend's names, as text or number.

    Raises:
        typer.BadParameter: One is malformed or given twice.
    """
    flags: dict[str, str | int | None] = {
        "gpu": gpu,
        "threads": threads,
        "hint": hint,
        "workspace": None if workspace is None else byte_count(workspace),
    }
    options = {name: value for name, value in flags.items() if value is not None}
    for text in texts or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--option")
        if name in options:
            raise typer.BadParameter(f"option {name!r} is given twice", param_hint="--option")
        options[name] = value
    return options


def byte_count(text: str) -> int:
    """A size as 1048576, 512M or 2G, in bytes.

    Raises:
        typer.BadParameter: It is malformed.
    """
    found = re.fullmatch(r"(\d+)([kKMG]?)(?:i?B)?", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size, such as 512M", param_hint="--workspace")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()]


def load(builder: Builder, model: str, asked: Mapping[str, str | int]) -> None:
    """Find the packs that read a model and build for it, and give the builder its options.

    Raises:
        ForwardError: A subclass: nothing reads the model, or an option is refused.
    """
    with builder.events.phase("load", detail="packs"):
        builder.importer(model)
        builder.options = backend_options(builder, asked)


def backend_options(builder: Builder, options: Mapping[str, str | int]) -> dict[str, Any]:
    """Options as values of the types that the builder's backend declares.

    Raises:
        OptionError: The backend has no option of that name (the message says which has), or the
            text is no value of its type.
    """
    backend = builder.backend()
    chosen = ", which auto chose here," if builder.backend_name == "auto" else ""
    hints = typing.get_type_hints(backend.options)
    for name in options:
        owners = [] if name in hints else builder.asked.owners(name)
        if owners:
            raise OptionError(
                f"backend {backend.name!r}{chosen} has no option {name!r}",
                expected=", ".join(builder.asked.names(backend)),
                hint=f"leave it out, or choose --backend {owners[0]}, which has it",
            )
    return {
        name: _value(backend.name, name, hints.get(name), value) for name, value in options.items()
    }


def pack_options(builder: Builder, options: Mapping[str, str | int]) -> dict[str, Any]:
    """Options that packs add, with their values as they take them.

    Raises:
        OptionError: No pack has an option of that name, or it refuses the value.
    """
    from fwd_core.plugins.advice import on_option

    known = builder.plugins.build_options
    for name in options:
        if name in known:
            continue
        if owners := builder.asked.owners(name):
            raise OptionError(
                f"option {name!r} is of backend {owners[0]!r}, and the graph is the same for any",
                expected=", ".join(known) or "no option",
                hint="leave it out; `fwd check` and `fwd build` take it",
            )
        raise OptionError(
            f"no pack has an option {name!r}",
            expected=", ".join(known) or "no option",
            details=builder.plugins.failures(),
            hint=on_option(name, known, builder.plugins),
        )
    return {name: known[name].parse(value) for name, value in options.items()}


def _value(backend: str, name: str, hint: Any, value: str | int) -> Any:
    """The text as the first type of the hint that takes it; unknown names keep their text."""
    from fwd_core.backends.option_types import alternatives

    if hint is None or not isinstance(value, str):
        return value
    choices = alternatives(hint)
    for kind in choices:
        if kind is type(None) and value.lower() == "none":
            return None
        if kind is bool and value.lower() in _TRUTHS:
            return _TRUTHS[value.lower()]
        if kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
        if typing.get_origin(kind) is Literal or kind is str:
            return value  # the backend says itself which words it takes
    raise OptionError(
        f"option {name!r} of backend {backend!r}",
        expected=" or ".join(_NAMES.get(kind, str(kind)) for kind in choices),
        got=repr(value),
    )


_TRUTHS = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    type(None): "none",
}
