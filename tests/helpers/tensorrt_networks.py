"""Graphs as real TensorRT-RTX networks, and what TensorRT computes of them without a GPU.

Shapes are computed on the host while a network is made, with most layers that act on elements,
move them, reduce them or multiply matrices. So a tensor of constants can be read: it becomes the
size of a slice, whose shape TensorRT tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core import core_pack
from fwd_core.backends import BuildConfig, Mode
from fwd_core.backends.tensorrt import TensorRTBackend
from fwd_core.backends.tensorrt.context import TensorRTLowering, static
from fwd_core.backends.tensorrt.features import ROWS, Features
from fwd_core.backends.tensorrt.layers import CompiledLayer
from fwd_core.backends.tensorrt.library import Library, load
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.network import make_network
from fwd_core.backends.tensorrt.plan import TensorRTPlan
from fwd_core.events import Events
from fwd_core.ir import DType, Graph, Operator, Tensor, TensorType, Value
from fwd_core.plugins import Plugins
from fwd_core.rewrite.precision import to_half

PLUGINS = Plugins({"core": core_pack})
#: TensorRT 8's types and forms on TensorRT-RTX's network: what they compute, not how fast.
LIKE_8 = replace(ROWS["tensorrt", "8.6.0"], network_flag="STRONGLY_TYPED")
#: TensorRT 10.0: no attention layer, no axes of slices, no layer that inserts axes.
LIKE_10 = ROWS["tensorrt", "10.0.1"]
#: Axes of one slice, so elements that are read at once.
_AT_ONCE = 8
#: Sizes are not negative, and integers: floats are read in steps of 2**-16.
_OFFSET, _STEPS = 1 << 40, 1 << 16


@contextmanager
def network(
    graph: Graph, features: Features | None = None, **more: bool
) -> Iterator[TensorRTLowering]:
    """The network of a graph; with other features it is made as for another flavour."""
    library = load("tensorrt_rtx")
    library = Library(library.trt, features or library.features, library.version)
    with listen(library.trt) as record:
        builder = library.trt.Builder(logger(library.trt))
        builder.error_recorder = record.recorder
        yield make_network(graph, library, builder, PLUGINS.lowerings, record, Events(), **more)


def assert_types(graph: Graph, features: Features | None = None) -> None:
    """Every value has the type and shape in TensorRT that it has in the graph."""
    with network(graph, features) as ctx:
        for node in graph:
            for value in node.outputs:
                tensor = ctx[value]
                assert tensor.dtype.name == ctx.computed(value.type.dtype), (node, value.type)
                assert tuple(tensor.shape) == static(value.type.shape), (node, value.type)


def build(graph: Graph, mode: Mode = "float32", **options: Any) -> TensorRTPlan:
    """The plan of a graph, really compiled."""
    backend = TensorRTBackend()
    if mode == "float16":
        to_half(graph)
        graph.verify()
    parsed = backend.options.parse("tensorrt", {"flavour": "tensorrt_rtx", **options})
    plan = backend.build(graph, BuildConfig(mode, parsed, PLUGINS))
    assert isinstance(plan, TensorRTPlan)
    return plan


def compiled(graph: Graph, mode: Mode = "float32", **options: Any) -> list[CompiledLayer]:
    """The kernels that a graph is compiled to."""
    plan = build(graph, mode, layers=True, **options)
    return [CompiledLayer.from_json(document) for document in plan.manifest["layers"]]


def graph_of(make: Any, *operands: Any) -> tuple[Graph, tuple[Value, ...]]:
    """A graph of one operator, ``make(*values)``, on inputs (types) or constants (arrays)."""
    graph = Graph("one")
    values: list[Value] = []
    for index, operand in enumerate(operands):
        if isinstance(operand, TensorType):
            values.append(graph.add_input(f"x{index}", operand))
        else:
            tensor = operand if isinstance(operand, Tensor) else Tensor(np.asarray(operand))
            values.append(graph.constant(tensor, name=f"c{index}"))
    op: Operator = make(*values)
    results = graph.add_all(op, name="result")
    graph.set_outputs(results, [f"y{index}" for index in range(len(results))])
    return graph.verify(), results


def computed(make: Any, *operands: Any, features: Features | None = None) -> NDArray[Any]:
    """What TensorRT computes for one operator on constants."""
    graph, (result,) = graph_of(make, *operands)
    dtype = result.type.dtype
    with network(graph, features) as ctx:
        found = numbers(ctx, ctx[graph.outputs[0]])  # the result itself, or what it decomposes to
    return found.astype(np.float32 if dtype is DType.BFLOAT16 else dtype.storage)


def read(graph: Graph, value: Value, features: Features | None = None) -> NDArray[Any]:
    """The contents of a value that depends on constants only, as TensorRT computes them."""
    dtype, outputs = value.type.dtype, list(graph.outputs)
    with network(graph, features) as ctx:
        # An output that was decomposed is another value now.
        read_from = graph.outputs[outputs.index(value)] if value in outputs else value
        found = numbers(ctx, ctx[read_from])
    return found.astype(np.float32 if dtype is DType.BFLOAT16 else dtype.storage)


def numbers(ctx: TensorRTLowering, tensor: Any) -> NDArray[np.float64]:
    """The contents of a tensor that depends on constants only, floats in steps of 2**-16."""
    shape = tuple(tensor.shape)
    count = int(np.prod(shape, dtype=np.int64))
    is_float = tensor.dtype.name in ("FLOAT", "HALF", "BF16")
    if is_float:
        steps = _constant(ctx, np.full((1,) * len(shape), _STEPS, np.float32))
        scaled = ctx.elementwise("PROD", ctx.cast(tensor, "FLOAT"), steps)
        tensor = ctx.unary("ROUND", scaled)
    sizes: list[int] = []
    if count:
        flat = ctx("shuffle", ctx.cast(tensor, "INT64"), reshape_dims=(count,))
        shifted = ctx.elementwise("SUM", flat, _constant(ctx, np.full(count, _OFFSET)))
    for start in range(0, count, _AT_ONCE):
        axes = min(_AT_ONCE, count - start)
        one = _constant(ctx, np.ones((1,) * axes, np.float32))
        layer = ctx.add("slice", one, (0,) * axes, (1,) * axes, (0,) * axes)
        ctx.set_input(layer, 2, ctx("slice", shifted, (start,), (axes,), (1,)))
        sizes += ctx.output(layer).shape
    assert min(sizes, default=0) >= 0, "TensorRT does not compute this while it makes a network"
    array = np.array([size - _OFFSET for size in sizes], np.float64).reshape(shape)
    return array / _STEPS if is_float else array


def layers(ctx: TensorRTLowering, kind: str) -> list[Any]:
    """The layers of one class, as ``IPoolingLayer``, with their settings."""
    cls = getattr(ctx.trt, kind)
    wanted = cls.__name__.removeprefix("I").removesuffix("Layer").upper()
    found = []
    for index in range(ctx.network.num_layers):
        layer = ctx.network.get_layer(index)
        if layer.type.name.replace("_", "") == wanted:
            layer.__class__ = cls  # the network gives out layers without their class
            found.append(layer)
    return found


def _constant(ctx: TensorRTLowering, array: NDArray[Any]) -> Any:
    return ctx("constant", array.shape, ctx.trt.Weights(array))
