"""Building engines from PyTorch models."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Union

import torch

from fwd_core.builder import Builder
from fwd_core.errors import ForwardWarning, InputError, OptionError
from fwd_core.events import Listener
from fwd_core.importing import DynamicDims, OptBatch
from fwd_core.modes import parse_mode
from fwd_core.plugins import Plugins
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.calibrate import Calibrator
from fwd_ops_torch.api.calibration import IPyBatchStream, calibrator_of
from fwd_ops_torch.api.engine import TorchEngine
from fwd_ops_torch.api.keywords import require_spelt
from fwd_ops_torch.api.progress import shown_in_terminal
from fwd_ops_torch.api.sizes import dynamic_sizes

#: A path of a TorchScript file or .pt2 program, or the object itself.
Model = Union[str, os.PathLike[str], torch.nn.Module, torch.export.ExportedProgram]


class TorchBuilder:
    """Builds engines from PyTorch models. Errors raise; nothing is logged and lost.

    Args:
        backend: Name of a backend, or ``auto``: TensorRT where it can run, else OpenVINO.
        plugins: Packs to use; by default all that are installed.
        self_check: Compare engines with their models after they are built, as :func:`build` does.

    Example:
        >>> builder = TorchBuilder()
        >>> builder.set_mode("float32")
        True
        >>> engine = builder.build("model.pth", torch.randn(1, 3, 224, 224))  # doctest: +SKIP
    """

    def __init__(
        self, *, backend: str = "auto", plugins: Plugins | None = None, self_check: bool = True
    ) -> None:
        self._backend = backend
        self._plugins = plugins
        self._self_check = self_check
        self._mode = "float32"
        self._dynamic: OptBatch | None = None
        self._options: dict[str, Any] = {}
        self._warned = False
        self._calibrator: Calibrator | None = None

    def set_mode(self, infer_mode: str) -> bool:
        """Choose ``float32`` or ``float``, ``float16`` or ``half``, ``int8`` or ``int8_calib``.

        ``int8_calib`` writes the calibration cache and builds in float32. Returns True.

        Raises:
            OptionError: There is no such mode.
        """
        self._mode = parse_mode(infer_mode)
        return True

    def set_opt_batch_size(self, opt_batch_size: int) -> None:
        """Make the batch dynamic, tuned for this size.

        It may be 1 … the dummy inputs' first size, or this size where that is greater.

        Raises:
            OptionError: It is not a positive integer.
        """
        if (
            isinstance(opt_batch_size, bool)
            or not isinstance(opt_batch_size, int)
            or opt_batch_size < 1
        ):
            raise OptionError("opt_batch_size is a positive integer", got=repr(opt_batch_size))
        self._dynamic = OptBatch(opt_batch_size)

    def set_max_workspace_size(self, max_workspace_size: int) -> None:
        """Limit the memory that TensorRT's kernels may use, in bytes.

        Where ``auto`` chooses a backend without such a limit, the first build warns that it has
        no effect. A backend that is chosen by name refuses it.

        Raises:
            OptionError: It is not a positive integer.
        """
        if (
            isinstance(max_workspace_size, bool)
            or not isinstance(max_workspace_size, int)
            or max_workspace_size < 1
        ):
            raise OptionError(
                "max_workspace_size is a positive number of bytes", got=repr(max_workspace_size)
            )
        self._options["workspace"] = max_workspace_size

    def set_calibrator(self, calibrator: Calibrator) -> None:
        """Set the calibrator of the int8 modes.

        Raises:
            OptionError: It is no calibrator.
        """
        if not isinstance(calibrator, Calibrator):
            raise OptionError(
                "argument 'calibrator'",
                expected="a TrtInt8Calibrator, or a fwd_core.quantize.Calibrator",
                got=type(calibrator).__name__,
            )
        self._calibrator = calibrator

    def build(self, module_path: Model, dummy_inputs: Any) -> TorchEngine:
        """Build an engine.

        Args:
            module_path: A TorchScript file or ``.pt2`` program, a ``ScriptModule``, an exported
                program, or an ``nn.Module``.
            dummy_inputs: One tensor, or a list or tuple of the model's arguments, with the dtypes
                and shapes of real inputs; the batch is the greatest one.

        Raises:
            ForwardError: A subclass that says which step failed, where and why.
        """
        several = isinstance(dummy_inputs, (list, tuple))
        try:
            return self._build(module_path, tuple(dummy_inputs) if several else (dummy_inputs,))
        except InputError as error:
            if isinstance(dummy_inputs, Mapping):  # which some models take as one argument
                error.hinted("build_with_name(module_path, dummy_inputs) takes them by name")
            raise

    def build_with_name(
        self, module_path: Model, dummy_inputs: Mapping[str, torch.Tensor]
    ) -> TorchEngine:
        """Like :meth:`build`, with dummy inputs by the names of the model's arguments.

        Raises:
            InputError: They are no mapping, or do not fit the model.
            ForwardError: Another subclass, as :meth:`build`.
        """
        if not isinstance(dummy_inputs, Mapping):
            raise InputError(
                "dummy inputs by name come in a mapping",
                expected="{name of the model's argument: tensor}",
                got=type(dummy_inputs).__name__,
                hint="build(module_path, dummy_inputs) takes them by position",
            )
        return self._build(module_path, dict(dummy_inputs))

    def _build(
        self, model: Model, inputs: tuple[object, ...] | Mapping[str, object]
    ) -> TorchEngine:
        builder = Builder(
            backend=self._backend,
            mode=self._mode,
            plugins=self._plugins,
            on_event=None if self._calibrator is None else shown_in_terminal(),
            calibrator=self._calibrator,
            self_check=self._self_check,
        )
        builder.options = self._options_for(builder)
        return TorchEngine(builder.build(model, inputs, dynamic=self._dynamic))

    def _options_for(self, builder: Builder) -> dict[str, Any]:
        """The options, without those that a backend chosen by ``auto`` does not have.

        Scripts written for a machine with a GPU run on one without.
        """
        if self._backend != "auto" or not self._options:
            return self._options
        chosen = builder.backend()
        known = {item.name for item in fields(chosen.options)}
        unknown = [name for name in self._options if name not in known]
        if unknown and not self._warned:
            self._warned = True
            warnings.warn(
                f"set_max_workspace_size has no effect: backend {chosen.name!r}, which 'auto' "
                f"chose here, has no option {', '.join(map(repr, unknown))}",
                ForwardWarning,
                stacklevel=4,
            )
        return {name: value for name, value in self._options.items() if name in known}


def build(
    model: Model,
    example_inputs: Any,
    *,
    mode: str = "float32",
    backend: str = "auto",
    dynamic: DynamicDims | None = None,
    dynamic_batch: bool = False,
    opt_batch: int | None = None,
    embed_graph: bool = False,
    calibrator: Calibrator
    | CalibrationCache
    | str
    | os.PathLike[str]
    | Iterable[Any]
    | IPyBatchStream
    | None = None,
    plugins: Plugins | None = None,
    on_event: Listener | None = None,
    contexts: int | None = None,
    self_check: bool = True,
    **options: Any,
) -> TorchEngine:
    """Build an engine from a PyTorch model in one call.

    Args:
        model: A TorchScript file or ``.pt2`` program, a ``ScriptModule``, an exported program, or
            an ``nn.Module`` (which goes through torch.export).
        example_inputs: One tensor, a list or tuple of the model's arguments, or a dict by name.
        mode: ``float32``, ``float16``, ``int8``, or ``int8_calib``, which writes the calibrator's
            cache and builds in float32.
        backend: ``auto``, ``openvino`` or ``tensorrt``, or what a pack adds.
        dynamic: Sizes that change from run to run:
            ``{"x": {0: ("batch", 1, 4, 8), 2: ("height", 64, 224, 512)}}`` with name, least,
            tuned and greatest size. A factor before the name, as in ``"4*height"``, says that the
            size is a multiple in every run.
        dynamic_batch: Let the first axis be 1 … the example's size, for every input whose first
            size equals the first input's.
        opt_batch: The batch size to tune for; implies ``dynamic_batch``. One that is greater than
            the example's is the greatest that the engine takes.
        embed_graph: Keep the graph in the engine's file, so that another machine can compile it.
        calibrator: For the int8 modes: what :func:`calibrate` gave, the file of a cache, batches
            to calibrate with (an :class:`IPyBatchStream` too), or a
            :class:`~fwd_core.quantize.calibrate.Calibrator`. Mode ``int8_calib`` needs one with
            the file to write.
        plugins: Packs to use; by default all that are installed.
        on_event: Called with every event of progress. By default a terminal shows the batches that
            calibrate.
        contexts: How many runs of the engine may be under way at once; by default as many as the
            backend finds worth having. :func:`load` takes it too.
        self_check: Run the model and the engine on the example inputs, and refuse an engine in
            float32 whose results are others than the model's; in the lower modes warn.
        options: Options of the backend, for example ``threads=2`` for OpenVINO.

    Raises:
        ForwardError: A subclass that says which step failed, where and why.

    Example:
        >>> engine = build("model.pth", torch.randn(8, 64), dynamic_batch=True)  # doctest: +SKIP
    """
    wanted = dynamic_sizes(dynamic, dynamic_batch, opt_batch)
    if calibrator is not None and parse_mode(mode) not in ("int8", "int8_calib"):
        raise OptionError(
            f"mode {mode!r} computes in floats and needs no calibrator",
            expected="mode='int8', or 'int8_calib' to write a cache",
            got="calibrator=",
        )
    if on_event is None and calibrator is not None:
        on_event = shown_in_terminal()
    builder = Builder(
        backend=backend,
        mode=mode,
        options=options,
        embed_graph=embed_graph,
        plugins=plugins,
        on_event=on_event,
        contexts=contexts,
        self_check=self_check,
        calibrator=None if calibrator is None else calibrator_of(calibrator),
    )
    require_spelt(build, builder)
    if isinstance(example_inputs, Mapping):
        inputs: Any = dict(example_inputs)
    else:
        several = isinstance(example_inputs, (list, tuple))
        inputs = tuple(example_inputs) if several else (example_inputs,)
    return TorchEngine(builder.build(model, inputs, dynamic=wanted))
