"""What lowerings to plugins of our own have in common: what kernels take, and that they compile."""

from __future__ import annotations

from typing import Any

from fwd_core.backends.tensorrt.runtime import device
from fwd_core.ir import DType, Value
from fwd_plugins_bert.kernels import norms


def refusal(ctx: Any, x: Value) -> str | None:
    """Why no kernel takes rows as those of an operand."""
    if not ctx.features.plugin_objects:
        return f"{ctx.features.flavour} here has no plugins of version 3"
    if x.type.dtype not in (DType.FLOAT16, DType.FLOAT32):
        return f"kernels take float32 and float16, not {x.type.dtype}"
    width = x.type.shape[-1]
    if not isinstance(width, int):
        return "kernels need a fixed number of features"
    if not 1 <= width <= norms.MOST_WIDTH:
        return f"kernels take rows of 1 to {norms.MOST_WIDTH} features, not {width}"
    return None


def compiles(norm: norms.Norm) -> None:
    """Compile a kernel for the GPU at hand: TensorRT does not hand on what fails in its plugins.

    Raises:
        KernelError: NVRTC is missing, or refuses.
    """
    gpu, _ = device.find()
    if gpu is not None:
        norm.compiled(gpu.capability)
