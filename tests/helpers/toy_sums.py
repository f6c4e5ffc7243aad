"""A pack whose option adds an input that engines make themselves: the sum of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fwd_core import hookimpl
from fwd_core.errors import OptionError
from fwd_core.ir import Derived, DType, Graph, TensorType, ops
from fwd_core.plugins import BuildOption
from fwd_core.plugins import registers as reg


def sums(x: np.ndarray[Any, Any]) -> Sequence[np.ndarray[Any, Any]]:
    """What is made."""
    return [x.sum(1, keepdims=True)]


def doubled(sums: np.ndarray[Any, Any]) -> Sequence[np.ndarray[Any, Any]]:
    """What is made of that in turn."""
    return [sums * 2]


class WithSums(BuildOption):
    """Adds the sum of each row, which is made on the host."""

    name = "with_sums"
    summary = "add the sum of each row"

    def parse(self, value: Any) -> bool:
        if value not in (True, False, "true"):
            raise OptionError("option 'with_sums'", expected="True or False", got=repr(value))
        return bool(value)

    def apply(self, graph: Graph, value: bool) -> None:
        if value:
            (x,) = graph.inputs
            if x.type.rank != 2:
                raise OptionError("with_sums: the input has no rows", got=x.type)
            kind = TensorType(DType.FLOAT32, (x.type.shape[0], 1))
            total = graph.add_input("sums", kind)
            (y,) = graph.outputs
            graph.set_outputs([graph.add(ops.Add(y, total))], ["y"])
            graph.derived = (Derived("toy.sums", ("x",), ("sums",)),)


class SumsPack:
    """Registers both."""

    def __init__(self, maker: Any = sums) -> None:
        self._maker = maker

    @hookimpl
    def fwd_register_build_options(self, register: reg.BuildOptionRegister) -> None:
        register.add(WithSums())

    @hookimpl
    def fwd_register_input_makers(self, register: reg.InputMakerRegister) -> None:
        register.add(self._maker, name="toy.sums")
        register.add(doubled, name="toy.doubled")
