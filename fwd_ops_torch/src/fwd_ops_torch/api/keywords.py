"""Keyword arguments that are neither of a function nor options of a build."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from fwd_core.builder import Builder
from fwd_core.errors import OptionError


def require_spelt(function: Callable[..., Any], builder: Builder) -> None:
    """Refuse an option that is nearer to an argument of the function than to any option.

    What takes ``**options`` finds misspelt arguments among them.

    Raises:
        OptionError: There is one.
        BuildError: Nothing can be built here.
    """
    kinds = inspect.signature(function).parameters.values()
    own = [one.name for one in kinds if one.kind is not one.VAR_KEYWORD]
    backend = builder.backend()
    known = builder.asked.names(backend)
    for name in builder.options:
        if name in known or builder.asked.owners(name):
            continue
        near = difflib.get_close_matches(name, [*known, *own], 1)
        if near and near[0] in own:
            raise OptionError(
                f"{function.__name__}() has no argument {name!r}, and backend {backend.name!r} no "
                "such option",
                expected=f"its own arguments, or options: {', '.join(known)}",
                hint=f"did you mean {near[0]!r}?",
            )
