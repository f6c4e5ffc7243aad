"""How dynamic sizes are asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fwd_core.errors import InputError, OptionError
from fwd_core.importing import Importer, ImportRequest, OptBatch, resolve_dynamic
from fwd_core.ir import symbol
from fwd_core.plugins import Plugins

SHAPES = {"x": (8, 3, 224), "mask": (8, 224), "length": ()}
BATCH = symbol("batch", 1, 8, 8)


def test_static_by_default() -> None:
    assert resolve_dynamic(None, SHAPES) == SHAPES


def test_opt_batch_takes_every_input_with_the_first_size() -> None:
    shapes = {"x": (8, 3), "mask": (8,), "table": (5, 3), "scalar": ()}
    assert resolve_dynamic(OptBatch(), shapes) == {
        "x": (BATCH, 3),
        "mask": (BATCH,),
        "table": (5, 3),
        "scalar": (),
    }


def test_opt_batch_skips_leading_scalars() -> None:
    found = resolve_dynamic(OptBatch(2), {"scalar": (), "x": (8, 3)})
    assert found == {"scalar": (), "x": (symbol("batch", 1, 2, 8), 3)}


def test_a_greater_opt_batch_is_the_greatest_batch() -> None:
    assert resolve_dynamic(OptBatch(9), SHAPES)["x"][0] == symbol("batch", 1, 9, 9)


@pytest.mark.parametrize("opt", [0, -1])
def test_opt_batch_out_of_range(opt: int) -> None:
    with pytest.raises(
        InputError,
        match=f"the batch size to tune for\n  expected: 1 or more\n  got:      {opt}",
    ):
        resolve_dynamic(OptBatch(opt), SHAPES)


def test_a_greater_opt_batch_for_an_example_of_one() -> None:
    found = resolve_dynamic(OptBatch(8), {"x": (1, 3), "mask": (8,)})
    assert found == {"x": (symbol("batch", 1, 8, 8), 3), "mask": (8,)}


@pytest.mark.parametrize(
    ("asked", "size"),
    [(OptBatch(), 0), (OptBatch(), 1), (OptBatch(1), 0), (OptBatch(1), 1), (OptBatch(4), 0)],
)
def test_a_batch_that_could_not_change(asked: OptBatch, size: int) -> None:
    with pytest.raises(InputError) as caught:
        resolve_dynamic(asked, {"scalar": (), "x": (size, 3), "mask": (8,)})
    error = caught.value
    assert error.what == f"a dynamic batch of 1 … {size} could not change"
    assert error.expected == "a first size of input 'x' of 2 or more: the greatest batch to come"
    assert error.got == f"an example of shape [{size}, 3]"
    assert error.hint == (
        "make the example, or the batch to tune for, as large as the greatest batch, or leave the "
        "dynamic batch out"
    )


def test_opt_batch_needs_an_axis() -> None:
    for shapes in ({}, {"scalar": ()}):
        with pytest.raises(InputError, match="a dynamic batch needs an input with at least one ax"):
            resolve_dynamic(OptBatch(), shapes)


def test_said_in_full() -> None:
    asked: Any = {
        "x": {0: ("batch", 1, 4, 8), 2: ("w", 64, 224, 512)},
        "mask": {0: ("batch", 1, 4, 8)},
    }
    batch = symbol("batch", 1, 4, 8)
    assert resolve_dynamic(asked, SHAPES) == {
        "x": (batch, 3, symbol("w", 64, 224, 512)),
        "mask": (batch, 224),
        "length": (),
    }


def test_multiples() -> None:
    h = symbol("h", 16, 56, 128)
    asked: Any = {"x": {2: ("4*h", 64, 224, 512)}, "mask": {1: (" 2 * h ", 32, 112, 256)}}
    assert resolve_dynamic(asked, {"x": (8, 3, 224), "mask": (8, 112)}) == {
        "x": (8, 3, 4 * h),
        "mask": (8, 2 * h),
    }


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"z": {}, "y": {}}, "inputs that the model does not have: y, z\n  expected: x, mask, len"),
        ({"x": {3: ("n", 1, 1, 9)}}, "input 'x': there is no axis 3\n  expected: 0 … 2"),
        ({"x": {1.0: ("n", 1, 1, 9)}}, "input 'x': there is no axis 1.0"),
        ({"x": {True: ("n", 1, 1, 9)}}, "input 'x': there is no axis True"),
        ({0: {}, "z": {}}, "inputs that the model does not have: 0, z"),
        ({"x": {-1: ("n", 1, 1, 9)}}, "input 'x': there is no axis -1"),
        ({"x": {"0": ("n", 1, 1, 9)}}, "input 'x': there is no axis '0'"),
        ({"length": {0: ("n", 1, 1, 9)}}, "no axis 0\n  expected: no axis: the input is 0-d"),
        (
            {"x": {0: ("n", 1, 1, 4)}},
            "the example's size is out of range\n  expected: 1 … 4\n  got:      8",
        ),
        (
            {"x": {0: ("n", 1, 99, 9)}},
            "dim 'n' of input 'x' axis 0: opt 99 is greater than max 9\n"
            r"  expected: \(name, min, opt, max\) with 0 <= min <= opt <= max",
        ),
        ({"x": {0: ("b", 8, 2, 4)}}, "dim 'b' of input 'x' axis 0: min 8 is greater than max 4\n"),
        ({"x": {0: ("b", 8, 2, 9)}}, "dim 'b' of input 'x' axis 0: min 8 is greater than opt 2\n"),
        ({"x": {0: ("b", -1, 2, 9)}}, "dim 'b' of input 'x' axis 0: min -1 is negative\n"),
        (
            {"x": {0: ("n", 1, 1, 9)}, "mask": {0: ("n", 1, 2, 9)}},
            r"dim 'n' has two ranges: \(1, 1, 9\) and \(1, 2, 9\)",
        ),
        (
            {"x": {0: (1, 9)}},
            r"input 'x' axis 0 is malformed\n  expected: \(name, min, opt, max\)\n  got:  .*9\)",
        ),
        (
            {"x": {2: ("4*h", 64, 224, 510)}},
            r"dim '4\*h' of input 'x' axis 2: max is no multiple of 4\n"
            "  expected: 508 or 512\n  got:      510",
        ),
        (
            {"x": {0: ("5*b", 5, 5, 10)}},
            r"dim '5\*b' of input 'x' axis 0: the example's size is no multiple of 5\n"
            "  expected: 5 or 10\n  got:      8",
        ),
        (
            {"x": {2: ("4*h", 64, 224, 512)}, "mask": {1: ("2*h", 64, 224, 512)}},
            r"dim 'h' has two ranges: \(16, 56, 128\) and \(32, 112, 256\)",
        ),
        ({"x": {2: ("0*h", 64, 224, 512)}}, "input 'x' axis 2 is malformed"),
        ({"x": {2: ("2*2*h", 64, 224, 512)}}, "input 'x' axis 2 is malformed"),
        ({"x": {2: ("h*2", 64, 224, 512)}}, "input 'x' axis 2 is malformed"),
        ({"x": {0: ("n", 1, 1.5, 9)}}, "input 'x' axis 0 is malformed"),
        ({"x": ("n", 1, 1, 9)}, "dynamic dims of input 'x' are malformed\n  expected: {axis: "),
    ],
)
def test_mistakes(asked: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        resolve_dynamic(asked, SHAPES)


@pytest.mark.parametrize("asked", [5, True, "batch", [("x", 0)]])
def test_what_asks_for_nothing(asked: Any) -> None:
    with pytest.raises(
        OptionError,
        match=r"dynamic dims are malformed\n  expected: {\"input\": {axis: \(name.*\n  got: +"
        + re.escape(repr(asked)),
    ):
        resolve_dynamic(asked, SHAPES)


@pytest.mark.parametrize("opt", ["2", 2.0, True])
def test_opt_batch_is_an_integer(opt: Any) -> None:
    with pytest.raises(
        OptionError,
        match=f"the batch size to tune for\n  expected: an integer or None\n  got:      {opt!r}",
    ):
        OptBatch(opt)


def test_an_importer_is_known_by_its_members() -> None:
    from toy_backend import LayersImporter

    assert isinstance(LayersImporter(), Importer)
    assert not isinstance(object(), Importer)
    request = ImportRequest((), Plugins())
    assert request.dynamic is None
