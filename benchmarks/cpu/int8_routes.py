"""Ways from a model to a call in int8, all calibrated with the same data.

A route takes the model's name too, by which the data to calibrate with is drawn.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import integers
from benchmarks.cpu.routes import (
    Call,
    onnx_program,
    onnxruntime_call,
    openvino_call,
    openvino_model,
    traced,
)
from benchmarks.models import TRANSFORMERS, Inputs, calibration_data

Int8Route = Callable[[str, torch.nn.Module, Inputs, int], tuple[Call, str]]


class MissingPeerError(Exception):
    """A peer cannot be measured here; the text says why."""


def forward_int8(
    name: str, model: torch.nn.Module, inputs: Inputs, threads: int
) -> tuple[Call, str]:
    """Forward on OpenVINO, mode int8, with its default algorithm."""
    return _forward(name, model, inputs, threads, None)


def forward_int8_minmax(
    name: str, model: torch.nn.Module, inputs: Inputs, threads: int
) -> tuple[Call, str]:
    """The same with ranges that clip nothing, which is how the peers calibrate."""
    return _forward(name, model, inputs, threads, "minmax")


def openvino_nncf(
    name: str, model: torch.nn.Module, inputs: Inputs, threads: int
) -> tuple[Call, str]:
    """OpenVINO's front end, then NNCF's post-training quantization with what it advises.

    Its defaults, and for transformers the scheme that its documentation asks for. What stays in
    floats is in the CPU's half type if it has one, as OpenVINO chooses itself and Forward does.
    """
    try:
        import nncf
    except ImportError as error:
        raise MissingPeerError(f"NNCF is not installed: {error}") from None
    data = [[tensor.numpy() for tensor in one] for one in calibration_data(name)]
    quantized = nncf.quantize(
        openvino_model(model, inputs),
        nncf.Dataset(data),
        model_type=nncf.ModelType.TRANSFORMER if name in TRANSFORMERS else None,
        subset_size=len(data),
    )
    call, floats = openvino_call(quantized, inputs, threads, precision=None)
    return call, f"int8, {floats}"


def onnxruntime_int8(
    name: str, model: torch.nn.Module, inputs: Inputs, threads: int
) -> tuple[Call, str]:
    """ONNX Runtime's static quantization as its documentation advises for CPUs with VNNI."""
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise MissingPeerError(f"ONNX Runtime is not installed: {error}") from None
    content, _ = onnx_program(model, inputs)
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, made = (
            Path(folder) / f"{one}.onnx" for one in ("plain", "prepared", "int8")
        )
        plain.write_bytes(content)
        quantization.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            made,
            _Reader(prepared, name),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
        )
        return onnxruntime_call(made.read_bytes(), inputs, threads), "int8, float32"


class _Reader:
    """Calibration data as ONNX Runtime asks for it, one input a call."""

    def __init__(self, path: Path, name: str) -> None:
        import onnxruntime as ort

        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [port.name for port in session.get_inputs()]
        self._items = iter(
            {key: tensor.numpy() for key, tensor in zip(names, one, strict=True)}
            for one in calibration_data(name)
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next input, or None after the last."""
        return next(self._items, None)

    def __iter__(self) -> _Reader:
        return self


def _forward(
    name: str, model: torch.nn.Module, inputs: Inputs, threads: int, algorithm: str | None
) -> tuple[Call, str]:
    import forward
    from fwd_core.quantize.calibrate import Calibrator

    engine = forward.build(
        traced(model, inputs),
        inputs,
        mode="int8",
        backend="openvino",
        threads=threads,
        calibrator=Calibrator(calibration_data(name), algorithm=algorithm),
    ).engine
    arrays = [tensor.numpy() for tensor in inputs]
    return lambda: engine.run_list(arrays)[0], integers.told(engine)


ROUTES: dict[str, Int8Route] = {
    "forward int8": forward_int8,
    "forward int8 minmax": forward_int8_minmax,
    "openvino + nncf": openvino_nncf,
    "onnxruntime int8": onnxruntime_int8,
}
