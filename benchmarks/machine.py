"""What was measured where: the lines that stand beside every number."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

LIBRARIES = ("fwd-core", "torch", "transformers", "openvino", "nncf", "onnxruntime", "numpy")


def describe() -> dict[str, str]:
    """Date, processor, cores that may be used, and versions."""
    facts = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
    }
    for name in LIBRARIES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            facts[name] = "none"
    return facts


def write(path: Path, results: Any) -> None:
    """Write numbers, with what they were measured on."""
    path.write_text(json.dumps({"machine": describe(), "results": results}, indent=1))


def _processor() -> str:
    """As OpenVINO names it, with what it computes in; else as the kernel does."""
    try:
        import openvino

        core = openvino.Core()
        kinds = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        name = str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip()
        return f"{name} ({', '.join(sorted(set(kinds) & {'FP32', 'FP16', 'BF16', 'INT8'}))})"
    except ImportError:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
        return platform.machine()
