"""What lowerings to OpenVINO are handed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.lowering import LoweringContext
from fwd_core.backends.openvino.sizes import Sizes
from fwd_core.backends.openvino.types import INT32_LIMITS, at_edge, computed, element_type, writable
from fwd_core.ir.dims import Dim, DimExpr, Symbol, bounds
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Value
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape

if TYPE_CHECKING:
    from openvino import Node, Output


class OpenVINOLowering(LoweringContext["Output"]):
    """OpenVINO's tensors by graph value, and helpers to make more.

    A lowering may return a node with one output in place of the output. Tensors of floats are
    float32, of integers int32 (see :mod:`~fwd_core.backends.openvino.types`).

    Attributes:
        opset: OpenVINO's operators, ``openvino.opset16``.
        compute: The type that OpenVINO will compute floats in.
        parameters: OpenVINO's tensors of the graph's inputs, in their own types.
        memo: Tensors that several lowerings share, under keys that they choose.
    """

    def __init__(self, graph: Graph, compute: DType = DType.FLOAT32) -> None:
        super().__init__("openvino", graph)
        from openvino import opset16

        self.opset = opset16
        self.compute = compute
        self._limits = compute.limits
        self.memo: dict[object, Output] = {}
        self._named: set[str] = set()
        self.parameters = [self._parameter(value) for value in graph.inputs]
        self._sizes = Sizes(opset16, graph, self.parameters, self._size_from_outside)

    def __setitem__(self, value: Value, tensor: Output | Node) -> None:
        output = tensor if hasattr(tensor, "get_node") else tensor.output(0)
        if 0 in value.type.shape and value.producer is not None:
            # Some of OpenVINO's rewrites take a size of 0 for one to be copied.
            zero = self.number(0, value.type.dtype)
            output = self.opset.broadcast(zero, self.vector(value.type.shape)).output(0)
        super().__setitem__(value, output)
        made = value.producer
        names = (value.name,) if made is None else made.location.nodes(value.name)
        for ordinal, node in enumerate(self._new_nodes(output.get_node())):
            # By a comma, as OpenVINO itself tells the names of what it joins.
            node.set_friendly_name(
                ",".join(names)
                if ordinal == 0
                else f"{value.name}/{node.get_type_name()}_{ordinal}"
            )

    def scalar(self, dim: Dim) -> Output:
        """A size as a 0-d int64 tensor."""
        return self._sizes.scalar(dim)

    def vector(self, dims: Sequence[Dim]) -> Output:
        """Sizes as a 1-d int64 tensor; a constant where all are fixed."""
        return self._sizes.vector(dims)

    def symbol(self, symbol: Symbol) -> Output:
        """The value of a symbol as a 0-d int64 tensor."""
        return self._sizes.symbol(symbol)

    def number(self, value: float, dtype: DType) -> Output:
        """A 0-d constant of the type that stands for ``dtype``."""
        return self.constant(self._in_range(np.array(value, computed(dtype).storage)))

    def constant(self, array: NDArray[Any]) -> Output:
        """A constant over the memory of an array, which OpenVINO then keeps alive."""
        # From an array, not from one of OpenVINO's tensors: those would not keep it alive.
        return self.opset.constant(writable(array), shared_memory=True).output(0)

    def tensor(self, tensor: Tensor) -> Output:
        """A constant of the graph, in the type that stands for its own.

        Raises:
            BuildError: It is int64 and holds values that OpenVINO cannot compute with.
        """
        if tensor.dtype is DType.INT64:
            self._require_int32(tensor.data)
        return self.constant(self._in_range(tensor.astype(computed(tensor.dtype)).data))

    def reshaped(self, value: Value, shape: Sequence[int]) -> Output:
        """The value under a fixed shape of as many elements; a constant stays one."""
        known = value.constant
        if known is not None:
            return self.tensor(Tensor(known.data.reshape(tuple(shape)), known.dtype))
        return self.opset.reshape(self[value], self.vector(shape), False).output(0)

    def reshape(self, tensor: Output, before: Shape, after: Shape) -> Output:
        """The tensor of shape ``before`` under another shape.

        Sizes that stay at their place are copied (0) and one unknown size is left to OpenVINO
        (-1), so that few models compute sizes at run time.
        """
        if before == after:
            return tensor
        if not after:  # OpenVINO 2026 crashes on an empty shape after a MatMul
            return self.opset.squeeze(tensor, self.vector(range(len(before)))).output(0)
        target: list[Dim] = list(after)
        copies = 0 not in after
        for axis, (have, want) in enumerate(zip(before, after)):  # noqa: B905 - ranks may differ
            if copies and isinstance(want, DimExpr) and have == want:
                target[axis] = 0
        unknown = [axis for axis, dim in enumerate(target) if isinstance(dim, DimExpr)]
        if unknown:
            left = max(unknown, key=lambda axis: len(str(after[axis])))
            if all(bounds(dim)[0] > 0 for axis, dim in enumerate(after) if axis != left):
                target[left] = -1
        return self.opset.reshape(tensor, self.vector(target), copies).output(0)

    def _size_from_outside(self, symbol: Symbol) -> Output:
        raise self.error(
            f"the size {symbol.name!r} cannot be read when the engine runs",
            expected="an input with this size as an axis of its own",
            got="no such input",
        )

    def _parameter(self, value: Value) -> Output:
        import openvino

        dtype = value.type.dtype
        shape = openvino.PartialShape([dimension(dim) for dim in value.type.shape])
        node = self.opset.parameter(shape, element_type(at_edge(dtype)), name=value.name)
        output = node.output(0)
        output.get_tensor().set_names({value.name})
        self._named.add(node.get_name())
        inside = computed(dtype)
        narrows = inside is not at_edge(dtype)
        self[value] = self.opset.convert(output, element_type(inside)) if narrows else output
        return output

    def _new_nodes(self, node: Node) -> Iterator[Node]:
        """The node and what feeds it, as far as no value has named them yet."""
        pending = [node]
        while pending:
            node = pending.pop()
            if node.get_name() in self._named:
                continue
            self._named.add(node.get_name())
            yield node
            pending += [source.get_node() for source in node.input_values()]

    def _in_range(self, array: NDArray[Any]) -> NDArray[Any]:
        """Finite floats within what the engine computes in: masks hold the least float32.

        It would be infinite in a smaller type, and a row of such scores NaN after softmax.
        """
        low, high = self._limits
        if array.dtype != np.float32 or low <= DType.FLOAT32.limits[0] or not array.size:
            return array
        if low <= np.fmin.reduce(array, axis=None) and np.fmax.reduce(array, axis=None) <= high:
            return array
        return np.where(np.isinf(array), array, np.clip(array, low, high)).astype(np.float32)

    def _require_int32(self, array: NDArray[Any]) -> None:
        low, high = INT32_LIMITS
        if array.size and not low <= int(array.min()) <= int(array.max()) <= high:
            raise self.error(
                "an int64 constant is out of the range that OpenVINO computes in",
                expected=f"{low} … {high} (int32)",
                got=f"{array.min()} … {array.max()}",
            )


def dimension(dim: Dim) -> Any:
    """A size as OpenVINO's: its range where it is not fixed."""
    import openvino

    if isinstance(dim, int):
        return dim
    low, high = bounds(dim)
    return openvino.Dimension(max(low, 0), high)
