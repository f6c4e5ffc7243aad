"""The products among the kernels that OpenVINO runs, and whether they are of integers."""

from __future__ import annotations

from typing import Any, NamedTuple

import openvino
import pytest

from benchmarks.integers import described, multiplies_integers
from fwd_core import Engine

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
    is_of_integers: bool

    @property
    def is_product(self) -> bool:
        """Convolutions and matrix products, also as parts of generated kernels."""
        return self.kind in KINDS or (self.kind == "Subgraph" and "matmul" in self.layers.lower())


def products(engine: Engine) -> list[Kernel]:
    """The products among the kernels of an engine."""
    plan: Any = engine.plan
    nodes = plan.compiled.get_runtime_model().get_ordered_ops()
    found = [Kernel(*described(node), multiplies_integers(node)) for node in nodes]
    return [kernel for kernel in found if kernel.is_product]
