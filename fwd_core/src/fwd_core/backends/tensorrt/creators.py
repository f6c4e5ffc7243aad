"""Layers that are computed by plugins: by their creators, as TensorRT registers them.

NVIDIA's own come in a library beside TensorRT. Those of packs are objects of Python, on TensorRT 10
and 11. Either way an engine that holds some is read only after their creators were registered,
where it is built and where it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.logger import logger
from fwd_core.errors import BuildError, EngineFileError

if TYPE_CHECKING:
    from fwd_core.backends.tensorrt.context import ILayer, ITensor, TensorRTLowering

#: Makes the creators of a pack (``IPluginCreatorV3One``) for a library.
Provider = Callable[[ModuleType], Iterable[Any]]
#: Contents of fields by the element type of the array.
_FIELD_TYPES = {"float32": "FLOAT32", "float16": "FLOAT16", "int32": "INT32"}
#: Who makes creators, by their namespace. TensorRT's registry is one for a process, so is this.
_PROVIDERS: dict[str, Provider] = {}
#: What stands between namespace and name where a plugin is written down.
_OF = "::"


def provide(namespace: str, make: Provider) -> None:
    """Say how the creators of a namespace are made; a pack does so in ``fwd_register_backends``.

    Nothing is made before TensorRT 10 or 11 is in use, and then once for each library.

    Args:
        namespace: Of all these plugins: the name of the pack.
        make: Is given the library's module.
    """
    _PROVIDERS[namespace] = make


@lru_cache(maxsize=None)
def initialize(trt: ModuleType) -> bool:
    """Register NVIDIA's plugins, once in a process; whether that could be done."""
    return bool(trt.init_libnvinfer_plugins(logger(trt), ""))


@lru_cache(maxsize=None)
def creators(trt: ModuleType, namespace: str) -> tuple[Any, ...]:
    """The registered creators of a pack, which live as long as the process.

    Raises:
        BuildError: TensorRT refuses one, or would not find it again.
    """
    made = tuple(_PROVIDERS[namespace](trt))
    for creator in made:
        # The registry looks for what a creator says itself, whatever it was registered with.
        if creator.plugin_namespace != namespace:
            raise BuildError(
                f"plugin {creator.name!r} is of another namespace than it was provided for",
                expected=namespace,
                got=creator.plugin_namespace,
                hint="set plugin_namespace of the creator and of its plugins",
            )
        if not trt.get_plugin_registry().register_creator(creator, namespace):
            raise BuildError(
                f"{trt.__name__} does not register plugin {creator.name!r} of {namespace!r}",
                hint="is another creator of that name and version registered in this process?",
            )
    return made


def require(trt: ModuleType, plugins: Iterable[str]) -> None:
    """Register what an engine needs that holds these plugins (as its manifest has them).

    Raises:
        EngineFileError: The pack of one is not loaded.
    """
    initialize(trt)
    for namespace in sorted({name.split(_OF)[0] for name in plugins if _OF in name}):
        if namespace not in _PROVIDERS:
            raise EngineFileError(
                f"the engine holds plugins of pack {namespace!r}, which is not loaded",
                expected=", ".join(name for name in plugins if name.startswith(namespace + _OF)),
                hint="install that pack, or take it out of FWD_DISABLE_PACKS",
            )
        creators(trt, namespace)


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
    collection, arrays = _collection(ctx, creator, what, fields)
    made = creator.create_plugin(name, collection)
    del arrays  # to which the fields point until the creator is done
    # A creator logs why, and returns nothing.
    ctx.check(what, made)
    layer = ctx.named(ctx.network.add_plugin_v2(list(inputs), made), name)
    ctx.plugins.add(f"{name} {version}")
    return layer


def plugin_v3(
    ctx: TensorRTLowering,
    namespace: str,
    name: str,
    fields: Mapping[str, NDArray[np.generic]],
    inputs: Sequence[ITensor],
) -> ILayer:
    """Add a layer of a pack's plugin. See :meth:`TensorRTLowering.plugin_v3`."""
    what = f"plugin {name} of {namespace!r}"
    trt = ctx.trt
    if not ctx.features.plugin_objects:
        raise ctx.error(f"{ctx.features.flavour} has no plugins of version 3", got=what)
    if namespace not in _PROVIDERS:
        raise ctx.error(
            f"nobody makes plugins of {namespace!r}",
            got=what,
            hint="call fwd_core.backends.tensorrt.creators.provide in fwd_register_backends",
        )
    creator = next((one for one in creators(trt, namespace) if one.name == name), None)
    if creator is None:
        known = ", ".join(one.name for one in creators(trt, namespace))
        raise ctx.error(f"there is no {what}", expected=known, got=name)
    collection, arrays = _collection(ctx, creator, what, fields)
    made = creator.create_plugin(name, collection, trt.TensorRTPhase.BUILD)
    del arrays
    ctx.check(what, made)
    layer = ctx.named(ctx.network.add_plugin_v3(list(inputs), [], made), name)
    ctx.memo["plugin", layer.name] = made  # an object of Python, to which the network points
    ctx.plugins.add(f"{namespace}{_OF}{name} {creator.plugin_version}")
    return layer


def _collection(
    ctx: TensorRTLowering, creator: Any, what: str, fields: Mapping[str, NDArray[np.generic]]
) -> tuple[Any, dict[str, NDArray[np.generic]]]:
    """Fields for a creator, and the arrays to which they point."""
    trt = ctx.trt
    known = {field.name for field in creator.field_names}
    if not known.issuperset(fields):
        raise ctx.error(
            f"{what} lacks a field", expected=", ".join(sorted(fields)), got=", ".join(known)
        )
    arrays = {key: np.ascontiguousarray(array) for key, array in fields.items()}
    held = [trt.PluginField(key, array, _type(trt, array)) for key, array in arrays.items()]
    return trt.PluginFieldCollection(held), arrays


def _type(trt: ModuleType, array: NDArray[np.generic]) -> Any:
    return getattr(trt.PluginFieldType, _FIELD_TYPES[str(array.dtype)])
