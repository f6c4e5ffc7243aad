"""What ``--input`` says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from fwd_core.cli.inputs import InputSpec, advising, examples, given, parse, parse_all
from fwd_core.errors import GraphError
from fwd_core.importing import OptBatch
from fwd_core.ir import DType, Graph, TensorType, ops


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("1x3x224x224", InputSpec("", "", (1, 3, 224, 224))),
        ("x=1x3:float16", InputSpec("", "x", (1, 3), DType.FLOAT16)),
        ("ids=128:int64", InputSpec("", "ids", (128,), DType.INT64)),
        ("a.b_0=0x2:bool", InputSpec("", "a.b_0", (0, 2), DType.BOOL)),
        ("length=scalar:int64", InputSpec("", "length", (), DType.INT64)),
        ("scalar", InputSpec("", "", ())),
        (
            "x=batch[1,4,8]x3",
            InputSpec("", "x", (8, 3), None, {0: ("batch", 1, 4, 8)}),
        ),
        (
            "x=batch[1, 4, 8]x3xxh[64,224,512]x512:float16",
            InputSpec(
                "",
                "x",
                (8, 3, 512, 512),
                DType.FLOAT16,
                {0: ("batch", 1, 4, 8), 2: ("xh", 64, 224, 512)},
            ),
        ),
        (
            "x=3x4*h[64,224,512]",
            InputSpec("", "x", (3, 512), None, {1: ("4*h", 64, 224, 512)}),
        ),
        ("@x.npy", InputSpec("", "", path="x.npy")),
        ("@dir/a=b.npy", InputSpec("", "", path="dir/a=b.npy")),
        ("x=@C:/dir/a=b.npy", InputSpec("", "x", path="C:/dir/a=b.npy")),
    ],
)
def test_forms(text: str, spec: InputSpec) -> None:
    found = parse(text)
    assert found.text == text
    assert InputSpec("", found.name, found.shape, found.dtype, found.ranges, found.path) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is malformed: no size at ''."),
        ("x=", "'x=' is malformed: no size at ''."),
        ("=1x3", "there is no name before '='"),
        ("1x3x", "no size at ''"),
        ("1x-3", "no size at '-3'"),
        ("1,3", "no 'x' between sizes at ',3'"),
        ("1x3xfoo", "no size at 'foo'"),
        ("batchx3", "no size at 'batchx3'"),
        ("batch[1,4]x3", "'batch[1,4]' is not NAME[MIN,OPT,MAX]"),
        ("batch[]x3", "'batch[]' is not NAME[MIN,OPT,MAX]"),
        ("batch[1,,8]x3", "'batch[1,,8]' is not NAME[MIN,OPT,MAX]"),
        ("1x3:", "there is no dtype after ':'"),
        ("1x3:flaot32", "no element type 'flaot32' in Forward (there are"),
        ("1x3:flaot32", "bool); did you mean float32? An input is [NAME="),
        ("1x3:fp16", "did you mean float16?"),
        ("1x3:float99", "uint8, bool). It is [NAME="),
        ("x=@", "there is no file after '@'"),
    ],
)
def test_malformed(text: str, why: str) -> None:
    form = " is [NAME=]SHAPE[:DTYPE] or [NAME=]@FILE"
    with pytest.raises(typer.BadParameter, match=re.escape(why)) as caught:
        parse(text)
    assert str(caught.value).endswith(form)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["x=1x3", "1x3"], "give names to all inputs or to none"),
        (["x=1x3", "y=1", "x=@x.npy"], "inputs are given twice: x"),
    ],
)
def test_several(texts: list[str], why: str) -> None:
    with pytest.raises(typer.BadParameter, match=why):
        parse_all(texts)


def test_a_file_without_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for text in ("x.npy", "a=x.npy"):
        with pytest.raises(typer.BadParameter, match="no size at 'x'|'x.npy'. It is"):
            parse(text)
    Path("x.npy").touch()
    with pytest.raises(typer.BadParameter, match=r"; did you mean @x\.npy\? An input is "):
        parse("x.npy")
    with pytest.raises(typer.BadParameter, match=r"; did you mean a=@x\.npy\? An input is "):
        parse("a=x.npy")


def test_none() -> None:
    assert parse_all(None) == []
    assert examples([], dynamic_batch=False, opt_batch=None) == ((), None)


class TestGiven:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        np.save("x.npy", np.ones(2))
        np.savez("named.npz", a=np.ones(1), b=np.ones(2))
        np.savez("one.npz", a=np.ones(1))
        np.savez("unnamed.npz", np.ones(1), np.ones(2))

    @pytest.mark.parametrize(
        ("texts", "shapes"),
        [
            (["x=@x.npy", "y=3"], {"x": (2,), "y": (3,)}),
            (["@x.npy", "3"], [(2,), (3,)]),
            (["@named.npz"], {"a": (1,), "b": (2,)}),
            (["@one.npz"], {"a": (1,)}),
            (["@unnamed.npz"], [(1,), (2,)]),
            (["b=@named.npz"], {"b": (2,)}),
            (["x=@one.npz"], {"x": (1,)}),
            (["b=@named.npz", "a=@x.npy"], {"b": (2,), "a": (2,)}),
        ],
    )
    def test_values(self, texts: list[str], shapes: Any) -> None:
        values = given(parse_all(texts))
        if isinstance(values, dict):
            assert {name: value.shape for name, value in values.items()} == shapes
        else:
            assert [value.shape for value in values] == shapes

    def test_all_inputs_of_one_file_and_more(self) -> None:
        with pytest.raises(typer.BadParameter, match=r"named.npz holds all inputs, so it must be"):
            given(parse_all(["@named.npz", "3"]))


class TestExamples:
    def test_shapes_are_made_up_by_importers(self) -> None:
        found, dynamic = _examples(["x=2x3", "ids=4:int64"])
        assert found == {
            "x": TensorType(DType.FLOAT32, (2, 3)),
            "ids": TensorType(DType.INT64, (4,)),
        }
        assert dynamic is None

    def test_dynamic_sizes(self) -> None:
        found, dynamic = _examples(["x=batch[1,4,8]x3", "m=batch[1,4,8]", "y=2"])
        assert found["x"] == TensorType(DType.FLOAT32, (8, 3))
        assert dynamic == {"x": {0: ("batch", 1, 4, 8)}, "m": {0: ("batch", 1, 4, 8)}}

    def test_batch(self) -> None:
        found, dynamic = _examples(["8x3", "8:int64", "5x8"], dynamic_batch=True)
        assert [kind.shape for kind in found] == [(8, 3), (8,), (5, 8)]
        assert dynamic == OptBatch(None)

    def test_made_up_inputs_grow_to_the_batch_that_is_tuned_for(self) -> None:
        found, dynamic = _examples(["scalar", "1x3", "1:int64", "5x8"], opt_batch=4)
        assert [kind.shape for kind in found] == [(), (4, 3), (4,), (5, 8)]
        assert dynamic == OptBatch(4)

    def test_given_values_do_not_grow(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npy"
        np.save(path, np.ones((2, 3), np.float32))
        (found,), dynamic = _examples([f"@{path}"], opt_batch=4)
        assert found.shape == (2, 3)
        assert dynamic == OptBatch(4), "which the importer refuses: 4 is more than 2"

    @pytest.mark.parametrize(
        ("texts", "options", "why"),
        [
            (
                ["n[1,2,3]x4"],
                {},
                r"dynamic sizes need the input's name in front: NAME=n\[1,2,3\]x4",
            ),
            (["x=n[1,2,3]"], {"opt_batch": 2}, "say less than the sizes in --input do"),
            (["x=n[1,2,3]"], {"dynamic_batch": True}, "say less than the sizes in --input do"),
        ],
    )
    def test_mistakes(self, texts: list[str], options: dict[str, Any], why: str) -> None:
        with pytest.raises(typer.BadParameter, match=why):
            _examples(texts, **options)


def _examples(texts: list[str], **options: Any) -> Any:
    return examples(parse_all(texts), **{"dynamic_batch": False, "opt_batch": None, **options})


def _gather(dtype: DType) -> None:
    graph = Graph()
    table = graph.add_input("table", TensorType(DType.FLOAT32, (9, 4)))
    ids = graph.add_input("ids", TensorType(dtype, (4, 48)))
    graph.add(ops.Gather(table, ids, 0))


def test_ids_without_a_dtype_are_told_how_to_have_one() -> None:
    text = (
        "Hint: an --input without a dtype is float32; write it for ids and masks: "
        "--input ids=4x48:int64"
    )
    with pytest.raises(GraphError, match="got: +float32") as told, advising([parse("ids=4x48")]):
        _gather(DType.FLOAT32)
    assert str(told.value).endswith(text)
    for given_text, dtype in [("ids=4x48:float32", DType.FLOAT32), ("ids=4x48", DType.BOOL)]:
        with pytest.raises(GraphError, match="not taken") as told, advising([parse(given_text)]):
            _gather(dtype)
        assert told.value.hint is None
