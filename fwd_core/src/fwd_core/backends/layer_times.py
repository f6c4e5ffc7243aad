"""How long the compiled layers of an engine take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LayerTime:
    """One compiled layer and its time.

    Attributes:
        name: The backend's name of it.
        kind: The backend's word for what it is, as ``CaskConvolution``.
        dtype: The type that it multiplies or makes, in the backend's words; ``""`` if not told.
        nodes: Names of the graph's nodes that it computes, which begin with the path of the
            module; none where the backend does not tell.
        milliseconds: Mean time of one run.
    """

    name: str
    kind: str
    dtype: str
    nodes: tuple[str, ...]
    milliseconds: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)
