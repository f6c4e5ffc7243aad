"""Small float networks by name of layer, and what of them is worth comparing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fwd_core.ir import Dim, DType, Graph, Tensor, TensorType, Value, ops


class Net:
    """Adds layers with random weights to a graph."""

    def __init__(self, seed: int = 0) -> None:
        self.graph = Graph("net")
        self.numbers = np.random.default_rng(seed)

    def input(self, *shape: Dim, name: str = "x", dtype: DType = DType.FLOAT32) -> Value:
        return self.graph.add_input(name, TensorType(dtype, shape))

    def constant(self, *shape: int, name: str = "constant") -> Value:
        data = self.numbers.standard_normal(shape).astype(np.float32)
        return self.graph.constant(Tensor(data), name=name)

    def add(self, op: ops.Operator, name: str) -> Value:
        return self.graph.add(op, name=name)

    def conv(
        self,
        x: Value,
        name: str,
        out: int = 4,
        kernel: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        weight: Value | None = None,
    ) -> Value:
        """A convolution that keeps the sizes of 1 to 3 spatial axes."""
        spatial = x.type.rank - 2
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        if weight is None:
            shape = (out, channels // groups, *(kernel,) * spatial)
            weight = self.constant(*shape, name=f"{name}.weight")
        shift = self.constant(out, name=f"{name}.bias") if bias else None
        pad, ones = (kernel // 2,) * spatial, (1,) * spatial
        op = ops.Convolution(x, weight, shift, ones, pad, pad, ones, groups)
        return self.add(op, name)

    def up(
        self, x: Value, name: str, out: int = 4, *, groups: int = 1, bias: bool = False
    ) -> Value:
        """A transposed convolution with kernel and stride 2."""
        spatial, channels = x.type.rank - 2, x.type.shape[1]
        assert isinstance(channels, int)
        weight = self.constant(channels, out // groups, *(2,) * spatial, name=f"{name}.weight")
        shift = self.constant(out, name=f"{name}.bias") if bias else None
        zeros, ones, twos = (0,) * spatial, (1,) * spatial, (2,) * spatial
        op = ops.ConvolutionTranspose(x, weight, shift, twos, zeros, zeros, ones, groups)
        return self.add(op, name)

    def norm(self, x: Value, name: str) -> Value:
        """Batch normalization with statistics of some data."""
        channels = x.type.shape[1]
        assert isinstance(channels, int)
        mean, scale, shift = (
            self.constant(channels, name=f"{name}.{one}") for one in ("mean", "scale", "shift")
        )
        data = self.numbers.uniform(0.1, 2.0, channels).astype(np.float32)
        variance = self.graph.constant(Tensor(data), name=f"{name}.variance")
        return self.add(ops.BatchNorm(x, mean, variance, scale, shift, 1e-5), name)

    def linear(self, x: Value, name: str, out: int = 4, *, bias: bool = False) -> Value:
        features = x.type.shape[-1]
        assert isinstance(features, int)
        weight = self.constant(out, features, name=f"{name}.weight")
        shift = self.constant(out, name=f"{name}.bias") if bias else None
        return self.add(ops.Linear(x, weight, shift), name)

    def pool(self, x: Value, name: str, kind: type[ops.Operator] = ops.MaxPool) -> Value:
        """Windows of 2 by 2."""
        if kind is ops.MaxPool:
            return self.add(ops.MaxPool(x, (2, 2), (2, 2), (0, 0), (1, 1)), name)
        return self.add(ops.AveragePool(x, (2, 2), (2, 2), (0, 0)), name)

    def finish(self, *outputs: Value) -> Graph:
        self.graph.set_outputs(outputs, [f"y{i}" for i in range(len(outputs))])
        return self.graph.verify()


def lines(graph: Graph, *kinds: type[ops.Operator]) -> list[str]:
    """Nodes as ``name = Operator(operands)``; no constants, and all kinds or these only."""
    found = []
    for node in graph.verify():
        if isinstance(node.op, ops.Constant) or (kinds and not isinstance(node.op, kinds)):
            continue
        operands = ", ".join(value.name for value in node.op.operands())
        found.append(f"{node.name} = {type(node.op).__name__}({operands})")
    return found


def everything(graph: Graph, amax: float = 3.0, *, but: Sequence[str] = ()) -> dict[str, float]:
    """One range for all tensors of a graph, except for some."""
    return {value.name: amax for value in graph.values() if value.name not in but}
