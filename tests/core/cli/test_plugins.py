"""``fwd plugins``, with whole outputs."""

from __future__ import annotations

import re

import pytest
from toy_program import CLASH, Broken, Clash, fwd, plugins

from fwd_core import core_pack
from fwd_core.cli.codes import ExitCode
from fwd_core.cli.plugins import _short
from fwd_core.ir import ops
from fwd_core.plugins import Pack, Plugins

CORE_OPERATORS = len(ops.core_operators())


def test_text() -> None:
    packs = plugins(broken=Broken())
    packs.packs["absent"] = Pack("absent", "acme", "1.2", failure="ImportError: no acme")
    packs.packs["quiet"] = Pack("quiet", "acme-quiet", "3", disabled=True)
    result = fwd("plugins", packs=packs)
    assert (result.code, result.err) == (ExitCode.OK, "load: packs\n")
    assert re.sub(r"\(.*:\d+\)", "(FILE)", result.out) == (
        "core\n"
        "  hooks     register_commands\n"
        "  commands  8: build, check, run, bench, quantize, inspect, plugins, doctor\n"
        "toy\n"
        "  hooks       register_backends, register_converters, register_importers, "
        "register_lowerings, register_operators, register_rewrites\n"
        "  importers   1: layers\n"
        "  converters  3 toy\n"
        f"  operators   {CORE_OPERATORS} fwd, 3 toy\n"
        f"  rewrites    {len(packs.rewrites)}: {', '.join(packs.rewrites)}\n"
        "  lowerings   4 toy\n"
        "  backends    2: toy, absent\n"
        "files\n"
        "  hooks      register_importers\n"
        "  importers  1: layers-file\n"
        "broken\n"
        "  failed  fwd_register_rewrites: OSError: no such thing (FILE)\n"
        "  hooks   register_rewrites\n"
        "absent (acme 1.2)\n"
        "  failed  ImportError: no acme\n"
        "  hooks   none\n"
        "quiet (acme-quiet 3)\n"
        "  disabled  by FWD_PACKS or FWD_DISABLE_PACKS\n"
        "  hooks     none\n"
    )


def test_verbose_names_everything() -> None:
    lines = fwd("plugins", "--verbose").out.splitlines()
    assert "  converters  3 toy: add, linear, relu" in lines
    assert "  lowerings   4 toy: fwd.Add, fwd.Constant, fwd.MatMul, fwd.Relu" in lines
    assert max(len(line) for line in lines if line.startswith(" " * 14)) <= 120
    (operators,) = [line for line in lines if line.startswith("  operators")]
    assert operators.startswith(f"  operators   {CORE_OPERATORS} fwd: ")
    assert "              3 toy: Halves, Tagged, Twice" in lines


def test_forms_in_place_stand_with_their_operators() -> None:
    assert _short(["relu_", "relu", "zero_", "add"]) == ["add", "relu[_]", "zero_"]


def test_json() -> None:
    result = fwd("plugins", "--json", packs=plugins(broken=Broken()))
    assert result.code == ExitCode.OK
    document = result.json
    assert document["clashes"] == []
    core, toy, files, broken = document["packs"]
    assert core["registers"] == {
        "commands": ["build", "check", "run", "bench", "quantize", "inspect", "plugins", "doctor"]
    }
    assert toy["registers"]["converters"] == ["toy::add", "toy::linear", "toy::relu"]
    assert toy["registers"]["lowerings"][0] == "toy:fwd.Add", "in order, as the text has them"
    assert files == {
        "name": "files",
        "distribution": "",
        "version": "",
        "hooks": ["fwd_register_importers"],
        "failure": "",
        "disabled": False,
        "registers": {"importers": ["layers-file"]},
    }
    assert broken["registers"] == {}
    assert broken["failure"].startswith("fwd_register_rewrites: OSError: no such thing (")


def test_calibration_algorithms_are_listed() -> None:
    result = fwd("plugins", packs=Plugins({"core": core_pack}))
    assert "\n  algorithms  5: entropy, entropy_2, minmax, percentile, mse\n" in result.out


@pytest.mark.parametrize("form", ["text", "json"])
def test_clashes_are_told_and_the_rest_is_listed(form: str) -> None:
    packs = plugins(clash=Clash())
    if form == "json":
        result = fwd("plugins", "--json", packs=packs)
        assert result.json["clashes"] == [CLASH]
        assert [pack["name"] for pack in result.json["packs"]] == ["core", "toy", "files", "clash"]
    else:
        result = fwd("plugins", packs=packs)
        assert result.out.endswith(f"clash\n  hooks  register_operators\n{CLASH}\n")
        assert "  converters  3 toy\n" in result.out
    assert result.code == ExitCode.FAILED
