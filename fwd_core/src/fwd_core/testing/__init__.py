"""The testing kit: for Forward's own tests and for packs that extend it.

Importing it costs nothing; hypothesis and pytest are needed only by the parts that use them
(the extra ``testing`` of ``fwd-core``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwd_core.testing.compare import EXACT, ParityError, Tolerance, assert_equal
    from fwd_core.testing.corpus import Corpus
    from fwd_core.testing.parity import Parity, assert_parity
    from fwd_core.testing.reference import Reference

__all__ = [
    "EXACT",
    "Corpus",
    "Parity",
    "ParityError",
    "Reference",
    "Tolerance",
    "assert_equal",
    "assert_parity",
]

_HOMES = {
    "EXACT": "compare",
    "Corpus": "corpus",
    "Parity": "parity",
    "ParityError": "compare",
    "Reference": "reference",
    "Tolerance": "compare",
    "assert_equal": "compare",
    "assert_parity": "parity",
}


def __getattr__(name: str) -> Any:
    # pytest imports this package to find our plugin, in every project where we are installed.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
