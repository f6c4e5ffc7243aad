"""Values as text."""

from __future__ import annotations

import enum
import math
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from fwd_core.ir.fixed import FixedArgument, value_text


class Colour(enum.Enum):
    RED = 1


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (3.0, "3.0"),
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (1j, "1j"),
        ("a b", "'a b'"),
        ([1, (2.0, None)], "[1, [2.0, None]]"),
        ((1, [2.0, None]), "[1, [2.0, None]]"),
        (Pair(1, 2), "[1, 2]"),
        ({"b": 1, "a": (2,)}, "{'a': [2], 'b': 1}"),
        ({"a": [2], "b": 1}, "{'a': [2], 'b': 1}"),
        (Colour.RED, "<Colour.RED: 1>"),
        ([], "[]"),
        (slice(0, 2), "slice(0, 2, None)"),
        (object(), None),
        ([object()], None),
        ({"a": object()}, None),
        (np.zeros(2), None),
        ([1, np.zeros(2)], None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_many_types(value: Any, text: str | None) -> None:
    assert value_text(value) == text
    assert FixedArgument(0, "x", text).holds(value) is (text is not None)


def test_types_are_told_apart() -> None:
    one = FixedArgument(0, "x", value_text(1))
    assert [one.holds(value) for value in (1, 1.0, True, "1", [1])] == [True] + [False] * 4
