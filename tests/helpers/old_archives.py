"""Archives of TorchScript as old versions of PyTorch wrote them, from one of today."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def aged(saved: bytes, path: Path, version: int, code: Callable[[str], str]) -> Path:
    """The archive with another version number, and code that is made of today's."""
    source = zipfile.ZipFile(io.BytesIO(saved))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            data: Any = source.read(name)
            if name.endswith("/version"):
                data = f"{version}\n"
            elif name.endswith(".debug_pkl"):
                continue
            elif name.endswith(".py"):
                data = code(data.decode())
            target.writestr(name, data)
    return path
