"""Int8 within a bound, from PyTorch models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fwd_core.builder import Builder
from fwd_core.errors import OptionError
from fwd_core.events import Listener
from fwd_core.importing import DynamicDims
from fwd_core.plugins import Plugins
from fwd_core.quantize import CalibrationCache
from fwd_core.quantize.calibrate import Calibrator
from fwd_core.quantize.search import Quantized, search
from fwd_ops_torch.api.calibration import IPyBatchStream, as_inputs, given_batches
from fwd_ops_torch.api.engine import TorchEngine
from fwd_ops_torch.api.keywords import require_spelt
from fwd_ops_torch.api.progress import shown_in_terminal
from fwd_ops_torch.api.sizes import dynamic_sizes


def quantize(
    model: Any,
    example_inputs: Any,
    batches: Iterable[Any] | IPyBatchStream,
    *,
    metric: Callable[[TorchEngine], float],
    max_drop: float = 0.005,
    algorithm: str | None = None,
    cache: CalibrationCache | str | os.PathLike[str] | None = None,
    skip: Sequence[str] = (),
    attention: bool = False,
    dynamic: DynamicDims | None = None,
    dynamic_batch: bool = False,
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
        algorithm: As for :func:`calibrate`; a cache must be of it. By default ``mse``, and a cache
            of any.
        cache: A calibration cache, or the file that one is read from and written to.
        skip: Globs over module paths that stay in float anyway.
        attention: Quantize the products of attention too.
        dynamic: As for :func:`build`.
        dynamic_batch: As for :func:`build`, also for batches of fewer rows than the example.
        backend: As for :func:`build`; it must run here.
        plugins: Packs to use; by default all that are installed.
        on_event: Called with every event of progress. By default a terminal shows the batches.
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
    sizes = dynamic_sizes(dynamic, dynamic_batch)
    calibrator = Calibrator(
        given_batches(batches), algorithm=algorithm, cache=cache, skip=skip, attention=attention
    )
    builder = Builder(
        backend=backend,
        mode="int8",
        options=options,
        plugins=plugins,
        on_event=on_event if on_event is not None else shown_in_terminal(),
        calibrator=calibrator,
    )
    require_spelt(quantize, builder)
    graph = builder.import_model(model, as_inputs(example_inputs), dynamic=sizes)
    return search(graph, builder, metric, max_drop, shown=TorchEngine)
