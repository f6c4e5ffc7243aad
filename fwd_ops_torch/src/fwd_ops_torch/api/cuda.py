"""CUDA tensors into an engine and out of it, on torch's current stream, without the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.dlpack import from_dlpack

from fwd_core.backends.base import Port
from fwd_core.engine import Engine
from fwd_core.errors import InputError
from fwd_core.ir import DType

_TORCH = {dtype: getattr(torch, str(dtype)) for dtype in DType}
_INTEGERS = {_TORCH[dtype] for dtype in DType if dtype.is_integer}


def run(engine: Engine, leaves: Sequence[Any], device: torch.device) -> list[torch.Tensor]:
    """Run on CUDA tensors; does not wait for the GPU.

    Types that the engine does not have on the GPU (int64 on TensorRT 8) are converted there;
    integers are not checked for their range, which would have to wait for them.

    Args:
        engine: An engine of a GPU.
        leaves: In port order: CUDA tensors, beside arrays of the host.
        device: Where the tensors are.

    Returns:
        CUDA tensors of the outputs' own types, ready in the order of torch's current stream.

    Raises:
        InputError: The tensors are on another GPU, or a dtype, rank or size does not fit.
    """
    wanted = engine.executable.device
    if device.index != wanted:
        raise InputError(
            "the inputs are on another GPU than the engine",
            expected=f"cuda:{wanted}",
            got=str(device),
            hint=f"move them: tensor.to('cuda:{wanted}')",
        )
    taken, given = engine.executable.bound
    inputs = [
        _as_bound(port, bound, leaf) if isinstance(leaf, torch.Tensor) else leaf
        for port, bound, leaf in zip(engine.inputs, taken, leaves, strict=True)
    ]
    stream = torch.cuda.current_stream(device).cuda_stream
    results = engine.run_list(inputs, stream=stream)
    return [
        _as_port(port, bound, result)
        for port, bound, result in zip(engine.outputs, given, results, strict=True)
    ]


def _as_bound(port: Port, bound: DType, tensor: torch.Tensor) -> torch.Tensor:
    own = port.type.dtype
    found = tensor.dtype
    rounds = own in (DType.FLOAT16, DType.BFLOAT16) and found is torch.float32
    widens = own.is_integer and found in _INTEGERS and found.itemsize < own.itemsize
    if found is not _TORCH[own] and not rounds and not widens:
        raise InputError(
            f"input {port.name!r} has the wrong dtype",
            expected=port.type,
            got=f"{str(found).removeprefix('torch.')}{list(tensor.shape)}",
            hint=f"convert it: tensor.to(torch.{own})",
        )
    if tensor.layout is not torch.strided:
        raise InputError(
            f"input {port.name!r}: the engine cannot read this tensor",
            expected=f"{port.type}, dense, with values in memory",
            got=f"{found}, {tensor.layout}, on {tensor.device}",
            hint="give tensor.to_dense()",
        )
    dense = tensor.detach().resolve_conj().resolve_neg()
    return dense.to(_TORCH[bound]).contiguous()


def _as_port(port: Port, bound: DType, result: Any) -> torch.Tensor:
    tensor: torch.Tensor = from_dlpack(result)
    return tensor if bound is port.type.dtype else tensor.to(_TORCH[port.type.dtype])
