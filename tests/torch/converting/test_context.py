"""What converters are handed, and what they make with it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from toy_ops import Halves

from fwd_core import Builder, Plugins, core_pack, hookimpl
from fwd_core.ir import Value
from fwd_core.plugins import registers as reg
from fwd_ops_torch import pack
from fwd_ops_torch.converting import ConversionContext, converts
from fwd_ops_torch.importers import jit
from fwd_ops_torch.testing import module_from_source


@converts("aten::hsplit", unsupported={"indices": "they make parts of any size"})
def hsplit(ctx: ConversionContext, x: Value, sections: int) -> list[Value]:
    """aten::hsplit.int(Tensor(a -> *) self, int sections) -> Tensor(a)[]. Two halves."""
    return list(ctx.emit_all(Halves(ctx.cast(x, x.type.dtype))))


class HalvesPack:
    @hookimpl
    def fwd_register_operators(self, register: reg.OperatorRegister) -> None:
        register.add(Halves)

    @hookimpl
    def fwd_register_converters(self, register: reg.ConverterRegister) -> None:
        register.add(hsplit, override=True)


def test_an_operator_with_several_outputs() -> None:
    model = jit.script(module_from_source("a, b = x.hsplit(2)\nreturn b, a", "x"))
    packs = Plugins({"core": core_pack, "torch": pack, "halves": HalvesPack()})
    graph = Builder(plugins=packs).import_model(model, (torch.ones(4),)).verify()
    b, a = graph.outputs
    assert a.producer is b.producer
    assert isinstance(a.producer.op, Halves)
    assert (a.name, b.name) == ("hsplit.0", "hsplit.1")
