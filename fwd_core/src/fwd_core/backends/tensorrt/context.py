"""What TensorRT lowerings are handed: a network under construction, and checked ways to add to it.

TensorRT never raises for a bad layer (see :mod:`fwd_core.backends.tensorrt.logger`), so every
layer and every setting goes through :meth:`TensorRTLowering.add`, which reads the error recorder
after each and names our node, the user's line and TensorRT's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fwd_core.backends.lowering import LoweringContext
from fwd_core.backends.tensorrt import creators, endless, shapes, weights
from fwd_core.backends.tensorrt.constraints import asked
from fwd_core.backends.tensorrt.layers import joined_metadata
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import Record
from fwd_core.backends.tensorrt.names import binding_names
from fwd_core.backends.tensorrt.types import HELD, binding_type, compute_type
from fwd_core.errors import BuildError
from fwd_core.ir import ops
from fwd_core.ir.dims import Dim
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph, Value
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import Shape

#: The bindings come without types.
ITensor = Any
ILayer = Any
#: TensorRT's ``Dims`` hold no more axes.
MAX_RANK = 8
#: Layers that compute nothing, or in the types that they say, so that no precision is asked.
_UNTYPED = frozenset({"constant", "shape", "shuffle", "cast", "identity", "quantize", "dequantize"})


class TensorRTLowering(LoweringContext[ITensor]):
    """The context of a lowering to TensorRT.

    Attributes:
        trt: The library's module, for its enums.
        features: What the flavour can do.
        network: The ``INetworkDefinition``.
        kept: Arrays whose memory the network points to.
        quantized: Whether the network holds tensors of 8 bits.
        bytewise: Whether the graph dequantizes tensors of 8 bits.
        narrows: Whether the builder takes half for float32 where layers ask for it, so that the
            graph's half is float32 in the network, and no casts stand between the two.
        plugins: Names and versions of the plugins in the network, those of packs with namespaces.
        memo: What layers of the model share, by keys that lowerings choose; with the values of the
            graph in them, since what is made in the branch of a condition stays there.
    """

    def __init__(
        self,
        graph: Graph,
        library: Library,
        network: Any,
        record: Record,
        *,
        narrows: bool = False,
        exact_padding: bool = True,
    ) -> None:
        super().__init__("tensorrt", graph)
        self.trt = library.trt
        self.features = library.features
        self.network = network
        self.kept: list[Tensor] = []
        self.quantized = False
        self.narrows = narrows
        self.exact_padding = exact_padding
        self.plugins: set[str] = set()
        self.memo: dict[Any, Any] = {}
        self._record = record
        self._layer_counts: dict[str, int] = {}
        #: Names of the inputs and of the outputs inside TensorRT.
        self.names = binding_names(graph)
        self._taken: set[str] = {name for side in self.names for name in side}
        self._held: set[ITensor] = set()
        self._wide = False
        self._squares = False
        self.bytewise = any(isinstance(node.op, ops.Dequantize) for node in graph)
        self.sizes = shapes.Sizes(self)

    @cached_property
    def attends(self) -> bool:
        """Whether the graph has attention as one operator, once what is fused is decomposed."""
        return any(isinstance(node.op, ops.Attention) for node in self.graph)

    # --- values -----------------------------------------------------------------------------------

    def __getitem__(self, value: Value) -> ITensor:
        tensor = super().__getitem__(value)
        if tensor is None:
            # Constants become layers when they are first read as tensors: most are weights, which
            # the layers that use them hold themselves.
            constant = value.constant
            assert constant is not None
            tensor = self.constant(constant)
            self[value] = tensor
        return endless.unfolded(self, value) if endless.folds(self, value) else tensor

    def __setitem__(self, value: Value, tensor: ITensor) -> None:
        super().__setitem__(value, tensor)
        if tensor is not None and tensor not in self._held:
            self._held.add(tensor)
            if not tensor.is_network_input:
                tensor.name = self._unique(value.name)
                self.check("naming a tensor")

    def add_inputs(self) -> None:
        """Add the graph's inputs, in the source model's types where they can be bound."""
        for value, name in zip(self.graph.inputs, self.names[0], strict=True):
            bound = binding_type(value.type.dtype, self.features)
            tensor = self.network.add_input(name, self.datatype(bound), static(value.type.shape))
            self.check(f"input {name!r}", tensor)
            self.sizes.inputs[value] = tensor
            self[value] = tensor
            wanted = self.computed(value.type.dtype)
            if wanted != bound:
                self[value] = self.cast(tensor, wanted)

    def mark_outputs(self) -> None:
        """Mark the graph's outputs, in the source model's types where they can be bound."""
        for value, name in zip(self.graph.outputs, self.names[1], strict=True):
            tensor = self[value]
            bound = binding_type(value.type.dtype, self.features)
            if bound != self.computed(value.type.dtype):
                tensor = self.cast(tensor, bound)
            else:
                # An output needs a tensor of its own: not an input, a constant, or one that is
                # marked already or may be.
                tensor = self("identity", tensor)
            tensor.name = name
            self.network.mark_output(tensor)
            self.check(f"output {name!r}")

    # --- layers -----------------------------------------------------------------------------------

    def __call__(self, method: str, *args: Any, **settings: Any) -> ITensor:
        """Add a layer and return its first output. See :meth:`add`."""
        return self.output(self.add(method, *args, **settings))

    def add(self, method: str, *args: Any, **settings: Any) -> ILayer:
        """Add a layer with ``network.add_<method>(*args)`` and set attributes of it.

        Layers are called after the node under way, and say its name in their metadata, which
        the compiler hands on to the kernels that it makes of them.

        Raises:
            BuildError: TensorRT refuses the layer or a setting.
        """
        layer = getattr(self.network, f"add_{method}")(*args)
        self.named(layer, method)
        for name, value in settings.items():
            setattr(layer, name, value)
            self.check(f"{method}.{name} = {value}")
        if method not in _UNTYPED:
            self._constrain(layer)
        return layer

    def plugin(
        self,
        name: str,
        version: str,
        fields: Mapping[str, NDArray[np.generic]],
        inputs: Sequence[ITensor],
    ) -> ILayer:
        """Add a layer that a registered plugin computes (TensorRT 8.6 to 10.13).

        No precision is asked for it: a plugin says itself which types it takes.

        Args:
            name: Of the plugin's creator, as ``CustomGeluPluginDynamic``.
            version: Of the creator.
            fields: What the creator is given, by name: arrays of int32, float32 or float16.
            inputs: Tensors that the plugin reads.

        Raises:
            BuildError: There is no such creator, or it or TensorRT refuses, with their own words.
        """
        return creators.plugin(self, name, version, fields, inputs)

    def plugin_v3(
        self,
        namespace: str,
        name: str,
        fields: Mapping[str, NDArray[np.generic]],
        inputs: Sequence[ITensor],
    ) -> ILayer:
        """Add a layer that a plugin of a pack computes (TensorRT 10 and 11).

        Args:
            namespace: What the pack gave to :func:`creators.provide`.
            name: Of the plugin's creator.
            fields: What the creator is given, by name: arrays of int32, float32 or float16.
            inputs: Tensors that the plugin reads.

        Raises:
            BuildError: There is no such creator, or TensorRT refuses, with its own words.
        """
        return creators.plugin_v3(self, namespace, name, fields, inputs)

    def problems(self) -> list[str]:
        """What TensorRT reported since it was last asked."""
        return self._record.problems()

    def named(self, layer: ILayer, method: str) -> ILayer:
        """A layer that was just added, after it was checked and called after the node under way.

        Raises:
            BuildError: TensorRT refused the layer.
        """
        self.check(method, layer)
        base = self.node.name if self.node is not None else "network"
        count = self._layer_counts[base] = self._layer_counts.get(base, -1) + 1
        nodes = (base,) if self.node is None else self.node.location.nodes(base)
        layer.name = " + ".join([f"{node}/{count}:{method}" for node in nodes])
        layer.metadata = joined_metadata(nodes)
        return layer

    def set_input(self, layer: ILayer, index: int, tensor: ITensor) -> None:
        """Set a further input of a layer.

        Raises:
            BuildError: TensorRT refuses it.
        """
        layer.set_input(index, tensor)
        self.check(f"input {index} of {layer.name}")

    def output(self, layer: ILayer, index: int = 0) -> ITensor:
        """An output of a layer, after TensorRT could infer its shape.

        Raises:
            BuildError: It could not.
        """
        tensor = layer.get_output(index)
        try:
            tuple(tensor.shape)
        except (RuntimeError, ValueError) as error:
            raise self._refusal(layer.name, [str(error)]) from None
        self.check(layer.name)
        return tensor

    def check(self, what: str, made: object = True) -> None:
        """Stop if TensorRT reported an error, or made nothing.

        Raises:
            BuildError: With the node, the user's line and TensorRT's own words.
        """
        if made is None or self._record.failed:
            raise self._refusal(what, [])

    def _refusal(self, what: str, told: list[str]) -> BuildError:
        kind = self.node.op.kind() if self.node is not None else "the network"
        operands = self.node.op.operands() if self.node is not None else ()
        types = ", ".join(str(value.type) for value in operands)
        return self.error(
            f"{self.features.flavour} refuses {kind}({types})",
            details=[f"layer: {what}", *self._record.problems(), *told],
        )

    def _constrain(self, layer: ILayer) -> None:
        # Not run in CI: it needs TensorRT 8 and a GPU.
        if not self.narrows or self.features.strongly_typed or self.node is None:
            return
        single, half = self.trt.DataType.FLOAT, self.trt.DataType.HALF
        wanted = asked(self.node, wide=self._wide, squares=self._squares, bytewise=self.bytewise)
        if wanted is not None and layer.get_output(0).dtype in (single, half):
            layer.precision = half if wanted is DType.FLOAT16 else single
            layer.set_output_type(0, layer.precision)

    def _unique(self, wanted: str) -> str:
        name, ordinal = wanted, 0
        while name in self._taken:
            ordinal += 1
            name = f"{wanted}_{ordinal}"
        self._taken.add(name)
        return name

    # --- types ------------------------------------------------------------------------------------

    def datatype(self, name: str) -> Any:
        """A member of the library's ``DataType``."""
        return getattr(self.trt.DataType, name)

    def cast(self, tensor: ITensor, name: str) -> ITensor:
        """The tensor converted to a ``DataType`` by name."""
        return self("cast", tensor, self.datatype(name))

    def computed(self, dtype: DType) -> str:
        """Name of the ``DataType`` that values of a type have inside the network."""
        if self.narrows and dtype is DType.FLOAT16:
            return "FLOAT"
        return compute_type(dtype, self.features)

    def limits(self, dtype: DType) -> tuple[float, float]:
        """Least and greatest finite value of a type that it has inside the network."""
        (low, high), (least, greatest) = dtype.limits, HELD[self.computed(dtype)].limits
        return max(low, least), min(high, greatest)

    def in_float32(
        self, tensor: ITensor, dtype: DType, compute: Callable[[ITensor], ITensor]
    ) -> ITensor:
        """The result of ``compute`` on a tensor, computed in float32 where that is wider."""
        name = self.computed(dtype)
        if name == "FLOAT":
            self._wide, outer = True, self._wide
            try:
                return compute(tensor)
            finally:
                self._wide = outer
        return self.cast(compute(self.cast(tensor, "FLOAT")), name)

    def in_squares(self, compute: Callable[[], ITensor]) -> ITensor:
        """The result of layers that square what they are given: none is left to half."""
        self._squares, outer = True, self._squares
        try:
            return compute()
        finally:
            self._squares = outer

    # --- constants --------------------------------------------------------------------------------

    def constant(self, tensor: Tensor) -> ITensor:
        """A constant in the type that its own type is computed in."""
        return weights.constant(self, tensor)

    def scalar(self, value: float | bool, dtype: DType, rank: int) -> ITensor:
        """One number as a constant of the rank of what it is combined with."""
        return self.constant(_number(value, dtype, rank))

    def fill(self, value: float | bool, dtype: DType) -> ITensor:
        """One number to fill slices with, which are layers of their own and keep all numbers."""
        return weights.constant(self, _number(value, dtype, 0), plain=True)

    # --- shapes -----------------------------------------------------------------------------------

    def reshape(self, tensor: ITensor, shape: Shape, new: Shape) -> ITensor:
        """A tensor of a shape under another one of as many elements."""
        return shapes.reshape(self, tensor, shape, new)

    def unsqueeze(self, tensor: ITensor, shape: Shape, axes: Sequence[int]) -> ITensor:
        """A tensor of a shape with axes of size 1 inserted, at these positions of the result."""
        return shapes.unsqueeze(self, tensor, shape, axes)

    def ranked(self, value: Value, rank: int) -> ITensor:
        """An operand with axes of size 1 in front up to a rank: TensorRT broadcasts equal ranks."""
        lead = rank - value.type.rank
        return self.unsqueeze(self[value], value.type.shape, range(lead))

    def aligned(self, *values: Value) -> list[ITensor]:
        """Operands that broadcast, with equal ranks."""
        rank = max(value.type.rank for value in values)
        return [self.ranked(value, rank) for value in values]

    def elementwise(self, operation: str, a: ITensor, b: ITensor) -> ITensor:
        """A binary layer by the name of its ``ElementWiseOperation``; ranks and types are equal."""
        return self("elementwise", a, b, getattr(self.trt.ElementWiseOperation, operation))

    def unary(self, operation: str, tensor: ITensor) -> ITensor:
        """A unary layer by the name of its ``UnaryOperation``."""
        return self("unary", tensor, getattr(self.trt.UnaryOperation, operation))

    def transpose(self, tensor: ITensor, order: Sequence[int]) -> ITensor:
        """A tensor with its axes in another order."""
        return self("shuffle", tensor, first_transpose=tuple(order))

    def slice(
        self,
        tensor: ITensor,
        shape: Shape,
        cuts: Mapping[int, tuple[Dim, Dim, int]],
        *,
        mode: str | None = None,
        fill: ITensor | None = None,
    ) -> ITensor:
        """Axes cut to ``(start, length, step)``; the others stay. See :func:`shapes.cut`."""
        return shapes.cut(self, tensor, shape, cuts, mode=mode, fill=fill)


def _number(value: float | bool, dtype: DType, rank: int) -> Tensor:
    wide = DType.FLOAT64 if dtype.is_float else DType.INT64
    return Tensor(np.full((1,) * rank, value, wide.storage)).astype(dtype)


def static(shape: Shape) -> tuple[int, ...]:
    """A shape as TensorRT writes it: -1 for sizes that are known when the engine runs."""
    return tuple(dim if isinstance(dim, int) else -1 for dim in shape)
