"""``fwd doctor``, with whole outputs."""

from __future__ import annotations

import re

import pytest
from toy_backend import ToyBackend
from toy_program import CLASH, Broken, Clash, Commands, fwd, plugins

from fwd_core import Plugins
from fwd_core.backends import Availability
from fwd_core.cli import doctor
from fwd_core.cli.codes import ExitCode
from fwd_core.plugins import Pack


def _same_everywhere(out: str) -> str:
    """What does not depend on the machine, and no places in files."""
    out = re.sub(r"^\w+ +(Python|PyTorch|GPU) .*\n", "", out, flags=re.MULTILINE)
    out = re.sub(r"^(next:|  pip install .*)\n", "", out, flags=re.MULTILINE)
    return re.sub(r"\(.*:\d+\)", "(FILE)", out)


def test_text() -> None:
    packs = plugins(broken=Broken())
    packs.packs["quiet"] = Pack("quiet", "acme-quiet", "3", disabled=True)
    _ = packs.rewrites  # the hook that fails
    result = fwd("doctor", packs=packs)
    assert (result.code, result.err) == (ExitCode.OK, "load: packs\n")
    assert _same_everywhere(result.out) == (
        "ok    pack core       registered by hand\n"
        "ok    pack toy        registered by hand\n"
        "ok    pack files      registered by hand\n"
        "no    pack broken     registered by hand: fwd_register_rewrites: OSError: no such thing "
        "(FILE)\n"
        "part  pack quiet      acme-quiet 3: disabled by FWD_PACKS or FWD_DISABLE_PACKS\n"
        "ok    importers       layers, layers-file\n"
        "ok    backend toy     builds and runs with toy 1.0 on here\n"
        "no    backend absent  cannot be used here: its library is missing: pip install absent\n"
        "models can be built and run here\n"
    )


def test_json() -> None:
    result = fwd("doctor", "--json")
    assert result.code == ExitCode.OK
    assert result.json["usable"] is True
    assert result.json["findings"][-2:] == [
        {
            "name": "backend toy",
            "state": "ok",
            "text": "builds and runs with toy 1.0 on here",
            "advice": "",
            "targets": [],
        },
        {
            "name": "backend absent",
            "state": "no",
            "text": "cannot be used here: its library is missing: pip install absent",
            "advice": "",
            "targets": [],
        },
    ]


def test_nothing_is_there() -> None:
    result = fwd("doctor", packs=Plugins({"core": Commands()}))
    assert result.code == ExitCode.FAILED
    assert (
        "  pip install './fwd_ops_torch[torch]' in a checkout of Forward reads PyTorch"
        in result.out
    )
    assert _same_everywhere(result.out) == (
        "ok  pack core  registered by hand\n"
        "no  importers  no pack reads models\n"
        "no model can be run here\n"
    )


def test_two_packs_clash() -> None:
    result = fwd("doctor", "--json", packs=plugins(clash=Clash()))
    assert result.code == ExitCode.FAILED
    assert {
        "name": "packs",
        "state": "no",
        "text": CLASH,
        "advice": "FWD_DISABLE_PACKS=NAME leaves a pack out",
        "targets": [],
    } in result.json["findings"]


def test_the_machine_itself() -> None:
    assert re.fullmatch(r"3\.\d+\.\d+\S* on \w+ \S+", doctor.python().text)
    torch = doctor.torch()
    assert (torch.state == "ok") == bool(re.match(r"\d+\.\d+", torch.text))
    # Which version fwd-ops-torch asks for is known where it is installed.
    assert torch.state == "ok" or re.match(r"pip install '(torch>=|fwd-ops-torch)", torch.advice)
    gpu = doctor.gpu()
    assert gpu.text
    assert not gpu.text.startswith("no ")


@pytest.mark.parametrize(
    ("build", "run", "state", "text"),
    [
        (True, True, "ok", "builds and runs with lib 1 on here"),
        (True, False, "part", "builds, but does not run here with lib 1 on here: no device"),
        (False, True, "part", "runs, but does not build here with lib 1 on here: no device"),
        (False, False, "no", "cannot be used here with lib 1 on here: no device"),
    ],
)
def test_backends(build: bool, run: bool, state: str, text: str) -> None:
    class Half(ToyBackend):
        def availability(self) -> Availability:
            reason = "" if build and run else "no device"
            advice = "" if build or run else "pip install lib"
            return Availability(build, run, reason, {"lib": "1"}, ["here"], advice=advice)

    found = doctor.backend("openvino", Half())
    assert (found.state, found.text) == (state, text)
    assert found.advice == ("pip install lib runs on any CPU" if state == "no" else "")


def test_targets_are_listed_and_the_missing_gpu_is_told_once() -> None:
    class Ahead(ToyBackend):
        def availability(self) -> Availability:
            reason = "no GPU can be used: no driver (error 35)"
            return Availability(True, False, reason, {"lib": "1"}, targets=["sm_80", "sm_89"])

    card = doctor.Finding("GPU", "no", "no driver (error 35)")
    found = doctor.backend("ahead", Ahead(), card)
    assert found.targets == ("sm_80", "sm_89")
    assert found.text == (
        "builds, but does not run here with lib 1 for sm_80, sm_89: no GPU can be used"
    )
