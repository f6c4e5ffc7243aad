"""Models run by torch itself, as their importers read them, for what engines are compared with."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from fwd_core.importing import ModelResults
from fwd_core.ir import Tensor
from fwd_core.ir.structure import flatten, unflatten
from fwd_ops_torch.importers.boundary import Named, input_leaves
from fwd_ops_torch.importers.examples import Read
from fwd_ops_torch.importers.pytrees import structure_of
from fwd_ops_torch.tensors import to_host


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

    def run() -> tuple[Tensor, ...]:
        return _leaves(call(_own(arguments, host)), pytree)

    def ran(others: bool) -> tuple[Tensor, ...]:
        try:
            with _as_imported(others), torch.autograd.graph.saved_tensors_hooks(_forget, _remember):
                return run()
        except _NeededError:  # loops of torch.export look at it while they run
            with _as_imported(others):
                return run()

    return ModelResults(inputs, ran(others=False), lambda: ran(others=True))


@contextmanager
def unchanged(module: torch.nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Put attributes back that a module sets while it runs; gives buffers to run it with."""
    kept = [(one, dict(vars(one))) for one in module.modules()]
    try:
        yield {name: buffer.clone() for name, buffer in module.named_buffers()}
    finally:
        for one, attributes in kept:
            for name in set(vars(one)) - set(attributes):
                del vars(one)[name]
            vars(one).update(attributes)


@contextmanager
def in_evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Take a module for one in evaluation mode, and leave it as it was."""
    were = [(one, one.training) for one in module.modules() if hasattr(one, "training")]
    try:
        for one, _ in were:
            one.training = False
        yield
    finally:
        for one, training in were:
            one.training = training


@contextmanager
def _as_imported(others: bool) -> Iterator[None]:
    """What importers assume of torch while a model runs; random states stay as they are.

    With ``others`` what it draws are other numbers than those that come next.

    Gradients are on: without them torch's encoder takes its fast path, which gives other numbers
    in places of padding.
    """
    has_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if has_cuda else ()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the process's own
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=list(devices)))
        stack.callback(random.setstate, states[0])
        stack.callback(np.random.set_state, states[1])
        if others:
            seed = torch.initial_seed() % 2**32 ^ 1
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - it is put back
            random.seed(seed)
        stack.enter_context(torch.enable_grad())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # what the model warns of is no news of the build
        yield


class _NeededError(Exception):
    """What is kept for gradients is needed before there are any."""


def _forget(_: torch.Tensor) -> None:
    """Keep nothing for gradients, which nobody asks for: it may be a multiple of the model."""


def _remember(_: None) -> torch.Tensor:
    raise _NeededError


def _own(arguments: Named, host: bool) -> list[Any]:
    """Values that are nobody else's: models may write to their inputs."""

    def copy(tensor: torch.Tensor) -> torch.Tensor:
        own = tensor.detach().clone()
        return own.cpu() if host else own

    values = [value.seen if isinstance(value, Read) else value for _, value in arguments]
    own: list[Any] = torch.utils._pytree.tree_map_only(torch.Tensor, copy, values)
    return own


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
