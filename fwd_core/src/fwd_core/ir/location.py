"""Where in the user's model a node comes from."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    module: str = ""
    operator: str = ""
    user: Frame | None = None
    frame: Frame | None = None

    def __str__(self) -> str:
        parts = [part for part in (self.module, self.operator) if part]
        lines = [str(self.user)] if self.user is not None else []
        if self.frame is not None and self.frame != self.user:
            lines.append(f"from {self.frame}" if lines else str(self.frame))
        if lines:
            parts.append(f"({', '.join(lines)})" if parts else ", ".join(lines))
        return " ".join(parts)
