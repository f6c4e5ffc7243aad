"""Engines that take and give torch tensors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Union

import torch

from fwd_core.backends.base import Port
from fwd_core.engine import Engine
from fwd_core.engine.inputs import CONVERT
from fwd_core.errors import EngineFileError, InputError
from fwd_core.ir import DType
from fwd_core.plugins import Plugins
from fwd_ops_torch.api import cuda

Outputs = Union[torch.Tensor, list[torch.Tensor]]


class TorchEngine:
    """A compiled model. Safe to run from many threads at once.

    Outputs are on the device of the first input: CPU in, CPU out; CUDA in, CUDA out. An engine
    for a GPU takes CUDA tensors without a copy through the host: it runs on torch's current
    stream and does not wait for it, as torch's own operators do.

    Args:
        engine: The engine to wrap; ``TorchEngine()`` is empty until :meth:`load`.

    Example:
        >>> engine = TorchEngine()
        >>> engine.load("model.engine")                             # doctest: +SKIP
        >>> output = engine.forward(torch.randn(1, 3, 224, 224))    # doctest: +SKIP
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine underneath, which speaks NumPy.

        Raises:
            EngineFileError: Nothing has been built or loaded yet.
        """
        if self._engine is None:
            raise EngineFileError(
                "this TorchEngine is empty",
                hint="call engine.load(path), or use what build returns",
            )
        return self._engine

    def forward(self, inputs: Any) -> Outputs:
        """Run on one tensor, or on a list or tuple of them in the model's order.

        Returns:
            The output, or a list if the model has several.

        Raises:
            InputError: Count, dtype, rank, size or device does not fit.
            DeviceError: The GPU failed, or TensorRT on it; also where no memory is left.
        """
        given = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
        return _one_or_list(self._run(self.engine.flatten_inputs(given, {})))

    def forward_with_name(self, inputs: Mapping[str, torch.Tensor]) -> Outputs:
        """Run on tensors by input name (``fwd inspect`` lists the names).

        Returns:
            The output, or a list if the model has several.

        Raises:
            InputError: It is no mapping, or a name, dtype, rank, size or device does not fit.
        """
        if not isinstance(inputs, Mapping):
            raise InputError(
                "inputs by name come in a mapping",
                expected=", ".join(map(str, self.engine.inputs)),
                got=type(inputs).__name__,
                hint="forward(inputs) takes tensors by position",
            )
        return _one_or_list(self._run(self.engine.flatten_inputs((), inputs)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as the model itself is called.

        Arguments that are no tensors were fixed when the engine was built: they are left out, or
        given as they were then.

        Returns:
            The outputs, nested as the model returns them: torch tensors for torch tensors,
            NumPy arrays for NumPy arrays.

        Raises:
            InputError: As :meth:`forward`, the nesting differs, or a fixed argument does.
        """
        leaves = self.engine.flatten_inputs(args, kwargs)
        if leaves and not any(isinstance(leaf, torch.Tensor) for leaf in leaves):
            return self.engine.unflatten_outputs(self.engine.run_list(leaves))
        return self.engine.unflatten_outputs(self._run(leaves))

    def save(self, engine_filename: str | os.PathLike[str]) -> bool:
        """Write the engine to one file, atomically. Returns True.

        Raises:
            EngineFileError: The folder does not exist or cannot be written.
        """
        self.engine.save(engine_filename)
        return True

    def load(
        self,
        engine_filename: str | os.PathLike[str],
        *,
        plugins: Plugins | None = None,
        contexts: int | None = None,
    ) -> bool:
        """Read an engine file into this object. Returns True.

        Args:
            engine_filename: The file.
            plugins: Packs to use; by default all that are installed.
            contexts: How many runs may be under way at once; by default the backend's own number.

        Raises:
            OptionError: ``contexts`` is no positive number.
            EngineFileError: The file is missing, damaged or altered, made for another version or
                device, or its device is not here; the message says what differs.
        """
        self._engine = Engine.load(engine_filename, plugins=plugins, contexts=contexts)
        return True

    def _run(self, leaves: Sequence[Any]) -> list[torch.Tensor]:
        ports = self.engine.inputs
        if len(leaves) != len(ports):
            raise InputError(
                f"{len(leaves)} inputs for a model of {len(ports)}",
                expected=", ".join(map(str, ports)),
            )
        device = _device(ports, leaves)
        if device.type == "cuda" and self.engine.executable.device is not None:
            return cuda.run(self.engine, leaves, device)
        arrays = [_to_array(port, item) for port, item in zip(ports, leaves, strict=True)]
        try:
            results = self.engine.run_list(arrays)
        except InputError as error:  # arrays are not what the caller has
            for dtype in {str(port.type.dtype) for port in ports}:
                error.hinted(f"convert it: tensor.to(torch.{dtype})", CONVERT.format(dtype))
            raise
        return [
            _to_tensor(array, port, device)
            for array, port in zip(results, self.engine.outputs, strict=True)
        ]

    def __repr__(self) -> str:
        return (
            f"<TorchEngine {self._engine!r}>"
            if self._engine is not None
            else "<TorchEngine, empty>"
        )


def load(
    path: str | os.PathLike[str],
    *,
    rebuild: bool = False,
    plugins: Plugins | None = None,
    contexts: int | None = None,
) -> TorchEngine:
    """Read an engine file.

    Args:
        path: The file.
        rebuild: Compile the embedded graph again if the plan does not fit this machine.
        plugins: Packs to use; by default all that are installed.
        contexts: How many runs may be under way at once, each with memory of its own; by default
            as many as the backend finds worth having.

    Raises:
        OptionError: ``contexts`` is no positive number.
        EngineFileError: The file is missing, damaged or altered, made for another version or
            device, or its device is not here; the message says what differs.
        BuildError: The graph was to be compiled again, and the backend cannot do it here.
    """
    return TorchEngine(Engine.load(path, plugins=plugins, rebuild=rebuild, contexts=contexts))


def _one_or_list(outputs: list[torch.Tensor]) -> Outputs:
    return outputs[0] if len(outputs) == 1 else outputs


def _device(ports: Sequence[Port], leaves: Sequence[Any]) -> torch.device:
    devices = {leaf.device: port for port, leaf in zip(ports, leaves, strict=True)
               if isinstance(leaf, torch.Tensor)}  # fmt: skip
    if len(devices) > 1:
        told = ", ".join(f"{port.name!r} on {device}" for device, port in devices.items())
        raise InputError("the inputs are on several devices", got=told, hint="move them to one")
    return next(iter(devices), torch.device("cpu"))


def _to_array(port: Port, item: Any) -> Any:
    if not isinstance(item, torch.Tensor):
        return item
    try:
        return _host_array(item)
    except (RuntimeError, TypeError) as error:
        words = error
    try:  # a view that is marked as negated or conjugated holds other bytes than it shows
        return _host_array(item.resolve_neg().resolve_conj())
    except (RuntimeError, TypeError):
        raise InputError(
            f"input {port.name!r}: the engine cannot read this tensor",
            expected=f"{port.type}, dense, with values in memory",
            got=f"{item.dtype}, {item.layout}, on {item.device}",
            details=[str(words).partition("\n")[0]],
            hint=None if item.layout is torch.strided else "give tensor.to_dense()",
        ) from None


def _host_array(tensor: torch.Tensor) -> Any:
    host = tensor.detach().cpu()
    # NumPy has no bfloat16: engines take its 16-bit words.
    return (host.view(torch.uint16) if host.dtype is torch.bfloat16 else host).numpy()


def _to_tensor(array: Any, port: Port, device: torch.device) -> torch.Tensor:
    words = torch.from_numpy(array)
    tensor = words.view(torch.bfloat16) if port.type.dtype is DType.BFLOAT16 else words
    return tensor.to(device)
