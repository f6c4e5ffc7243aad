"""CUDA C++ to machine code, by NVRTC: needs no GPU, and no compiler of the host."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

from fwd_core.backends.tensorrt.options import meant_gpu
from fwd_core.errors import ForwardError, OptionError

#: Of the C++ that kernels are written in.
_OPTIONS = ("--std=c++17",)


class KernelError(ForwardError):
    """A kernel could not be compiled, loaded or launched."""


@lru_cache(maxsize=None)
def compiled(source: str, name: str, capability: str, options: tuple[str, ...] = ()) -> bytes:
    """Machine code of a source for a GPU, or PTX where the compiler is older than the GPU.

    What was compiled once is kept for the process.

    Args:
        source: CUDA C++.
        name: Called so in messages.
        capability: Of the GPU, as ``sm_90``.
        options: Of NVRTC, as ``-DWIDTH=768``.

    Raises:
        KernelError: NVRTC is missing, or refuses, with its log.
        OptionError: The capability is written otherwise.
    """
    if not re.fullmatch(r"sm_\d{2,3}", capability):
        raise OptionError(
            "argument 'capability'",
            expected="a compute capability such as sm_89",
            got=repr(capability),
            hint=meant_gpu(capability),
        )
    known = architectures()
    number = int(capability.removeprefix("sm_"))
    older = [each for each in known if each <= number]
    if not older:
        raise KernelError(
            f"NVRTC here makes no code for {capability}",
            expected=", ".join(f"sm_{each}" for each in known),
            got=capability,
            hint="install an NVRTC of a CUDA that has this GPU: pip install nvidia-cuda-nvrtc",
        )
    binary = number in known
    target = f"sm_{number}" if binary else f"compute_{older[-1]}"
    return _compile(source, name, (f"--gpu-architecture={target}", *_OPTIONS, *options), binary)


@lru_cache(maxsize=None)
def architectures() -> tuple[int, ...]:
    """Numbers of the GPUs that NVRTC makes code for, in order, as 90.

    Raises:
        KernelError: It cannot be loaded.
    """
    return tuple(sorted(_call("nvrtcGetSupportedArchs")))


def _compile(source: str, name: str, options: Sequence[str], binary: bool) -> bytes:
    program = _call("nvrtcCreateProgram", source.encode(), name.encode(), 0, [], [])
    try:
        status, *_ = _library().nvrtcCompileProgram(
            program, len(options), [option.encode() for option in options]
        )
        if status != _library().nvrtcResult.NVRTC_SUCCESS:
            raise KernelError(
                f"NVRTC cannot compile {name}: {_text(status)}",
                got=" ".join(options),
                details=_log(program),
            )
        kind = "CUBIN" if binary else "PTX"
        code = _read(f"nvrtcGet{kind}", program)
    finally:
        _call("nvrtcDestroyProgram", program)
    return code


def _log(program: Any) -> list[str]:
    lines = (
        _read("nvrtcGetProgramLog", program).decode(errors="replace").strip("\0 \n").splitlines()
    )
    return [line for line in lines if re.search(r"\S", line)]


def _read(name: str, program: Any) -> bytes:
    size = _call(f"{name}Size", program)
    # NVRTC writes into these; bytes of length 1 would be shared with all others that are equal.
    text = bytes(size + 1)
    _call(name, program, text)
    return text[:size]


def _call(name: str, *args: Any) -> Any:
    """Call NVRTC: nothing, one value, or a tuple of several.

    Raises:
        KernelError: It is not there, or fails.
    """
    library = _library()
    try:
        status, *values = getattr(library, name)(*args)
    except (RuntimeError, ImportError, OSError) as error:
        # The bindings look for the library at the first call; how they say so differs by version.
        raise _missing(str(error)) from None
    if status != library.nvrtcResult.NVRTC_SUCCESS:
        raise KernelError(f"{name} failed: {_text(status)}")
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def _text(status: Any) -> str:
    _, text = _library().nvrtcGetErrorString(status)
    return str(text.decode())


@lru_cache(maxsize=None)
def _library() -> ModuleType:
    try:
        return importlib.import_module("cuda.bindings.nvrtc")
    except ImportError as error:
        raise _missing(str(error)) from None


def _missing(text: str) -> KernelError:
    return KernelError(
        "NVRTC, which compiles kernels, cannot be loaded",
        details=text.strip().splitlines()[:1],
        hint="pip install 'fwd-plugins-bert[kernels]' (cuda-bindings and nvidia-cuda-nvrtc)",
    )
