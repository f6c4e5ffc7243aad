"""The core imports fast, silently, and without any framework or inference library."""

from __future__ import annotations

import json
import pkgutil
import statistics
import subprocess
import sys
import time

import pytest

import fwd_core

FOREIGN = ("torch", "tensorrt", "tensorrt_rtx", "openvino", "onnx", "onnxruntime", "transformers")
#: Seconds that ``import fwd_core`` may take beyond starting Python.
LIMIT = 0.3


def _modules() -> list[str]:
    found = [
        module.name
        for module in pkgutil.walk_packages(fwd_core.__path__, "fwd_core.")
        if not module.name.endswith("__main__")
    ]
    assert len(found) > 50
    return ["fwd_core", *found]


def _run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_brings_nothing_foreign() -> None:
    code = "import sys, json, fwd_core; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(_run(code))
    assert not set(FOREIGN) & set(loaded)
    assert not {"numpy", "sympy", "rich", "typer"} & set(loaded), "packs import fwd_core first"


def test_every_module_imports_silently_and_without_what_it_need_not() -> None:
    # `None` in sys.modules makes any import of that name fail.
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1].split(','): sys.modules[name] = None\n"
        "for name in sys.argv[2].split(','): importlib.import_module(name)\n"
    )
    _run(code, ",".join(FOREIGN), ",".join(_modules()))


def test_every_door_opens_first() -> None:
    # Packages and top modules, each imported as the first of its process would be, so that
    # none leans on another having been imported before.
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1].split(','):\n"
        "    for loaded in [one for one in sys.modules if one.split('.')[0] == 'fwd_core']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    doors = [name for name in _modules() if name.count(".") < 2]
    assert len(doors) > 8
    _run(code, ",".join(doors))


def test_public_names() -> None:
    assert fwd_core.__all__
    for name in fwd_core.__all__:
        assert getattr(fwd_core, name) is not None
    with pytest.raises(AttributeError, match="module 'fwd_core' has no attribute 'Nothing'"):
        _ = fwd_core.Nothing


def test_import_is_fast() -> None:
    def seconds(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    seconds("import fwd_core")  # compiles what is not compiled yet
    pairs = [(seconds("import fwd_core"), seconds("pass")) for _ in range(5)]
    assert statistics.median(ours - bare for ours, bare in pairs) < LIMIT
