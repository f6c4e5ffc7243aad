"""What kind of file a path names, from the names inside its archive. Nothing is unpickled."""

from __future__ import annotations

import functools
import inspect
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

from fwd_core.errors import UnsupportedModelError

_EXPECTED = "a TorchScript file or a torch.export program (.pt2)"
_OBJECTS = f"an nn.Module, a ScriptModule, an exported program, or the path of {_EXPECTED}"
_AGAIN = "save it again with torch.jit.save or torch.export.save, or copy it again"


def kind_of(source: object) -> str:
    """``torchscript``, ``export``, ``pickle``, ``missing``, ``other``; for no path ``object``."""
    if not isinstance(source, (str, os.PathLike)):
        return "object"
    path = Path(source)
    if not path.is_file():
        return "missing"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return "other"  # names that are no text, versions that no zip has: all of them damage
    tails = {name.split("/", 1)[-1] for name in names}
    if "constants.pkl" in tails or any(tail.startswith("code/") for tail in tails):
        return "torchscript"
    if "archive_format" in tails or "serialized_exported_program.json" in tails | set(names):
        return "export"
    return "pickle" if "data.pkl" in tails else "other"


def refuse(source: str | os.PathLike[str]) -> UnsupportedModelError:
    """The error for a file that no importer reads; it says what the file is instead."""
    kind = kind_of(source)
    if kind == "missing":
        if os.path.isdir(source):
            return UnsupportedModelError(
                f"{source} is a folder, not a model file",
                expected=_EXPECTED,
                hint="name the file in it",
            )
        return UnsupportedModelError(f"there is no file {source}")
    if kind == "pickle":
        return UnsupportedModelError(
            f"{source} is a pickled checkpoint (weights, or a whole nn.Module), not a model file",
            expected=_EXPECTED,
            hint=(
                "load it in Python, then torch.jit.trace(model.eval(), example).save(path), or "
                "pass the nn.Module itself to forward.build"
            ),
        )
    size = Path(source).stat().st_size
    if not size:
        return UnsupportedModelError(
            f"{source} is an empty file", expected=_EXPECTED, got="0 bytes", hint=_AGAIN
        )
    return UnsupportedModelError(
        f"{source} is no TorchScript file and no torch.export program, or it is damaged",
        expected="a zip archive that torch.jit.save or torch.export.save wrote",
        got=f"{size} bytes that do not form one",
        hint=_AGAIN,
    )


def refuse_object(source: object) -> UnsupportedModelError | None:
    """The error for an object of PyTorch that is no model; ``None`` for a stranger's."""
    if isinstance(source, torch.jit.ScriptFunction):
        what, hint = "a scripted function", "call it in the forward of an nn.Module, and pass that"
    elif isinstance(source, type) and issubclass(source, torch.nn.Module):
        what, hint = f"the class {source.__name__}", f"pass a model: {source.__name__}(…).eval()"
    elif isinstance(source, Mapping) and any(map(torch.is_tensor, source.values())):
        what = "a dict of weights"
        hint = "make the nn.Module, call load_state_dict on it, and pass the module"
    elif isinstance(source, torch.Tensor):
        what, hint = "a tensor", "the model comes first, then its example inputs"
    elif inspect.isroutine(source) or isinstance(source, functools.partial):
        what, hint = "a function", "call it in the forward of an nn.Module, and pass that"
    else:
        return None
    return UnsupportedModelError(f"{what} is no model", expected=_OBJECTS, hint=hint)
