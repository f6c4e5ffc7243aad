"""Shapes of the outputs of an engine for shapes of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

from fwd_core.backends.base import Port
from fwd_core.engine.inputs import bind
from fwd_core.errors import InputError
from fwd_core.ir.dims import evaluate

Shape = tuple[int, ...]
#: Shape combinations that are remembered; a model that sees more forgets them all.
_REMEMBERED = 256


class OutputShapes:
    """Checks shapes of inputs and computes those of outputs; what it has seen it remembers.

    Args:
        inputs: Ports of the inputs.
        outputs: Ports of the outputs, whose sizes follow from those of the inputs.
    """

    def __init__(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._known: dict[tuple[Shape, ...], list[Shape]] = {}

    def __call__(self, sizes: tuple[Shape, ...]) -> list[Shape]:
        """Shapes of the outputs.

        Raises:
            InputError: A rank or size does not fit, or the model itself cannot run for them.
        """
        found = self._known.get(sizes)
        return self._computed(sizes) if found is None else found

    def _computed(self, sizes: tuple[Shape, ...]) -> list[Shape]:
        try:
            values = bind(self._inputs, sizes)
            shapes = [tuple([evaluate(dim, values) for dim in p.type.shape]) for p in self._outputs]
        except ZeroDivisionError:
            raise self._impossible("the model divides by a size that is 0", sizes) from None
        for port, shape in zip(self._outputs, shapes, strict=True):
            if any(size < 0 for size in shape):
                raise self._impossible(f"output {port.name!r} would be {list(shape)}", sizes)
        if len(self._known) >= _REMEMBERED:
            self._known = {}
        self._known[sizes] = shapes
        return shapes

    def _impossible(self, what: str, sizes: tuple[Shape, ...]) -> InputError:
        return InputError(
            f"{what} for these inputs",
            expected=", ".join(map(str, self._inputs)),
            got=", ".join(str(list(shape)) for shape in sizes),
            hint="give other sizes: for these the model itself raises an exception",
        )
