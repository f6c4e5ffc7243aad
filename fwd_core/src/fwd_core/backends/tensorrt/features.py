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
#: The preview feature; as of TensorRT 10 it is on by itself.
_PROFILE_SHARING = "PROFILE_SHARING_0806"
#: While it is on, layers take no kernels from cuBLAS and cuDNN, whatever sources are named.
HIDES_SOURCES = "DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805"


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
        typed_quantization: Layers that quantize and dequantize are given the type that they make.
        byte_constants: Constants may be integers of 8 bits, to be dequantized.
        single_scales: Scales of such layers may be float32 beside tensors of half; else they are
            of the tensors' type.
        typed_fill: Filled tensors are given an element type when they are made.
        plugin_creators: Layers of plugins can be made by registered creators of version 2.
        plugin_objects: Layers of plugins can be made of objects of version 3.
        progress_monitor: Builds report progress.
        half_flag: Half precision must be allowed by a flag of the builder.
        tactic_sources: Where kernels may be taken from, as ``CUBLAS``.
        sources_hidden: Kernels of cuBLAS and cuDNN are left alone until a preview feature that
            hides them is switched off.
        profile_sharing: Contexts may share an optimization profile only if a build allowed it.
        timing_cache: What a build measured can be kept for the next one.
        version_compatible: A plan can be made that later versions load.
        hardware_compatible: A plan can be made that runs on every GPU from ``sm_80`` on.
        inspector: A loaded engine tells its compiled layers.
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
    typed_quantization: bool
    byte_constants: bool
    single_scales: bool
    typed_fill: bool
    plugin_creators: bool
    plugin_objects: bool
    progress_monitor: bool
    half_flag: bool
    tactic_sources: tuple[str, ...]
    sources_hidden: bool
    profile_sharing: bool
    timing_cache: bool
    version_compatible: bool
    hardware_compatible: bool
    inspector: bool

    @classmethod
    def describe(cls, flavour: str, members: Members) -> Features:
        """The features that follow from which names exist."""
        strong = "STRONGLY_TYPED" in members("NetworkDefinitionCreationFlag")
        network = members("INetworkDefinition")
        capabilities = _capabilities(members("ComputeCapability"))
        # What builds without a GPU measures no kernels, and has the names of what follows from
        # measuring, or from being bound to one GPU, without the use.
        bound = not capabilities
        levels = members("HardwareCompatibilityLevel")
        return cls(
            flavour=flavour,
            network_flag="STRONGLY_TYPED" if strong else "EXPLICIT_BATCH",
            optional_types=frozenset(_OPTIONAL_TYPES) & frozenset(members("DataType")),
            compute_capabilities=capabilities,
            slice_axes="axes" in members("ISliceLayer"),
            unsqueeze="add_unsqueeze" in network,
            gelu="GELU_ERF" in members("ActivationType"),
            isnan="ISNAN" in members("UnaryOperation"),
            attention="add_attention" in network,
            cumulative="add_cumulative" in network,
            typed_quantization="to_type" in members("IQuantizeLayer"),
            byte_constants="to_type" in members("IQuantizeLayer"),
            # Blocks came in with the same release. Weakly typed networks take float32 always.
            single_scales=not strong or "block_shape" in members("IQuantizeLayer"),
            typed_fill="is_alpha_beta_int64" in members("IFillLayer"),
            plugin_creators=(
                "add_plugin_v2" in network and "get_plugin_creator" in members("IPluginRegistry")
            ),
            plugin_objects="add_plugin_v3" in network,
            progress_monitor="step_complete" in members("IProgressMonitor"),
            # Strongly typed networks take the graph's types as they are and refuse the flag.
            half_flag=not strong and "FP16" in members("BuilderFlag"),
            tactic_sources=tuple(
                sorted(name for name in members("TacticSource") if re.fullmatch("[A-Z_]+", name))
            ),
            sources_hidden=HIDES_SOURCES in members("PreviewFeature"),
            profile_sharing=_PROFILE_SHARING in members("PreviewFeature"),
            timing_cache=bound and "set_timing_cache" in members("IBuilderConfig"),
            version_compatible=bound and "VERSION_COMPATIBLE" in members("BuilderFlag"),
            hardware_compatible=bound and "AMPERE_PLUS" in levels,
            inspector="create_engine_inspector" in members("ICudaEngine"),
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

    def narrows(self, mode: str) -> bool:
        """Whether builds in a mode choose half for float32, where layers ask for it."""
        return self.half_flag and mode in ("float16", "int8")

    @property
    def int8_flag(self) -> bool:
        """Whether int8 kernels must be allowed by a flag of the builder, as half is."""
        return self.half_flag

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
    def float_sums(self) -> bool:
        """Whether a convolution of 8 bits can add a tensor of floats to its result.

        TensorRT 8.6 joins the two and then finds no kernel (NVIDIA/TensorRT#3040).
        """
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
    def plain_attention(self) -> bool:
        """Whether attention becomes one kernel only if written plainly (before TensorRT 10).

        That is with scores that are scaled after their product, and values as they are made.
        """
        return not self.int64

    @property
    def cudnn_in_times(self) -> bool:
        """Whether a timing cache cannot be written without cuDNN (before TensorRT 10)."""
        return self.cudnn and not self.int64

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
    def cudnn(self) -> bool:
        """Whether kernels may be taken from cuDNN."""
        return "CUDNN" in self.tactic_sources

    @property
    def layer_list(self) -> bool:
        """Whether a build can tell the compiled layers: RTX in its log, others once loaded."""
        return self.ahead_of_time or self.inspector


def _capabilities(names: Collection[str]) -> tuple[str, ...]:
    numbers = sorted(int(name[2:]) for name in names if re.fullmatch(r"SM\d+", name))
    return tuple(f"sm_{number}" for number in numbers)


_OWN_SOURCES = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
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
    typed_quantization=False,
    byte_constants=False,
    single_scales=True,
    typed_fill=False,
    plugin_creators=True,
    plugin_objects=False,
    progress_monitor=False,
    half_flag=True,
    tactic_sources=("CUBLAS", "CUBLAS_LT", "CUDNN", *_OWN_SOURCES),
    sources_hidden=True,
    profile_sharing=True,
    timing_cache=True,
    version_compatible=True,
    hardware_compatible=True,
    inspector=True,
)
_10_0 = replace(
    _8_6,
    network_flag="STRONGLY_TYPED",
    optional_types=frozenset(_OPTIONAL_TYPES),
    gelu=True,
    typed_quantization=True,
    byte_constants=True,
    single_scales=False,
    typed_fill=True,
    plugin_objects=True,
    progress_monitor=True,
    half_flag=False,
    sources_hidden=False,
)
_10_13 = replace(_10_0, slice_axes=True, unsqueeze=True, isnan=True, cumulative=True)
_11_4 = replace(
    _10_13,
    attention=True,
    single_scales=True,
    plugin_creators=False,
    tactic_sources=_OWN_SOURCES,
    profile_sharing=False,
)
_RTX_1_7 = replace(
    _11_4,
    flavour="tensorrt_rtx",
    compute_capabilities=("sm_75", "sm_80", "sm_86", "sm_89", "sm_120", "sm_121"),
    plugin_objects=False,
    timing_cache=False,
    version_compatible=False,
    hardware_compatible=False,
)

#: Features by flavour and version.
ROWS: dict[tuple[str, str], Features] = {
    ("tensorrt", "8.6.0"): _8_6,
    ("tensorrt", "10.0.1"): _10_0,
    ("tensorrt", "10.13.3.9"): _10_13,
    ("tensorrt", "11.4.0.106"): _11_4,
    ("tensorrt_rtx", "1.7.1.116"): _RTX_1_7,
}
