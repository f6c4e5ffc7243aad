"""Calls of engines whose source model takes more than tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_backend
from values import kind

from fwd_core import Builder, Engine
from fwd_core.errors import InputError
from fwd_core.ir import Graph, ops
from fwd_core.ir import load as load_graph
from fwd_core.ir import save as save_graph
from fwd_core.ir.fixed import FixedArgument

A, B = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
PLUGINS = toy_backend.plugins()


def graph() -> Graph:
    """Of ``f(a, mask, b, scale, odd)``, built with None, a number and something without a text."""
    made = Graph("sum")
    a, b = made.add_input("a", kind(2)), made.add_input("b", kind(2))
    made.set_outputs([made.add(ops.Add(a, b), name="total")], ["total"])
    made.input_structure = {"tuple": ["*", "*"]}
    made.fixed = (
        FixedArgument(1, "mask", "None"),
        FixedArgument(3, "scale", "3.0"),
        FixedArgument(4, "odd", None),
    )
    return made


def compiled() -> Engine:
    return Builder(plugins=PLUGINS, embed_graph=True).compile(graph())


@pytest.fixture(scope="module", params=["built", "loaded"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """As it was built, and as its file gives it."""
    built = compiled()
    if request.param == "built":
        return built
    path = tmp_path_factory.mktemp("engines") / "model.engine"
    built.save(path)
    return Engine.load(path, plugins=PLUGINS)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((A, B), {}),
        ((A, None, B), {}),
        ((A, None, B, 3.0), {}),
        ((A, None, B, np.float64(3)), {}),
        ((A, B), {"scale": 3.0}),
        ((A,), {"b": B}),
        ((A, None), {"b": B}),
        ((A, None), {"b": B, "scale": 3.0}),
        ((), {"a": A, "b": B, "mask": None, "scale": 3.0}),
    ],
)
def test_fixed_arguments_are_left_out_or_given_as_they_were(
    engine: Engine, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    np.testing.assert_array_equal(engine(*args, **kwargs), A + B)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        (
            (A, A, B),
            {},
            "argument 'mask' was .*\n  expected: None\n  got:      ndarray\n  Hint: leave",
        ),
        ((A, 7), {"b": B}, "argument 'mask' was fixed when .*\n  expected: None\n  got:      7"),
        (
            (A, None, B, 4.0),
            {},
            "'scale' was fixed .*\n  expected: 3.0\n  got:      4.0\n  Hint: l",
        ),
        ((A, None, B, 3), {}, "argument 'scale' was .*\n  expected: 3.0\n  got:      3"),
        ((A, B), {"scale": "3"}, "argument 'scale' was .*\n  expected: 3.0\n  got:      '3'"),
        (
            (A, None, B, 3.0, object()),
            {},
            "argument 'odd' was .*\n  expected: a value that cannot be compared any more\n"
            "  got:      object\n  Hint: leave it out$",
        ),
        ((A, None, B, 3.0), {"scale": 3.0}, "inputs given by position and by name: scale"),
        ((A, None), {"b": B, "c": 3}, "inputs by name: unknown 'c'"),
        (
            (A, None, B, 3.0, None, B),
            {},
            "argument 'odd' was fixed when the engine was built",
        ),
        (
            (A, None, B, B),
            {},
            "argument 'scale' was fixed .*\n  expected: 3.0\n  got:      ndarray",
        ),
        (
            ([A], None, B),
            {},
            "not nested as .*\n  .*\n  .*\n  Hint: fixed .*: mask = None, scale = 3.0, odd",
        ),
        ((A, None), {}, "input 'b' is no array"),
    ],
)
def test_other_values_are_refused(
    engine: Engine, args: tuple[Any, ...], kwargs: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        engine(*args, **kwargs)


def test_an_input_comes_before_a_fixed_argument_of_its_name() -> None:
    made = graph()
    made.fixed = (FixedArgument(2, "a", "1"),)
    engine = Builder(plugins=PLUGINS).compile(made)
    np.testing.assert_array_equal(engine(a=A, b=B), A + B)
    np.testing.assert_array_equal(engine(A, B, 1), A + B)


def test_graph_files_keep_them(tmp_path: Path) -> None:
    made = graph()
    save_graph(made, tmp_path / "sum.graph")
    assert load_graph(tmp_path / "sum.graph").fixed == made.fixed
    built = compiled()
    built.save(tmp_path / "sum.engine")
    loaded = Engine.load(tmp_path / "sum.engine", plugins=PLUGINS)
    assert loaded.fixed == made.fixed
    assert loaded.graph is not None
    assert loaded.graph.fixed == made.fixed
