"""Operators that torch registers only when a module of its own is imported."""

from __future__ import annotations

import importlib
import os
import zipfile

_NAMESPACE = b"quantized_decomposed"
_MODULE = "torch.ao.quantization.fx._decomposed"


def register_for(path: str | os.PathLike[str]) -> None:
    """Let torch have the operators of quantized programs, if a file of a model names them.

    Without them torch cannot load the file. Where torch has no such module, nothing is done, and
    torch says which operator it misses.
    """
    if _names_them(path):
        try:
            importlib.import_module(_MODULE)
        except ImportError:
            return


def _names_them(path: str | os.PathLike[str]) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            texts = [name for name in archive.namelist() if name.endswith((".json", ".py"))]
            return any(_NAMESPACE in archive.read(name) for name in texts)
    except Exception:  # noqa: BLE001 - a damaged file raises many kinds; loading it says so
        return False
