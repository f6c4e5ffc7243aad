"""Plugins of our own for TensorRT 10 and 11, over the kernels of :mod:`fwd_plugins_bert.kernels`.

Classes derive from TensorRT's, so they are made by functions that are given its module, and
nothing of it is imported before an engine needs a plugin.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

#: Of all plugins here: the name of the pack.
NAMESPACE = "bert"


def creators(trt: ModuleType) -> list[Any]:
    """A creator of each plugin, for a library.

    Raises:
        KernelError: NVRTC cannot be loaded, without which an engine with plugins cannot run.
    """
    from fwd_plugins_bert.kernels import compiling
    from fwd_plugins_bert.tensorrt.own import classes

    compiling.architectures()
    return [classes.creator(trt, kind) for kind in classes.kinds(trt)]
