"""Layers that are computed by plugins: by their creators, as TensorRT 8 and 10 register them.

NVIDIA's own come in a library beside TensorRT, and an engine that holds some is read only after
that library was initialized, where it is built and where it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.logger import logger

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ILayer, ITensor, TensorRTLowering

#: Contents of fields by the element type of the array.
_FIELD_TYPES = {"float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32"}


@lru_cache(maxsize=None)
def initialize(trt: ModuleType) -> bool:
    """Register NVIDIA's plugins, once in a process; whether that could be done."""
    return bool(trt.init_libnvinfer_plugins(logger(trt), ""))


def plugin(
    ctx: TensorRTLowering,
    name: str,
    version: str,
    fields: Mapping[str, NDArray[np.generic]],
    inputs: Sequence[ITensor],
) -> ILayer:
    """Add a layer of a plugin. See :meth:`TensorRTLowering.plugin`."""
    what = f"plugin {name} version {version}"
    if not ctx.features.plugin_creators:
        raise ctx.error(f"{ctx.features.flavour} has no creators of plugins", got=what)
    trt = ctx.trt
    initialize(trt)
    creator = trt.get_plugin_registry().get_plugin_creator(name, version, "")
    if creator is None:
        raise ctx.error(
            f"{ctx.features.flavour} {trt.__version__} has no {what}",
            details=ctx.problems(),
            hint="it comes with libnvinfer_plugin; is that library of the same version?",
        )
    arrays = {key: np.ascontiguousarray(array) for key, array in fields.items()}
    known = {field.name for field in creator.field_names}
    if not known.issuperset(arrays):
        raise ctx.error(
            f"{what} lacks a field", expected=", ".join(sorted(arrays)), got=", ".join(known)
        )
    collection = trt.PluginFieldCollection(
        [trt.PluginField(key, array, _type(trt, array)) for key, array in arrays.items()]
    )
    made = creator.create_plugin(name, collection)
    # A creator logs why, and returns nothing; the arrays have to be there until it is done.
    ctx.check(what, made)
    layer = ctx.named(ctx.network.add_plugin_v2(list(inputs), made), name)
    ctx.plugins.add(f"{name} {version}")
    return layer


def _type(trt: ModuleType, array: NDArray[np.generic]) -> Any:
    return getattr(trt.PluginFieldType, _FIELD_TYPES[str(array.dtype)])
