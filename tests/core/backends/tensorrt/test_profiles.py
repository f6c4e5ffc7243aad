from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorrt_rtx")

from tensorrt_networks import build

from fwd_core.backends.tensorrt import profiles
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import logger
from fwd_core.backends.tensorrt.profiles import choose, holes, parse, resolve, shapes, shown
from fwd_core.errors import BuildError, ForwardWarning, OptionError
from fwd_core.ir import Dim, DType, Graph, TensorType, ops, symbol

B, H = symbol("b", 1, 2, 8), symbol("h", 16, 32, 64)
SYMBOLS = TensorType(DType.FLOAT32, (B, H)).symbols
WHOLE = {"b": (1, 2, 8), "h": (16, 32, 64)}


def _kind(*shape: Any) -> TensorType:
    return TensorType(DType.FLOAT32, shape)


def _added(inputs: dict[str, TensorType], *asked: profiles.Profile) -> int:
    trt = load("tensorrt_rtx").trt
    builder = trt.Builder(logger(trt))
    config = builder.create_builder_config()
    profiles.add(builder, config, inputs, resolve(asked, inputs))
    return int(config.num_optimization_profiles)


def test_shapes_come_from_the_ranges_of_the_symbols() -> None:
    assert shapes(_kind(B, 3, H * 2), WHOLE) == [(1, 3, 32), (2, 3, 64), (8, 3, 128)]


def test_one_profile_holds_every_dynamic_input() -> None:
    assert _added({"x": _kind(B, 3), "y": _kind(4), "z": _kind(B + 1)}) == 1


def test_static_inputs_need_none() -> None:
    assert _added({"x": _kind(4, 3)}) == 0


@pytest.mark.parametrize("size", [20 - B, B - 5], ids=str)
def test_a_size_that_shrinks_or_is_negative_has_no_range(size: Dim) -> None:
    message = r"input 'x': a size does not grow with its symbols(.|\n)*0 <= min <= opt <= max"
    with pytest.raises(BuildError, match=message):
        _added({"x": _kind(size)})


def test_an_empty_batch_is_a_size() -> None:
    graph = Graph()
    x = graph.add_input("x", _kind(symbol("n", 0, 1, 4), 3))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    assert len(build(graph).payload()) > 0


@pytest.mark.parametrize(
    "given",
    [
        [{"b": (1, 1, 2), "h": [16, 32, 64]}, {"b": (3, 4, 8)}],
        [{"b": "1,1,2", "h": "16, 32, 64"}, {"b": "3,4,8"}],
        '[{"b": [1, 1, 2], "h": "16,32,64"}, {"b": "3,4,8"}]',
    ],
)
def test_forms(given: Any) -> None:
    assert parse(given) == [{"b": (1, 1, 2), "h": (16, 32, 64)}, {"b": (3, 4, 8)}]
    assert parse(None) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[{", r"expected: a JSON list of mappings such as \{(.|\n)*got: +\[\{\n  Expecting.*\n"
         r"  Hint: in a shell: --option 'profiles=\[\{\"batch\": \"1,4,8\"\}\]'$"),
        ('{"b": [1, 2, 3]}', r"expected: one or more mappings(.|\n)*Hint: put it into a list$"),
        ("{}", r"expected: one or more mappings"),
        ("3", r"expected: one or more mappings(.|\n)*got: +3"),
        ([], r"expected: one or more mappings(.|\n)*got: +\[\]\n  Hint: leave the option out for"),
        ('[["b"]]', r"expected: mappings such as(.|\n)*got: +\['b'\]"),
        ([{}], r"expected: mappings such as(.|\n)*got: +\{\}\n  Hint: name the sizes, as in the d"),
        ([{"b": (1, 2)}], r"the range of 'b'\n  expected: three integers, 0 <= MIN <= OPT <= MAX"),
        ([{"b": "1,2"}], r"the range of 'b'(.|\n)*got: +'1,2'\n  Hint: the least size"),
        ([{"b": "1,x,3"}], r"the range of 'b'(.|\n)*got: +'1,x,3'"),
        ([{"b": (1, 2.5, 3)}], r"the range of 'b'"),
        ([{"b": (True, 2, 3)}], r"the range of 'b'"),
        ([{"b": 3}], r"the range of 'b'(.|\n)*got: +3"),
        ([{"b": (3, 2, 4)}], r"the range of 'b'"),
        ([{"b": (-1, 2, 4)}], r"the range of 'b'"),
    ],
)  # fmt: skip
def test_other_forms_are_refused(given: Any, message: str) -> None:
    with pytest.raises(
        OptionError, match=r"option 'profiles' of backend 'tensorrt'(.|\n)*" + message
    ):
        parse(given)


def test_a_size_that_a_profile_leaves_out_has_its_whole_range() -> None:
    inputs = {"x": _kind(B, H), "y": _kind(3)}
    with pytest.warns(ForwardWarning, match="no profile holds b 3 … 8, h 33 … 64, and"):
        found = resolve([{"b": (1, 1, 2)}, {"b": (2, 4, 8), "h": (16, 16, 32)}], inputs)
    assert found == [
        {"b": (1, 1, 2), "h": (16, 32, 64)},
        {"b": (2, 4, 8), "h": (16, 16, 32)},
    ]
    assert resolve([], inputs) == [WHOLE]
    assert resolve([], {"y": _kind(3)}) == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([{"n": (1, 1, 1)}], r"profile 0 has a range of 'n', and no size is called so\n"
         r"  expected: b 1 … 8, h 16 … 64\n  got: +n\n  Hint: leave it out, or name the size so"),
        ([{"hh": (16, 16, 16)}], r"Hint: did you mean 'h'\?$"),
        ([{"b": (1, 2, 8)}, {"b": (1, 2, 9)}], r"profile 1 leaves the range of 'b'\n"
         r"  expected: 1 … 8\n  got: +1 … 9\n  Hint: narrow the profile, or declare the size"),
        ([{"b": (0, 2, 8)}], r"profile 0 leaves the range of 'b'"),
        ([{"b": (2, 2, 4)}, {"b": (5, 5, 8)}], r"no profile holds b = 1 … 1\n"
         r"  expected: profiles that together begin at 1 and end at 8\n  got: +2 … 4, 5 … 8"),
        ([{"b": (1, 2, 4)}], r"no profile holds b = 5 … 8"),
        ([{"h": (17, 20, 63)}], r"no profile holds h = 16 … 16 and 64 … 64"),
    ],
)  # fmt: skip
def test_profiles_that_do_not_fit_the_model_are_refused(asked: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        resolve(asked, {"x": _kind(B, H)})


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            [{"b": (1, 1, 2)}, {"b": (5, 6, 8)}],
            "no profile holds b 3 … 4, and such runs will be refused. There are b 1 … 2 (tuned for "
            "1), h 16 … 64 (tuned for 32); b 5 … 8 (tuned for 6), h 16 … 64 (tuned for 32)",
        ),
        (
            [{"b": (8, 8, 8)}, {"b": (1, 1, 1)}, {"b": (4, 4, 4)}],
            "no profile holds b 2 … 3; b 5 … 7, and",
        ),
        (
            [{"b": (1, 1, 4), "h": (16, 16, 32)}, {"b": (5, 5, 8), "h": (33, 40, 64)}],
            "no profile holds b 1 … 4, h 33 … 64; b 5 … 8, h 16 … 32, and",
        ),
        (
            [{"b": (i, i, i), "h": (16 + 6 * i, 64, 64)} for i in range(1, 9)]
            + [{"b": (1, 1, 1), "h": (16, 16, 16)}],
            "no profile holds b 1 … 1, h 17 … 21; b 2 … 2, h 16 … 16; b 2 … 2, h 17 … 21; and ",
        ),
    ],
)
def test_holes_between_profiles_are_warned_of(asked: Any, text: str) -> None:
    with pytest.warns(ForwardWarning) as caught:
        resolve(asked, {"x": _kind(B, H)})
    assert str(caught[0].message).startswith(f"option 'profiles' of backend 'tensorrt': {text}")


RANGES = st.tuples(st.integers(1, 8), st.integers(1, 8)).map(sorted)
HEIGHTS = st.tuples(st.integers(16, 64), st.integers(16, 64)).map(sorted)


@given(st.lists(st.tuples(RANGES, HEIGHTS), min_size=1, max_size=4), st.data())
def test_a_hole_is_what_no_profile_holds(ranges: Any, data: st.DataObject) -> None:
    profiles: Any = [{"b": (b[0], b[0], b[1]), "h": (h[0], h[0], h[1])} for b, h in ranges]
    found = holes(SYMBOLS, profiles)
    b, h = data.draw(st.integers(1, 8)), data.draw(st.integers(16, 64))
    whole = {"b": (1, 8), "h": (16, 64)}
    inside = [{**whole, **one} for one in found]
    in_hole = any(
        one["b"][0] <= b <= one["b"][1] and one["h"][0] <= h <= one["h"][1] for one in inside
    )
    assert in_hole == (choose(profiles, {"b": b, "h": h}) < 0)


def test_profiles_of_a_static_model_are_refused() -> None:
    with pytest.raises(OptionError, match=r"every size is fixed(.|\n)*with dynamic=$"):
        resolve([{"b": (1, 2, 3)}], {"x": _kind(4)})


def _dynamic() -> Graph:
    graph = Graph()
    x = graph.add_input("x", _kind(B, 3, H))
    graph.set_outputs([graph.add(ops.Relu(x))], ["y"])
    return graph


def test_several_profiles_are_compiled_and_kept_in_the_manifest() -> None:
    one = build(_dynamic())
    assert one.manifest["profiles"] == [{"b": [1, 2, 8], "h": [16, 32, 64]}]
    plan = build(_dynamic(), profiles='[{"b": "1,1,2"}, {"b": "3,4,8"}]')
    assert plan.manifest["profiles"] == [
        {"b": [1, 1, 2], "h": [16, 32, 64]},
        {"b": [3, 4, 8], "h": [16, 32, 64]},
    ]
    assert json.loads(json.dumps(plan.manifest)) == plan.manifest
    assert len(plan.payload()) > len(one.payload()), "kernels of its own for each"


@pytest.mark.parametrize(
    ("values", "index"),
    [
        ({"b": 1, "h": 16}, 0),
        ({"b": 2, "h": 64}, 0),
        ({"b": 3, "h": 16}, 1),  # in both: 1 is tuned closer to it
        ({"b": 8, "h": 16}, 1),
        ({"b": 9, "h": 16}, -1),
    ],
)
def test_the_profile_tuned_closest_is_chosen(values: dict[str, int], index: int) -> None:
    stated = [{"b": [1, 1, 4], "h": [16, 32, 64]}, {"b": [3, 4, 8], "h": [16, 32, 64]}]
    assert choose(stated, values) == index


def test_an_engine_of_fixed_sizes_has_the_one_that_all_engines_have() -> None:
    assert choose([], {}) == 0


def test_profiles_in_words() -> None:
    assert shown({"b": [1, 2, 8], "h": [3, 3, 3]}) == "b 1 … 8 (tuned for 2), h 3 … 3 (tuned for 3)"
