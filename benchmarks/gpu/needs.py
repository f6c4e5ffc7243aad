"""What steps need of a Python and its machine: ``python -m benchmarks.gpu.needs prepare torch``.

Says the first thing that is missing in one line, and ends with :data:`MISSING`. It is asked before
anything is prepared, which takes minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.library import Library

#: Exit code for what is missing; others are those of a Python that does not start.
MISSING = 4
_INSTALL = "pip install"
#: Beside the packages of Forward, which are taken from the checkout.
_MODULES = {
    "prepare": {"torch": "torch", "transformers": "transformers"},
    "torch": {"torch": "torch", "transformers": "transformers"},
    "tensorrt": {"cuda.bindings": "cuda-bindings"},
}
_ALL = {one: one for one in ("numpy", "safetensors", "pluggy", "sympy")}


def missing(step: str, device: str = "cuda", *, times: bool = False) -> str:
    """What a step misses here, and what brings it; nothing if all is there.

    Args:
        step: ``prepare``, or a kind of routes.
        device: Of torch's routes.
        times: Whether TensorRT's routes keep the times of kernels.
    """
    names = [
        package for module, package in {**_ALL, **_MODULES[step]}.items() if not _is_there(module)
    ]
    if names:
        listed = " ".join(names)
        return f"{sys.executable} has no {', '.join(names)}: {_INSTALL} {listed}"
    told = _GPU[step](device)
    if not told and step == "tensorrt" and times:
        from benchmarks.gpu import build

        if told := missing_for_times(build.library()):
            told += ", or give --no-timing-cache"
    return told


def missing_for_times(library: Library) -> str:
    """Why a flavour cannot keep times of kernels in a file; nothing if it can.

    TensorRT 8 asks cuDNN for its version when it writes them, and ends the process if it is not
    there: at the end of a build of minutes.
    """
    from fwd_core.backends.tensorrt import tactics

    told = tactics.missing_for_times() if library.features.cudnn_in_times else None
    if told is None:
        return ""
    return f"no times of kernels can be kept: {told}: {tactics.CUDNN_HINT}"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        return False


def _no_gpu(_device: str) -> str:
    return ""


def _torch(device: str) -> str:
    import torch

    if device != "cuda" or torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is not for CUDA: install one that is (pytorch.org)"
    return "torch finds no GPU: run this where there is one, and its driver is as new as torch asks"


def _tensorrt(_device: str) -> str:
    from benchmarks.gpu import build
    from fwd_core.backends.tensorrt.runtime import device
    from fwd_core.errors import ForwardError

    try:
        build.library()
    except ForwardError as error:
        return f"{sys.executable}: {_in_one_line(error)}"
    gpu, reason = device.find()
    return "" if gpu is not None else f"{reason}: run this where there is one that works"


def _in_one_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


_GPU: dict[str, Callable[[str], str]] = {
    "prepare": _no_gpu,
    "torch": _torch,
    "tensorrt": _tensorrt,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Say what is missing, and for what; 0 if nothing is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="+", choices=list(_GPU))
    parser.add_argument("--device", default="cuda", help="of torch's routes")
    parser.add_argument("--times", action="store_true", help="of kernels are to be kept")
    asked = parser.parse_args(arguments)
    for step in asked.steps:
        if told := missing(step, asked.device, times=asked.times):
            print(f"{step}: {told}", flush=True)
            return MISSING
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
