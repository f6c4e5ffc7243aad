"""What can be asked of the TensorRT backend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from fwd_core.backends.base import Options
from fwd_core.backends.tensorrt import lean, tactics
from fwd_core.backends.tensorrt.features import Features
from fwd_core.backends.tensorrt.library import FLAVOURS
from fwd_core.backends.tensorrt.profiles import Profile
from fwd_core.backends.tensorrt.profiles import parse as parse_profiles
from fwd_core.errors import OptionError

OPTIMIZATION_LEVELS = range(6)
#: Compute capability from which on GPUs run plans that are compatible with others.
OLDEST_COMPATIBLE = 80


@dataclass(frozen=True)
class TensorRTOptions(Options):
    """Options of backend ``tensorrt``.

    Attributes:
        flavour: ``tensorrt``, ``tensorrt_rtx``, or ``auto``: the first if it can be used here,
            else the second.
        gpu: GPUs to build for, as ``sm_89`` or several (``("sm_89", "sm_120")`` or
            ``"sm_89,sm_120"``). By default TensorRT-RTX builds for every GPU that it knows but
            Turing's (``sm_75``), and TensorRT for the GPU at hand, the only one it takes.
        workspace: Most bytes of scratch memory that a layer may use on the GPU; by default nine
            tenths of what is free on the GPU at hand.
        optimization_level: 0 (quick build) to 5 (best engine); by default the library's own.
        timing_cache: Where to keep what builds measure of kernels, so that the next build of the
            same layers is quick: a file, ``auto`` for one of the library's version and the GPU in
            the user's cache folder, or ``off``. TensorRT-RTX measures nothing and takes ``auto``
            alone.
        tactic_sources: Where kernels may come from, as ``cublas,jit_convolutions``; by default
            the library's own, as TensorRT 8.6 has it. Libraries beside it are looked at where
            they are named.
        version_compatible: Make a plan that later versions of TensorRT load too.
        hardware_compatible: Make a plan that runs on every GPU from ``sm_80`` on, and is slower
            for it.
        profiles: Ranges of dynamic sizes to compile for, each with kernels of its own: mappings
            from a size's name to ``(min, opt, max)`` or ``"MIN,OPT,MAX"``, or a JSON list of
            these. Names that are left out have their whole range. By default one, of all ranges.
        tf32: Let float32 matrix products and convolutions round their operands to 10 bits of
            mantissa. Faster, with errors near 1e-3.
        empty_sequences: What attention gives to a sequence of which a padding mask leaves no key,
            where a projection follows: ``any`` for finite numbers without meaning, as the mean of
            the values, or ``zeros`` for PyTorch's, which costs a kernel in every layer.
        avg_timing_iterations: How often each kernel is timed before the quickest is chosen; by
            default the library's own, which is 1. More leave less to chance and take longer.
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
    timing_cache: str = "auto"
    tactic_sources: Union[str, Sequence[str], None] = None
    version_compatible: bool = False
    hardware_compatible: bool = False
    profiles: Union[str, Sequence[Mapping[str, Any]], None] = None
    tf32: bool = False
    empty_sequences: Literal["any", "zeros"] = "any"
    avg_timing_iterations: Union[int, None] = None
    cuda_graph: Literal["auto", "off"] = "auto"
    layers: bool = False

    def __post_init__(self) -> None:
        if self.flavour not in ("auto", *FLAVOURS):
            close = difflib.get_close_matches(str(self.flavour), FLAVOURS, 1, 0.4)
            raise OptionError(
                "option 'flavour' of backend 'tensorrt'",
                expected=", ".join(("auto", *FLAVOURS)),
                got=repr(self.flavour),
                hint=f"did you mean {close[0]!r}?" if close else "auto takes what can be used here",
            )
        if self.cuda_graph not in ("auto", "off"):
            raise OptionError(
                "option 'cuda_graph' of backend 'tensorrt'",
                expected="auto, off",
                got=repr(self.cuda_graph),
                hint="auto records the runs that repeat, off queues every run anew",
            )
        if self.empty_sequences not in ("any", "zeros"):
            raise OptionError(
                "option 'empty_sequences' of backend 'tensorrt'",
                expected="any, zeros",
                got=repr(self.empty_sequences),
                hint="zeros gives what PyTorch does, any is quicker; neither touches a sequence "
                "that keeps a token",
            )
        if self.avg_timing_iterations is not None and self.avg_timing_iterations < 1:
            raise OptionError(
                "option 'avg_timing_iterations' of backend 'tensorrt'",
                expected="a number of 1 or more",
                got=self.avg_timing_iterations,
                hint="leave it out for the library's own",
            )
        for name in self.gpus:
            if not re.fullmatch(r"sm_\d{2,3}", name):
                raise OptionError(
                    "option 'gpu' of backend 'tensorrt'",
                    expected="compute capabilities such as sm_89, several with commas between",
                    got=repr(name),
                    hint=meant_gpu(name),
                )
        if self.workspace is not None and self.workspace <= 0:
            raise OptionError(
                "option 'workspace' of backend 'tensorrt'",
                expected="a number of bytes above 0",
                got=self.workspace,
                hint=f"{1 << 30} is a GiB; leave it out for nine tenths of what is free",
            )
        if self.optimization_level not in (None, *OPTIMIZATION_LEVELS):
            raise OptionError(
                "option 'optimization_level' of backend 'tensorrt'",
                expected=f"{OPTIMIZATION_LEVELS[0]} … {OPTIMIZATION_LEVELS[-1]}",
                got=self.optimization_level,
                hint="0 builds quickest and 5 makes the best engine; leave it out for the "
                "library's own",
            )
        if not self.timing_cache:
            raise OptionError(
                "option 'timing_cache' of backend 'tensorrt'",
                expected="auto, off, or a file",
                got=repr(self.timing_cache),
                hint="auto keeps the times of each version and GPU in the user's cache folder",
            )
        parse_profiles(self.profiles)

    @property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs asked for, none for the default."""
        if self.gpu is None:
            return ()
        if isinstance(self.gpu, str):
            return tuple(name.strip() for name in self.gpu.split(","))
        return tuple(self.gpu)

    @property
    def sources(self) -> tuple[str, ...] | None:
        """The tactic sources asked for as TensorRT spells them, ``None`` for the default."""
        return tactics.parse(self.tactic_sources)

    @property
    def ranges(self) -> list[Profile]:
        """The profiles asked for, none for the default."""
        return parse_profiles(self.profiles)

    def check(self, features: Features, here: str | None, version: str) -> None:
        """Refuse what a flavour cannot honour.

        Args:
            features: Of the flavour that will build.
            here: Compute capability of the GPU at hand, as ``sm_89``, or ``None``.
            version: Of the flavour.

        Raises:
            OptionError: A GPU cannot be built for, or the flavour, or a library that it needs
                beside it, lacks what an option asks.
        """
        known = features.compute_capabilities or ((here,) if here is not None else ())
        for name in self.gpus:
            if name not in known:
                raise OptionError(
                    f"option 'gpu' of backend 'tensorrt': {features.flavour} cannot build for "
                    f"{name}",
                    expected=", ".join(known) or "the GPU at hand, and there is none",
                    got=name,
                    hint="choose among these, or build on that GPU with flavour='tensorrt'"
                    if features.ahead_of_time
                    else "this flavour builds on the GPU that it runs on: leave the option out",
                )
        for option, asked, had, reason in (
            ("layers", self.layers, features.layer_list, "does not tell its compiled layers"),
            (
                "timing_cache",
                self.timing_cache != "auto",
                features.timing_cache,
                "measures no kernels while it builds, so there is no timing cache",
            ),
            (
                "avg_timing_iterations",
                self.avg_timing_iterations is not None,
                features.timing_cache,
                "measures no kernels while it builds",
            ),
            (
                "version_compatible",
                self.version_compatible,
                features.version_compatible,
                "makes plans for its own version only",
            ),
            (
                "hardware_compatible",
                self.hardware_compatible,
                features.hardware_compatible,
                "finishes kernels on the GPU that runs them: option 'gpu' says for which it builds",
            ),
        ):
            if asked and not had:
                raise OptionError(
                    f"option {option!r} of backend 'tensorrt': {features.flavour} {reason}",
                    expected=f"{getattr(type(self), option)}, the default",
                    got=getattr(self, option),
                    hint="leave the option out, or choose another flavour",
                )
        if self.hardware_compatible and here is not None and number(here) < OLDEST_COMPATIBLE:
            raise OptionError(
                "option 'hardware_compatible' of backend 'tensorrt': the GPU at hand is too old",
                expected=f"sm_{OLDEST_COMPATIBLE} or newer",
                got=here,
                hint="leave the option out: the engine then runs on GPUs of this kind alone",
            )
        if self.version_compatible:
            lean.require(version)
        if self.timing_cache not in ("auto", "off") and features.cudnn_in_times:
            tactics.require_for_times()
        tactics.check(self.sources, features)


def meant_gpu(gpu: str) -> str:
    """What to write in place of a text that is no compute capability."""
    digits = re.fullmatch(r"(?:sm|compute)?[_\s]*(\d{1,2})\.?(\d)", gpu.strip().lower())
    if digits:
        return f"did you mean 'sm_{digits[1]}{digits[2]}'?"
    return "`fwd doctor` tells that of the GPU at hand, NVIDIA's list of GPUs those of others"


def number(capability: str) -> int:
    """A compute capability as a number that compares: ``sm_89`` is 89."""
    return int(capability.removeprefix("sm_"))
