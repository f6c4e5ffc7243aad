"""What is said of an engine that was compared with its model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.errors import SelfCheckError

if TYPE_CHECKING:
    from fwd_core.backends.base import Backend
    from fwd_core.builder import Builder
    from fwd_core.self_check.nearness import Needed

#: The entry of an engine's manifest.
KEY = "self check"
NOT_RUN = "not run"
UNSURE = "the model's own results, for inputs moved by a rounding, change"
_SHOWN = 8


def refusal(
    builder: Builder,
    needed: Needed,
    wrong: Mapping[str, str],
    count: int,
    made_up: bool,
    notes: Sequence[str] = (),
) -> SelfCheckError:
    """The error for an engine, which is a warning's text in lower modes.

    Args:
        builder: What built it.
        needed: How near results have to be.
        wrong: What is wrong with outputs, by name.
        count: How many outputs there are.
        made_up: Whether values of the example inputs are no real data.
        notes: Further lines.
    """
    backend = builder.backend()
    versions = [f"{name} {text}" for name, text in backend.availability().versions.items()]
    lines = [f"output {name!r}: {why}" for name, why in list(wrong.items())[:_SHOWN]]
    if len(wrong) > _SHOWN:
        lines.append(f"… and {len(wrong) - _SHOWN} more outputs")
    lines.append(f"backend {backend.name!r} ({', '.join(versions)}), mode {builder.mode!r}")
    lines += notes
    if builder.mode == "int8_calib" and builder.calibrator is not None:
        lines.append(
            f"if this build wrote {builder.calibrator.cache}, its ranges are of what such engines "
            "give: delete it then"
        )
    return SelfCheckError(
        "the engine does not give what the model gives on the example inputs "
        f"({len(wrong)} of {count} outputs)",
        expected=str(needed),
        details=lines,
        hint=("compare on real data, as example inputs; " if made_up else "")
        + _advice(builder.mode, backend),
    )


def _advice(mode: str, backend: Backend) -> str:
    if mode == "int8":
        return (
            "calibration data like these inputs, another algorithm, or sensitive layers in float "
            "(`fwd quantize` finds them) keep more"
        )
    if mode == "float16":
        return "`fwd bench --modes float32,float16` tells what the mode costs; float32 keeps all"
    level = any(one.name == "optimization_level" for one in dataclasses.fields(backend.options))
    return (
        ("another optimization_level, " if level else "")
        + "another backend or other sizes may be compiled right, and a pack's own lowering may be "
        "wrong; self_check=False (--no-self-check) keeps the engine as it is"
    )


def told(entry: Mapping[str, Any]) -> str:
    """What an engine's manifest says of its check, in a few words.

    Example:
        >>> told({"cosine": 0.9999994, "error": 2.1e-06, "equal": None})
        'cosine 0.999999 to the model, greatest error 2.1e-06'
    """
    if (reason := entry.get(NOT_RUN)) is not None:
        return f"not run: {reason}"
    left, unsure = entry.get("not finite", 0), entry.get("unsure", ())
    parts = []
    if entry["cosine"] is not None:
        parts.append(f"cosine {entry['cosine']:.6f} to the model")
    if entry["error"] is not None:
        parts.append(f"greatest error {entry['error']:.1e}")
    if entry["equal"] is not None:
        parts.append(f"{entry['equal']:.4%} of integers and bools equal")
    if left:
        parts.append(f"{left} output{'s' if left > 1 else ''} not compared: NaN or infinite")
    if unsure:
        parts.append(f"{', '.join(unsure)} not compared: {UNSURE} as much")
    return ", ".join(parts) or "all outputs are empty"
