"""What ``fwd bench --modes`` times engines on: given values, calibration data or made-up values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fwd_core.cli import feeds, inputs
from fwd_core.cli.inputs import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fwd_core.backends import Port

_GIVEN = "--input"
_RANDOM = "random values"


@dataclass(frozen=True)
class Timed:
    """Inputs that are timed.

    Attributes:
        arrays: By name, of the sizes that engines are tuned for unless others were given.
        told: Where their values are from, in words.
    """

    arrays: Mapping[str, NDArray[Any]]
    told: str


def chosen(
    ports: Sequence[Port],
    specs: Sequence[InputSpec],
    batch: int | None,
    first: Mapping[str, Any] | None,
    source: str,
) -> Timed:
    """Values of files that were given, for other inputs those of the first calibration batch.

    They are made up where there is no such batch, or where it is not of the shapes that are timed.
    Speed can depend on values: on how many places a mask leaves, for one.

    Args:
        ports: Inputs of the engines.
        specs: What ``--input`` says.
        batch: Size of the batch, where engines leave it open.
        first: The first batch of the data, as engines take it; ``None`` where that is made up.
        source: Name of the data.

    Raises:
        InputError: What was given does not fit, as :func:`fwd_core.cli.feeds.complete` says.
    """
    given = feeds.by_name(ports, inputs.given(specs))
    fixed = {
        name: value
        for name, value in given.items()
        if not (isinstance(value, InputSpec) and value.ranges)
    }
    arrays = feeds.complete(ports, fixed, batch)
    rest = [port for port in ports if isinstance(fixed.get(port.name), (InputSpec, type(None)))]
    values, why = _RANDOM, ""
    if first is not None and rest:
        taken = {port.name: first[port.name] for port in rest}
        if all(one.shape == arrays[name].shape for name, one in taken.items()):
            arrays |= taken
            values = f"the first batch of {source}"
        else:
            shapes = ", ".join(f"{name} {list(one.shape)}" for name, one in taken.items())
            why = f"; the first batch of {source} has other shapes: {shapes}"
    others = [port.name for port in ports if port not in rest]
    if not others:
        return Timed(arrays, values + why)
    if not rest:
        return Timed(arrays, f"values of {_GIVEN}")
    told = f"{', '.join(others)}: {_GIVEN}; {', '.join(port.name for port in rest)}: {values}"
    return Timed(arrays, told + why)


def kept(ports: Sequence[Port], batch: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """A copy of a batch, as engines take it: who gives batches may fill one array again and again.

    Args:
        ports: Inputs of the engines.
        batch: Has fitted them.
    """
    from fwd_core.engine.inputs import as_array

    return {port.name: as_array(port, batch[port.name]).copy() for port in ports}
