"""Options of backends as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Optional, Union

import pytest
import typer
from toy_backend import AbsentBackend, ToyBackend

from fwd_core import Builder, Plugins, hookimpl
from fwd_core.backends import Options
from fwd_core.cli.options import backend_options, byte_count, given_options
from fwd_core.errors import OptionError
from fwd_core.ir import Graph
from fwd_core.plugins import BuildOption
from fwd_core.plugins import registers as reg


@dataclass(frozen=True)
class ManyOptions(Options):
    """One of each type."""

    count: Optional[int] = None
    share: float = 0.5
    fast: bool = False
    kind: Literal["a", "b"] = "a"
    gpu: Union[str, Sequence[str], None] = None
    name: str = ""


class ManyBackend(ToyBackend):
    name: ClassVar[str] = "many"
    options: ClassVar[type[Options]] = ManyOptions


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=3", 3),
        ("count=None", None),
        ("share=0.25", 0.25),
        ("share=1e-3", 1e-3),
        ("fast=true", True),
        ("fast=Off", False),
        ("fast=1", True),
        ("kind=b", "b"),
        ("kind=z", "z"),  # the backend says which words it takes
        ("gpu=sm_89,sm_120", "sm_89,sm_120"),
        ("gpu=none", "none"),
        ("name=a=b", "a=b"),
        ("name=", ""),
    ],
)
def test_values_have_the_types_that_the_backend_declares(text: str, value: object) -> None:
    asked = given_options([text])
    (found,) = backend_options(_builder("many"), asked).values()
    assert found == value
    assert type(found) is type(value)


def _builder(backend: str, **options: object) -> Builder:
    class Pack:
        @hookimpl
        def fwd_register_backends(self, register: reg.BackendRegister) -> None:
            for one in (ToyBackend(), AbsentBackend(), ManyBackend()):
                register.add(one)

    return Builder(backend=backend, options=options, plugins=Plugins({"mine": Pack()}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=three", "an integer or none"),
        ("count=1.5", "an integer or none"),
        ("share=half", "a number"),
        ("fast=perhaps", "true or false"),
    ],
)
def test_values_of_other_types(text: str, expected: str) -> None:
    name, value = text.split("=")
    with pytest.raises(OptionError) as caught:
        backend_options(_builder("many"), given_options([text]))
    assert str(caught.value) == (
        f"option {name!r} of backend 'many'\n  expected: {expected}\n  got:      {value!r}"
    )


def test_flags_are_options() -> None:
    found = given_options(["embed-all=x"], gpu="sm_89", threads=2, hint="latency", workspace="512M")
    assert found == {
        "gpu": "sm_89",
        "threads": 2,
        "hint": "latency",
        "workspace": 512 << 20,
        "embed_all": "x",
    }
    assert given_options(None) == {}


@pytest.mark.parametrize(
    ("texts", "flags", "why"),
    [
        (["fast"], {}, "'fast' is not KEY=VALUE"),
        (["=1"], {}, "'=1' is not KEY=VALUE"),
        (["a=1", "a=2"], {}, "option 'a' is given twice"),
        (["threads=1"], {"threads": 2}, "option 'threads' is given twice"),
        ([], {"workspace": "much"}, "'much' is no size, such as 512M"),
    ],
)
def test_malformed(texts: list[str], flags: dict[str, Any], why: str) -> None:
    with pytest.raises(typer.BadParameter, match=why):
        given_options(texts, **flags)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("1048576", 1 << 20), ("64k", 64 << 10), ("512M", 512 << 20), ("2GiB", 2 << 30)],
)
def test_sizes(text: str, count: int) -> None:
    assert byte_count(text) == count


def test_an_option_of_another_backend() -> None:
    for name, chosen in (("toy", ""), ("auto", ", which auto chose here,")):
        with pytest.raises(OptionError) as caught:
            backend_options(_builder(name), {"gpu": "sm_89"})
        assert str(caught.value) == (
            f"backend 'toy'{chosen} has no option 'gpu'\n"
            "  expected: parallel, device\n"
            "  Hint: leave it out, or choose --backend many, which has it"
        )


def test_an_option_of_another_backend_in_python() -> None:
    with pytest.raises(OptionError) as caught:
        _builder("auto", gpu="sm_89").build("no file", ())
    assert str(caught.value) == (
        "backend 'toy', which 'auto' chose here, has no option 'gpu'\n"
        "  expected: parallel, device\n"
        "  Hint: leave it out, or choose backend='many', which has it"
    )


class _OfPack(BuildOption):
    name = "with_sums"
    summary = "add sums"

    def parse(self, value: Any) -> Any:
        return value

    def apply(self, graph: Graph, value: Any) -> None:
        raise AssertionError


def test_options_of_packs_are_listed_too() -> None:
    class Sums:
        @hookimpl
        def fwd_register_build_options(self, register: reg.BuildOptionRegister) -> None:
            register.add(_OfPack())

    builder = _builder("toy", gpu="sm_89")
    builder.plugins.register("sums", Sums())
    text = "has no option 'gpu'\n  expected: parallel, device, with_sums\n"
    with pytest.raises(OptionError, match=text):
        builder.build("no file", ())
    with pytest.raises(OptionError, match=text):
        backend_options(builder, {"gpu": "sm_89"})


def test_an_option_of_no_backend_is_left_to_the_backend_to_refuse() -> None:
    toy = ToyBackend()
    found = backend_options(_builder("toy"), {"paralel": "3"})
    text = "backend 'toy' has no option 'paralel'\n  expected: parallel, device\n  Hint: did you"
    with pytest.raises(OptionError, match=re.escape(text)):
        toy.options.parse("toy", found)
