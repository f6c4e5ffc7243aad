"""How a model nests its inputs or outputs: tuples, lists and dicts around tensors.

A :data:`Structure` is plain JSON: ``"*"`` is one tensor, ``None`` is Python's None, and
``{"tuple": […]}``, ``{"list": […]}``, ``{"dict": [[key, …], …]}`` nest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Union

Structure = Union[str, None, dict[str, list[Any]]]
LEAF = "*"


def flatten(
    tree: object, is_leaf: Callable[[object], bool] = lambda _: False
) -> tuple[list[Any], Structure]:
    """Tensors of nested tuples, lists and dicts in order, and how they nest.

    Anything that is none of these three, nor ``None``, is a leaf.
    """
    leaves: list[Any] = []

    def walk(item: object) -> Structure:
        if item is None:
            return None
        if not is_leaf(item):
            if isinstance(item, Mapping):
                return {"dict": [[key, walk(value)] for key, value in item.items()]}
            if isinstance(item, tuple):
                return {"tuple": [walk(value) for value in item]}
            if isinstance(item, list):
                return {"list": [walk(value) for value in item]}
        leaves.append(item)
        return LEAF

    structure = walk(tree)
    return leaves, structure


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """Nest leaves as the structure says.

    Raises:
        ValueError: There are more or fewer leaves than the structure holds.
    """
    rest = iter(leaves)

    def build(item: Structure) -> Any:
        if item is None:
            return None
        if isinstance(item, str):
            return next(rest)
        ((kind, members),) = item.items()
        if kind == "dict":
            return {key: build(member) for key, member in members}
        nested = [build(member) for member in members]
        return tuple(nested) if kind == "tuple" else nested

    missing = object()
    try:
        tree = build(structure)
    except (StopIteration, RuntimeError):
        raise ValueError(f"too few leaves for {structure}") from None
    if next(rest, missing) is not missing:
        raise ValueError(f"too many leaves for {structure}")
    return tree


def leaf_count(structure: Structure) -> int:
    """Number of tensors."""
    return sum(1 for _ in leaf_paths(structure))


def leaf_paths(structure: Structure, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The keys and indices that lead to each tensor, in order."""
    if structure is None:
        return
    if isinstance(structure, str):
        yield path
        return
    ((kind, members),) = structure.items()
    pairs = members if kind == "dict" else enumerate(members)
    for key, member in pairs:
        yield from leaf_paths(member, (*path, key))


def leaf_names(structure: Structure, single: str) -> list[str]:
    """A unique name for each tensor: dict keys as they are, positions after ``single``.

    Example:
        >>> leaf_names({"tuple": ["*", {"dict": [["mask", "*"]]}]}, "output")
        ['output_0', 'output_1.mask']
        >>> leaf_names({"dict": [["logits", "*"]]}, "output")
        ['logits']
    """
    names: list[str] = []
    for path in leaf_paths(structure):
        if not path:
            names.append(single)
            continue
        head, *tail = path
        first = head if isinstance(head, str) else f"{single}_{head}"
        name = ".".join([first, *(str(part) for part in tail)])
        ordinal, unique = 0, name
        while unique in names:
            ordinal += 1
            unique = f"{name}_{ordinal}"
        names.append(unique)
    return names


def describe(structure: Structure, names: Sequence[str] = ()) -> str:
    """Readable form, for example ``(a, [b, c])``."""
    labels = iter(names)

    def walk(item: Structure) -> str:
        if item is None:
            return "None"
        if isinstance(item, str):
            return next(labels, "tensor")
        ((kind, members),) = item.items()
        if kind == "dict":
            return "{" + ", ".join(f"{key!r}: {walk(member)}" for key, member in members) + "}"
        inner = ", ".join(walk(member) for member in members)
        if kind == "list":
            return f"[{inner}]"
        return f"({inner},)" if len(members) == 1 else f"({inner})"

    return walk(structure)
