"""Plans: what a build leaves, and what must be equal where it is to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fwd_core.backends.base import Plan
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.library import load as load_library
from fwd_core.errors import BuildError, EngineFileError


class TensorRTPlan(Plan):
    """A serialized engine.

    Its manifest says ``flavour``, ``version``, ``gpus`` (compute capabilities that it runs on),
    ``compute`` (what products multiply), ``mode``, ``bindings`` (names of the inputs and outputs
    inside TensorRT) and, if they were asked for, ``layers``.
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
    if library.version != manifest["version"]:
        raise EngineFileError(
            f"the engine was built by another version of {flavour}",
            expected=manifest["version"],
            got=library.version,
            hint="build it again with this version, or install that one",
        )
    gpus = manifest["gpus"]
    if here is not None and here not in gpus:
        raise EngineFileError(
            "the engine was built for another GPU",
            expected=", ".join(gpus),
            got=here,
            hint=f"build it again with gpu={here!r}, or on this machine",
        )
    return library
