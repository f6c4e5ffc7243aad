"""How models nest tensors."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.ir.structure import (
    LEAF,
    Structure,
    describe,
    flatten,
    leaf_count,
    leaf_names,
    leaf_paths,
    unflatten,
)

_KEYS = st.text("abxyz._0", max_size=3) | st.integers(-2, 5)
_TREES = st.recursive(
    st.none() | st.floats(allow_nan=False) | st.sampled_from([object(), object()]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(_KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(_TREES)
def test_round_trip_through_json(tree: object) -> None:
    leaves, structure = flatten(tree)
    stored: Structure = json.loads(json.dumps(structure))
    assert stored == structure
    assert unflatten(stored, leaves) == tree
    assert leaf_count(stored) == len(leaves) == len(list(leaf_paths(stored)))


@given(_TREES)
def test_paths_lead_to_the_leaves(tree: object) -> None:
    leaves, structure = flatten(tree)
    for path, leaf in zip(leaf_paths(structure), leaves, strict=True):
        at: Any = tree
        for step in path:
            at = at[step]
        assert at is leaf


@given(_TREES)
def test_leaf_names_are_unique(tree: object) -> None:
    leaves, structure = flatten(tree)
    names = leaf_names(structure, "output")
    assert len(names) == len(set(names)) == len(leaves)


def test_kinds() -> None:
    tree = (1.0, [2.0, None], {"a": 3.0, "b": ()})
    leaves, structure = flatten(tree)
    assert leaves == [1.0, 2.0, 3.0]
    assert structure == {
        "tuple": [LEAF, {"list": [LEAF, None]}, {"dict": [["a", LEAF], ["b", {"tuple": []}]]}]
    }


def test_mappings_keep_their_order_and_become_dicts() -> None:
    leaves, structure = flatten(OrderedDict([("b", 1), ("a", 2)]))
    assert leaves == [1, 2]
    assert list(unflatten(structure, leaves)) == ["b", "a"]


def test_what_is_a_leaf_can_be_said() -> None:
    leaves, structure = flatten([(1, 2), 3], is_leaf=lambda item: isinstance(item, tuple))
    assert leaves == [(1, 2), 3]
    assert structure == {"list": [LEAF, LEAF]}


@pytest.mark.parametrize(("leaves", "words"), [([1], "too few"), ([1, 2, 3], "too many")])
def test_wrong_number_of_leaves(leaves: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=f"{words} leaves for"):
        unflatten({"tuple": [LEAF, LEAF]}, leaves)


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        (0.0, ["output"]),
        ((0.0, 0.0), ["output_0", "output_1"]),
        ({"logits": 0.0, "hidden": (0.0, 0.0)}, ["logits", "hidden.0", "hidden.1"]),
        ([{"a": 0.0}, {"a": 0.0}], ["output_0.a", "output_1.a"]),
        ({"a": {"b": 0.0}, "a.b": 0.0}, ["a.b", "a.b_1"]),
        (None, []),
    ],
)
def test_leaf_names(tree: object, names: list[str]) -> None:
    assert leaf_names(flatten(tree)[1], "output") == names


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (0.0, "tensor"),
        ((0.0,), "(tensor,)"),
        ((0.0, [0.0, None]), "(tensor, [tensor, None])"),
        ({"a": 0.0}, "{'a': tensor}"),
    ],
)
def test_describe(tree: object, text: str) -> None:
    assert describe(flatten(tree)[1]) == text


def test_describe_with_names() -> None:
    assert describe({"tuple": [LEAF, {"list": [LEAF]}]}, ["x", "mask"]) == "(x, [mask])"
