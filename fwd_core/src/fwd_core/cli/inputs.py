"""What ``--input`` says: names, shapes, dtypes, dynamic sizes and files of values."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

import typer

from fwd_core.cli.arrays import read_arrays
from fwd_core.errors import ForwardError, InputError

if TYPE_CHECKING:
    from fwd_core.importing import DimRange, DynamicDims, OptBatch
    from fwd_core.ir.dtypes import DType

#: Example inputs by position or by name, as importers take them.
Examples = Union[tuple[Any, ...], dict[str, Any]]

FORM = "[NAME=]SHAPE[:DTYPE] or [NAME=]@FILE"
_SIZE = re.compile(r"(?P<name>(?:[1-9]\d*\*)?[A-Za-z_]\w*)\[(?P<range>[\d\s,]*)\]|(?P<size>\d+)")
_SCALAR = "scalar"
#: What else dtypes are called.
_MEANT = {"fp16": "float16", "half": "float16", "fp32": "float32", "float": "float32"} | {
    "bf16": "bfloat16",
    "double": "float64",
    "fp64": "float64",
    "int": "int32",
    "long": "int64",
}


@dataclass(frozen=True)
class InputSpec:
    """One ``--input``.

    Attributes:
        text: As it was given.
        name: Name of the input, ``""`` for one by position.
        shape: Sizes, the greatest ones where they are dynamic; ``None`` for a file.
        dtype: Element type, ``None`` where it was not said.
        ranges: Dynamic sizes by axis.
        path: File of values, ``""`` for a shape.
    """

    text: str
    name: str
    shape: tuple[int, ...] | None = None
    dtype: DType | None = None
    ranges: Mapping[int, DimRange] = field(default_factory=dict)
    path: str = ""


def parse(text: str) -> InputSpec:
    """One ``--input`` from its text.

    Raises:
        typer.BadParameter: It is malformed; the message says how.
    """
    name, equals, rest = text.partition("=")
    if not equals or name.startswith("@"):
        name, rest = "", text
    elif not name:
        raise _malformed(text, "there is no name before '='")
    if rest.startswith("@"):
        if rest == "@":
            raise _malformed(text, "there is no file after '@'")
        return InputSpec(text, name, path=rest[1:])
    sizes, colon, dtype = rest.partition(":")
    if colon and not dtype:
        raise _malformed(text, "there is no dtype after ':'")
    if os.path.isfile(rest):
        raise _malformed(text, f"no size at {rest!r}", f"did you mean {text[: -len(rest)]}@{rest}?")
    shape, ranges = _shape(text, sizes)
    return InputSpec(text, name, shape, _dtype(text, dtype) if colon else None, ranges)


def parse_all(texts: Sequence[str] | None) -> list[InputSpec]:
    """All ``--input`` options, which are all named or all by position.

    Raises:
        typer.BadParameter: One is malformed, a name repeats, or only some are named.
    """
    specs = [parse(text) for text in texts or ()]
    names = [spec.name for spec in specs if spec.name]
    if names and len(names) != len(specs):
        raise _wrong("give names to all inputs or to none")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise _wrong(f"inputs are given twice: {', '.join(repeated)}")
    return specs


def given(specs: Sequence[InputSpec]) -> Examples:
    """Inputs by position or by name: arrays of files as they are, shapes as their specs.

    A file of several arrays that has no name in front (``--input @inputs.npz``) gives one input
    each: by name, or by position if the names are NumPy's own (``arr_0``, ``arr_1`` …).

    Raises:
        InputError: A file cannot be read or holds what Forward has no dtype for.
    """
    values: dict[str, Any] = {}
    for position, spec in enumerate(specs):
        if not spec.path:
            values[spec.name or str(position)] = spec
            continue
        arrays = read_arrays(spec.path, spec.name)
        if len(arrays) > 1 or (arrays and not spec.name and spec.path.endswith(".npz")):
            if len(specs) > 1:
                raise _wrong(f"{spec.path} holds all inputs, so it must be the only --input")
            own = all(re.fullmatch(r"arr_\d+", name) for name in arrays)
            return tuple(arrays.values()) if own else dict(arrays)
        values[spec.name or str(position)] = next(iter(arrays.values()))
    return values if specs and specs[0].name else tuple(values.values())


@contextmanager
def advising(
    specs: Sequence[InputSpec], form: str = "1x3x224x224 or --input @x.npy"
) -> Iterator[None]:
    """Tell how to give inputs where none was given, in what a block of work raises.

    And how to give ids, where floats were made up for an input that has to be whole numbers.
    """
    try:
        yield
    except InputError as error:
        raise error if specs else error.hinted(f"give its inputs, as in --input {form}") from None
    except ForwardError as error:
        plain = [spec.text for spec in specs if spec.shape is not None and spec.dtype is None]
        if plain and _wants_integers(error):
            error.hinted(
                "an --input without a dtype is float32; write it for ids and masks: "
                f"--input {plain[0]}:int64"
            )
        raise


def _wants_integers(error: ForwardError) -> bool:
    wanted = set(str(error.expected).split(", "))
    return (
        error.what.endswith("element type not taken")
        and str(error.got).startswith("float32")
        and wanted == {"int32", "int64"}
    )


def examples(
    specs: Sequence[InputSpec], *, dynamic_batch: bool, opt_batch: int | None
) -> tuple[Examples, DynamicDims | OptBatch | None]:
    """Example inputs and dynamic sizes for an importer.

    Shapes become tensor types, for which importers make values up. ``opt_batch`` enlarges the
    first size of made-up inputs where the first input's is smaller: an engine that is tuned for
    4 takes 1 … 4.

    Raises:
        typer.BadParameter: Dynamic sizes are said in two ways, or of an input without a name.
        InputError: A file cannot be read.
    """
    from fwd_core.importing import OptBatch
    from fwd_core.ir.dtypes import DType
    from fwd_core.ir.types import TensorType

    ranges = {spec.name: spec.ranges for spec in specs if spec.ranges}
    if "" in ranges:
        text = next(spec.text for spec in specs if spec.ranges)
        raise _wrong(f"dynamic sizes need the input's name in front: NAME={text}")
    batch = dynamic_batch or opt_batch is not None
    if ranges and batch:
        raise _wrong("--dynamic-batch and --opt-batch say less than the sizes in --input do")
    values = given(specs)
    old = _first_size(values)
    new = max(old, opt_batch or old)

    def example(value: Any) -> Any:
        if not isinstance(value, InputSpec):
            return value
        assert value.shape is not None
        shape = value.shape
        if batch and shape and shape[0] == old:
            shape = (new, *shape[1:])
        return TensorType(value.dtype or DType.FLOAT32, shape)

    asked = OptBatch(opt_batch) if batch else (ranges or None)
    if isinstance(values, dict):
        return {name: example(value) for name, value in values.items()}, asked
    return tuple(example(value) for value in values), asked


def _first_size(values: Examples) -> int:
    for value in values.values() if isinstance(values, dict) else values:
        if value.shape:
            return int(value.shape[0])
    return 0


def _shape(text: str, sizes: str) -> tuple[tuple[int, ...], dict[int, DimRange]]:
    shape: list[int] = []
    ranges: dict[int, DimRange] = {}
    if sizes == _SCALAR:
        return (), {}
    position = 0
    while True:
        found = _SIZE.match(sizes, position)
        if found is None:
            raise _malformed(text, f"no size at {sizes[position:]!r}")
        if found["name"] is None:
            shape.append(int(found["size"]))
        else:
            bounds = [part.strip() for part in found["range"].split(",")]
            if len(bounds) != 3 or not all(bound.isdigit() for bound in bounds):
                raise _malformed(text, f"{found[0]!r} is not NAME[MIN,OPT,MAX]")
            low, opt, high = map(int, bounds)
            ranges[len(shape)] = (found["name"], low, opt, high)
            shape.append(high)
        position = found.end()
        if position == len(sizes):
            return tuple(shape), ranges
        if sizes[position] != "x":
            raise _malformed(text, f"no 'x' between sizes at {sizes[position:]!r}")
        position += 1


def _dtype(text: str, name: str) -> DType:
    from fwd_core.ir.dtypes import DType

    try:
        return DType.of(name)
    except ValueError as error:
        meant = _MEANT.get(name.lower().removeprefix("torch."), name)
        close = difflib.get_close_matches(meant, [str(dtype) for dtype in DType], 1, 0.8)
        more = f"did you mean {close[0]}?" if close else ""
        raise _malformed(text, str(error), more) from None


def _malformed(text: str, why: str, question: str = "") -> typer.BadParameter:
    meant = f"; {question} An input is" if question else ". It is"
    return _wrong(f"{text!r} is malformed: {why}{meant} {FORM}")


def _wrong(why: str) -> typer.BadParameter:
    return typer.BadParameter(why, param_hint="--input")
