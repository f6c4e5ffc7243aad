"""From a source model to a graph: what importers are, and how dynamic sizes are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Union, runtime_checkable

from fwd_core.errors import InputError, OptionError
from fwd_core.events import Events
from fwd_core.ir.dims import Dim, symbol
from fwd_core.ir.graph import Graph
from fwd_core.ir.structure import flatten
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType

if TYPE_CHECKING:
    from fwd_core.plugins import Plugins

#: ``(name, min, opt, max)``; the same name at two places is the same size. A name with a factor in
#: front, ``"4*h"``, says that the size is a multiple: its range is that of the size itself.
DimRange = tuple[str, int, int, int]
_MULTIPLE = re.compile(r"\s*([1-9]\d*)\s*\*\s*([^*]*\S)\s*")
#: Input name to axis to range, as in ``{"x": {0: ("batch", 1, 4, 8)}}``.
DynamicDims = Mapping[str, Mapping[int, DimRange]]


@dataclass(frozen=True)
class OptBatch:
    """The short way to ask for a dynamic batch.

    Axis 0 of every input whose first size equals the first input's becomes the size ``batch``
    in 1 … that size, tuned for ``opt`` (by default the greatest). That size, or ``opt`` where it
    is greater, is the greatest batch that an engine takes, so it has to be 2 or more.

    Raises:
        OptionError: ``opt`` is no integer.
    """

    opt: int | None = None

    def __post_init__(self) -> None:
        if self.opt is not None and type(self.opt) is not int:
            raise OptionError(
                "the batch size to tune for", expected="an integer or None", got=repr(self.opt)
            )


@dataclass(frozen=True)
class ImportRequest:
    """What an importer is asked for.

    Attributes:
        inputs: Example inputs, as the source framework's own tensors: a sequence by position
            or a mapping by input name. Their sizes are the greatest ones where dims are dynamic.
        dynamic: Which sizes change from run to run; ``None`` means that none does.
        plugins: Converters and operators.
        events: Where progress is told.
    """

    inputs: Union[tuple[object, ...], Mapping[str, object]]
    plugins: Plugins
    dynamic: Union[DynamicDims, OptBatch, None] = None
    events: Events = field(default_factory=Events)

    @property
    def made_up(self) -> bool:
        """Whether values of inputs are made up, of shapes alone."""
        return any(isinstance(one, TensorType) for one in flatten(self.inputs)[0])


@dataclass(frozen=True)
class ModelResults:
    """What a model itself makes of its example inputs, in the framework that it is of.

    Attributes:
        inputs: What it ran on, in the order of the graph's inputs; values that were made up too.
        outputs: Its results, in the order of the graph's outputs.
        again: Runs it once more, with other random numbers, on inputs of floats that are moved by
            about 2**-15 of themselves. That is asked where an engine gives something else, to
            know whether a result draws numbers or hangs on how they are rounded.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    again: Callable[[], tuple[Tensor, ...]]


@runtime_checkable
class Importer(Protocol):
    """Reads one kind of model.

    One that has ``hidden = True`` only tells what is wrong with a source that none reads, and is
    left out where importers are listed.

    One that can also run the model has a method ``results(source, request) -> ModelResults``,
    which takes what ``load`` does. Builds compare their engine's results with these. It runs the
    model as ``load`` reads it, so in evaluation mode, changes neither the model nor the random
    state of the process nor the inputs, and raises what the model raises.

    Attributes:
        name: Unique, for example ``torchscript``.
        priority: Importers with greater numbers are asked first.
    """

    name: str
    priority: int

    def accepts(self, source: object) -> bool:
        """Whether the source (an object, or a path to a file) is of this importer's kind."""
        ...

    def load(self, source: object, request: ImportRequest) -> Graph:
        """The model as a graph.

        Raises:
            UnsupportedModelError: Operators have no converter, or control flow depends on data.
            ConversionError: An operator's arguments or shapes do not fit.
            InputError: Example inputs or dynamic dims do not fit the model.
        """
        ...


def hidden(importer: Importer) -> bool:
    """Whether an importer is left out where those that read models are listed."""
    return bool(getattr(importer, "hidden", False))


def resolve_dynamic(
    dynamic: DynamicDims | OptBatch | None, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[Dim, ...]]:
    """Shapes of the inputs with symbols in place of the sizes that change.

    Args:
        dynamic: What was asked for.
        shapes: Shapes of the example inputs, in order.

    Raises:
        OptionError: It is neither a mapping nor an :class:`OptBatch`.
        InputError: An input or axis does not exist, a range is wrong or does not hold the
            example's size, a size is not the multiple that it is said to be, one name has two
            ranges, or a dynamic batch is 1 at most.
    """
    check_dynamic(dynamic)
    if dynamic is None:
        return {name: tuple(shape) for name, shape in shapes.items()}
    wanted = _opt_batch(dynamic, shapes) if isinstance(dynamic, OptBatch) else dynamic
    if unknown := sorted(str(name) for name in wanted if name not in shapes):
        raise InputError(
            f"dynamic dims for inputs that the model does not have: {', '.join(unknown)}",
            expected=", ".join(shapes) or "no inputs",
        )
    ranges: dict[str, tuple[int, ...]] = {}
    result: dict[str, tuple[Dim, ...]] = {}
    for name, shape in shapes.items():
        dims: list[Dim] = list(shape)
        axes = wanted.get(name, {})
        if not isinstance(axes, Mapping):
            raise InputError(
                f"dynamic dims of input {name!r} are malformed",
                expected="{axis: (name, min, opt, max)}",
                got=repr(axes),
            )
        for axis, asked in axes.items():
            if type(axis) is not int or axis not in range(len(shape)):
                raise InputError(
                    f"dynamic dim of input {name!r}: there is no axis {axis!r}",
                    expected=f"0 … {len(shape) - 1}" if shape else "no axis: the input is 0-d",
                )
            dims[axis] = _symbol(name, axis, shape[axis], asked, ranges)
        result[name] = tuple(dims)
    return result


def check_dynamic(dynamic: object) -> None:
    """Refuse what is no way to ask for dynamic sizes.

    Raises:
        OptionError: It is neither None nor a mapping nor an :class:`OptBatch`.
    """
    if dynamic is not None and not isinstance(dynamic, (OptBatch, Mapping)):
        raise OptionError(
            "dynamic dims are malformed",
            expected='{"input": {axis: (name, min, opt, max)}}, or None',
            got=repr(dynamic),
        )


def _symbol(
    name: str, axis: int, size: int, asked: DimRange, ranges: dict[str, tuple[int, ...]]
) -> Dim:
    if not _well_formed(asked):
        raise InputError(
            f"dynamic dim of input {name!r} axis {axis} is malformed",
            expected="(name, min, opt, max)",
            got=repr(asked),
        )
    label, low, opt, high = asked
    factor, label = _factor(label)
    if (wrong := _disorder(low, opt, high)) is not None:
        raise InputError(
            f"dim {label!r} of input {name!r} axis {axis}: {wrong}",
            expected="(name, min, opt, max) with 0 <= min <= opt <= max",
            got=repr(asked),
        )
    if not low <= size <= high:
        raise InputError(
            f"dim {label!r} of input {name!r} axis {axis}: the example's size is out of range",
            expected=f"{low} … {high}",
            got=size,
        )
    for what, number in (("min", low), ("opt", opt), ("max", high), ("the example's size", size)):
        if number % factor:
            raise InputError(
                f"dim {asked[0]!r} of input {name!r} axis {axis}: "
                f"{what} is no multiple of {factor}",
                expected=f"{number // factor * factor} or {(number // factor + 1) * factor}",
                got=number,
            )
    own = (low // factor, opt // factor, high // factor)
    if ranges.setdefault(label, own) != own:
        raise InputError(f"dim {label!r} has two ranges: {ranges[label]} and {own}")
    return symbol(label, *own) * factor


def _factor(label: str) -> tuple[int, str]:
    """A dim's name and the factor in front of it, 1 where there is none."""
    found = _MULTIPLE.fullmatch(label)
    return (1, label) if found is None else (int(found[1]), found[2])


def _disorder(low: int, opt: int, high: int) -> str | None:
    """What is wrong with the order of a range."""
    if low < 0:
        return f"min {low} is negative"
    for (a, smaller), (b, greater) in (
        (("min", low), ("max", high)),
        (("min", low), ("opt", opt)),
        (("opt", opt), ("max", high)),
    ):
        if smaller > greater:
            return f"{a} {smaller} is greater than {b} {greater}"
    return None


def _well_formed(asked: object) -> bool:
    return (
        isinstance(asked, tuple)
        and len(asked) == 4
        and isinstance(asked[0], str)
        and "*" not in _factor(asked[0])[1]
        and all(type(size) is int for size in asked[1:])
    )


def _opt_batch(asked: OptBatch, shapes: Mapping[str, tuple[int, ...]]) -> DynamicDims:
    ranked = {name: shape for name, shape in shapes.items() if shape}
    if not ranked:
        raise InputError("a dynamic batch needs an input with at least one axis")
    first, shape = next(iter(ranked.items()))
    batch = shape[0]
    opt = batch if asked.opt is None else asked.opt
    if opt < 1 and asked.opt is not None:
        raise InputError("the batch size to tune for", expected="1 or more", got=opt)
    most = max(batch, opt)
    if batch < 1 or most < 2:
        raise InputError(
            f"a dynamic batch of 1 … {batch} could not change",
            expected=f"a first size of input {first!r} of 2 or more: the greatest batch to come",
            got=f"an example of shape {list(shape)}",
            hint="make the example, or the batch to tune for, as large as the greatest batch, or "
            "leave the dynamic batch out",
        )
    return {
        name: {0: ("batch", 1, opt, most)} for name, shape in ranked.items() if shape[0] == batch
    }
