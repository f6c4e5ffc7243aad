"""Where in the user's model a node comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Where packages are installed: what comes after is enough to find a line of a framework's.
_PACKAGES = re.compile(r"^.*[\\/](?:site|dist)-packages[\\/]")


@dataclass(frozen=True)
class Frame:
    """One line of source text."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" in {self.function}" if self.function else "")


@dataclass(frozen=True)
class Location:
    """Module path, the user's line and the operator's own line.

    Args:
        module: Dotted path of the module that holds the operator, ``""`` for the model itself.
        operator: Qualified name in the source framework, for example ``aten::conv2d``.
        user: Innermost frame outside the framework's own packages.
        frame: The operator's own frame, often inside the framework.
        joined: Names of nodes that became one, in order, the last that of the one they became;
            none for a node as it was imported.
    """

    module: str = ""
    operator: str = ""
    user: Frame | None = None
    frame: Frame | None = None
    joined: tuple[str, ...] = ()

    def nodes(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that the node of that name stands for: those joined, or its own.

        What is made for such a node later, as a cast behind it, has its location and another name.
        """
        return self.joined if name in self.joined else (name,)

    def __str__(self) -> str:
        # Modules of a Sequential are called 0, 1, …, which says nothing by itself.
        bare = self.module.replace(".", "").isdigit()
        module = f"module {self.module!r}" if bare else self.module
        parts = [part for part in (module, self.operator) if part]
        lines = [str(self.user)] if self.user is not None else []
        if self.frame is not None and self.frame != self.user:
            frame = _PACKAGES.sub("", str(self.frame))
            lines.append(f"from {frame}" if lines else frame)
        if lines:
            parts.append(f"({', '.join(lines)})" if parts else ", ".join(lines))
        return " ".join(parts)
