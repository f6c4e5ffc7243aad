"""Models of the toy framework that can run themselves: what they give is what a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import toy_backend
from numpy.typing import NDArray
from toy_backend import Layers, LayersImporter

from fwd_core import Plugins, hookimpl
from fwd_core.importing import ImportRequest, ModelResults
from fwd_core.ir import Tensor
from fwd_core.plugins import registers as reg

Array = NDArray[Any]


@dataclass
class Runnable(Layers):
    """Layers, and a function of the input that stands for what their framework makes of them.

    Attributes:
        results: Called with the input, and once more where the engine gives something else.
    """

    results: Callable[[Array], Any] = field(default=np.copy)


class RunnableImporter(LayersImporter):
    """Reads :class:`Runnable`, and runs it."""

    name = "runnable"
    priority = 6

    def accepts(self, source: object) -> bool:
        """Layers that can be run."""
        return isinstance(source, Runnable)

    def results(self, source: object, request: ImportRequest) -> ModelResults:
        """What the function makes of the input, and again."""
        assert isinstance(source, Runnable)
        assert isinstance(request.inputs, Sequence)
        (example,) = request.inputs
        assert isinstance(example, np.ndarray)

        def ran() -> tuple[Tensor]:
            return (Tensor(np.asarray(source.results(example))),)

        return ModelResults((Tensor(example),), ran(), ran)


class Pack:
    """Registers the importer."""

    @hookimpl
    def fwd_register_importers(self, register: reg.ImporterRegister) -> None:
        """It alone."""
        register.add(RunnableImporter())


def plugins(**more: object) -> Plugins:
    """The toy pack with this importer."""
    return toy_backend.plugins(runnable=Pack(), **more)
