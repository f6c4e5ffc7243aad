"""Inputs of a graph that nobody gives: they follow from other inputs, on the host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Derived:
    """Some inputs, and what computes them before each run.

    Attributes:
        maker: Name of a function that a pack registers (``fwd_register_input_makers``).
        reads: Names of the inputs that it is given.
        gives: Names of the inputs that it makes.
    """

    maker: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]

    def to_json(self) -> list[object]:
        """As it is written to files."""
        return [self.maker, list(self.reads), list(self.gives)]

    @classmethod
    def from_json(cls, document: list[object]) -> Derived:
        """Back from a file."""
        maker, reads, gives = document
        assert isinstance(maker, str)
        assert isinstance(reads, list)
        assert isinstance(gives, list)
        return cls(maker, tuple(reads), tuple(gives))
