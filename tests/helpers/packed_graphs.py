"""A small encoder without padding, and graphs whose operators are changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from encoder_graphs import Mask, encoder

from fwd_core import rewrite
from fwd_core.ir import DType, Emitter, Graph, Tensor, ops, symbol
from fwd_core.ir.operator import Operator
from fwd_core.rewrite import cleanup
from fwd_plugins_bert import fusions
from fwd_plugins_bert.packing import remove_padding


def cleaned(graph: Graph) -> Graph:
    """The graph after cleaning up and after fusions of what is written out."""
    rewrite.run(graph, cleanup.all_rewrites(), verify=True)
    rewrite.run(graph, fusions.written_out(), verify=True)
    return graph


def packed(mask: Mask = True, **more: Any) -> Graph:
    """An encoder of dynamic batch without padding."""
    graph = encoder(symbol("batch", 1, 2, 4), mask, **more)
    remove_padding(graph, "tokens")
    return cleaned(graph)


def change(graph: Graph, kind: type[Operator], make: Callable[[Any, Emitter], Operator]) -> None:
    """Put another operator in the place of each of a kind."""
    for node in list(graph):
        if isinstance(node.op, kind):
            graph.change_operator(node, make(node.op, Emitter.before(node)))


def quantized(graph: Graph) -> None:
    """Let weights of products be in eight bits, with one scale."""

    def narrow(op: ops.Linear, emit: Emitter) -> ops.Linear:
        scale = emit.constant(Tensor(np.array(0.1, np.float32)), "scale")
        bytes_ = ops.Quantize(op.weight, scale, None, None, -127, 127, DType.INT8)
        return replace(
            op, weight=emit(ops.Dequantize(emit(bytes_), scale, None, None, DType.FLOAT32))
        )

    change(graph, ops.Linear, narrow)
