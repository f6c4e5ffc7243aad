"""Batch normalization as part of the convolution or product before it.

A quantized weight has one scale per output channel. The normalization multiplies every channel
by its own factor, so it must be in the weight before those scales are chosen: what backends fold
later would come too late.
"""

from __future__ import annotations

import dataclasses
from typing import Union

import numpy as np
from numpy.typing import NDArray

from fwd_core.ir import ops
from fwd_core.ir.graph import Graph, Node, Value
from fwd_core.ir.tensor import Tensor
from fwd_core.rewrite.precision.fold import scale_and_shift

Product = Union[ops.Convolution, ops.ConvolutionTranspose, ops.Linear]


class FoldBatchNorm:
    """Give a convolution or ``Linear`` the batch normalization that alone reads it.

    Weights, bias and statistics are constants. Weight and bias are computed in float64 and
    rounded once. The result has the name of the normalization.
    """

    name = "fold-batch-norm"

    def __init__(self, kept: frozenset[str] = frozenset()) -> None:
        #: Names of nodes that stay as they are.
        self.kept = kept

    def apply(self, graph: Graph) -> int:
        """Fold wherever it can be done in this graph; the graphs of branches are left alone."""
        changed = 0
        for node in graph:
            before = folded_product(node)
            if before is None or {node.name, before.name} & self.kept:
                continue
            _fold(graph, before, node)
            changed += 1
        return changed


def folded_product(node: Node) -> Node | None:
    """The node that a batch normalization can become a part of, if it can."""
    op = node.op
    if not isinstance(op, ops.BatchNorm) or scale_and_shift(op) is None:
        return None
    before = op.x.producer
    if before is None or op.x.users != {node: 1} or op.x in node.output.graph.outputs:
        return None
    product = before.op
    if not isinstance(product, (ops.Convolution, ops.ConvolutionTranspose, ops.Linear)):
        return None
    if isinstance(product, ops.Linear) and op.x.type.rank != 2:
        return None  # channels are on axis 1, and features on the last one
    bias = product.bias
    known = product.weight.constant is not None and (bias is None or bias.constant is not None)
    return before if known else None


def _fold(graph: Graph, before: Node, node: Node) -> None:
    product, norm = before.op, node.op
    assert isinstance(norm, ops.BatchNorm)
    assert isinstance(product, (ops.Convolution, ops.ConvolutionTranspose, ops.Linear))
    amounts = scale_and_shift(norm)
    weight = product.weight.constant
    assert amounts is not None
    assert weight is not None
    scale, shift = amounts
    if product.bias is not None:
        old = product.bias.constant
        assert old is not None
        shift = shift + old.numpy().astype(np.float64) * scale
    factors = _along(product, scale, weight.shape)
    dtype = norm.x.type.dtype

    def constant(data: NDArray[np.float64], name: str) -> Value:
        tensor = Tensor(np.ascontiguousarray(data)).astype(dtype)
        return graph.constant(tensor, name=name, location=node.location, before=node)

    bias_name = f"{node.name}/bias" if product.bias is None else f"{product.bias.name}/folded"
    op = dataclasses.replace(
        product,
        weight=constant(
            weight.numpy().astype(np.float64) * factors, f"{product.weight.name}/folded"
        ),
        bias=constant(shift, bias_name),
    )
    stale = [value for one in (norm, product) for value in one.operands()]
    # Its name is the normalization's; that of the product is what its user looks for.
    joined = (*before.location.nodes(before.name), *node.location.nodes(node.name))
    location = dataclasses.replace(before.location, joined=joined)
    graph.replace_node(node, graph.add(op, location=location, before=node))
    graph.remove(before)
    for value in stale:
        made = value.producer
        unread = not value.users and value not in graph.outputs
        if made is not None and made.graph is graph and unread and value.constant is not None:
            graph.remove(made)


def _along(
    product: Product, scale: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The factor of each output channel, so that it broadcasts over the weight."""
    if not isinstance(product, ops.ConvolutionTranspose):
        return scale.reshape(-1, *(1,) * (len(shape) - 1))
    # [C, M / groups, ...]: rows of group g make the channels of group g.
    of_groups = scale.reshape(product.groups, shape[1])
    rows = np.repeat(of_groups, shape[0] // product.groups, axis=0)
    return rows.reshape(shape[0], shape[1], *(1,) * (len(shape) - 2))
