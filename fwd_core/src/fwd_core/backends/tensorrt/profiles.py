"""Optimization profiles: the least, best and greatest shapes of inputs with dynamic sizes."""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from itertools import islice, product
from typing import Any

from fwd_core.backends.base import Port
from fwd_core.engine.inputs import bind
from fwd_core.errors import BuildError, ForwardWarning, InputError, OptionError
from fwd_core.ir.dims import Symbol, evaluate
from fwd_core.ir.types import TensorType

#: Least, best and greatest value of each symbol.
Profile = dict[str, tuple[int, int, int]]
_OPTION = "option 'profiles' of backend 'tensorrt'"
#: How many holes a warning tells of, and among how many combinations of sizes they are looked for.
_TOLD = 3
_CELLS = 10_000
_SHELL = """--option 'profiles=[{"batch": "1,4,8"}]'"""
_FORM = 'mappings such as {"batch": (1, 4, 8)} or {"batch": "1,4,8"}'


def parse(given: str | Sequence[Mapping[str, Any]] | None) -> list[Profile]:
    """Profiles as they were asked for, in the form that they are used in.

    Args:
        given: Mappings from names of symbols to three numbers or ``MIN,OPT,MAX``; as JSON, or
            ``None`` for none.

    Raises:
        OptionError: The form is another, or numbers are not in order.
    """
    if given is None:
        return []
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise OptionError(
                _OPTION,
                expected=f"a JSON list of {_FORM}",
                got=given,
                details=[str(error)],
                hint=f"in a shell: {_SHELL}",
            ) from None
    if not isinstance(given, Sequence) or not given:
        raise OptionError(
            _OPTION,
            expected=f"one or more {_FORM}",
            got=repr(given),
            hint="put it into a list"
            if given and isinstance(given, Mapping)
            else "leave the option out for one profile of all sizes",
        )
    return [_profile(one) for one in given]


def _profile(given: Any) -> Profile:
    if not isinstance(given, Mapping) or not given:
        raise OptionError(
            _OPTION,
            expected=_FORM,
            got=repr(given),
            hint="name the sizes, as in the dynamic= that declares them",
        )
    return {str(name): _range(str(name), sizes) for name, sizes in given.items()}


def _range(name: str, sizes: Any) -> tuple[int, int, int]:
    parts: Any = sizes.split(",") if isinstance(sizes, str) else sizes
    try:
        least, best, greatest = [_whole(part) for part in parts]
        if 0 <= least <= best <= greatest:
            return least, best, greatest
    except (TypeError, ValueError):
        pass
    raise OptionError(
        f"{_OPTION}: the range of {name!r}",
        expected="three integers, 0 <= MIN <= OPT <= MAX",
        got=repr(sizes),
        hint="the least size that will be run, the one to tune for, and the greatest",
    )


def _whole(part: Any) -> int:
    if isinstance(part, bool) or not isinstance(part, (int, str)):
        raise TypeError
    return int(part)


def resolve(asked: Sequence[Profile], inputs: Mapping[str, TensorType]) -> list[Profile]:
    """The profiles of a build: those asked for, else one of all sizes.

    A symbol that a profile leaves out has its whole range there. Sizes between the profiles that
    none of them holds are warned of.

    Args:
        asked: From :func:`parse`.
        inputs: Types by binding name.

    Returns:
        Nothing if every size is fixed.

    Raises:
        OptionError: A profile names a size that there is not, leaves its range, or an end of the
            range is in none.
    """
    symbols = {symbol.name: symbol for kind in inputs.values() for symbol in kind.symbols}
    known = ", ".join(f"{one.name} {one.min} … {one.max}" for one in symbols.values())
    for index, profile in enumerate(asked):
        for name, (least, _best, greatest) in profile.items():
            if name not in symbols:
                raise OptionError(
                    f"{_OPTION}: profile {index} has a range of {name!r}, and no size is called so",
                    expected=known or "no profiles: every size is fixed",
                    got=", ".join(profile),
                    hint=_closest(name, symbols),
                )
            symbol = symbols[name]
            if not symbol.min <= least <= greatest <= symbol.max:
                raise OptionError(
                    f"{_OPTION}: profile {index} leaves the range of {name!r}",
                    expected=f"{symbol.min} … {symbol.max}",
                    got=f"{least} … {greatest}",
                    hint="narrow the profile, or declare the size with a wider range",
                )
    if not symbols:
        return []
    whole = {name: (one.min, one.opt, one.max) for name, one in symbols.items()}
    profiles = [{**whole, **profile} for profile in asked] or [whole]
    for name, symbol in symbols.items():
        _check_ends(symbol, [profile[name] for profile in profiles])
    _warn_of_holes(symbols.values(), profiles)
    return profiles


def _closest(name: str, symbols: Collection[str]) -> str:
    if close := difflib.get_close_matches(name, symbols, 1):
        return f"did you mean {close[0]!r}?"
    if symbols:
        return "leave it out, or name the size so where it is declared, in dynamic="
    return "leave the option out, or declare the size with dynamic="


def _check_ends(symbol: Symbol, ranges: Sequence[tuple[int, int, int]]) -> None:
    least, greatest = min(one[0] for one in ranges), max(one[2] for one in ranges)
    missing = []
    if symbol.min < least:
        missing.append(f"{symbol.min} … {least - 1}")
    if greatest < symbol.max:
        missing.append(f"{greatest + 1} … {symbol.max}")
    if missing:
        raise OptionError(
            f"{_OPTION}: no profile holds {symbol.name} = {' and '.join(missing)}",
            expected=f"profiles that together begin at {symbol.min} and end at {symbol.max}",
            got=", ".join(f"{one[0]} … {one[2]}" for one in ranges),
            hint="add a profile, or build with a range as small as what will be run",
        )


def _warn_of_holes(symbols: Collection[Symbol], profiles: Sequence[Profile]) -> None:
    missing = [
        ", ".join(f"{name} {least} … {greatest}" for name, (least, greatest) in one.items())
        for one in holes(symbols, profiles)
    ]
    if missing:
        more = f"; and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
        warnings.warn(
            f"{_OPTION}: no profile holds {'; '.join(missing[:_TOLD])}{more}, and such runs will "
            f"be refused. There are {'; '.join(map(shown, profiles))}",
            ForwardWarning,
            stacklevel=2,
        )


def holes(
    symbols: Collection[Symbol], profiles: Sequence[Profile]
) -> list[dict[str, tuple[int, int]]]:
    """Sizes between the ends of the ranges that no profile holds.

    Returns:
        Least and greatest value of each size that the profiles part, for each hole; of sizes that
        are parted finely not all.
    """
    parts: dict[str, list[tuple[int, int]]] = {}
    for symbol in symbols:
        ranges = [profile[symbol.name] for profile in profiles]
        starts = {symbol.min, *(one[0] for one in ranges), *(one[2] + 1 for one in ranges)}
        cuts = sorted(start for start in starts if start <= symbol.max)
        ends = [*(start - 1 for start in cuts[1:]), symbol.max]
        parts[symbol.name] = list(zip(cuts, ends, strict=True))
    parted = {name: found for name, found in parts.items() if len(found) > 1}
    cells = (dict(zip(parted, cell, strict=True)) for cell in product(*parted.values()))
    return [
        cell
        for cell in islice(cells, _CELLS)
        if not any(
            all(one[name][0] <= least <= one[name][2] for name, (least, _) in cell.items())
            for one in profiles
        )
    ]


def add(
    builder: Any, config: Any, inputs: Mapping[str, TensorType], profiles: Sequence[Profile]
) -> None:
    """Add profiles to a build.

    Args:
        builder: The ``IBuilder``.
        config: The ``IBuilderConfig`` that gets them.
        inputs: Types by binding name.
        profiles: From :func:`resolve`.

    Raises:
        BuildError: A size is negative, or not in order over its symbols' ranges.
    """
    for ranges in profiles:
        profile = builder.create_optimization_profile()
        for name, kind in inputs.items():
            if kind.is_static:
                continue
            least, best, greatest = shapes(kind, ranges)
            if not all(0 <= a <= b <= c for a, b, c in zip(least, best, greatest, strict=True)):
                raise BuildError(
                    f"input {name!r}: a size does not grow with its symbols, so it has no range",
                    expected="0 <= min <= opt <= max",
                    got=f"{kind}: {least}, {best}, {greatest}",
                )
            profile.set_shape(name, least, best, greatest)
        config.add_optimization_profile(profile)  # what it refuses, the error recorder tells


def shapes(kind: TensorType, ranges: Profile) -> list[tuple[int, ...]]:
    """Shapes with every symbol at its least, best and greatest value."""
    points = [{name: ranges[name][which] for name in ranges} for which in range(3)]
    return [tuple(evaluate(dim, point) for dim in kind.shape) for point in points]


def choose(profiles: Sequence[Mapping[str, Sequence[int]]], values: Mapping[str, int]) -> int:
    """The profile to run sizes with: among those that hold them, the one tuned closest.

    Args:
        profiles: As a plan's manifest has them; none for an engine of fixed sizes.
        values: Values of the symbols.

    Returns:
        Its number, or -1 if no profile holds the sizes.
    """
    if not profiles:
        return 0
    held = [
        (sum(abs(values[name] - ranges[1]) for name, ranges in profile.items()), index)
        for index, profile in enumerate(profiles)
        if all(ranges[0] <= values[name] <= ranges[2] for name, ranges in profile.items())
    ]
    return min(held, default=(0, -1))[1]


def required(
    stated: Sequence[Mapping[str, Sequence[int]]],
    ports: Sequence[Port],
    sizes: Sequence[tuple[int, ...]],
) -> int:
    """Number of the optimization profile that holds the sizes of the inputs.

    Raises:
        InputError: None does.
    """
    values = bind(ports, sizes)
    index = choose(stated, values)
    if index < 0:
        raise InputError(
            "no profile of the engine holds these sizes",
            expected="; ".join(shown(one) for one in stated),
            got=", ".join(f"{name} {value}" for name, value in values.items()),
            hint="build it again with a profile that does",
        )
    return index


def shown(profile: Mapping[str, Sequence[int]]) -> str:
    """The ranges of a profile, as ``batch 1 … 8 (tuned for 4)``."""
    return ", ".join(
        f"{name} {least} … {greatest} (tuned for {best})"
        for name, (least, best, greatest) in profile.items()
    )
