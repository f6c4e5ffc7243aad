from __future__ import annotations

import sys
from typing import Any

import pytest

trt = pytest.importorskip("tensorrt_rtx")

from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.backends.tensorrt.plan import TensorRTPlan, check
from fwd_core.errors import EngineFileError


def _manifest(**other: Any) -> dict[str, Any]:
    return {"flavour": "tensorrt_rtx", "version": trt.__version__, "gpus": ["sm_89"], **other}


def test_a_plan_of_this_library_is_taken() -> None:
    assert check(_manifest(), None).version == trt.__version__
    assert check(_manifest(), "sm_89").flavour == "tensorrt_rtx"


def test_a_plan_without_plugins_may_say_so_or_not() -> None:
    """Engines that were saved before do not."""
    for manifest in (_manifest(), _manifest(plugins=[])):
        assert check(manifest, None).version == trt.__version__


def test_another_version_is_refused() -> None:
    message = r"another version of tensorrt_rtx\n  expected: 1\.0\n  got: +" + trt.__version__
    with pytest.raises(EngineFileError, match=message):
        check(_manifest(version="1.0"), None)


def test_another_gpu_is_refused() -> None:
    with pytest.raises(EngineFileError, match=r"another GPU\n  expected: sm_89\n  got: +sm_120"):
        check(_manifest(), "sm_120")


def test_a_version_compatible_plan_is_taken_by_later_versions() -> None:
    assert check(_manifest(version="1.0.9", version_compatible=True), None).version
    message = r"a later version of tensorrt_rtx\n  expected: 99\.10 or later\n  got: +1\."
    with pytest.raises(EngineFileError, match=message):
        check(_manifest(version="99.10", version_compatible=True), None)


def test_a_hardware_compatible_plan_is_taken_by_later_gpus() -> None:
    for here in ("sm_80", "sm_89", "sm_120"):
        assert check(_manifest(hardware_compatible=True, gpus=["sm_90"]), here)
    with pytest.raises(EngineFileError, match=r"expected: sm_80 or newer\n  got: +sm_75"):
        check(_manifest(hardware_compatible=True, gpus=["sm_90"]), "sm_75")


def test_another_flavour_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    message = r"needs tensorrt 10\.13, but tensorrt is not installed\n  Hint: pip install '"
    with pytest.raises(EngineFileError, match=message):
        check(_manifest(flavour="tensorrt", version="10.13"), None)


def test_a_backend_reads_plans_with_these_checks() -> None:
    payload = memoryview(b"plan")
    plan = TensorRTBackend().read_plan(_manifest(), payload)
    assert isinstance(plan, TensorRTPlan)
    assert bytes(plan.payload()) == b"plan"
    with pytest.raises(EngineFileError, match="another version"):
        TensorRTBackend().read_plan(_manifest(version="1.0"), payload)
