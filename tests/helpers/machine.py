"""What the machine under the tests has."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

import pytest


@lru_cache(maxsize=None)
def half_type() -> str | None:
    """OpenVINO's name of the CPU's half type, ``None`` where it has none or is not installed."""
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return next((name for name in ("FP16", "BF16") if name in capabilities), None)


def beside_int8() -> str:
    """The type that OpenVINO leaves floats in beside int8, as manifests name it."""
    import openvino

    core, names = openvino.Core(), {"bf16": "bfloat16", "f16": "float16"}
    preferred = core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    if half_type() is None or preferred in names:
        return names.get(preferred, "float32")
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if has_bf16 else "float16"


needs_half = pytest.mark.skipif(half_type() is None, reason="this CPU computes in no half type")
without_half = pytest.mark.skipif(half_type() is not None, reason="this CPU has a half type")
#: Modes for ``parametrize``: a CPU without a half type refuses float16, which has its own test.
MODES = ["float32", pytest.param("float16", marks=needs_half)]
