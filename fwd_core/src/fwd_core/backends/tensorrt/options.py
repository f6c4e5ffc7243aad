"""What can be asked of the TensorRT backend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Union

from fwd_core.backends.base import Options
from fwd_core.backends.tensorrt.features import Features
from fwd_core.backends.tensorrt.library import FLAVOURS
from fwd_core.errors import OptionError

OPTIMIZATION_LEVELS = range(6)


@dataclass(frozen=True)
class TensorRTOptions(Options):
    """Options of backend ``tensorrt``.

    Attributes:
        flavour: ``tensorrt``, ``tensorrt_rtx``, or ``auto``: the first if it can be used here,
            else the second.
        gpu: GPUs to build for, as ``sm_89`` or several (``("sm_89", "sm_120")`` or
            ``"sm_89,sm_120"``). By default TensorRT-RTX builds for every GPU that it knows but
            Turing's (``sm_75``), and TensorRT for the GPU at hand, the only one it takes.
        workspace: Most bytes of scratch memory that a layer may use on the GPU; by default all.
        optimization_level: 0 (quick build) to 5 (best engine); by default the library's own.
        tf32: Let float32 matrix products and convolutions round their operands to 10 bits of
            mantissa. Faster, with errors near 1e-3.
        cuda_graph: ``auto`` to record runs that repeat (the same shapes at the same addresses) and
            replay them with one call, ``off`` to queue every run anew.
        layers: Keep the list of compiled layers in the engine, for ``fwd inspect``.

    Raises:
        OptionError: A value is out of its range.
    """

    flavour: Literal["auto", "tensorrt", "tensorrt_rtx"] = "auto"
    gpu: Union[str, Sequence[str], None] = None
    workspace: Union[int, None] = None
    optimization_level: Union[int, None] = None
    tf32: bool = False
    cuda_graph: Literal["auto", "off"] = "auto"
    layers: bool = False

    def __post_init__(self) -> None:
        if self.flavour not in ("auto", *FLAVOURS):
            raise OptionError(
                "option 'flavour' of backend 'tensorrt'",
                expected=", ".join(("auto", *FLAVOURS)),
                got=self.flavour,
            )
        if self.cuda_graph not in ("auto", "off"):
            raise OptionError(
                "option 'cuda_graph' of backend 'tensorrt'",
                expected="auto, off",
                got=self.cuda_graph,
            )
        for name in self.gpus:
            if not re.fullmatch(r"sm_\d{2,3}", name):
                raise OptionError(
                    "option 'gpu' of backend 'tensorrt'",
                    expected="compute capabilities such as sm_89",
                    got=name,
                )
        if self.workspace is not None and self.workspace <= 0:
            raise OptionError(
                "option 'workspace' of backend 'tensorrt'", expected="bytes", got=self.workspace
            )
        if self.optimization_level not in (None, *OPTIMIZATION_LEVELS):
            raise OptionError(
                "option 'optimization_level' of backend 'tensorrt'",
                expected=f"{OPTIMIZATION_LEVELS[0]} … {OPTIMIZATION_LEVELS[-1]}",
                got=self.optimization_level,
            )

    @property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs asked for, none for the default."""
        if self.gpu is None:
            return ()
        if isinstance(self.gpu, str):
            return tuple(name.strip() for name in self.gpu.split(","))
        return tuple(self.gpu)

    def check(self, features: Features, here: str | None) -> None:
        """Refuse what a flavour cannot honour.

        Args:
            features: Of the flavour that will build.
            here: Compute capability of the GPU at hand, as ``sm_89``, or ``None``.

        Raises:
            OptionError: A GPU cannot be built for, or the layer list cannot be had.
        """
        known = features.compute_capabilities or ((here,) if here is not None else ())
        for name in self.gpus:
            if name not in known:
                raise OptionError(
                    f"{features.flavour} cannot build for {name}",
                    expected=", ".join(known) or "the GPU at hand, and there is none",
                    got=name,
                    hint=None
                    if features.ahead_of_time
                    else "this flavour builds on the GPU that it runs on: leave the option out",
                )
        if self.layers and not features.layer_list:
            raise OptionError(
                f"{features.flavour} does not tell the compiled layers while it builds",
                expected="option 'layers' with flavour 'tensorrt_rtx' only",
            )
