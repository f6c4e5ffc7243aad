"""Everything in a model that cannot be converted, collected so that all of it is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fwd_core.errors import ForwardError, Problem, UnsupportedModelError
from fwd_core.ir import Location, TensorType, Value
from fwd_core.ir.dim_facts import shortfall
from fwd_core.ir.dim_hints import point_text, raise_least
from fwd_core.ir.dims import evaluate
from fwd_core.plugins import Plugins
from fwd_ops_torch.converting.context import UnsupportedArgumentError
from fwd_ops_torch.converting.schemas import Schema
from fwd_ops_torch.importers.never import FAMILIES, PACKED, of_other_packages
from fwd_ops_torch.importers.stand_ins import result_types

if TYPE_CHECKING:
    from fwd_ops_torch.importers.session import Session

_BY_DATA = "the size of its result depends on data"
_TRIANGLE = "the number of its indices is no simple function of a dynamic size"
_MASK = "make a mask of the full matrix: torch.{}(torch.ones(n, n, dtype=torch.bool))"
#: Operators that no graph of fixed operators can hold, with why and a way round.
NEVER = {
    **dict.fromkeys(
        ("aten::nonzero", "aten::nonzero_numpy", "aten::argwhere"),
        (_BY_DATA, "use torch.where with three arguments"),
    ),
    "aten::masked_select": (_BY_DATA, "multiply by the mask, or use torch.where"),
    **dict.fromkeys(
        (
            "aten::unique_consecutive",
            "aten::unique_dim",
            "aten::unique_dim_consecutive",
            "aten::_unique",
            "aten::_unique2",
        ),
        (_BY_DATA, "keep duplicates, or do it outside the model"),
    ),
    "aten::bincount": (
        _BY_DATA,
        "torch.zeros(n).scatter_add(0, x, torch.ones_like(x, dtype=torch.float)) for n bins",
    ),
    **dict.fromkeys(
        ("aten::histogram", "aten::histogramdd"),
        ("it counts values in bins", "use torch.histc for bins of one width"),
    ),
    **dict.fromkeys(
        ("aten::equal", "aten::is_nonzero", "aten::allclose"),
        (
            "its answer is a Python number that depends on data",
            "keep a tensor, as (x == y).all()",
        ),
    ),
    **dict.fromkeys(("aten::_pack_padded_sequence", "aten::_pad_packed_sequence"), PACKED),
    **FAMILIES,
    "aten::tril_indices": (_TRIANGLE, _MASK.format("tril")),
    "aten::triu_indices": (_TRIANGLE, _MASK.format("triu")),
}
_RANDOM = "it draws random numbers"
_COMPLEX = "there are no complex numbers in a graph"
#: Operators that make or take complex numbers, beside the Fourier transforms.
_OF_COMPLEX = frozenset(
    {
        "aten::complex",
        "aten::polar",
        "aten::view_as_complex",
        "aten::view_as_real",
        "aten::real",
        "aten::imag",
        "aten::stft",
        "aten::istft",
    }
)
_FOURIER = ("aten::fft_", "aten::_fft_")
_NO_CONVERTER = "no installed pack converts it"


class CannotContinueError(Exception):
    """The importer cannot go on after a problem; what was found so far is reported."""


class Problems:
    """Problems of one import.

    After a problem the import goes on with a stand-in for the result, to find the others.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._found: dict[tuple[str, str], tuple[list[str], str, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def count(self) -> int:
        """How many occurrences were noted."""
        return sum(count for _, _, count in self._found.values())

    def add(self, operator: str, reason: str, where: Location, hint: str = "") -> None:
        """Note one occurrence."""
        places, _, count = self._found.get((operator, reason), ([], "", 0))
        place = str(Location(where.module, "", where.user, where.frame))
        if place and place not in places:
            places.append(place)
        self._found[operator, reason] = (places, hint, count + 1)

    def unknown(
        self, session: Session, schema: Schema, arguments: Mapping[str, Any], where: Location
    ) -> Any:
        """Note an operator without a converter, and go on with a stand-in."""
        self.note_unknown(schema.name, where, session.table)
        return self._stand_in(session, schema, arguments, where)

    def note_unknown(self, name: str, where: Location, known: Mapping[str, object]) -> None:
        """Note an operator without a converter."""
        said = tags(name)
        if name in NEVER:
            reason, hint = NEVER[name]
        elif (why := of_other_packages(name)) is not None:
            reason, hint = why
        elif torch.Tag.nondeterministic_seeded in said and (
            "dropout" in name or not draws_in_training_only(name)
        ):
            reason, hint = _RANDOM, "draw outside the model and pass the numbers as an input"
            if "dropout" in name:
                hint = "call model.eval() before the model is exported or saved"
        elif name in _OF_COMPLEX or name.startswith(_FOURIER):
            reason, hint = _COMPLEX, "compute with real and imaginary parts as two tensors"
        elif torch.Tag.dynamic_output_shape in said:
            reason, hint = _BY_DATA, ""
        else:
            close = difflib.get_close_matches(name, known, 1, 0.95)
            reason = _NO_CONVERTER
            hint = (
                'write a converter (the page "Write a pack" of the documentation says how), or '
                "install a pack that has one"
            )
            if close and close[0].rstrip("_") != name.rstrip("_"):
                hint += f" (there is one for {close[0]})"
        self.add(name, reason, where, hint)

    def refused(
        self,
        session: Session,
        schema: Schema,
        arguments: Mapping[str, Any],
        where: Location,
        error: UnsupportedArgumentError,
    ) -> Any:
        """Note an argument that a converter does not take, and go on with a stand-in."""
        reason = error.what.removeprefix(f"{schema.name}: ")
        self.add(schema.name, reason, where, error.hint or "")
        return self._stand_in(session, schema, arguments, where)

    def note_negative_sizes(
        self, schema: Schema, operands: Mapping[str, Any], result: Any, where: Location
    ) -> None:
        """Note sizes of a result that are negative for a value of a dynamic size."""
        known = {dim for one in _values_in(*operands.values()) for dim in one.type.shape}
        for value in _values_in(result):
            for dim in value.type.shape:
                # Of an operand's size it was told where that was made.
                if dim not in known and (at := shortfall(dim)):
                    reason = (
                        f"a size of its result is negative: {dim} is {evaluate(dim, at)} "
                        f"where {point_text(at)}"
                    )
                    self.add(schema.name, reason, where, raise_least(at))
                    return

    def add_error(self, error: ForwardError) -> None:
        """Note what ended the import, as one more problem."""
        one = error.problem()
        if isinstance(error.where, Location):
            self.add(one.operator, one.reason, error.where, one.hint)
        else:
            self._found[one.operator, one.reason] = (list(one.places), one.hint, 1)

    def merge(self, others: Problems) -> None:
        """Take in what a look at the whole program found: the greater counts, with their places."""
        for key, (places, hint, count) in others._found.items():
            if count > self._found.get(key, ([], "", 0))[2]:
                self._found[key] = (places, hint, count)

    def copy(self) -> Problems:
        """What was found up to now."""
        twin = Problems(self._plugins)
        twin.restore(self)
        return twin

    def restore(self, before: Problems) -> None:
        """Forget what was found since a copy was made."""
        self._found = {
            key: (list(places), hint, count) for key, (places, hint, count) in before._found.items()
        }

    def listed(self) -> list[Problem]:
        """All problems, the most frequent first."""
        problems = [
            Problem(operator, reason, count, tuple(places), hint)
            for (operator, reason), (places, hint, count) in self._found.items()
        ]
        return sorted(problems, key=lambda one: (-one.count, one.operator))

    def check(self) -> None:
        """Raise if there is any.

        Raises:
            UnsupportedModelError: Lists all problems with count, places and hints.
        """
        if self._found:
            raise self.error()

    def error(self) -> UnsupportedModelError:
        """An error that lists all problems with count, places and hints."""
        problems = self.listed()
        lines = []
        for one in problems:
            lines.append(f"{one.operator} ({one.count}x): {one.reason}")
            lines += [f"  at {place}" for place in one.places[:5]]
            if len(one.places) > 5:
                lines.append(f"  and at {len(one.places) - 5} more places")
            if one.hint:
                lines.append(f"  Hint: {one.hint}")
        lines += [
            f"pack {pack.name!r} was not loaded: {pack.failure}"
            for pack in self._plugins.packs.values()
            if pack.failure
        ]
        count = sum(one.count for one in problems)
        kinds = f"{len(problems)} kind{'s' if len(problems) > 1 else ''}"
        return UnsupportedModelError(
            f"the model cannot be converted: {count} operator{'s' if count > 1 else ''} "
            f"of {kinds} not supported",
            problems=problems,
            details=lines,
        )

    def _stand_in(
        self, session: Session, schema: Schema, arguments: Mapping[str, Any], where: Location
    ) -> Any:
        """Values of the right types that nothing computes, from torch's own shape functions."""
        try:
            return _values(session, result_types(schema, arguments))
        # Torch's shape function may fail, and make what no graph holds (complex numbers).
        except Exception as error:
            raise CannotContinueError from error


def _values_in(*found: Any) -> Iterator[Value]:
    for one in found:
        if isinstance(one, Value):
            yield one
        elif isinstance(one, (list, tuple)):
            yield from _values_in(*one)


def _values(session: Session, types: Any) -> Any:
    if isinstance(types, TensorType):
        root = session.scopes.root  # branches have no inputs but what they read
        return root.add_input(root.unique_name("unsupported"), types)
    return type(types)(_values(session, item) for item in types)


#: Arguments that switch random numbers off.
_SWITCHES = frozenset({"train", "training", "dropout", "dropout_p"})


def draws_in_training_only(name: str) -> bool:
    """Whether an operator that may draw random numbers does so for training alone."""
    namespace, operator = name.split("::")
    packet = getattr(getattr(torch.ops, namespace, None), operator, None)
    schemas = [getattr(packet, one)._schema for one in packet.overloads()] if packet else []
    return bool(schemas) and all(
        _SWITCHES & {argument.name for argument in schema.arguments} for schema in schemas
    )


def tags(name: str) -> set[torch.Tag]:
    """What torch says of an operator, in all its overloads."""
    namespace, operator = name.split("::")
    packet = getattr(getattr(torch.ops, namespace, None), operator, None)
    found: set[torch.Tag] = set()
    for overload in packet.overloads() if packet is not None else ():
        found.update(getattr(packet, overload).tags)
    return found
