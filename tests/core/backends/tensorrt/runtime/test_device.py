"""Why there is no GPU: without a driver, and with one that is too old."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cuda.bindings.runtime")

from fwd_core.backends.tensorrt.runtime import cuda, device

#: All that CUDA's runtime asks a driver of this age.
_DRIVER = """
int cuDriverGetVersion(int *version) { *version = 10020; return 0; }
int cuInit(unsigned flags) { return 0; }
"""


@pytest.mark.skipif(cuda.call("cudaDriverGetVersion") != 0, reason="a driver is installed")
def test_no_driver_is_not_an_old_one() -> None:
    assert device.find() == (None, "no GPU can be used: there is no NVIDIA driver")


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="a driver is compiled"
)
def test_a_driver_that_is_too_old(tmp_path: Path) -> None:
    source = tmp_path / "driver.c"
    source.write_text(_DRIVER)
    library = str(tmp_path / "libcuda.so.1")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, str(source)], check=True)
    find = "from fwd_core.backends.tensorrt.runtime import device; print(*device.find(), sep='|')"
    told = subprocess.run(
        [sys.executable, "-c", find],
        env=os.environ | {"LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.fullmatch(
        r"None\|no GPU can be used: the NVIDIA driver is too old: it takes CUDA up to 10\.2, and "
        r"this is CUDA \d+\.\d; update it, or install a cuda-bindings as old "
        r"\(cudaErrorInsufficientDriver\)\n",
        told,
    )


def test_versions_as_people_write_them() -> None:
    assert [device._version(number) for number in (10020, 12080, 13050)] == ["10.2", "12.8", "13.5"]
