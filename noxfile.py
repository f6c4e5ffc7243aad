"""What is run on this workspace: `nox --list` says, and `nox -s NAME` does it.

Most sessions share one environment, `.nox/workspace`: PyTorch and the inference libraries are
large, and a shared one is made once. `lint`, `core`, `min-torch` and `wheels` have their own,
because they prove something about small ones.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
WORKSPACE = ROOT / ".nox" / "workspace"
DISTRIBUTIONS = {
    "fwd-core": ("fwd_core", ["fwd_core"]),
    "fwd-ops-torch": ("fwd_ops_torch", ["fwd_ops_torch", "forward"]),
    "fwd-plugins-bert": ("fwd_plugins_bert", ["fwd_plugins_bert", "bert_helpers"]),
}
EXAMPLE_PACK = ROOT / "examples" / "fwd-ops-extra"
#: What authors of packs are promised: a whole one is no longer than this, blank lines left out.
EXAMPLE_LINES = 70
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
#: The lowest PyTorch that `min-torch` has really run. Older CPU builds are not on PyPI, and its
#: plain wheels are CUDA builds of several GB, so the floor is the version we develop with.
TORCH_FLOOR = ["2.13.0"]
#: One whose own half is done takes from the other's: a few files take minutes.
TWO_PROCESSES = ["-n", "2", "--dist", "worksteal"]
#: scikit-learn ships real data of its own, on which int8 must stay accurate.
TEST_TOOLS = ["pytest", "hypothesis", "pytest-xdist", "pytest-cov", "scikit-learn"]
#: mkdocstrings formats signatures with ruff.
DOCS_TOOLS = ["mkdocs", "mkdocs-material", "mkdocstrings", "mkdocstrings-python", "ruff"]
PEERS = ["nncf", "onnx", "onnxruntime", "onnxscript"]

nox.options.sessions = ["lint", "types", "tests", "core", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.options.default_venv_backend = "virtualenv"
nox.needs_version = ">=2024.4.15"


def _find_pythons() -> None:
    """Let nox find the interpreters of pyenv that are not on the path by themselves."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [
        str(found / "bin")
        for wanted in PYTHONS
        for found in sorted(versions.glob(f"{wanted}.*"))
        if (found / "bin" / f"python{wanted}").exists()
    ]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ.get("PATH", "")])


_find_pythons()


class Workspace:
    """The shared environment, with everything that a session asks for installed."""

    def __init__(self, session: nox.Session, *requirements: str) -> None:
        self.session = session
        self.bin = WORKSPACE / ("Scripts" if os.name == "nt" else "bin")
        if not (self.bin / "python").exists():
            session.run(sys.executable, "-m", "venv", str(WORKSPACE), external=True)
        everything = [
            "torch",
            "transformers",
            *TEST_TOOLS,
            *requirements,
        ]
        editable = [
            *("-e", "fwd_core[openvino,rtx,testing]"),
            *("-e", "fwd_ops_torch[torch]"),
            *("-e", "fwd_plugins_bert[kernels,tokenizers]"),
        ]
        stamp = WORKSPACE / f"installed-{_fingerprint(*everything)}"
        if stamp.exists():
            return
        self.pip("install", "--upgrade", "pip")
        self.pip("install", "-c", "constraints.txt", "hatchling", "editables")
        self.pip("install", "-c", "constraints.txt", *everything)
        self.pip("install", "-c", "constraints.txt", "--no-build-isolation", *editable)
        stamp.touch()

    def pip(self, *arguments: str) -> None:
        """Run pip of the environment."""
        self.run("python", "-m", "pip", "-qq", *arguments)

    def run(self, program: str, *arguments: str, **environment: str) -> None:
        """Run a program of the environment."""
        path = os.pathsep.join([str(self.bin), os.environ["PATH"]])
        self.session.run(
            str(self.bin / program),
            *arguments,
            env={"PATH": path, "VIRTUAL_ENV": str(WORKSPACE), **environment},
            external=True,
        )


def _fingerprint(*requirements: str) -> str:
    """Changes when what would be installed does."""
    state = hashlib.sha256("\n".join(requirements).encode())
    for name in ("constraints.txt", *(f"{folder}/pyproject.toml" for folder, _ in _folders())):
        state.update((ROOT / name).read_bytes())
    return state.hexdigest()[:16]


def _folders() -> list[tuple[str, list[str]]]:
    return list(DISTRIBUTIONS.values())


@nox.session(venv_backend="none")
def demo(session: nox.Session) -> None:
    """The main job on real input: from a TorchScript file to running engines."""
    Workspace(session).run("python", "examples/demo.py", *session.posargs)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """All tests, on two processes. `-- PATH -k WORD` goes to pytest; `--cov` measures."""
    everything = set(session.posargs) <= {"--cov"}
    arguments = [*(TWO_PROCESSES if everything else []), *session.posargs]
    Workspace(session).run("python", "-m", "pytest", *arguments)


@nox.session(python=PYTHONS)
def core(session: nox.Session) -> None:
    """Tests of fwd-core alone: no PyTorch, no inference library."""
    constraints = ["-c", "constraints.txt"]
    session.install("-qq", *constraints, "-e", "fwd_core[testing]", "pytest-xdist")
    session.run(
        "python",
        "-c",
        "import importlib.util as u; assert not any(map(u.find_spec, ('torch', 'openvino')))",
    )
    session.run(
        "python", "-m", "pytest", *(session.posargs or ["tests/core", "-q", *TWO_PROCESSES])
    )


@nox.session(name="min-torch")
@nox.parametrize("torch", TORCH_FLOOR)
def min_torch(session: nox.Session, torch: str) -> None:
    """Tests of the PyTorch pack with the lowest supported PyTorch."""
    session.install("-qq", "-c", "constraints.txt", f"torch=={torch}", "transformers")
    session.install(
        "-qq",
        *("-c", "constraints.txt", *TEST_TOOLS),
        *("-e", "fwd_core[openvino,testing]", "-e", "fwd_ops_torch"),
        *("-e", "fwd_plugins_bert[tokenizers]"),
    )
    session.run("python", "-m", "pytest", *(session.posargs or ["tests/torch", "-q"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format. `-- --fix` repairs what can be repaired."""
    session.install("-qq", "-c", "constraints.txt", "ruff")
    fix = "--fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []), ".")
    session.run("ruff", "format", *([] if fix else ["--check"]), ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Mypy, strict, over all sources."""
    sources = [f"{folder}/src" for folder, _ in _folders()]
    workspace = Workspace(session, "mypy", "nox")
    workspace.run("python", "-m", "mypy", *(session.posargs or [*sources, "noxfile.py"]))


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Build the documentation into site/; a broken link or reference fails. `-- serve` shows it."""
    # Not --quiet: it drops the warnings before --strict counts them.
    arguments = session.posargs or ["build", "--strict"]
    Workspace(session, *DOCS_TOOLS).run(
        "python", "-m", "mkdocs", *arguments, NO_MKDOCS_2_WARNING="1"
    )


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Latency, import time, call overhead and kernels beside the peers. `-- NAME …` picks some.

    `int8` (speed, nearness and calibrating beside the peers), `digits` (accuracy in int8 on real
    data), `padding` (BERT without it) and `fusing` (how long its pack looks at it) are run when
    they are named. Numbers go to .nox/bench/NAME.json too.
    """
    workspace = Workspace(session, *PEERS)
    names = session.posargs or ["latency", "importing", "overhead", "kernels"]
    folder = ROOT / ".nox" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        module = "benchmarks.digits" if name == "digits" else f"benchmarks.cpu.{name}"
        workspace.run("python", "-m", module, "--json", str(folder / f"{name}.json"))


@nox.session(name="bench-gpu", venv_backend="none")
def bench_gpu(session: nox.Session) -> None:
    """Forward on TensorRT beside its ONNX parser and torch, on a machine with a GPU.

    `-- --help` lists arguments. Rows go to .nox/bench-gpu, unless `--output` says otherwise.
    """
    arguments = session.posargs
    if "--output" not in arguments:
        arguments = ["--output", str(ROOT / ".nox" / "bench-gpu"), *arguments]
    Workspace(session, *PEERS).run("python", "-m", "benchmarks.gpu", *arguments)


@nox.session(venv_backend="none")
def corpus(session: nox.Session) -> None:
    """Write every parity case to a folder and replay it from there, as a GPU machine does."""
    folder = session.posargs[0] if session.posargs else str(ROOT / ".nox" / "corpus")
    workspace = Workspace(session)
    shutil.rmtree(folder, ignore_errors=True)
    tests = ["tests/parity", "-q", *TWO_PROCESSES, f"--forward-corpus={folder}"]
    workspace.run("python", "-m", "pytest", *tests, HYPOTHESIS_PROFILE="corpus")
    workspace.run("python", "-m", "fwd_core.testing.replay", folder, "--backend", "openvino")


@nox.session(name="operator-table", venv_backend="none")
def operator_table(session: nox.Session) -> None:
    """Add to the operator table of the documentation what parity tests prove (`-- TESTS`)."""
    tests = session.posargs or ["tests/parity", *TWO_PROCESSES]
    table = str(ROOT / "docs" / "_hooks" / "operators.json")
    Workspace(session).run("python", "-m", "pytest", "-q", *tests, FORWARD_OPERATOR_TABLE=table)


@nox.session(venv_backend="none")
def nightly(session: nox.Session) -> None:
    """All tests with many examples per property."""
    workspace = Workspace(session)
    arguments = session.posargs or TWO_PROCESSES
    workspace.run("python", "-m", "pytest", *arguments, HYPOTHESIS_PROFILE="nightly")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build all wheels and sdists once, look into them, and install them in clean environments."""
    session.install("-qq", "-c", "constraints.txt", "build", "hatchling", "virtualenv")
    output = Path(session.create_tmp()) / "dist"
    shutil.rmtree(output, ignore_errors=True)
    sources = [folder for folder, _ in _folders()]
    if EXAMPLE_PACK.exists():
        sources.append(str(EXAMPLE_PACK.relative_to(ROOT)))
    for source in sources:
        session.run(
            *("python", "-m", "build", "--no-isolation", "--outdir", str(output), source),
            silent=True,
        )
    for folder, packages in _folders():
        _check_wheel(session, output, folder, packages)
        _check_sdist(session, output, folder, packages)
    core, torch_pack, bert_pack = (packages for _, packages in _folders())
    _try_wheels(session, output, ["fwd_core"], core)
    _try_wheels(session, output, ["fwd_core", "fwd_ops_torch"], torch_pack)
    _try_wheels(session, output, ["fwd_core", "fwd_plugins_bert"], bert_pack)
    everything = [folder for folder, _ in _folders()]
    _try_wheels(session, output, everything, [*core, *torch_pack, *bert_pack])
    if EXAMPLE_PACK.exists():
        _try_example(session, output)


def _check_wheel(session: nox.Session, output: Path, folder: str, packages: list[str]) -> None:
    (wheel,) = output.glob(f"{folder}-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    if tops != set(packages):
        session.error(f"{wheel.name} holds {sorted(tops)}, not {packages}")
    for package in packages:
        if f"{package}/py.typed" not in names:
            session.error(f"{wheel.name}: {package} has no py.typed")
    if not any("licenses/LICENSE" in name for name in names):
        session.error(f"{wheel.name} has no license")
    if stray := [name for name in names if "/test_" in name or "__pycache__" in name]:
        session.error(f"{wheel.name} holds {stray}")
    session.log(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size // 1024} KiB")


def _check_sdist(session: nox.Session, output: Path, folder: str, packages: list[str]) -> None:
    (sdist,) = output.glob(f"{folder}-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    needed = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        *(f"src/{one}/py.typed" for one in packages),
    }
    if missing := sorted(needed - names):
        session.error(f"{sdist.name} lacks {missing}")


def _environment(session: nox.Session, name: str) -> str:
    """A new environment; returns its Python."""
    folder = Path(session.create_tmp()) / name
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "virtualenv", "--quiet", str(folder))
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


def _wheel(output: Path, name: str) -> str:
    (found,) = output.glob(f"{name}-*.whl")
    return str(found)


def _try_wheels(session: nox.Session, output: Path, names: list[str], packages: list[str]) -> None:
    """Import packages where nothing but these wheels and what they need is installed."""
    python = _environment(session, "-".join(names))
    # Paths, not names: a registry may hold other projects of these names.
    wheels = [_wheel(output, name) for name in names]
    session.run(*_install(python), *wheels, external=True)
    for statement in (*(f"import {package}" for package in packages), _PACKS_LOAD):
        # -I: what is imported is what was installed, not the checkout.
        session.run(python, "-I", "-W", "error", "-c", statement, external=True)


def _try_example(session: nox.Session, output: Path) -> None:
    """The third-party pack, installed beside the three, works through `forward.build`."""
    lines = [line for file in EXAMPLE_PACK.rglob("*.py") for line in file.read_text().splitlines()]
    if (count := sum(bool(line.strip()) for line in lines)) > EXAMPLE_LINES:
        session.error(f"the example pack has {count} lines, at most {EXAMPLE_LINES}")
    python = _environment(session, "example")
    session.run(*_install(python), "torch", "pytest", "hypothesis", external=True)
    wheels = [_wheel(output, folder) for folder, _ in _folders()]
    wheels[0] += "[openvino,rtx,testing]"
    session.run(*_install(python), *wheels, _wheel(output, "fwd_ops_extra"), external=True)
    session.run(
        *(python, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(EXAMPLE_PACK)),
        str(EXAMPLE_PACK),
        external=True,
    )


def _install(python: str) -> tuple[str, ...]:
    return (python, "-m", "pip", "install", "-qq", "-c", "constraints.txt")


_PACKS_LOAD = (
    "from fwd_core import Plugins; found = Plugins.discover();"
    "assert len(found.operators) > 50; assert not found.failures(), found.failures()"
)
