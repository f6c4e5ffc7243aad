"""``fwd doctor``: what is usable on this machine, what is not, and what to do about it."""

from __future__ import annotations

import platform
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import typer

from fwd_core.cli import options, output
from fwd_core.cli.codes import ExitCode
from fwd_core.cli.plugins import collect_clashes
from fwd_core.cli.progress import loading
from fwd_core.cli.session import session_of
from fwd_core.plugins import Plugins
from fwd_core.plugins.advice import pip_install, to_have_torch
from fwd_core.plugins.manager import DISABLE, ONLY

if TYPE_CHECKING:
    from fwd_core.backends import Backend

_GAINS = {"openvino": "runs on any CPU", "tensorrt": "runs on NVIDIA GPUs"}
_NO_GPU = "no GPU can be used: "
_STYLES = {"ok": "green", "part": "yellow", "no": "red"}


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        name: The thing.
        state: ``ok``, ``part`` or ``no``.
        text: Versions and devices, or why not.
        advice: What to do, ``""`` for nothing.
        targets: GPUs that a backend can build for without having one.
    """

    name: str
    state: str
    text: str
    advice: str = ""
    targets: tuple[str, ...] = ()


def doctor(ctx: typer.Context, json: options.Json = False) -> None:
    """Say what is usable here, what is not and why, and what to install next.

    fwd doctor

    Ends with code 1 if this machine can read no model, or run no engine.
    """
    session = session_of(ctx, json=json)
    found = session.plugins
    with loading(session):
        clashes = [
            Finding("packs", "no", text, f"{DISABLE}=NAME leaves a pack out")
            for text in collect_clashes(found).values()
        ]
        importers = [] if clashes else [importing(found)]
        card = gpu()
        backends = [] if clashes else [backend(*item, card) for item in found.backends.items()]
        findings = [python(), *packs(found), *clashes, torch(), *importers, card, *backends]
    usable = any(one.state == "ok" for one in importers) and any(
        one.state == "ok" for one in backends
    )
    if session.json:
        session.emit({"usable": usable, "findings": [asdict(one) for one in findings]})
    else:
        rows = [(one.state, one.name, one.text) for one in findings]
        output.print_table(session.out, [], rows, styles=_STYLES)
        advice = [one.advice for one in findings if one.advice]
        if advice:
            output.print_text(session.out, "next:")
            for text in dict.fromkeys(advice):
                output.print_text(session.out, f"  {text}")
        verdict = "models can be built and run here" if usable else "no model can be run here"
        output.print_text(session.out, verdict)
    if not usable:
        raise typer.Exit(ExitCode.FAILED)


def python() -> Finding:
    """The interpreter."""
    version, system = platform.python_version(), platform.system()
    return Finding("Python", "ok", f"{version} on {system} {platform.machine()}")


def packs(found: Plugins) -> list[Finding]:
    """Every pack with its distribution."""
    findings = []
    for pack in found.packs.values():
        origin = f"{pack.distribution} {pack.version}".strip() or "registered by hand"
        if pack.failure:
            state, text = "no", f"{origin}: {pack.failure}"
        elif pack.disabled:
            state, text = "part", f"{origin}: disabled by {ONLY} or {DISABLE}"
        else:
            state, text = "ok", origin
        findings.append(Finding(f"pack {pack.name}", state, text))
    return findings


def torch() -> Finding:
    """Whether PyTorch is installed. It is not imported."""
    try:
        return Finding("PyTorch", "ok", metadata.version("torch"))
    except metadata.PackageNotFoundError:
        advice = f"{pip_install('torch', 'fwd-ops-torch')} reads PyTorch models"
        return Finding("PyTorch", "no", "not installed", advice)


def importing(found: Plugins) -> Finding:
    """What kinds of models can be read."""
    from fwd_core.importing import hidden

    if names := ", ".join(
        name for name, importer in found.importers.items() if not hidden(importer)
    ):
        return Finding("importers", "ok", names)
    advice = to_have_torch(found, "reads PyTorch models")
    return Finding("importers", "no", "no pack reads models", advice)


def gpu() -> Finding:
    """The NVIDIA GPU, if CUDA finds one."""
    from fwd_core.backends.tensorrt.runtime import device

    held, reason = device.find()
    if held is not None:
        return Finding("GPU", "ok", str(held))
    advice = f"{pip_install('rtx')} runs on NVIDIA GPUs" if shutil.which("nvidia-smi") else ""
    return Finding("GPU", "no", reason.removeprefix(_NO_GPU), advice)


def backend(name: str, held: Backend, card: Finding | None = None) -> Finding:
    """What a backend can do here; why there is no GPU is told once, with the GPU."""
    state = held.availability()
    versions = ", ".join(f"{library} {version}" for library, version in state.versions.items())
    devices = ", ".join(state.devices)
    parts = [
        {
            (True, True): "builds and runs",
            (True, False): "builds, but does not run here",
            (False, True): "runs, but does not build here",
            (False, False): "cannot be used here",
        }[state.build, state.run],
        versions and f"with {versions}",
        devices and f"on {devices}",
        f"for {', '.join(state.targets)}" if state.targets else "",
    ]
    text = " ".join(part for part in parts if part)
    if state.reason:
        reason = state.reason
        if card is not None and card.state == "no":
            reason = reason.replace(_NO_GPU + card.text, "no GPU can be used")
        text += f": {reason}"
    usable = "ok" if state.build and state.run else "part" if state.build or state.run else "no"
    advice = " ".join(filter(None, (state.advice, _GAINS.get(name)))) if state.advice else ""
    return Finding(f"backend {name}", usable, text, advice, tuple(state.targets))
