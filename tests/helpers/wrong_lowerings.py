"""A pack whose lowering computes something else, for engines that are wrong on purpose."""

from __future__ import annotations

from typing import Any

from openvino import opset16 as opset

from fwd_core import Plugins, hookimpl, lowering
from fwd_core.ir import Operator


class Pack:
    """Registers a lowering to OpenVINO.

    Args:
        operator: Of one operand ``x``; its cosine is computed.
    """

    def __init__(self, operator: type[Operator]) -> None:
        self._operator = operator

    @hookimpl
    def fwd_register_lowerings(self, register: Any) -> None:
        """Override what the core has."""

        @lowering("openvino", self._operator, override=True)
        def cosine(ctx: Any, op: Any) -> Any:
            return opset.cos(ctx[op.x]).output(0)

        register.add(cosine)


def plugins(operator: type[Operator]) -> Plugins:
    """All packs that are installed, and this one."""
    found = Plugins.discover()
    found.register("wrong", Pack(operator))
    return found
