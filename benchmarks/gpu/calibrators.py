"""TensorRT's own calibrators (TensorRT 8 and 10), fed from arrays of the host.

TensorRT calls a calibrator from inside a build and loses what is raised there, so errors are kept
and raised when the build has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.gpu.memory import DeviceBuffer
from fwd_core.backends.tensorrt.types import HELD
from fwd_core.errors import BuildError

#: TensorRT's class for each of Forward's algorithms that it has too.
CLASSES = {
    "entropy": "IInt8EntropyCalibrator",
    "entropy_2": "IInt8EntropyCalibrator2",
    "minmax": "IInt8MinMaxCalibrator",
}
Batch = Mapping[str, NDArray[Any]]


def attach(
    trt: Any,
    config: Any,
    network: Any,
    batches: Sequence[Batch],
    cache: Path,
    *,
    algorithm: str = "entropy_2",
    written: Callable[[], None] | None = None,
) -> Any:
    """Let a build calibrate, and allow int8.

    Args:
        trt: The library's module.
        config: The ``IBuilderConfig``.
        network: The ``INetworkDefinition``, without layers that quantize.
        batches: Arrays by name of the network's input.
        cache: File that ranges are read from if it is there, else written to.
        algorithm: A key of :data:`CLASSES`.
        written: Called when the file has been written.

    Returns:
        The calibrator, whose ``check()`` raises what went wrong in it.

    Raises:
        BuildError: This TensorRT has no calibrators.
    """
    name = CLASSES[algorithm]
    if not (hasattr(trt, name) and hasattr(trt.BuilderFlag, "INT8")):
        raise BuildError(
            f"{trt.__name__} {trt.__version__} has no {name}",
            hint="it takes int8 from layers that quantize alone",
        )
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    types = {one.name: HELD[one.dtype.name].storage for one in inputs}
    made = _class(getattr(trt, name))(batches, types, cache, written)
    config.set_flag(trt.BuilderFlag.INT8)
    config.int8_calibrator = made
    if algorithm == "entropy":  # the others always do
        config.set_quantization_flag(trt.QuantizationFlag.CALIBRATE_BEFORE_FUSION)
    return made


def _class(base: Any) -> Any:
    """TensorRT tells the algorithms apart by the classes that are derived from."""

    class Calibrator(base):  # type: ignore[misc]
        """Hands batches out one by one."""

        def __init__(
            self,
            batches: Sequence[Batch],
            types: Mapping[str, Any],
            cache: Path,
            written: Callable[[], None] | None,
        ) -> None:
            super().__init__()
            self.batches, self.types, self.cache = list(batches), types, cache
            self.written = written
            self.given = 0
            self.failures: list[BaseException] = []
            self._held: list[DeviceBuffer] = []

        def get_batch_size(self) -> int:
            """Size of the first axis of what is handed out."""
            first = next(iter(self.batches[0].values())) if self.batches else None
            return 1 if first is None else int(first.shape[0])

        def get_batch(self, names: Sequence[str]) -> list[int] | None:
            """Addresses of the next batch by the inputs' names; ``None`` after the last."""
            try:
                if self.given == len(self.batches):
                    return None
                batch = self.batches[self.given]
                self.given += 1
                held = [DeviceBuffer.of(batch[name], self.types[name]) for name in names]
            except BaseException as error:  # noqa: BLE001 - it would be lost
                self.failures.append(error)
                return None
            self._held = held  # until the next batch, which TensorRT asks for when it is done
            return [buffer.address for buffer in held]

        def read_calibration_cache(self) -> bytes | None:
            """What an earlier build found, if there was one."""
            return self.cache.read_bytes() if self.cache.exists() else None

        def write_calibration_cache(self, cache: Any) -> None:
            """Keep what was found."""
            try:
                self.cache.write_bytes(bytes(cache))
                if self.written is not None:
                    self.written()
            except BaseException as error:  # noqa: BLE001 - it would be lost
                self.failures.append(error)

        def check(self) -> None:
            """Raise what went wrong in a call of TensorRT's.

            Raises:
                BuildError: Something did.
            """
            if self.failures:
                error = self.failures[0]
                raise BuildError(
                    "the calibrator of TensorRT was not served",
                    details=[f"{type(error).__name__}: {error}"],
                ) from error

    return Calibrator
