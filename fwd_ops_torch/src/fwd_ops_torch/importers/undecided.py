"""Numbers and truths that are not known while importing, and why."""

from __future__ import annotations

from dataclasses import dataclass

from fwd_core.errors import ConversionError
from fwd_core.ir import Value

#: What numbers and truths depend on that no graph of fixed operators can follow.
ON_DATA = "depends on the contents of a tensor"
ON_DATA_HINT = "keep the number a tensor, use torch.where, or compute it from shapes"


@dataclass(frozen=True)
class Undecided:
    """Stands for a Python number or bool that the model computes and a graph cannot know.

    Attributes:
        reason: What it depends on.
        hint: What to do about it.
        data: Whether it depends on the contents of tensors (and not on a dynamic size only).
        value: The tensor of one element that holds it when the engine runs, if there is one.
        kind: ``bool``, ``int`` or ``float``: what the model takes it for.
    """

    reason: str
    hint: str
    data: bool
    value: Value | None = None
    kind: type = float

    def error(self, use: str) -> ConversionError:
        """The error for a use that needs to know."""
        return ConversionError(f"{use} {self.reason}", hint=self.hint)


def depends_on_data(what: str, value: Value | None = None, kind: type = float) -> Undecided:
    """A number that was read from a tensor."""
    return Undecided(f"{ON_DATA} ({what})", ON_DATA_HINT, True, value, kind)


def depends_on_size(what: str) -> Undecided:
    """A truth or number that is not the same for every value of a dynamic size."""
    return Undecided(
        f"depends on a dynamic size ({what})",
        "narrow the range of that size, build it static, or build one engine for each case",
        data=False,
    )
