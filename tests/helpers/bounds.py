"""How far a graph with pairs may be from the graph without."""

from __future__ import annotations

import dataclasses

import numpy as np

from fwd_core.ir import Graph, Tensor, Value, ops

#: Part of sums of magnitudes that rounding in float32 may cost.
_ROUNDING = 2e-6


def bound_graph(placed: Graph) -> Graph:
    """For each output of a placed graph two: without pairs, and the greatest deviation from it.

    A pair moves a number by half a step; one that left the range moves back towards it, so that
    clipping adds nothing where ranges hold all numbers of the graph without pairs.
    """
    graph = Graph("bound")
    exact: dict[Value, Value] = {}
    error: dict[Value, Value] = {}
    for value in placed.inputs:
        exact[value] = graph.add_input(value.name, value.type)
        error[value] = _sum(graph, exact[value], exact[value], ops.Sub)
    for node in placed:
        op, value = node.op, node.outputs[0]
        if isinstance(op, ops.Constant):
            exact[value] = graph.constant(placed.constants[op.digest], name=node.name)
            zeros = Tensor(np.zeros_like(placed.constants[op.digest].data))
            error[value] = graph.constant(zeros, name=f"{node.name}/error")
        elif isinstance(op, ops.Quantize):
            scale = op.scale.constant
            assert scale is not None
            half = scale.numpy() * 0.5001
            if op.axis is not None:
                half = half.reshape(-1, *(1,) * (op.x.type.rank - op.axis - 1))
            step = graph.constant(Tensor(half.astype(np.float32)), name=f"{node.name}/step")
            exact[value] = exact[op.x]
            error[value] = _sum(graph, error[op.x], step)
        elif isinstance(op, ops.Dequantize):
            exact[value], error[value] = exact[op.x], error[op.x]
        else:
            exact[value] = graph.add(op.map_operands(exact.__getitem__), name=node.name)
            error[value] = _propagated(graph, op, exact, error)
    pairs = [one for value in placed.outputs for one in (exact[value], error[value])]
    graph.set_outputs(pairs, [f"y{i}" for i in range(len(pairs))])
    return graph.verify()


def _propagated(
    graph: Graph, op: ops.Operator, exact: dict[Value, Value], error: dict[Value, Value]
) -> Value:
    if isinstance(op, ops.Relu):
        return error[op.x]
    if isinstance(op, (ops.Convolution, ops.ConvolutionTranspose, ops.Linear, ops.MatMul)):
        sizes = {value: graph.add(ops.Abs(exact[value])) for value in op.operands()}
        most = {value: _sum(graph, sizes[value], error[value]) for value in sizes}
        bare = op if isinstance(op, ops.MatMul) else dataclasses.replace(op, bias=None)
        before = graph.add(bare.map_operands(sizes.__getitem__))
        after = graph.add(bare.map_operands(most.__getitem__))
        little = graph.constant(Tensor(np.array(_ROUNDING, np.float32)))
        slack = graph.add(ops.Mul(after, little))
        return _sum(graph, _sum(graph, after, before, ops.Sub), slack)
    # What adds, moves, picks or averages is off by no more than the same of what it reads is.
    return graph.add(op.map_operands(error.__getitem__))


def _sum(graph: Graph, a: Value, b: Value, kind: type[ops.Add | ops.Sub] = ops.Add) -> Value:
    return graph.add(kind(a, b))
