"""Importing and running small torch models in tests."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from fwd_core import Builder, Plugins
from fwd_core.importing import DynamicDims, OptBatch
from fwd_core.ir import Graph
from fwd_core.ir.structure import flatten
from fwd_ops_torch.importers import jit

Inputs = Sequence[Any]


@functools.lru_cache(maxsize=None)
def installed() -> Plugins:
    """All installed packs, found once: that takes a hundred times as long as a small import."""
    return Plugins.discover()


def importing(
    model: object,
    inputs: Inputs | Mapping[str, Any],
    dynamic: DynamicDims | OptBatch | None = None,
    plugins: Plugins | None = None,
) -> Graph:
    """The cleaned and verified graph of a model."""
    builder = Builder(plugins=plugins if plugins is not None else installed())
    given = dict(inputs) if isinstance(inputs, Mapping) else tuple(inputs)
    return builder.import_model(model, given, dynamic=dynamic).verify()


def scripted(module: torch.nn.Module) -> torch.jit.ScriptModule:
    """A module in evaluation mode, scripted."""
    return jit.script(module.eval())


def traced(module: torch.nn.Module, inputs: Inputs) -> torch.jit.ScriptModule:
    """A module in evaluation mode, traced."""
    return jit.trace(module.eval(), inputs, check=False)


def running(
    model: object,
    inputs: Inputs,
    *others: Inputs,
    dynamic: DynamicDims | OptBatch | None = None,
) -> list[Any]:
    """What an OpenVINO engine of a model gives for the inputs it was built with, and for others."""
    builder = Builder(backend="openvino", options={"threads": 1}, plugins=installed())
    engine = builder.build(model, tuple(inputs), dynamic=dynamic)
    return [engine(*[_array(item) for item in given]) for given in (inputs, *others)]


def check(
    module: torch.nn.Module,
    inputs: Inputs,
    *others: Inputs,
    model: object | None = None,
    dynamic: DynamicDims | OptBatch | None = None,
    atol: float = 1e-5,
) -> None:
    """An engine of the (by default scripted) module gives what the module gives: nesting, dtypes,
    shapes, values.

    The default tolerance is for float32 arithmetic on values of order one.
    """
    results = running(model or scripted(module), inputs, *others, dynamic=dynamic)
    for given, result in zip((inputs, *others), results, strict=True):
        with torch.no_grad():
            expected = module(*given)
        want, structure = flatten(expected)
        have, nesting = flatten(result)
        assert nesting == structure
        for a, b in zip(have, want, strict=True):
            reference = b.numpy()
            assert a.dtype == reference.dtype
            assert a.shape == reference.shape
            np.testing.assert_allclose(a, reference, rtol=1e-5, atol=atol)


def _array(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return item.numpy()
    if isinstance(item, (list, tuple)):
        return type(item)(_array(one) for one in item)
    if isinstance(item, dict):
        return {key: _array(one) for key, one in item.items()}
    return item
