"""The option of builds: ``forward.build(..., variable_length=True)``."""

from __future__ import annotations

from typing import Any

from fwd_core import rewrite
from fwd_core.errors import OptionError
from fwd_core.ir import Graph
from fwd_core.plugins import BuildOption
from fwd_core.rewrite import cleanup
from fwd_plugins_bert.fusions import positions
from fwd_plugins_bert.packing.rewrite import remove_padding

#: What ``transformers`` calls it.
_MASK = "attention_mask"
_WORDS = {"true": _MASK, "false": ""}


class VariableLength(BuildOption):
    """Removes padding: see :func:`~fwd_plugins_bert.packing.remove_padding`."""

    name = "variable_length"
    summary = (
        "compute real tokens only: true, or the name of the padding mask (~NAME: marks padding)"
    )

    def parse(self, value: Any) -> str:
        """Name of the mask, behind ``~`` if it marks padding; empty for nothing to do.

        Raises:
            OptionError: It is neither a truth value nor a name.
        """
        if isinstance(value, bool):
            return _MASK if value else ""
        if not isinstance(value, str) or not value.removeprefix("~"):
            raise OptionError(
                "option 'variable_length'",
                expected="True, False, or the name of the input that is the padding mask",
                got=repr(value),
                hint="'~NAME' names a mask that marks padding",
            )
        return _WORDS.get(value.lower(), value)

    def apply(self, graph: Graph, value: str) -> None:
        """Remove padding, unless nothing is asked for.

        Raises:
            OptionError: The model has no such mask, or no layers that work on tokens alone.
        """
        if value:
            # Masks of models of dynamic length are recognised in their plain form alone.
            rewrite.run(graph, [*positions.plain(), *cleanup.all_rewrites()])
            mask = value.removeprefix("~")
            remove_padding(graph, mask, marks_padding=mask != value)
