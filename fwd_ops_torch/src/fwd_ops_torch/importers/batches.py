"""A dynamic batch at another axis than 0: what to say where sizes contradict each other."""

from __future__ import annotations

from collections.abc import Mapping

from fwd_core.importing import DynamicDims, OptBatch


def elsewhere(
    dynamic: DynamicDims | OptBatch | None, shapes: Mapping[str, tuple[int, ...]]
) -> str | None:
    """Advice if inputs seem to have the batch at another axis, as states of recurrent layers do.

    Args:
        dynamic: What was asked for; only a dynamic batch is of axis 0 without saying so.
        shapes: Shapes of the example inputs, in order.
    """
    if not isinstance(dynamic, OptBatch):
        return None
    batch = next((shape[0] for shape in shapes.values() if shape), 0)
    axes = {name: shape.index(batch) for name, shape in shapes.items() if batch in shape}
    others = [f"input {name!r} at axis {axis}" for name, axis in axes.items() if axis]
    if batch < 2 or not others:
        return None
    opt = batch if dynamic.opt is None else dynamic.opt
    asked = {name: {axis: ("batch", 1, opt, max(opt, batch))} for name, axis in axes.items()}
    return (
        f"a dynamic batch is of axis 0 only, and the example's batch size is in {others[0]}"
        f"{''.join(f', {one}' for one in others[1:])}: name the axes, dynamic={asked}"
    )
