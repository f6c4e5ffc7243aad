"""Int8 within a bound, from PyTorch models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fwd_core.builder import Builder
from fwd_core.errors import CalibrationError, OptionError
from fwd_core.events import Listener
from fwd_core.importing import DynamicDims
from fwd_core.plugins import Plugins
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.calibrate import DEFAULT_ALGORITHM, Calibrator
from fwd_core.quantize.search import Quantized, search
from fwd_ops_torch.api.calibration import as_inputs
from fwd_ops_torch.api.engine import TorchEngine


def quantize(
    model: Any,
    example_inputs: Any,
    batches: Iterable[Any],
    *,
    metric: Callable[[TorchEngine], float],
    max_drop: float = 0.005,
    algorithm: str = DEFAULT_ALGORITHM,
    cache: CalibrationCache | str | os.PathLike[str] | None = None,
    skip: Sequence[str] = (),
    dynamic: DynamicDims | None = None,
    backend: str = "auto",
    plugins: Plugins | None = None,
    on_event: Listener | None = None,
    **options: Any,
) -> Quantized:
    """Build in int8, with the most sensitive layers in float where accuracy needs it.

    Layers are ranked by what each loses in int8; the worst move to float until the metric is near
    enough to that of float32. A few builds find how many.

    Args:
        model: As for :func:`build`.
        example_inputs: As for :func:`build`.
        batches: As for :func:`calibrate`; they calibrate, and the first rank the layers.
        metric: Called with each engine; gives a number, greater is better.
        max_drop: By how much it may be less than for float32, in its own unit.
        algorithm: As for :func:`calibrate`.
        cache: A calibration cache, or the file that one is read from and written to.
        skip: Globs over module paths that stay in float anyway.
        dynamic: As for :func:`build`.
        backend: As for :func:`build`; it must run here.
        plugins: Packs to use; by default all that are installed.
        on_event: Called with every event of progress.
        options: Options of the backend.

    Returns:
        The ``engine``, what the metric says of it and of float32, and the layers that are in
        ``floats``; printed, it tells all of that.

    Raises:
        CalibrationError: The bound does not hold, however much is in float; it says what was
            reached.
        ForwardError: Another subclass, as :func:`build`.
    """
    if not callable(metric):
        raise OptionError(
            "argument 'metric'",
            expected="a function that takes an engine and gives a number, greater is better",
            got=repr(metric),
        )
    calibrator = Calibrator(_some(batches), algorithm=algorithm, cache=cache, skip=skip)
    builder = Builder(
        backend=backend,
        mode="int8",
        options=options,
        plugins=plugins,
        on_event=on_event,
        calibrator=calibrator,
    )
    graph = builder.import_model(model, as_inputs(example_inputs), dynamic=dynamic)
    return search(graph, builder, metric, max_drop, shown=TorchEngine)


def _some(batches: Any) -> Iterator[Any]:
    if not isinstance(batches, Iterable):
        raise CalibrationError(
            "batches are what can be iterated over",
            expected="a DataLoader, a list of tensors or arrays, or the like",
            got=type(batches).__name__,
        )
    return iter(batches)
