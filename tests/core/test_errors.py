"""The form of every message."""

from __future__ import annotations

import inspect

import pytest

from fwd_core import errors
from fwd_core.errors import (
    ConversionError,
    CudaError,
    DeviceError,
    ForwardError,
    ForwardWarning,
    GraphError,
    GraphWarning,
    Problem,
    UnsupportedModelError,
)
from fwd_core.ir import Frame, Location

FAMILY = [
    cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, ForwardError)
]


def test_all_parts_in_order() -> None:
    error = ForwardError(
        "cannot add",
        where=Location("block.1", "aten::add", Frame("model.py", 3)),
        expected="rank 2",
        got=[1, 2],
        details=["log line\nand another", "third"],
        hint="squeeze x",
    )
    assert str(error) == (
        "cannot add\n"
        "  at block.1 aten::add (model.py:3)\n"
        "  expected: rank 2\n"
        "  got:      [1, 2]\n"
        "  log line\n"
        "  and another\n"
        "  third\n"
        "  Hint: squeeze x"
    )


def test_absent_parts_leave_no_trace() -> None:
    assert str(ForwardError("cannot add")) == "cannot add"
    assert str(ForwardError("cannot add", where=Location(), hint="")) == "cannot add"
    assert str(ForwardError("cannot add", expected=0, got=False)) == (
        "cannot add\n  expected: 0\n  got:      False"
    )


def test_the_first_place_stays() -> None:
    error = GraphError("wrong", hint="fix it")
    assert error.located("here") is error
    assert str(error) == "wrong\n  at here\n  Hint: fix it"
    assert str(error.located("there")) == "wrong\n  at here\n  Hint: fix it"


def test_details_come_later_too() -> None:
    error = GraphError("wrong", details=["one"], hint="fix it")
    assert error.noted("two") is error
    assert str(error) == "wrong\n  one\n  two\n  Hint: fix it"


@pytest.mark.parametrize("cls", FAMILY)
def test_one_family(cls: type[ForwardError]) -> None:
    assert len(FAMILY) >= 10
    assert cls.__doc__
    with pytest.raises(ForwardError, match="it failed\n  at there"):
        raise cls("it failed", where="there")


def test_an_error_is_a_problem_among_others() -> None:
    place = Location("head", "aten::add", Frame("model.py", 3, "forward"))
    error = ConversionError("aten::add: no", where=place, expected=1, got=2, details=["why"])
    assert error.problem() == Problem(
        "aten::add", "no; expected 1; got 2; why", 1, (str(place),), ""
    )
    assert GraphError("bad", hint="fix it").problem() == Problem("model", "bad", 1, (), "fix it")


def test_problems_are_kept_for_programs() -> None:
    problem = Problem("aten::nonzero", "size depends on data", 2, ("model.py:3",))
    error = UnsupportedModelError("one operator", problems=[problem], hint="wait")
    assert error.problems == (problem,)
    assert str(error) == "one operator\n  Hint: wait"


def test_failures_of_a_gpu_are_of_the_family() -> None:
    error = CudaError("cudaMalloc", "cudaErrorMemoryAllocation", "out of memory", hint="less")
    assert isinstance(error, DeviceError)
    assert error.name == "cudaErrorMemoryAllocation"
    assert str(error) == (
        "cudaMalloc failed: cudaErrorMemoryAllocation\n  out of memory\n  Hint: less"
    )
    assert issubclass(GraphWarning, ForwardWarning)
