"""The machine: its GPU, versions, and the memory of a process."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

MIB = 2**20
_ASKED = "name,driver_version,clocks.max.sm,power.limit,uuid"
#: Of ``GPU-4b631383-cb96-…``.
_UUID = slice(4, 12)


def facts(**versions: str) -> dict[str, str]:
    """Date, GPU, driver and versions, which stand beside every row.

    ``gpu id`` is the beginning of the GPU's UUID: rows of two GPUs of a kind stand in no table.
    """
    found = {"date": today(), **_gpu()}
    return {**found, "python": platform.python_version(), **versions}


def today() -> str:
    """The date, as it stands beside numbers."""
    return dt.datetime.now(dt.timezone.utc).date().isoformat()


def _gpu() -> dict[str, str]:
    if shutil.which("nvidia-smi") is None:
        return {"gpu": "none"}
    command = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader"]
    if first := os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0]:
        command += ["-i", first]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = told.stdout.strip().splitlines()
    if told.returncode or not lines:
        return {"gpu": "unknown"}
    return told_by(lines[0])


def told_by(line: str) -> dict[str, str]:
    """What a line of ``nvidia-smi`` says of a GPU."""
    name, driver, clock, power, uuid = (*line.split(", "), *[""] * 4)[:5]
    found = {"gpu": name, "driver": driver, "greatest clock": clock, "power limit": power}
    return {**found, "gpu id": uuid[_UUID]}


def version(distribution: str) -> str:
    """Version of an installed distribution, or ``none``."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def memory() -> dict[str, float]:
    """Memory of this process in MiB: ``now`` and ``peak``."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    fields: dict[str, Any] = dict(line.split(":", 1) for line in lines if ":" in line)
    names = {"now": "VmRSS", "peak": "VmHWM"}
    return {key: int(fields[name].split()[0]) / 1024 for key, name in names.items()}
