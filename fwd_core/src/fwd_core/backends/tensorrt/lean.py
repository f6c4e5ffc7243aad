"""TensorRT's lean runtime, which builds put into plans that later versions load."""

from __future__ import annotations

import ctypes

from fwd_core.errors import OptionError


def library(version: str) -> str:
    """The file that a version of TensorRT loads it from."""
    return f"libnvinfer_lean.so.{version.split('.', maxsplit=1)[0]}"


def missing(version: str) -> str | None:
    """Why the lean runtime cannot be loaded, or ``None`` if it can."""
    try:
        ctypes.CDLL(library(version))
    except OSError as error:
        return str(error)
    return None


def require(version: str) -> None:
    """Load the lean runtime.

    Raises:
        OptionError: It cannot be loaded, so that a build would fail at its end.
    """
    told = missing(version)
    if told is not None:
        raise OptionError(
            "option 'version_compatible' of backend 'tensorrt': TensorRT puts its lean runtime "
            "into such plans, and that cannot be loaded",
            expected=library(version),
            details=[told],
            hint=f"pip install tensorrt-lean=={version} and put its lib folder on "
            "LD_LIBRARY_PATH, or leave version_compatible out",
        )
