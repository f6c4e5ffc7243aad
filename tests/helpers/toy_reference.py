"""The toy framework as a reference: lists of layers, run by NumPy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from toy_backend import Layers

from fwd_core import hookimpl
from fwd_core.errors import UnsupportedModelError
from fwd_core.plugins import Plugins
from fwd_core.plugins import registers as reg
from fwd_core.testing.reference import Dynamic


class LayersReference:
    """Runs :class:`toy_backend.Layers`.

    Forms: ``layers``, the model itself; ``doubled``, with a relu after each relu, which is another
    graph of the same meaning; ``never``, which cannot be made.

    Args:
        bias: Added to every result, to be wrong.
        refused: Batches that the framework refuses.
    """

    name = "layers"
    rewritten: Collection[str] = ("doubled",)

    def __init__(self, bias: float = 0, refused: Sequence[int] = ()) -> None:
        self.bias = bias
        self.refused = refused

    def accepts(self, model: object) -> bool:
        return isinstance(model, Layers)

    def run(self, model: Layers, inputs: Sequence[Any]) -> Any:
        (x,) = inputs
        if len(x) in self.refused:
            raise ValueError(f"no batch of {len(x)}")
        for name, *arguments in model.layers:
            x = _LAYERS[name](x, *arguments)
        x = (x + self.bias).astype(x.dtype)
        return {"y": x} if model.nested else x

    def forms(
        self, model: Layers, inputs: Sequence[Any], dynamic: Dynamic, plugins: Plugins
    ) -> Mapping[str, Callable[[], object]]:
        return {"layers": lambda: model, "doubled": lambda: _doubled(model), "never": _never}


def _doubled(model: Layers) -> Layers:
    layers = [one for layer in model.layers
              for one in ([layer, layer] if layer[0] == "relu" else [layer])]  # fmt: skip
    return replace(model, layers=layers)


def _never() -> object:
    raise UnsupportedModelError("there is no such form")


def _linear(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x @ weight.T)


_LAYERS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "add": np.add,
    "relu": lambda x: np.maximum(x, 0),
}


class ReferencePack:
    """Registers one reference."""

    def __init__(self, reference: LayersReference | None = None) -> None:
        self.reference = reference or LayersReference()

    @hookimpl
    def fwd_register_references(self, register: reg.ReferenceRegister) -> None:
        register.add(self.reference)
