"""Options of the int8 modes, which several commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fwd_core.cli import output
from fwd_core.cli.dataset import RANDOM, Dataset, random_batches
from fwd_core.cli.session import Session
from fwd_core.errors import CalibrationError

if TYPE_CHECKING:
    from fwd_core.quantize.calibrate import Calibrator
    from fwd_core.quantize.report import Placement

_DATA = "Data to calibrate with: a .npy or .npz file (arrays by input name), or a folder of them."
Calibrate = Annotated[Optional[str], typer.Option("--calibrate", metavar="DATA", help=_DATA)]
Data = Annotated[str, typer.Option("--calibrate", metavar="DATA", help=_DATA)]
CalibrateOrRandom = Annotated[
    Optional[str],
    typer.Option(
        "--calibrate",
        metavar="DATA",
        help=f"{_DATA[:-1]}; or random, which tells speed but not quality. (random)",
    ),
]
Algorithm = Annotated[
    Optional[str],
    typer.Option(
        metavar="NAME",
        help="How ranges are chosen: mse, minmax, entropy_2, entropy, percentile, percentile=99.9, "
        "or a pack's. (mse)",
    ),
]
Cache = Annotated[
    Optional[str],
    typer.Option(
        metavar="FILE",
        help="Calibration cache: read if it is there, else written after calibrating.",
    ),
]
Scales = Annotated[
    Optional[str],
    typer.Option(metavar="FILE", help="Ranges set by hand, a line TENSOR:RANGE each."),
]
Skip = Annotated[
    Optional[list[str]],
    typer.Option(
        "--skip",
        metavar="PATTERN",
        help="Keep in float what matches: a glob over module paths and names of nodes, as 'head.*';"
        " repeatable.",
    ),
]
Attention = Annotated[
    bool,
    typer.Option(
        "--attention", help="Quantize the two products of attention too, which stay in float else."
    ),
]
_INT8 = ("int8", "int8_calib")


def calibrator_of(
    session: Session,
    mode: str,
    *,
    calibrate: str | None = None,
    algorithm: str | None = None,
    cache: str | None = None,
    scales: str | None = None,
    skip: Sequence[str] | None = None,
    attention: bool = False,
) -> Calibrator | None:
    """What the options say, or ``None`` where the mode is one of floats.

    In mode ``int8`` it is ``None`` too where they say nothing: models that were trained with
    quantization need no ranges.

    Raises:
        typer.BadParameter: One means nothing here, or there is nothing to have ranges from.
        InputError: There is no data.
        OptionError: There is no such algorithm.
        CalibrationError: There is no such cache, and no data to write it from.
    """
    given = {
        "--calibrate": calibrate,
        "--algorithm": algorithm,
        "--cache": cache,
        "--scales": scales,
        "--skip": skip or None,
        "--attention": attention or None,
    }
    if mode not in _INT8:
        for name, value in given.items():
            if value is not None:
                raise typer.BadParameter(
                    f"mode {mode} computes in floats and needs no ranges; --mode int8 does",
                    param_hint=name,
                )
        return None
    if mode == "int8" and all(value is None for value in given.values()):
        return None
    _require_sense(mode, given)
    from fwd_core.quantize.algorithms import algorithm_of
    from fwd_core.quantize.calibrate import Calibrator

    chosen = None
    if algorithm is not None:  # a misspelt one is told before the import
        chosen = algorithm_of(session.plugins, algorithm).name
    if cache is not None:
        _tell_of_cache(session, cache, calibrate, chosen)
    return Calibrator(
        None if calibrate is None else data(calibrate),
        algorithm=algorithm,
        cache=cache,
        scales=scales,
        skip=skip or (),
        attention=attention,
    )


def given(values: Mapping[str, Any]) -> list[str]:
    """Options that were given, of values by the names of parameters."""
    left_out = (None, False)  # not 0, which is a value
    return [
        f"--{name}"
        for name, value in values.items()
        if value != [] and not any(value is one for one in left_out)
    ]


def data(text: str) -> Any:
    """Batches that ``--calibrate`` names."""
    return random_batches if text == RANDOM and not os.path.exists(text) else Dataset(text)


def ranges_of_a_cache(calibrator: Calibrator) -> str:
    """One line about the cache that mode ``int8_calib`` read or wrote."""
    from fwd_core.quantize import CalibrationCache

    found = CalibrationCache.load(str(calibrator.cache))
    return f"{calibrator.cache}: {found.header}, {output.plural(len(found), 'tensor')}"


def placed(calibrator: Calibrator) -> dict[str, Any]:
    """What of a model is in int8, as JSON."""
    placement = calibrator.placement
    assert placement is not None, "it was built in int8"
    return described(placement)


def described(placement: Placement) -> dict[str, Any]:
    """What a placement did with products, as JSON."""
    return {
        "products": len(placement.products),
        "quantized": sum(name in placement.quantized for name in placement.products),
        "attention": placement.attention,
        "floats": {
            name: placement.floats[name] for name in placement.products if name in placement.floats
        },
    }


def of_attention(found: Mapping[str, Any]) -> str:
    """What :func:`described` says of the products of attention."""
    count = found["attention"]
    return f", and {output.plural(count, 'product')} of attention in float" if count else ""


def show(session: Session, found: dict[str, Any]) -> None:
    """Print what :func:`placed` says."""
    count = output.plural(found["products"], "product")
    output.print_text(session.out, f"int8: {found['quantized']} of {count}{of_attention(found)}")
    if found["floats"]:
        output.print_text(session.out, "in float")
        rows = [[name, why] for name, why in found["floats"].items()]
        output.print_table(session.out, [], rows, indent=2)


def _require_sense(mode: str, given: dict[str, Any]) -> None:
    if given["--calibrate"] == RANDOM and not os.path.exists(RANDOM):
        raise typer.BadParameter(
            "an engine that is calibrated with random data is of no use; `fwd bench --modes` "
            "takes it, to measure speed",
            param_hint="--calibrate",
        )
    if mode == "int8_calib":
        if given["--cache"] is None:
            raise typer.BadParameter(
                "mode int8_calib writes a calibration cache: give the file to write",
                param_hint="--cache",
            )
        if given["--scales"] is not None:
            raise typer.BadParameter(
                "mode int8_calib calibrates, and scales are set by hand; --mode int8 takes them",
                param_hint="--scales",
            )
    if given["--scales"] is not None:
        for name in ("--calibrate", "--algorithm", "--cache"):
            if given[name] is not None:
                raise typer.BadParameter(
                    "--scales gives all ranges, so this would not be used", param_hint=name
                )
    elif given["--calibrate"] is None and given["--cache"] is None:
        raise typer.BadParameter(
            f"mode {mode} needs data: a .npy or .npz file or a folder of them; or --cache, or "
            "--scales",
            param_hint="--calibrate",
        )


def _tell_of_cache(session: Session, cache: str, calibrate: str | None, name: str | None) -> None:
    """Say that a cache that is there takes the place of calibrating, and what is not told by it.

    Raises:
        CalibrationError: It is not there, and neither is data to write it from.
        EngineFileError: It cannot be written.
    """
    if not os.path.exists(cache):
        if calibrate is None:  # told before the import, and by the name that data has here
            raise CalibrationError(
                f"there is no calibration cache {cache}",
                hint="--calibrate DATA to calibrate and write it; or name a cache that is there",
            )
        output.require_writable(cache)
        return
    if calibrate is not None:
        session.note(f"{cache} is there and is used: delete it to calibrate with {calibrate}")
    if name is None:
        return
    from fwd_core.quantize import CalibrationCache
    from fwd_core.quantize.cache_text import SHARED_BY, is_shared, word_of

    CalibrationCache.load(cache, algorithm=name)  # one of another is told before the import
    if is_shared(word_of(name)):
        session.note(
            f"{cache} is taken as one of {name}: caches of {SHARED_BY} begin "
            "with the same word, so one of another of these would not be noticed"
        )
