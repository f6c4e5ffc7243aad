"""Finding the installed flavour of TensorRT."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from fwd_core.backends.tensorrt.features import Features
from fwd_core.errors import BuildError
from fwd_core.plugins.advice import pip_install

Flavour = Literal["tensorrt", "tensorrt_rtx"]
#: In the order that ``auto`` tries them: the full library is faster where it can be used.
FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
#: The extra of fwd-core that brings a flavour.
EXTRAS: dict[str, str] = {"tensorrt": "tensorrt", "tensorrt_rtx": "rtx"}


class NotInstalledError(BuildError):
    """A flavour is not there at all, which needs no explanation where another one is."""


@dataclass(frozen=True)
class Library:
    """An imported flavour.

    Attributes:
        trt: The module.
        features: What it can do.
        version: Its version, which plans are bound to.
    """

    trt: ModuleType
    features: Features
    version: str

    @property
    def flavour(self) -> str:
        """Name of the module."""
        return self.features.flavour


def load(flavour: str) -> Library:
    """Import one flavour.

    Raises:
        NotInstalledError: It is not installed.
        BuildError: Its libraries cannot be loaded.
    """
    try:
        trt = importlib.import_module(flavour)
    except (ImportError, OSError, RuntimeError) as error:
        # OSError: a shared library is missing. RuntimeError: the wheel's loader gives up.
        hint = pip_install(EXTRAS[flavour])
        if isinstance(error, ModuleNotFoundError) and error.name == flavour:
            raise NotInstalledError(f"{flavour} is not installed", hint=hint) from None
        raise BuildError(f"{flavour} cannot be imported", details=[str(error)], hint=hint) from None
    return Library(trt, Features.of(trt), str(trt.__version__))
