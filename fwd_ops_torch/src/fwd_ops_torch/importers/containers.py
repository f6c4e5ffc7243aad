"""TorchScript's operators on lists and dicts, as functions on Python's own lists and dicts.

Operators in place change the very object that they are given: two names of one list stay one
list, and what is written through one of them is read through the other.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from fwd_core.ir import DimExpr, is_equal, is_less
from fwd_ops_torch.importers.undecided import Undecided, depends_on_size


def doubt_in(value: Any) -> Undecided | None:
    """What is not known while importing, as far as it stands in lists and tuples."""
    if isinstance(value, (list, tuple)):
        return next((doubt for item in value if (doubt := doubt_in(item)) is not None), None)
    return value if isinstance(value, Undecided) else None


def _known(value: Any, use: str) -> Any:
    if (doubt := doubt_in(value)) is not None:
        raise doubt.error(use)
    return value


def fixed(key: Any) -> Any:
    """A key or an index, which must not be a dynamic size.

    Raises:
        ValueError: It is one.
    """
    if isinstance(key, DimExpr):
        raise ValueError(f"index {key} is a dynamic size")
    return key


def _item(container: Any, key: Any) -> Any:
    return container[fixed(key)]


def _set_item(container: Any, key: Any, value: Any) -> Any:
    container[fixed(key)] = value
    return container


def _append(items: list[Any], item: Any) -> list[Any]:
    items.append(item)
    return items


def _extend(items: list[Any], more: Sequence[Any]) -> None:
    items.extend(more)


def _add_in_place(items: list[Any], more: Sequence[Any]) -> list[Any]:
    items += more
    return items


def _multiply_in_place(items: list[Any], times: int) -> list[Any]:
    items *= times
    return items


def _delete(container: Any, key: Any) -> None:
    del container[fixed(key)]


def _pop_first(items: dict[Any, Any]) -> tuple[Any, Any]:
    # TorchScript takes the first pair, unlike Python, which takes the last.
    if not items:
        raise KeyError("popitem() of an empty dict")
    key = next(iter(items))
    return key, items.pop(key)


def _slice(items: Any, start: int | None, end: int | None, step: int = 1) -> Any:
    return items[slice(start, end, step)]


def _order(a: Any, b: Any) -> int:
    """Less than zero if a stands before b."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return next((order for x, y in zip(a, b, strict=True) if (order := _order(x, y))), 0)
    if not isinstance(a, DimExpr) and not isinstance(b, DimExpr):
        return int(a > b) - int(a < b)
    less, more = is_less(a, b), is_less(b, a)
    if less is None or more is None:
        raise depends_on_size(f"{a} against {b}").error("the order of a list")
    return int(more) - int(less)


def _sort(items: list[Any], reverse: bool = False) -> None:
    _known(items, "the order of a list")
    items.sort(key=functools.cmp_to_key(_order), reverse=reverse)


def _sorted(items: Sequence[Any]) -> list[Any]:
    return sorted(_known(items, "the order of a list"), key=functools.cmp_to_key(_order))


def _same(item: Any, wanted: Any) -> bool:
    _known([item, wanted], "a search in a list")
    if not isinstance(item, DimExpr) and not isinstance(wanted, DimExpr):
        return bool(item == wanted)
    answer = is_equal(item, wanted)
    if answer is None:
        raise depends_on_size(f"{item} against {wanted}").error("a search in a list")
    return answer


def _index(items: Sequence[Any], wanted: Any) -> int:
    found = next((i for i, item in enumerate(items) if _same(item, wanted)), None)
    if found is None:
        raise ValueError(f"{wanted!r} is not in list")
    return found


def _remove(items: list[Any], wanted: Any) -> None:
    del items[_index(items, wanted)]


def _contains(items: Any, wanted: Any) -> bool:
    if isinstance(items, (dict, str)):
        return fixed(wanted) in items
    return any(_same(item, wanted) for item in items)


#: Strings have operators of these names too, which torch computes.
ALSO_OF_STRINGS = frozenset({"aten::index", "aten::count"})

OPERATORS: dict[str, Callable[..., Any]] = {
    "aten::len": len,
    "aten::__getitem__": _item,
    "aten::_set_item": _set_item,
    "aten::Delete": _delete,
    "aten::append": _append,
    "aten::extend": _extend,
    "aten::add_": _add_in_place,
    "aten::mul_": _multiply_in_place,
    "aten::insert": lambda items, index, item: items.insert(index, item),
    "aten::remove": _remove,
    "aten::pop": lambda items, key=-1, *default: items.pop(fixed(key), *default),
    "aten::clear": lambda items: items.clear(),
    "aten::reverse": lambda items: items.reverse(),
    "aten::sort": _sort,
    "aten::sorted": _sorted,
    "aten::index": _index,
    "aten::count": lambda items, wanted: sum(_same(item, wanted) for item in items),
    "aten::copy": lambda items: items.copy(),
    "aten::list": list,
    "aten::keys": lambda items: list(items.keys()),
    "aten::values": lambda items: list(items.values()),
    "aten::items": lambda items: list(items.items()),
    "aten::get": lambda items, key, default=None: items.get(fixed(key), default),
    "aten::setdefault": lambda items, key, default: items.setdefault(fixed(key), default),
    "aten::popitem": _pop_first,
    "aten::dict": dict,
    "aten::update": lambda items, more: items.update(more),
    "aten::__contains__": _contains,
    "aten::slice": _slice,
}
