"""Modules that run and are left as they were."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: What is put back where it is, since the module may share it. Classes of others have rules of
#: their own for what they hold.
_CONTAINERS = (list, dict, set, deque, OrderedDict, defaultdict)


@contextmanager
def unchanged(module: torch.nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Put back what a module sets while it runs; gives buffers to run it with.

    Attributes of all its modules are put back, so are parameters, buffers and modules that it
    registers, and what its lists, dicts and sets hold. What is written into a parameter, or into
    an object of another class, stays.
    """
    kept = [(one, dict(vars(one))) for one in module.modules()]
    held = [
        (value, _items(value))
        for _, attributes in kept
        for value in attributes.values()
        if type(value) in _CONTAINERS
    ]
    try:
        yield {name: buffer.clone() for name, buffer in module.named_buffers()}
    finally:
        for one, attributes in kept:
            for name in set(vars(one)) - set(attributes):
                del vars(one)[name]
            vars(one).update(attributes)
        for value, items in held:
            _put_back(value, items)


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


def _items(value: Any) -> list[Any]:
    return [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)


def _put_back(value: Any, items: list[Any]) -> None:
    now = _items(value)
    if len(now) == len(items) and all(a is b for a, b in zip(now, items, strict=True)):
        return
    value.clear()
    if isinstance(value, dict):
        half = len(items) // 2
        value.update(zip(items[:half], items[half:], strict=True))
    elif isinstance(value, set):
        value.update(items)
    else:
        value.extend(items)
