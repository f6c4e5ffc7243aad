"""What is said where a pack is missed: how to install it, or that it is there and not used."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from toy_program import Commands, fwd

from fwd_core import Builder, Plugins
from fwd_core.errors import ForwardError
from fwd_core.plugins import Pack, advice
from fwd_core.testing import assert_parity

LEFT_OUT = "it is installed, but left out by FWD_PACKS or FWD_DISABLE_PACKS"
FAILED = "it is installed, but failed; `fwd plugins` says why"


def found(**state: object) -> Plugins:
    packs = Plugins()
    packs.packs["torch"] = Pack("torch", "fwd-ops-torch", "0.1", **state)  # type: ignore[arg-type]
    return packs


def importing(packs: Plugins) -> None:
    Builder(plugins=packs).importer("model.pth")


def checking(packs: Plugins) -> None:
    assert_parity(object(), (), plugins=packs)


@pytest.mark.parametrize(
    ("missed", "gain"), [(importing, "reads PyTorch models"), (checking, "runs PyTorch models")]
)
@pytest.mark.parametrize(
    ("packs", "advice"),
    [
        (Plugins(), "pip install './fwd_ops_torch[torch]' in a checkout of Forward {gain}"),
        (found(disabled=True), f"pack 'torch' {{gain}}: {LEFT_OUT}"),
        (found(failure="OSError: no"), f"pack 'torch' {{gain}}: {FAILED}"),
    ],
    ids=["absent", "left out", "failed"],
)
def test_errors(missed: Callable[[Plugins], None], gain: str, packs: Plugins, advice: str) -> None:
    with pytest.raises(ForwardError) as caught:
        missed(packs)
    assert caught.value.hint == advice.format(gain=gain)


def test_what_an_extra_asks_for_is_named_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["numpy>=1", 'openvino>=2026.0; extra == "openvino"', "a>=1; extra == 'rtx'"]
    told += ['b; extra == "rtx"']
    monkeypatch.setattr(advice.metadata, "requires", lambda name: told)
    assert advice.pip_install("openvino") == "pip install 'openvino>=2026.0'"
    assert advice.pip_install("rtx") == "pip install 'a>=1' 'b'"


def test_an_extra_of_what_is_not_installed() -> None:
    assert advice.pip_install("x", "no-such-thing") == "pip install 'no-such-thing[x]'"


def test_doctor() -> None:
    packs = Plugins({"core": Commands()})
    packs.packs |= found(disabled=True).packs
    result = fwd("doctor", packs=packs)
    assert f"  pack 'torch' reads PyTorch models: {LEFT_OUT}\n" in result.out
