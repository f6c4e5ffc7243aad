"""The products among the kernels that OpenVINO runs, and whether they are of integers."""

from __future__ import annotations

from typing import Any, NamedTuple

import openvino
import pytest

from fwd_core import Engine

BYTES = ("i8", "u8")
KINDS = ("Convolution", "Deconvolution", "FullyConnected", "MatMul")
CAPABILITIES = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
integer_kernels = pytest.mark.skipif(
    "INT8" not in CAPABILITIES,
    reason=f"OpenVINO has no int8 kernels for this CPU, only {CAPABILITIES}",
)


class Kernel(NamedTuple):
    kind: str
    dtype: str
    layers: str
    reads: tuple[str, ...]

    @property
    def is_product(self) -> bool:
        """Convolutions and matrix products, also as parts of generated kernels."""
        return self.kind in KINDS or (self.kind == "Subgraph" and "matmul" in self.layers.lower())

    @property
    def is_of_integers(self) -> bool:
        """The type of a generated kernel is that of what it reads first, which may be a mask."""
        if self.kind != "Subgraph":
            return self.dtype in BYTES
        made = "DequantizationMultiply" in self.layers
        return made or sum(dtype in BYTES for dtype in self.reads) > 1


def products(engine: Engine) -> list[Kernel]:
    """The products among the kernels of an engine."""
    plan: Any = engine.plan
    nodes = plan.compiled.get_runtime_model().get_ordered_ops()
    keys = ("layerType", "runtimePrecision", "originalLayersNames")

    def kernel(node: Any) -> Kernel:
        told = (node.get_rt_info()[key].astype(str) for key in keys)
        reads = (one.get_element_type().get_type_name() for one in node.inputs())
        return Kernel(*told, tuple(reads))

    found = [kernel(node) for node in nodes]
    return [kernel for kernel in found if kernel.is_product]
