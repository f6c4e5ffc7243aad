"""Hand-built blocks of the two great families of models: residual convolutions and transformers."""

from __future__ import annotations

import numpy as np

from fwd_core.ir import Dim, DType, Graph, Tensor, TensorType, Value, ops

_NUMBERS = np.random.default_rng(7)


def _weight(graph: Graph, name: str, *shape: int, scale: float = 0.05) -> Value:
    data = (_NUMBERS.standard_normal(shape) * scale).astype(np.float32)
    return graph.constant(Tensor(data), name=name)


def residual_block(batch: Dim, channels: int = 64) -> Graph:
    """Stem, two bottleneck blocks with batch normalization, global pooling and a classifier."""
    graph = Graph("residual")
    x = graph.add_input("image", TensorType(DType.FLOAT32, (batch, 3, 56, 56)))

    def convolve(x: Value, name: str, out: int, kernel: int, stride: int = 1) -> Value:
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        weight = _weight(graph, f"{name}.weight", out, channels, kernel, kernel)
        pad = (kernel // 2,) * 2
        op = ops.Convolution(x, weight, None, (stride, stride), pad, pad, (1, 1))
        x = graph.add(op, name=name)
        mean, variance, scale, shift = (
            graph.constant(np.full(out, number, np.float32), name=f"{name}.bn.{which}")
            for which, number in (("mean", 0.1), ("var", 0.5), ("weight", 1.5), ("bias", 0.2))
        )
        norm = ops.BatchNorm(x, mean, variance, scale, shift, 1e-5)
        return graph.add(norm, name=f"{name}.bn")

    x = graph.add(ops.Relu(convolve(x, "stem", channels, 7, 2)), name="stem.relu")
    pool = ops.MaxPool(x, (3, 3), (2, 2), (1, 1), (1, 1))
    x = graph.add(pool, name="stem.pool")
    for block in ("block1", "block2"):
        y = graph.add(ops.Relu(convolve(x, f"{block}.conv1", channels, 1)), name=f"{block}.relu1")
        y = graph.add(ops.Relu(convolve(y, f"{block}.conv2", channels, 3)), name=f"{block}.relu2")
        y = convolve(y, f"{block}.conv3", channels, 1)
        x = graph.add(ops.Relu(graph.add(ops.Add(y, x), name=f"{block}.add")), name=f"{block}.out")
    x = graph.add(ops.AdaptiveAveragePool(x, (1, 1)), name="pool")
    x = graph.add(ops.Reshape(x, (batch, channels)), name="flat")
    bias = _weight(graph, "fc.bias", 10)
    x = graph.add(ops.Linear(x, _weight(graph, "fc.weight", 10, channels), bias), name="fc")
    graph.set_outputs([x], ["logits"])
    return graph.verify()


def transformer_block(
    batch: Dim, *, fused: bool, layers: int = 2, length: int = 64, width: int = 128, heads: int = 4
) -> Graph:
    """Embeddings, a mask of float32's lowest number, encoder layers and a pooler, as BERT has.

    With ``fused`` attention is one operator, else products around a softmax.
    """
    graph = Graph("transformer")
    ids = graph.add_input("ids", TensorType(DType.INT64, (batch, length)))
    keep = graph.add_input("mask", TensorType(DType.INT64, (batch, length)))
    mask = _mask(graph, keep)
    x = graph.add(ops.Gather(_weight(graph, "words", 500, width), ids, 0), name="embedding")
    x = graph.add(ops.Add(x, _weight(graph, "positions", 1, length, width)), name="embedding.sum")
    x = _norm(graph, x, "embedding.norm", width)
    for index in range(layers):
        x = _encoder(graph, x, mask, f"layer{index}", width, heads, fused)
    first = graph.add(ops.Slice(x, 1, 0, 1), name="first")
    first = graph.add(ops.Squeeze(first, (1,)), name="first.squeezed")
    pooled = graph.add(ops.Tanh(_linear(graph, first, "pooler", width, width)), name="pooled")
    graph.set_outputs([x, pooled], ["hidden", "pooled"])
    return graph.verify()


def _mask(graph: Graph, keep: Value) -> Value:
    one = graph.constant(np.array(1, np.float32), name="mask.one")
    lowest = graph.constant(np.array(np.finfo(np.float32).min), name="mask.lowest")
    wide = graph.add(ops.Unsqueeze(keep, (1, 2)), name="mask.wide")
    number = graph.add(ops.Cast(wide, DType.FLOAT32), name="mask.float")
    return graph.add(
        ops.Mul(graph.add(ops.Sub(one, number), name="mask.not"), lowest), name="mask.additive"
    )


def _linear(graph: Graph, x: Value, name: str, out: int, features: int) -> Value:
    weight, bias = (
        _weight(graph, f"{name}.weight", out, features),
        _weight(graph, f"{name}.bias", out),
    )
    return graph.add(ops.Linear(x, weight, bias), name=name)


def _norm(graph: Graph, x: Value, name: str, width: int) -> Value:
    scale = graph.constant(np.ones(width, np.float32), name=f"{name}.weight")
    shift = graph.constant(np.zeros(width, np.float32), name=f"{name}.bias")
    return graph.add(ops.LayerNorm(x, scale, shift, 1, 1e-12), name=name)


def _encoder(
    graph: Graph, x: Value, mask: Value, name: str, width: int, heads: int, fused: bool
) -> Value:
    batch, length, _ = x.type.shape

    def split(which: str) -> Value:
        y = _linear(graph, x, f"{name}.{which}", width, width)
        y = graph.add(
            ops.Reshape(y, (batch, length, heads, width // heads)), name=f"{name}.{which}.heads"
        )
        return graph.add(ops.Transpose(y, (0, 2, 1, 3)), name=f"{name}.{which}.split")

    query, key, value = split("query"), split("key"), split("value")
    if fused:
        context = graph.add(ops.Attention(query, key, value, mask), name=f"{name}.attention")
    else:
        scores = graph.add(ops.MatMul(query, key, transpose_b=True), name=f"{name}.scores")
        root = graph.constant(np.array((width // heads) ** 0.5, np.float32), name=f"{name}.root")
        scores = graph.add(ops.Div(scores, root), name=f"{name}.scaled")
        scores = graph.add(ops.Add(scores, mask), name=f"{name}.masked")
        weights = graph.add(ops.Softmax(scores, 3), name=f"{name}.softmax")
        context = graph.add(ops.MatMul(weights, value), name=f"{name}.context")
    context = graph.add(ops.Transpose(context, (0, 2, 1, 3)), name=f"{name}.merge")
    context = graph.add(ops.Reshape(context, (batch, length, width)), name=f"{name}.merged")
    out = _linear(graph, context, f"{name}.out", width, width)
    x = _norm(graph, graph.add(ops.Add(out, x), name=f"{name}.add"), f"{name}.norm", width)
    inner = _linear(graph, x, f"{name}.up", 4 * width, width)
    inner = graph.add(ops.Gelu(inner), name=f"{name}.gelu")
    outer = _linear(graph, inner, f"{name}.down", width, 4 * width)
    return _norm(graph, graph.add(ops.Add(outer, x), name=f"{name}.add2"), f"{name}.norm2", width)
