"""What to say of a module that torch.export refuses: what stopped it, and a way round."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from fwd_core.errors import UnsupportedModelError
from fwd_core.ir import Frame
from fwd_ops_torch.importers.locations import is_users
from fwd_ops_torch.importers.never import GROUPED, PACKED, QUANTIZED
from fwd_ops_torch.importers.undecided import ON_DATA

#: What torch says of its own debugging.
_NOISE = re.compile(
    r"\s*(For (more|extended|C\+\+)|If you suspect|consider using data-dependent|Caused by:|"
    r"The error above occurred|User Stack|C\+\+ stack)"
)
_MULTIPLE = re.compile(r"^\s*(\w+) = (\d+)\*_\w+$", re.MULTILINE)
_ARITHMETIC = re.compile(r" // |\b(?:ceil|floor|round|min|max)\(")
_BEYOND_INTEGERS = re.compile(r"\b(?:trunc|sym_float|ToFloat)\b| % ")
_OF_ONE = re.compile(r"specialized it to be a constant \([01]\)")
_QUANTIZED = re.compile(r"PackedParams|__obj_flatten__")
_DISTRIBUTIONS = f"torch{os.sep}distributions{os.sep}"
#: Ways round for operators whose result has a size that data decides.
_OF_ANY_SIZE = {"aten::one_hot": "say how many classes there are: one_hot(x, num_classes)"}
_FIXED_SIZE = (
    "a size may not follow from the contents of a tensor: make a result of a fixed size and mask "
    "the rest with torch.where"
)


def refusal(
    module: torch.nn.Module, error: Exception, ours: str, elsewhere: str | None = None
) -> UnsupportedModelError:
    """The error for a module that torch.export refuses.

    Args:
        module: The module.
        error: What torch raised.
        ours: The file of the code that called torch, whose callers are not the model.
        elsewhere: Advice if inputs may have a dynamic batch at another axis than 0.
    """
    frames = list(traceback.extract_tb(error.__traceback__))[::-1]
    last = next(at for at, frame in enumerate(frames) if frame.filename == ours)
    places = [Frame(one.filename, one.lineno or 0, one.name) for one in frames[:last]]
    what, hint = _reason(module, error, elsewhere)
    return UnsupportedModelError(
        f"torch.export cannot export {type(module).__name__}{what}",
        where=next(filter(is_users, places), None),
        details=words(error),
        hint=hint,
    )


def words(error: Exception) -> list[str]:
    """The first of torch's own words."""
    lines = [line for line in str(error).splitlines() if line.strip() and not _NOISE.match(line)]
    return [f"{type(error).__name__}: {lines[0] if lines else ''}", *lines[1:8]]


def _reason(module: torch.nn.Module, error: Exception, elsewhere: str | None) -> tuple[str, str]:
    """What stopped torch, where its words do not say, and what to do."""
    text = f"{type(error).__name__} {error}"
    if any(isinstance(held, PackedSequence) for _, held in _held(error)):
        return f": {PACKED[0]}", PACKED[1]
    if "data-dependent" in text or "DataDependent" in text:
        return _data_dependent(module, error, text)
    if "Constraints violated" in text:
        return "", _constraints(module, text, elsewhere)
    if "Cache'> in output" in text:
        return (
            ": it returns its cache",
            "leave the cache out: model.config.use_cache = False, or use_cache=False in its call",
        )
    if _QUANTIZED.search(text):
        return f": {QUANTIZED[0]}", QUANTIZED[1]
    return "", (
        "export follows Python: control flow on data stops it, and so do fixed sizes; "
        "torch.jit.trace(module, inputs) gives a model that took one road"
    )


def _data_dependent(module: torch.nn.Module, error: Exception, text: str) -> tuple[str, str]:
    if "expert" in text and hasattr(module, "set_experts_implementation"):
        return f": {GROUPED[0]}", GROUPED[1]
    if (operator := _under_way(error)) is not None:
        return (
            f": the size of what {operator} gives {ON_DATA}",
            _OF_ANY_SIZE.get(operator, _FIXED_SIZE),
        )
    if any(_DISTRIBUTIONS in step.filename for step in traceback.extract_tb(error.__traceback__)):
        return (
            ": torch.distributions checks values, and that depends on the contents of a tensor",
            "leave the check out: give each distribution validate_args=False, as in "
            "Normal(mean, deviation, validate_args=False)",
        )
    flow = (
        "an if, a loop or int() on data stops torch.export: choose with torch.where or "
        "torch.cond, or script the model (torch.jit.script); a trace keeps only the road that "
        "the example takes"
    )
    if "specialized integer" in text:
        return f": int() makes a number that {ON_DATA}", f"{flow}; {_FIXED_SIZE}"
    return "", flow


def _held(error: Exception) -> Iterator[tuple[str, Any]]:
    """The local variables where it stopped, frame by frame."""
    step = error.__traceback__
    while step is not None:
        yield from step.tb_frame.f_locals.items()
        step = step.tb_next


def _under_way(error: Exception) -> str | None:
    """The operator that torch was computing when it stopped, if it was computing one."""
    found = None
    for name, held in _held(error):
        if name == "func" and isinstance(held, torch._ops.OpOverload):
            found = held._schema.name
    return found


def _constraints(module: torch.nn.Module, text: str, elsewhere: str | None) -> str:
    if multiples := _MULTIPLE.findall(text):
        said = ", ".join(f"'{factor}*{name}'" for name, factor in multiples)
        return (
            "the model takes multiples only: say so with the factor before the name of the "
            f"dynamic dim, {said}"
        )
    if _OF_ONE.search(text):
        return (
            "torch.export fixes a size that is 0 or 1 in the example: give an example with 2 or "
            "more there, or torch.jit.trace(module, inputs), which keeps it"
        )
    if _ARITHMETIC.search(text):
        return (
            "the model computes sizes that torch.export cannot prove right: torch.jit.script "
            "or torch.jit.trace keeps the arithmetic; or, where the sizes are multiples in "
            "every run, say so with the factor before the name of the dynamic dim: '4*name'"
        )
    if _BEYOND_INTEGERS.search(text):
        return (
            "the model computes sizes with remainders or floats, as interpolate does with a "
            "scale_factor, and torch.export cannot prove what holds for them: "
            "torch.jit.trace(module, inputs) or torch.jit.script(module) keeps the arithmetic"
        )
    if elsewhere is not None:
        return elsewhere
    layers = [one for one in module.modules() if isinstance(one, torch.nn.RNNBase)]
    if layers:
        return (
            f"torch.export fixes the length of what {type(layers[0]).__name__} reads: hand "
            "over torch.jit.trace(module, inputs) or torch.jit.script(module), which keep it"
        )
    return (
        "the model fixes a size that was to change: compute it from x.shape in place of a "
        "number, or leave that size static"
    )
