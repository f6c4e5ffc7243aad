from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import fwd_core.backends.tensorrt.lowering as lowerings
from fwd_core.backends.tensorrt.library import load
from fwd_core.errors import BuildError


def test_a_flavour_that_is_not_installed_names_what_to_install() -> None:
    pytest.importorskip("tensorrt_rtx")
    library = load("tensorrt_rtx")
    assert library.flavour == "tensorrt_rtx"
    assert library.version == library.trt.__version__


def test_a_missing_flavour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(
        BuildError, match=r"tensorrt is not installed\n  Hint: pip install .*tensorrt>"
    ):
        load("tensorrt")


@pytest.mark.parametrize(
    "error", ["OSError('libnvinfer.so.8: no such file')", "RuntimeError('gone')"]
)
def test_a_flavour_whose_libraries_cannot_be_loaded(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorrt.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(BuildError, match=r"tensorrt cannot be imported\n  (libnvinfer|gone)"):
        load("tensorrt")


def test_lowerings_are_imported_without_any_flavour() -> None:
    code = (
        "import sys\n"
        "for name in ('tensorrt', 'tensorrt_rtx', 'cuda'): sys.modules[name] = None\n"
        "import fwd_core.backends.tensorrt.runtime.executable\n"
        "from fwd_core.backends.tensorrt import TensorRTBackend, lowering\n"
        f"assert len(lowering.FAMILIES) == {len(lowerings.FAMILIES)}\n"
        "state = TensorRTBackend().availability()\n"
        "assert not state.build and not state.run, state\n"
        "assert state.reason == 'neither tensorrt nor tensorrt_rtx is installed', state\n"
        'assert state.advice.startswith("pip install "), state\n'
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
