"""Which sizes may change from run to run, as keyword arguments say it."""

from __future__ import annotations

from fwd_core.errors import OptionError
from fwd_core.importing import DynamicDims, OptBatch


def dynamic_sizes(
    dynamic: DynamicDims | None, dynamic_batch: bool, opt_batch: int | None = None
) -> DynamicDims | OptBatch | None:
    """What a builder takes, of the arguments that :func:`forward.build` and its like have.

    Raises:
        OptionError: They contradict each other, or one is of another type.
    """
    if dynamic is not None and (dynamic_batch or opt_batch is not None):
        raise OptionError(
            "dynamic= says everything about dynamic sizes",
            got="dynamic= together with dynamic_batch= or opt_batch=",
            hint="give the batch in dynamic= too",
        )
    if not isinstance(dynamic_batch, bool):
        raise OptionError(
            "argument 'dynamic_batch'", expected="True or False", got=repr(dynamic_batch)
        )
    batch = OptBatch(opt_batch) if dynamic_batch or opt_batch is not None else None
    return dynamic if dynamic is not None else batch
