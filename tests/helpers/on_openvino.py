"""Small graphs, built and run on OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Union

import numpy as np

from fwd_core import Builder, Engine, Plugins, hookimpl
from fwd_core.backends.openvino import OpenVINOBackend
from fwd_core.backends.openvino.lowering import FAMILIES
from fwd_core.ir import Dim, DType, Graph, Tensor, TensorType, Value, ops, symbol
from fwd_core.plugins import registers as reg

Array = np.ndarray[Any, Any]
Made = Union[Value, Sequence[Value]]
#: Adds operators to a graph with these inputs and returns its outputs.
Make = Callable[..., Made]


class Pack:
    """The core's operators and this backend alone."""

    @hookimpl
    def fwd_register_operators(self, register: reg.OperatorRegister) -> None:
        for operator in ops.core_operators():
            register.add(operator)

    @hookimpl
    def fwd_register_backends(self, register: reg.BackendRegister) -> None:
        register.add(OpenVINOBackend())

    @hookimpl
    def fwd_register_lowerings(self, register: reg.LoweringRegister) -> None:
        for module in FAMILIES:
            register.add_module(module)


PLUGINS = Plugins({"openvino-only": Pack()})


def graph_of(make: Make, types: Sequence[TensorType]) -> Graph:
    """A graph with inputs ``x0``, ``x1`` … and outputs ``y0``, ``y1`` …."""
    graph = Graph("case")
    inputs = [graph.add_input(f"x{i}", one) for i, one in enumerate(types)]
    made = make(graph, *inputs)
    outputs = [made] if isinstance(made, Value) else list(made)
    graph.set_outputs(outputs, [f"y{i}" for i in range(len(outputs))])
    return graph.verify()


def build(graph: Graph, mode: str = "float32", **options: object) -> Engine:
    """An engine of a graph."""
    return Builder(backend="openvino", mode=mode, options=options, plugins=PLUGINS).compile(graph)


def static_types(arrays: Sequence[Array | Tensor]) -> list[TensorType]:
    """The arrays' own types."""
    return [_tensor(array).type for array in arrays]


def dynamic_types(arrays: Sequence[Array | Tensor]) -> list[TensorType]:
    """Every size of 2 or more as a symbol; equal sizes are one symbol."""

    def dim(size: int) -> Dim:
        return size if size < 2 else symbol(f"n{size}", 1, size, 2 * size)

    return [_tensor(array).type.with_shape(dim(size) for size in array.shape) for array in arrays]


def run(
    make: Make,
    *arrays: Array | Tensor,
    types: Sequence[TensorType] | None = None,
    mode: str = "float32",
    **options: object,
) -> list[Array]:
    """Outputs of a graph made for these inputs; bfloat16 tensors come and go as words."""
    engine = build(graph_of(make, types or static_types(arrays)), mode, **options)
    return engine.run_list([_tensor(array).data for array in arrays])


def _tensor(array: Array | Tensor) -> Tensor:
    return array if isinstance(array, Tensor) else Tensor(array)


def bfloat16(array: Array) -> Tensor:
    """An array as bfloat16."""
    return Tensor(np.asarray(array, np.float32)).astype(DType.BFLOAT16)


def assert_same(got: Array, expected: Array, *, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Compare dtype, shape, then values; NaN equals NaN."""
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
