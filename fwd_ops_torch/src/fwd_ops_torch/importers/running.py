"""Models run by torch itself, as their importers read them, for what engines are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from fwd_core.importing import ModelResults
from fwd_core.ir import Tensor
from fwd_core.ir.structure import flatten, unflatten
from fwd_ops_torch.importers.boundary import Named, input_leaves
from fwd_ops_torch.importers.examples import Read
from fwd_ops_torch.importers.pytrees import structure_of
from fwd_ops_torch.importers.surroundings import as_imported
from fwd_ops_torch.tensors import to_host

#: How far floats of inputs are moved, of themselves: a few times what their types can tell apart.
_MOVED = {torch.bfloat16: 2.0**-5, torch.float16: 2.0**-7}
_MOVED_ELSE = 2.0**-15


def results_of(
    call: Callable[[list[Any]], Any], arguments: Named, *, pytree: bool, host: bool = False
) -> ModelResults:
    """What a model makes of its arguments.

    Args:
        call: Runs the model on the values of its arguments, which are its own to write to.
        arguments: Names and example values, in the model's order.
        pytree: Whether results nest as torch's pytrees, which know more classes.
        host: Whether the model is on the CPU wherever the example inputs are.
    """
    tensors, _ = input_leaves(arguments)
    inputs = tuple(to_host(tensor, copy=True) for tensor in tensors.values())

    def run(others: bool, around: AbstractContextManager[Any]) -> tuple[Tensor, ...]:
        with as_imported(others), around:
            return _leaves(call(_own(arguments, host, moved=others)), pytree)

    def ran(others: bool) -> tuple[Tensor, ...]:
        try:
            return run(others, torch.autograd.graph.saved_tensors_hooks(_forget, _remember))
        except _NeededError:  # loops of torch.export look at it while they run
            return run(others, nullcontext())
        except Exception as error:  # noqa: BLE001 - it is the user's own code that runs
            try:  # models may be written for no_grad, with x.numpy() for example
                return run(others, torch.no_grad())
            except Exception:  # noqa: BLE001 - the first error is that of the model as imported
                raise error from None

    return ModelResults(inputs, ran(others=False), lambda: ran(others=True))


class _NeededError(Exception):
    """What is kept for gradients is needed before there are any."""


def _forget(_: torch.Tensor) -> None:
    """Keep nothing for gradients, which nobody asks for: it may be a multiple of the model."""


def _remember(_: None) -> torch.Tensor:
    raise _NeededError


def _own(arguments: Named, host: bool, moved: bool) -> list[Any]:
    """Values that are nobody else's: models may write to their inputs."""
    generator = torch.Generator("cpu").manual_seed(0)

    def copy(tensor: torch.Tensor) -> torch.Tensor:
        own = tensor.detach().clone()
        if moved and own.is_floating_point():
            own = _moved(own, generator)
        return own.cpu() if host else own

    values = [value.seen if isinstance(value, Read) else value for _, value in arguments]
    own: list[Any] = torch.utils._pytree.tree_map_only(torch.Tensor, copy, values)
    return own


def _moved(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Floats by another rounding, as if they had come from elsewhere."""
    far = _MOVED.get(tensor.dtype, _MOVED_ELSE)
    drawn = torch.rand(tensor.shape, dtype=torch.float64, device="cpu", generator=generator)
    factor = (1 + far * (2 * drawn - 1)).to(tensor.device, tensor.dtype)
    result = tensor * factor
    # The greatest number, with which masks are made, must not become infinite.
    return torch.where(result.isfinite(), result, tensor)


def _leaves(result: Any, pytree: bool) -> tuple[Tensor, ...]:
    """Results in the order of the graph's outputs."""
    if pytree:
        leaves, spec = torch.utils._pytree.tree_flatten(result)
        result = unflatten(structure_of(spec), leaves)
    return tuple(_host(leaf) for leaf in flatten(result)[0])


def _host(leaf: Any) -> Tensor:
    return to_host(leaf if isinstance(leaf, torch.Tensor) else torch.tensor(leaf), copy=True)


def split(values: Sequence[Any], names: Sequence[str], positional: int) -> tuple[Any, Any]:
    """Values of arguments as positional and as keyword arguments."""
    keywords: Mapping[str, Any] = dict(zip(names[positional:], values[positional:], strict=True))
    return tuple(values[:positional]), keywords
