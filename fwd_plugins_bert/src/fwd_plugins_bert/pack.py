"""Hooks of the pack: its operators, the rewrites that make them, lowerings to TensorRT, plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fwd_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from fwd_core.ir.operator import Operator
    from fwd_core.plugins import Target
    from fwd_core.plugins import registers as reg
    from fwd_core.plugins.target import Condition


@hookimpl
def fwd_register_operators(register: reg.OperatorRegister) -> None:
    """The fused operators."""
    from fwd_plugins_bert.ops import ALL

    for operator in ALL:
        register.add(operator)


@hookimpl
def fwd_register_rewrites(register: reg.RewriteRegister) -> None:
    """To the core's operators everywhere, to fused ones where a backend lowers them."""
    from fwd_plugins_bert import fusions

    for rewrite in fusions.written_out():
        register.add(rewrite, stage="fusion")
    for rewrite, operator in fusions.fused():
        register.add(rewrite, stage="fusion", when=_lowered(operator))


@hookimpl
def fwd_register_build_options(register: reg.BuildOptionRegister) -> None:
    """The option that removes padding."""
    from fwd_plugins_bert.packing import VariableLength

    register.add(VariableLength())


@hookimpl
def fwd_register_input_makers(register: reg.InputMakerRegister) -> None:
    """What engines without padding make of a mask."""
    from fwd_plugins_bert.packing import maker

    register.add(maker.packed_rows, name=maker.NAME)
    register.add(maker.packed_rows_of_padding, name=maker.NAME_OF_PADDING)


@hookimpl
def fwd_register_lowerings(register: reg.LoweringRegister) -> None:
    """Those to TensorRT that the environment asks for, or those in use without asking."""
    from fwd_plugins_bert import tensorrt
    from fwd_plugins_bert.tensorrt.choice import chosen

    for module in tensorrt.modules(chosen()):
        register.add_module(module)


@hookimpl
def fwd_register_backends() -> None:
    """No backend: says how plugins are made, before an engine that holds some is built or read."""
    from fwd_core.backends.tensorrt.creators import provide
    from fwd_plugins_bert.tensorrt.own import NAMESPACE, creators

    provide(NAMESPACE, creators)


def _lowered(operator: type[Operator]) -> Condition:
    def when(target: Target) -> bool:
        return target.lowers(operator)

    return when
