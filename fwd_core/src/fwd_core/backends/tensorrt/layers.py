"""The compiled layers of an engine, and reading them from what a build with all details logs.

TensorRT-RTX writes one message that lists every kernel with its inputs, constants and outputs,
their element types, and which layers of the network it was made of. Reading it needs no GPU.
Loaded engines of every flavour tell the same: see :mod:`fwd_core.backends.tensorrt.inspector`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

_START = "Layers:"
_LAYER = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: \[(?P<constants>.*?)\], Outputs: \[(?P<outputs>.*?)\], "
    r"TacticName: (?P<tactic>.*?), StreamId: \d+, Metadata: (?P<metadata>.*)$"
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<shape>[-\d,]*)\].*?Datatype: (?P<dtype>\w+)"
)
#: Between the metadata of layers that were joined, in order or side by side.
_SEPARATORS = re.compile("[\x1e\x1f]")
#: Kinds of layers that are one matrix product or convolution, as ``gemm``, ``CaskConvolution``,
#: ``CaskGemmMatrixMultiply`` or ``FullyConnected``.
_PRODUCTS = re.compile("gemm|correlation|conv|matrixmultiply|matmul|fullyconnected", re.IGNORECASE)
_NO_FLOATS = frozenset({"", "Bool", "Int32", "Int64", "UInt8"})
#: What the name of a kernel says of the types that it multiplies, as in ``f16f16_f32``.
_OPERANDS = (
    ("Half", re.compile(r"(?<![a-z])f16f16_|h16816|hgemm|h884|fp16")),
    ("Float", re.compile("f32f32_|tf32|sgemm|scudnn")),
    ("Int8", re.compile("i8i8_|i8816|i16832|int8")),
)
#: Layers that tell nothing of the kernels inside them: a piece of the network that TensorRT's
#: second compiler made one (names begin with ``{ForeignNode[``).
_OPAQUE = "Myelin"
#: Layers that only keep streams in step.
_SYNCHRONIZATION = frozenset({"signal", "wait", "shape_call"})


@dataclass(frozen=True)
class CompiledTensor:
    """A tensor between compiled layers: name, shape (-1 for dynamic sizes) and TensorRT's type."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class CompiledLayer:
    """One kernel of an engine.

    Attributes:
        name: TensorRT's name of it.
        kind: ``gemm``, ``correlation`` (convolution), ``kgen`` (generated), ….
        inputs: Tensors that it reads.
        constants: Weights that it reads.
        outputs: Tensors that it writes.
        tactic: Name of the kernel.
        nodes: Names of our nodes that it computes; some kernels do not tell.
    """

    name: str
    kind: str
    inputs: tuple[CompiledTensor, ...]
    constants: tuple[CompiledTensor, ...]
    outputs: tuple[CompiledTensor, ...]
    tactic: str
    nodes: tuple[str, ...]

    @property
    def computes(self) -> bool:
        """Whether it does more than keep streams in step."""
        return self.kind not in _SYNCHRONIZATION

    @property
    def is_product(self) -> bool:
        """Whether it multiplies matrices or convolves: where the time goes."""
        if self.is_opaque:
            return False
        if _PRODUCTS.search(self.kind) or "gemm" in self.name or "gemm" in self.tactic:
            return True
        # The name of a generated kernel is made of what it does, as in __myl_CorrMulAddRelu_3.
        steps = re.findall(r"[A-Z][a-z]+", self.name) if self.name.startswith("__myl_") else []
        return "Fc" in steps or "Corr" in steps

    @property
    def dtype(self) -> str:
        """What a product multiplies; of other layers, what they make."""
        if self.is_product:
            return self.product_dtype
        return self.outputs[0].dtype if self.outputs else ""

    @property
    def is_opaque(self) -> bool:
        """Whether it is several kernels of which nothing is told (TensorRT 8's transformers)."""
        return self.kind == _OPAQUE

    @property
    def product_dtype(self) -> str:
        """Type of what a product multiplies: its largest constant, else its first float input.

        Weights may be integers that are only held in 8 bits: multiplied they are if an input is of
        integers too. Where neither is told, what the kernel's name says.
        """
        weights = [constant for constant in self.constants if _size(constant) > 1]
        weights.sort(key=lambda constant: -_size(constant))
        floats = [tensor for tensor in (*weights, *self.inputs) if tensor.dtype not in _NO_FLOATS]
        if floats:
            read = [tensor.dtype for tensor in floats if tensor in self.inputs]
            held = floats[0].dtype == "Int8" and read and "Int8" not in read
            return read[0] if held else floats[0].dtype
        said = [dtype for dtype, words in _OPERANDS if words.search(self.tactic)]
        return said[0] if said else "none"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CompiledLayer:
        """The inverse of :meth:`to_json`."""
        tensors = {
            side: tuple(
                CompiledTensor(each["name"], tuple(each["shape"]), each["dtype"])
                for each in document[side]
            )
            for side in ("inputs", "constants", "outputs")
        }
        nodes = tuple(document["nodes"])
        tactic = document["tactic"]
        return cls(document["name"], document["kind"], tactic=tactic, nodes=nodes, **tensors)


@dataclass(frozen=True)
class HalfShare:
    """How many products of an engine multiply in half precision.

    Attributes:
        half: Matrix products and convolutions that do.
        products: All of them that the engine tells of.
        opaque: Layers that hold products and tell nothing of them, which are in neither number.
    """

    half: int
    products: int
    opaque: int

    @property
    def share(self) -> float:
        """Part of the products that is in half; 0 if there are none."""
        return self.half / self.products if self.products else 0.0


def half_share(layers: Iterable[CompiledLayer]) -> HalfShare:
    """Count the products of an engine and those in half precision."""
    listed = list(layers)
    types = [layer.product_dtype for layer in listed if layer.is_product]
    opaque = sum(layer.is_opaque for layer in listed)
    return HalfShare(types.count("Half"), len(types), opaque)


def joined_metadata(nodes: Iterable[str]) -> str:
    """Metadata of a layer that computes several of our nodes, as TensorRT joins those of layers."""
    return "\x1e".join(nodes)


def nodes_of(metadata: str) -> tuple[str, ...]:
    """Names of our nodes in the metadata of a layer."""
    return tuple(dict.fromkeys(filter(None, _SEPARATORS.split(metadata))))


def find(messages: Iterable[str]) -> list[CompiledLayer] | None:
    """The layers in the messages of a build, or ``None`` if none lists them."""
    for message in messages:
        if message.startswith(_START):
            return parse(message)
    return None


def parse(message: str) -> list[CompiledLayer]:
    """The layers in the message that lists them."""
    # Not splitlines(), which also splits at the separators of metadata.
    lines = message.split("\nI/O Tensors:", maxsplit=1)[0].split("\n")
    matches = [match for line in lines if (match := _LAYER.match(line))]
    return [
        CompiledLayer(
            match["name"],
            match["kind"],
            _tensors(match["inputs"]),
            _tensors(match["constants"]),
            _tensors(match["outputs"]),
            match["tactic"],
            nodes_of(match["metadata"]),
        )
        for match in matches
    ]


def _tensors(text: str) -> tuple[CompiledTensor, ...]:
    return tuple(
        CompiledTensor(
            match["name"], tuple(int(n) for n in match["shape"].split(",") if n), match["dtype"]
        )
        for match in _TENSOR.finditer(text)
    )


def _size(tensor: CompiledTensor) -> int:
    """Elements of a tensor, or what there are at least where sizes are dynamic."""
    return math.prod(map(abs, tensor.shape))
