"""The compiled layers of an engine, read from what a build with all details logs.

TensorRT-RTX writes one message that lists every kernel with its inputs, constants and outputs,
their element types, and which layers of the network it was made of. Reading it needs no GPU.
"""

from __future__ import annotations

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
#: Layers that are one matrix product or convolution.
_PRODUCTS = frozenset({"gemm", "correlation", "deconv"})
_NO_FLOATS = frozenset({"Bool", "Int32", "Int64", "UInt8"})
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
        if self.kind in _PRODUCTS or "gemm" in self.name:
            return True
        # The name of a generated kernel is made of what it does, as in __myl_CorrMulAddRelu_3.
        steps = re.findall(r"[A-Z][a-z]+", self.name) if self.name.startswith("__myl_") else []
        return "Fc" in steps or "Corr" in steps

    @property
    def product_dtype(self) -> str:
        """Type of what a product multiplies: its largest constant, else its first float input."""
        weights = [constant for constant in self.constants if _count(constant.shape) > 1]
        weights.sort(key=lambda constant: -_count(constant.shape))
        floats = [tensor for tensor in (*weights, *self.inputs) if tensor.dtype not in _NO_FLOATS]
        return floats[0].dtype if floats else "none"

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
            tuple(dict.fromkeys(filter(None, _SEPARATORS.split(match["metadata"])))),
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


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= abs(size)
    return count
