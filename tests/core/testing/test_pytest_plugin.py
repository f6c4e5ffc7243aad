"""The pytest plugin, in fresh projects of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fwd_core.testing import Corpus

pytest_plugins = ["pytester"]

HELPERS = Path(__file__).parents[2] / "helpers"
#: A project with a pack of its own: the small backend, and a framework that NumPy runs.
CONFTEST = f"""
import sys
sys.path.insert(0, {str(HELPERS)!r})
"""
PACK = """
import numpy as np
import toy_backend
from toy_backend import Layers
from toy_reference import ReferencePack
from fwd_core import hookimpl

class Pack(ReferencePack):
    @hookimpl
    def fwd_register_importers(self, register):
        toy_backend.fwd_register_importers(register)

    @hookimpl
    def fwd_register_converters(self, register):
        toy_backend.fwd_register_converters(register)

    @hookimpl
    def fwd_register_lowerings(self, register):
        toy_backend.fwd_register_lowerings(register)

    @hookimpl
    def fwd_register_backends(self, register):
        toy_backend.fwd_register_backends(register)

X = np.array([[-1.0, 2.0]], np.float32)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a pack."""
    monkeypatch.setenv("FWD_PACKS", "core")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(pack=PACK)
    return pytester


def run(project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_it_is_found_by_its_entry_point(project: pytest.Pytester) -> None:
    result = run(project, "--help")
    result.stdout.fnmatch_lines(["*--forward-corpus=DIR*"])
    result = run(project, "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.forward_corpus(keep): with keep=False the cases*"])


def test_fixtures(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        from pack import Layers, Pack, X
        from fwd_core.errors import PluginError
        from fwd_core.testing import ParityError

        def test_plugins(fwd_plugins):
            assert "toy" not in fwd_plugins.backends

        def test_pack(fwd_pack, fwd_plugins):
            assert fwd_pack(Pack()) is fwd_plugins
            assert "toy" in fwd_plugins.backends
            with pytest.raises(PluginError, match="two packs are called 'pack-under-test'"):
                fwd_pack(Pack())

        def test_parity(fwd_pack, fwd_parity):
            fwd_pack(Pack(), name="mine")
            done = fwd_parity(Layers([("relu",)]), X, backend="toy")
            assert done.ran == ["toy"]

        def test_packs_are_of_one_test_only(fwd_plugins):
            assert list(fwd_plugins.packs) == [name for name in fwd_plugins.packs if name != "mine"]

        def test_cli(fwd_pack, fwd_cli):
            fwd_pack(Pack(), name="mine")
            ran = fwd_cli("plugins")
            assert (ran.code, ran.err) == (0, "load: packs\\n")
            assert "mine" in ran.out
            ran = fwd_cli("inspect", "nothing.engine")
            assert ran.code == 1
            assert "there is no file nothing.engine" in ran.err
        """
    )
    run(project, "-W", "error").assert_outcomes(passed=5)


def test_the_corpus(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        from pack import Layers, Pack, X
        from fwd_core.plugins import Plugins
        from fwd_core.testing import assert_parity

        def test_with_the_fixture(fwd_pack, fwd_parity):
            fwd_pack(Pack())
            fwd_parity(Layers([("relu",)]), X, backend="toy", forms=["layers"])

        def test_with_the_function():
            plugins = Plugins.discover()
            plugins.register("mine", Pack())
            assert_parity(Layers([("add", X)]), X, backend="toy", plugins=plugins,
                          forms=["layers"])

        @pytest.mark.forward_corpus(keep=False)
        def test_left_out(fwd_pack, fwd_parity):
            fwd_pack(Pack())
            fwd_parity(Layers([("relu",), ("add", X)]), X, backend="toy", forms=["layers"])
        """
    )
    run(project).assert_outcomes(passed=3)
    assert not (project.path / "corpus").exists()
    run(project, "--forward-corpus", "corpus").assert_outcomes(passed=3)
    entries = Corpus(project.path / "corpus").entries()
    assert sorted(entry.operators for entry in entries) == [
        ["fwd.Add", "fwd.Constant"],
        ["fwd.Relu"],
    ]


def test_failures_name_the_call(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        from pack import Layers, Pack, X
        from toy_reference import LayersReference

        def test_wrong(fwd_pack, fwd_parity):
            fwd_pack(Pack(LayersReference(bias=1)))
            fwd_parity(Layers([("relu",)]), X, backend="toy")
        """
    )
    result = run(project)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *ParityError: output 'y': values differ", "E *Hint: to see it again: assert_parity(*"]
    )


def test_it_costs_nothing_until_it_is_used() -> None:
    heavy = {"numpy", "sympy", "hypothesis", "typer", "rich", "openvino", "torch", "tensorrt_rtx"}
    code = (
        "import sys; import fwd_core.testing.pytest_plugin; "
        f"print(sorted({heavy!r} & set(sys.modules) | "
        "{name for name in sys.modules if name.startswith('fwd_core.')}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(
        ["fwd_core.hookspecs", "fwd_core.testing", "fwd_core.testing.pytest_plugin"]
    )


def test_fwd_core_does_not_import_it() -> None:
    code = (
        "import sys; import fwd_core.builder, fwd_core.ir; print('fwd_core.testing' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
