"""Plans: what a build leaves, and what must be equal where it is to run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fwd_core.backends.base import Plan
from fwd_core.backends.tensorrt import creators
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.library import load as load_library
from fwd_core.backends.tensorrt.options import OLDEST_COMPATIBLE, number
from fwd_core.errors import BuildError, EngineFileError


class TensorRTPlan(Plan):
    """A serialized engine.

    Its manifest says ``flavour``, ``version``, ``gpus`` (compute capabilities that it runs on),
    ``compute`` (what products multiply), ``mode``, ``bindings`` (names of the inputs and outputs
    inside TensorRT), ``profiles`` (ranges of the dynamic sizes, as ``{name: [min, opt, max]}``)
    and, if they were asked for, ``version_compatible``, ``hardware_compatible`` and ``layers``, and
    ``plugins`` if the engine holds some (names with versions).
    """

    def __init__(self, manifest: Mapping[str, Any], memory: Any) -> None:
        self.manifest = dict(manifest)
        self._memory = memory

    def payload(self) -> memoryview:
        """The engine's bytes, not copied."""
        return memoryview(self._memory)


def check(manifest: Mapping[str, Any], here: str | None) -> Library:
    """The library that a plan needs, after comparing what plans are bound to.

    Args:
        manifest: Of the plan.
        here: Compute capability of the GPU at hand, or ``None``: then it is not compared, and
            loading says that there is no GPU.

    Raises:
        EngineFileError: Flavour, version or compute capability differ.
    """
    flavour = manifest["flavour"]
    try:
        library = load_library(flavour)
    except BuildError as error:
        raise EngineFileError(
            f"the engine needs {flavour} {manifest['version']}, but {error.what}",
            details=error.details,
            hint=error.hint,
        ) from None
    _check_version(manifest, library)
    if manifest.get("plugins"):
        creators.require(library.trt, manifest["plugins"])
    gpus = manifest["gpus"]
    if here is None or here in gpus:
        return library
    if manifest.get("hardware_compatible"):
        if number(here) >= OLDEST_COMPATIBLE:
            return library
        gpus = [f"sm_{OLDEST_COMPATIBLE} or newer"]
    raise EngineFileError(
        "the engine was built for another GPU",
        expected=", ".join(gpus),
        got=here,
        hint=f"build it again with gpu={here!r}, or on this machine",
    )


def _check_version(manifest: Mapping[str, Any], library: Library) -> None:
    built, installed = manifest["version"], library.version
    if built == installed:
        return
    compatible = bool(manifest.get("version_compatible"))
    if compatible and _release(built) <= _release(installed):
        return
    raise EngineFileError(
        f"the engine was built by {'a later' if compatible else 'another'} version of "
        f"{library.flavour}",
        expected=f"{built} or later" if compatible else built,
        got=installed,
        hint="build it again with this version, or install that one",
    )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
