"""Where kernels are taken from: TensorRT's own, or libraries beside it."""

from __future__ import annotations

import ctypes
import difflib
from collections.abc import Sequence
from typing import Any

from fwd_core.backends.tensorrt.features import HIDES_SOURCES, Features
from fwd_core.errors import OptionError

_OPTION = "option 'tactic_sources' of backend 'tensorrt'"
CUDNN_HINT = "pip install 'nvidia-cudnn-cu12<9' and put its lib folder on LD_LIBRARY_PATH"
#: Sources that are not TensorRT's own.
_BESIDE = frozenset({"CUBLAS", "CUBLAS_LT", "CUDNN"})
#: What TensorRT loads of cuDNN. The first alone is a stub that ends the process when a kernel is
#: asked of it and the others are not there.
_CUDNN = ("libcudnn.so.8", "libcudnn_ops_infer.so.8", "libcudnn_cnn_infer.so.8")


def parse(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Names of sources as TensorRT spells them, or ``None`` for the default."""
    if given is None:
        return None
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip().upper() for name in names if name.strip())


def check(names: Sequence[str] | None, features: Features) -> None:
    """Refuse sources that a flavour does not have, and cuDNN where it is not installed.

    Raises:
        OptionError: As said.
    """
    for name in names or ():
        if name not in features.tactic_sources:
            close = difflib.get_close_matches(name, features.tactic_sources, 1)
            raise OptionError(
                f"{_OPTION}: {features.flavour} takes no kernels from {name.lower()}",
                expected=", ".join(source.lower() for source in features.tactic_sources),
                got=name.lower(),
                hint=f"did you mean {close[0].lower()!r}?"
                if close
                else "leave it out, or the option, for the library's own sources",
            )
    if "CUDNN" in (names or ()):
        require(_CUDNN)


def require(libraries: Sequence[str]) -> None:
    """Load the libraries of cuDNN.

    Raises:
        OptionError: One cannot be loaded; TensorRT would end the process.
    """
    for name in libraries:
        try:
            ctypes.CDLL(name)
        except OSError as error:
            raise OptionError(
                f"{_OPTION}: cudnn cannot be loaded",
                expected=", ".join(libraries),
                details=[str(error)],
                hint=f"{CUDNN_HINT}, or leave cudnn out",
            ) from None


def missing_for_times() -> str | None:
    """Why cuDNN's version cannot be asked for, or ``None`` if it can; asking ends the process."""
    try:
        for name in _CUDNN[:2]:
            ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return None


def require_for_times() -> None:
    """Refuse to keep times in a file where cuDNN's version cannot be asked for.

    Raises:
        OptionError: cuDNN is not there.
    """
    missing = missing_for_times()
    if missing is not None:
        raise OptionError(
            "option 'timing_cache' of backend 'tensorrt': TensorRT writes the version of cuDNN "
            "beside its times, and cuDNN cannot be loaded",
            expected=", ".join(_CUDNN[:2]),
            details=[missing],
            hint=f"{CUDNN_HINT}, or leave timing_cache out",
        )


def show(trt: Any, config: Any, names: Sequence[str] | None, features: Features) -> bool:
    """Let TensorRT 8.6 look at libraries beside it, if they are named; else it never does.

    Returns:
        Whether TensorRT took the setting, or none was needed.
    """
    if not features.sources_hidden or _BESIDE.isdisjoint(names or ()):
        return True
    hides = getattr(trt.PreviewFeature, HIDES_SOURCES)
    config.set_preview_feature(hides, False)
    return not config.get_preview_feature(hides)


def mask(trt: Any, config: Any, names: Sequence[str] | None) -> int | None:
    """TensorRT's bits for sources, or ``None`` to leave them.

    By default all that are on but cuDNN: a process that has no cuDNN beside TensorRT is aborted
    when one of its kernels is tried.
    """
    if names is None:
        if "CUDNN" not in trt.TacticSource.__members__:
            return None
        return int(config.get_tactic_sources()) & ~(1 << int(trt.TacticSource.CUDNN))
    return sum(1 << int(getattr(trt.TacticSource, name)) for name in set(names))
