"""Numbers and truths that are not known while importing, and why."""

from __future__ import annotations

from dataclasses import dataclass

from fwd_core.errors import ConversionError
from fwd_core.ir import Value
from fwd_ops_torch.converting.size_floats import SizeFloat

#: What numbers and truths depend on that no graph of fixed operators can follow.
ON_DATA = "depends on the contents of a tensor"
ON_DATA_HINT = "keep the number a tensor, use torch.where, or compute it from shapes"

#: Arguments that converters take as tensors where the engine computes them, by the kinds of number:
#: they say which element, or what a tensor holds, and decide no size.
AT_RUN_TIME: dict[tuple[str, str], tuple[type, ...]] = {
    ("aten::select", "index"): (int,),
    ("aten::select_copy", "index"): (int,),
    ("aten::select_scatter", "index"): (int,),
    ("aten::scalar_tensor", "s"): (bool, int, float),
}
#: What to do in place of operators whose result has a size that such a number decides.
_OF_ANY_SIZE = dict.fromkeys(
    ("aten::slice", "aten::slice_copy", "aten::slice_scatter"),
    "take a fixed number of elements, by x.narrow(dim, start, length), whose start may be a "
    "tensor, or, no more than there are, by x[start : start + length] with a literal length; or "
    "mask others by torch.where",
)


#: What such arguments decide is a size, whatever the operator.
_SIZES = frozenset({"size", "shape", "pad", "repeats", "output_size", "length", "split_size"})
_OF_FIXED_SIZE = (
    "no size may follow from data: make a result of a fixed size, the greatest there can be, and "
    "mask the rest with torch.where"
)


def data_dependent(operator: str, argument: str, reason: str) -> ConversionError:
    """The error for an argument that has to be known while importing, and depends on data."""
    decides = operator in _OF_ANY_SIZE or argument in _SIZES or operator == "aten::arange"
    hint = _OF_ANY_SIZE.get(operator, _OF_FIXED_SIZE if decides else ON_DATA_HINT)
    sized = ", and so would the size of the result" if decides else ""
    return ConversionError(f"argument {argument!r} of {operator} {reason}{sized}", hint=hint)


@dataclass(frozen=True)
class Undecided:
    """Stands for a Python number or bool that the model computes and a graph cannot know.

    Attributes:
        reason: What it depends on.
        hint: What to do about it.
        data: Whether it depends on the contents of tensors (and not on a dynamic size only).
        value: The tensor of one element that holds it when the engine runs, if there is one.
        kind: ``bool``, ``int`` or ``float``: what the model takes it for.
        sized: How a float follows from a dynamic size, if it does.
    """

    reason: str
    hint: str
    data: bool
    value: Value | None = None
    kind: type = float
    sized: SizeFloat | None = None

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
