"""What a flavour of TensorRT can do, as data: lowerings ask here and never for a version.

:meth:`Features.describe` looks only at which names exist, so it describes an installed library
and a recorded list of names in the same way. :data:`ROWS` holds what it says of the versions
that Forward is written for; tests hold the two against one another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import ModuleType

#: The names in a class or enum of the library; nothing where the library does not have it.
Members = Callable[[str], Collection[str]]

#: Element types that not every flavour has and that lowerings use where they are.
_OPTIONAL_TYPES = ("BF16", "INT64")


@dataclass(frozen=True)
class Features:
    """What one flavour of TensorRT can do.

    Attributes:
        flavour: Name of the Python module: ``tensorrt`` or ``tensorrt_rtx``.
        network_flag: Flag that networks are created with: ``STRONGLY_TYPED`` where there is such
            a thing, else ``EXPLICIT_BATCH``.
        optional_types: Which of the element types that came with TensorRT 10 exist.
        compute_capabilities: GPUs that can be built for without having one, as ``sm_89``; empty
            where a build is for the GPU at hand.
        slice_axes: Slices may name the axes that they cut.
        unsqueeze: There is a layer that inserts axes.
        gelu: There are GELU activations.
        isnan: There is a unary layer that tells NaN.
        attention: There is a fused attention layer.
        cumulative: There is a layer of cumulative sums.
        typed_fill: Filled tensors are given an element type when they are made.
        progress_monitor: Builds report progress.
        half_flag: Half precision must be allowed by a flag of the builder.
        cudnn: Kernels may be taken from cuDNN.
    """

    flavour: str
    network_flag: str
    optional_types: frozenset[str]
    compute_capabilities: tuple[str, ...]
    slice_axes: bool
    unsqueeze: bool
    gelu: bool
    isnan: bool
    attention: bool
    cumulative: bool
    typed_fill: bool
    progress_monitor: bool
    half_flag: bool
    cudnn: bool

    @classmethod
    def describe(cls, flavour: str, members: Members) -> Features:
        """The features that follow from which names exist."""
        strong = "STRONGLY_TYPED" in members("NetworkDefinitionCreationFlag")
        network = members("INetworkDefinition")
        return cls(
            flavour=flavour,
            network_flag="STRONGLY_TYPED" if strong else "EXPLICIT_BATCH",
            optional_types=frozenset(_OPTIONAL_TYPES) & frozenset(members("DataType")),
            compute_capabilities=_capabilities(members("ComputeCapability")),
            slice_axes="axes" in members("ISliceLayer"),
            unsqueeze="add_unsqueeze" in network,
            gelu="GELU_ERF" in members("ActivationType"),
            isnan="ISNAN" in members("UnaryOperation"),
            attention="add_attention" in network,
            cumulative="add_cumulative" in network,
            typed_fill="is_alpha_beta_int64" in members("IFillLayer"),
            progress_monitor="step_complete" in members("IProgressMonitor"),
            # Strongly typed networks take the graph's types as they are and refuse the flag.
            half_flag=not strong and "FP16" in members("BuilderFlag"),
            cudnn="CUDNN" in members("TacticSource"),
        )

    @classmethod
    def of(cls, library: ModuleType) -> Features:
        """The features of an imported library."""

        def members(name: str) -> Collection[str]:
            return dir(getattr(library, name)) if hasattr(library, name) else ()

        return cls.describe(library.__name__, members)

    @property
    def strongly_typed(self) -> bool:
        """Whether a tensor's type in the network is the type that it is computed in."""
        return self.network_flag == "STRONGLY_TYPED"

    @property
    def int64(self) -> bool:
        """Whether there are 64-bit integers, which also type shapes; else there are 32-bit ones."""
        return "INT64" in self.optional_types

    @property
    def bfloat16(self) -> bool:
        """Whether there is bfloat16, and so weights that NumPy cannot hold."""
        return "BF16" in self.optional_types

    @property
    def integer_power(self) -> bool:
        """Whether integers can be raised to a power (as of TensorRT 10, with 64-bit integers)."""
        return self.int64

    @property
    def integer_topk(self) -> bool:
        """Whether a layer finds the greatest integers (as of TensorRT 10; before, floats only)."""
        return self.int64

    @property
    def bool_constants(self) -> bool:
        """Whether constants may be bool (as of TensorRT 10; before, integers are cast)."""
        return self.int64

    @property
    def endless_constants(self) -> bool:
        """Whether single numbers may be infinite or NaN (as of TensorRT 10)."""
        return self.int64

    @property
    def wide_angles(self) -> bool:
        """Whether sines are right beyond a few turns (as of TensorRT 10; before, the GPU's own)."""
        return self.int64

    @property
    def bool_padding(self) -> bool:
        """Whether slices of bools may reach beyond their ends (as of TensorRT 10)."""
        return self.int64

    @property
    def byte_bindings(self) -> bool:
        """Whether 8-bit inputs and outputs need no ranges or scales (as of TensorRT 10)."""
        return self.int64

    @property
    def nested_conditionals(self) -> bool:
        """Whether conditionals of dynamic sizes may be in others (RTX 1.7 cannot compile them)."""
        return not self.ahead_of_time

    @property
    def ahead_of_time(self) -> bool:
        """Whether builds need no GPU."""
        return bool(self.compute_capabilities)

    @property
    def portable(self) -> tuple[str, ...]:
        """GPUs that a build ahead of time is for if none is named: all but Turing's."""
        return tuple(name for name in self.compute_capabilities if name != "sm_75")

    @property
    def layer_list(self) -> bool:
        """Whether a build can tell the compiled layers (read from RTX's log; others need a GPU)."""
        return self.ahead_of_time


def _capabilities(names: Collection[str]) -> tuple[str, ...]:
    numbers = sorted(int(name[2:]) for name in names if re.fullmatch(r"SM\d+", name))
    return tuple(f"sm_{number}" for number in numbers)


_8_6 = Features(
    flavour="tensorrt",
    network_flag="EXPLICIT_BATCH",
    optional_types=frozenset(),
    compute_capabilities=(),
    slice_axes=False,
    unsqueeze=False,
    gelu=False,
    isnan=False,
    attention=False,
    cumulative=False,
    typed_fill=False,
    progress_monitor=False,
    half_flag=True,
    cudnn=True,
)
_10_0 = replace(
    _8_6,
    network_flag="STRONGLY_TYPED",
    optional_types=frozenset(_OPTIONAL_TYPES),
    gelu=True,
    typed_fill=True,
    progress_monitor=True,
    half_flag=False,
)
_10_13 = replace(_10_0, slice_axes=True, unsqueeze=True, isnan=True, cumulative=True)
_11_4 = replace(_10_13, attention=True, cudnn=False)
_RTX_1_7 = replace(
    _11_4,
    flavour="tensorrt_rtx",
    compute_capabilities=("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121"),
)

#: Features by flavour and version.
ROWS: dict[tuple[str, str], Features] = {
    ("tensorrt", "8.6.0"): _8_6,
    ("tensorrt", "10.0.1"): _10_0,
    ("tensorrt", "10.13.3.9"): _10_13,
    ("tensorrt", "11.4.0.106"): _11_4,
    ("tensorrt_rtx", "1.7.1.116"): _RTX_1_7,
}
