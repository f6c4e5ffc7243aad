"""Torch.export's symbolic sizes as Forward's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fwd_core.errors import InputError, UnsupportedModelError
from fwd_core.ir import Dim, is_equal
from fwd_core.ir import dims as dim_ops


class SymbolTable:
    """What each of a program's symbols stands for: one of our symbols, or a number."""

    def __init__(self) -> None:
        self._meaning: dict[str, Dim] = {}

    def bind(
        self,
        name: str,
        exported: torch.Tensor,
        example: torch.Tensor,
        shapes: Mapping[str, tuple[Dim, ...]],
    ) -> None:
        """Learn symbols from one input.

        Args:
            name: Name of the input.
            exported: The program's own stand-in for it, whose sizes may be symbolic.
            example: The example input.
            shapes: Wanted shapes of the inputs.

        Raises:
            InputError: The program fixed a size that is wanted to be dynamic, or fixed another
                one; or the example has another rank or dtype.
        """
        if example.dtype != exported.dtype or example.dim() != exported.dim():
            raise InputError(
                f"example input {name!r} does not fit the exported program",
                expected=f"{exported.dtype}, {exported.dim()} axes",
                got=f"{example.dtype}, {example.dim()} axes",
            )
        sizes: Sequence[Any] = exported.shape  # torch types them int, and they may be SymInt
        for axis, (size, wanted) in enumerate(zip(sizes, shapes[name], strict=True)):
            if isinstance(size, int):
                if is_equal(size, wanted) is not True:
                    raise InputError(
                        f"input {name!r} axis {axis}: the program was exported for one size",
                        expected=size,
                        got=wanted,
                        hint="export it with dynamic_shapes, or build it static with that size",
                    )
                continue
            self._bind_expression(name, axis, size.node.expr, wanted)

    def _bind_expression(self, name: str, axis: int, expression: Any, wanted: Dim) -> None:
        if not expression.is_Symbol:
            self._bind_multiple(name, axis, expression, wanted)
            return
        held = self._meaning.setdefault(str(expression), wanted)
        if is_equal(held, wanted) is not True:
            raise InputError(
                f"input {name!r} axis {axis}: the program says it equals another input's size",
                expected=held,
                got=wanted,
                hint="give both one name in dynamic dims, or example inputs of one size",
            )

    def _bind_multiple(self, name: str, axis: int, expression: Any, wanted: Dim) -> None:
        """Learn ``s`` where a program says that a size is ``4*s``, as derived dims make it."""
        said = f"input {name!r} axis {axis}: the program says its size is {expression}"
        unknown = [one for one in expression.free_symbols if str(one) not in self._meaning]
        factor = expression.coeff(unknown[0]) if len(unknown) == 1 else None
        if factor is not None and factor.is_Integer and factor > 0:
            rest = expression - factor * unknown[0]
            if not rest.has(unknown[0]):
                solved = dim_ops.divide_exactly(wanted - self.dim(rest), int(factor))
                if solved is None:
                    hint = f"say that it is a multiple: ('{factor}*name', min, opt, max)"
                    raise InputError(
                        said,
                        expected=f"a multiple of {factor}" + (f", plus {rest}" if rest else ""),
                        got=wanted,
                        hint=None if isinstance(wanted, int) else hint,
                    )
                self._meaning[str(unknown[0])] = solved
                return
        have = self.dim(expression)
        if is_equal(have, wanted) is not True:
            raise InputError(said, expected=have, got=wanted)

    def check_constant(self, name: str, exported: Any, example: Any) -> None:
        """Check an argument that is no tensor: export fixed it.

        Raises:
            InputError: The value differs from the one that was exported.
        """
        fixed = exported is None or isinstance(exported, (int, float, bool, str))
        if fixed and exported != example:
            raise InputError(
                f"input {name!r} was fixed when the program was exported",
                expected=repr(exported),
                got=repr(example),
            )

    def knows(self, expression: Any) -> bool:
        """Whether a sympy expression is of symbols that inputs have."""
        return all(str(symbol) in self._meaning for symbol in expression.free_symbols)

    def dim(self, expression: Any) -> Dim:
        """A sympy expression over the program's symbols, as a size.

        Raises:
            UnsupportedModelError: The expression depends on data, or has an unknown function.
        """
        if expression.is_Integer:
            return int(expression)
        if expression.is_Symbol:
            if str(expression) not in self._meaning:
                raise UnsupportedModelError(
                    f"size {expression} depends on the contents of a tensor",
                    hint="graphs have sizes that follow from the inputs' sizes only",
                )
            return self._meaning[str(expression)]
        name = type(expression).__name__
        if name == "Pow":
            base, power = expression.args
            if power.is_Integer and int(power) >= 0:
                return dim_ops.product([self.dim(base)] * int(power))
        parts = [self.dim(part) for part in expression.args] if name in _FUNCTIONS else []
        if not parts:
            raise UnsupportedModelError(f"size {expression} has a form that Forward does not know")
        result = parts[0]
        for part in parts[1:]:
            result = _FUNCTIONS[name](result, part)
        return result


_FUNCTIONS: dict[str, Any] = {
    "Add": lambda a, b: a + b,
    "Mul": lambda a, b: a * b,
    "Max": dim_ops.maximum,
    "Min": dim_ops.minimum,
    "FloorDiv": dim_ops.floordiv,
    "CleanDiv": dim_ops.floordiv,
    "Mod": dim_ops.modulo,
    "PythonMod": dim_ops.modulo,
}
