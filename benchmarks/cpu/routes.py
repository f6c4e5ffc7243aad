"""Ways from a model to a call: Forward and its peers, each pinned to one precision.

A route returns a function that runs the model once and returns its first output, and the
precision that it really computes in.
"""

from __future__ import annotations

import copy
import io
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.models import Inputs

Call = Callable[[], Any]
Route = Callable[[torch.nn.Module, Inputs, int], tuple[Call, str]]


def forward_float32(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """Forward on OpenVINO, mode float32."""
    return _forward(model, inputs, threads, "float32")


def forward_float16(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """Forward on OpenVINO, mode float16: the CPU's own half type."""
    return _forward(model, inputs, threads, "float16")


def openvino(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """OpenVINO's own PyTorch front end, told to compute in float32."""
    return openvino_call(openvino_model(model, inputs), inputs, threads)


def openvino_model(model: torch.nn.Module, inputs: Inputs) -> Any:
    """The model as OpenVINO's front end reads it, with the shapes of the inputs."""
    import openvino as ov

    converted = ov.convert_model(traced(model, inputs), example_input=inputs)
    for port, tensor in zip(converted.inputs, inputs, strict=True):
        port.get_node().set_partial_shape(ov.PartialShape(list(tensor.shape)))
    converted.validate_nodes_and_infer_types()
    return converted


def openvino_call(
    converted: Any, inputs: Inputs, threads: int, precision: str | None = "f32"
) -> tuple[Call, str]:
    """A bound request of an OpenVINO model, in a precision or in what OpenVINO chooses itself."""
    import openvino as ov

    compiled = ov.Core().compile_model(
        converted,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            **({} if precision is None else {"INFERENCE_PRECISION_HINT": precision}),
        },
    )
    request = compiled.create_infer_request()
    arrays = [tensor.numpy() for tensor in inputs]
    for i, array in enumerate(arrays):
        request.set_input_tensor(i, ov.Tensor(array, shared_memory=True))

    def call() -> Any:
        request.infer()
        return request.get_output_tensor(0).data

    return call, compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()


def onnxruntime(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """ONNX Runtime on the graph that torch.onnx exports, all optimizations on."""
    content, floats = onnx_program(model, inputs)
    return onnxruntime_call(content, inputs, threads), floats


def onnxruntime_optimizer(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """ONNX Runtime behind its optimizer for transformers, which makes fused operators of BERT.

    Attention is written out, as its patterns want it.

    Raises:
        ValueError: It makes no operator of attention of this model.
    """
    content, found = optimized(model, inputs)
    if not found:
        raise ValueError("the optimizer for transformers finds no attention here")
    return onnxruntime_call(content, inputs, threads), "float32"


def optimized(model: torch.nn.Module, inputs: Inputs) -> tuple[bytes, int]:
    """An ONNX file behind the optimizer, and how many operators of attention are in it."""
    from onnxruntime.transformers import optimizer

    from benchmarks.gpu import onnx_file

    written_out = copy.deepcopy(model)
    known = (one for one in written_out.modules() if hasattr(one, "set_attn_implementation"))
    inner: Any = next(known, None)
    if inner is None or not hasattr(inner.config, "num_attention_heads"):
        return b"", 0
    inner.set_attn_implementation("eager")
    with torch.inference_mode():
        results = written_out(*inputs)
    content = onnx_file.export(traced(written_out, inputs), inputs, len(results))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        heads, width = inner.config.num_attention_heads, inner.config.hidden_size
        made = optimizer.optimize_model(
            str(path), model_type="bert", num_heads=heads, hidden_size=width, opt_level=0
        )
    counts = made.get_fused_operator_statistics()
    content = made.model.SerializeToString()
    return content, counts["Attention"] + counts["MultiHeadAttention"]


def onnxruntime_call(content: bytes, inputs: Inputs, threads: int) -> Call:
    """A session of ONNX Runtime with all optimizations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feeds = {
        port.name: tensor.numpy() for port, tensor in zip(session.get_inputs(), inputs, strict=True)
    }
    return lambda: session.run(None, feeds)[0]


def torch_eager(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """The model itself."""
    torch.set_num_threads(threads)

    def call() -> Any:
        with torch.inference_mode():
            return model(*inputs)[0]

    return call, _torch_floats(model)


def torch_compile(model: torch.nn.Module, inputs: Inputs, threads: int) -> tuple[Call, str]:
    """torch.compile with its default backend."""
    torch.set_num_threads(threads)
    compiled = torch.compile(model)

    def call() -> Any:
        with torch.inference_mode():
            return compiled(*inputs)[0]

    return call, _torch_floats(model)


def onnx_program(model: torch.nn.Module, inputs: Inputs) -> tuple[bytes, str]:
    """The model as torch.onnx exports it, and the float types of its weights."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, inputs, dynamo=True, verbose=False)
    assert program is not None
    program.save(stream)  # type: ignore[arg-type]
    weights = program.model.graph.initializers.values()
    kinds = {weight.dtype.name for weight in weights if weight.dtype is not None}
    floats = {"FLOAT": "float32", "FLOAT16": "float16", "BFLOAT16": "bfloat16", "DOUBLE": "float64"}
    return stream.getvalue(), ", ".join(sorted(floats[kind] for kind in kinds & set(floats)))


def _torch_floats(model: torch.nn.Module) -> str:
    """Float types of the weights; torch is held to them by its own switch."""
    torch.set_float32_matmul_precision("highest")
    assert torch.get_float32_matmul_precision() == "highest"
    names = {str(one.dtype).removeprefix("torch.") for one in model.parameters()}
    return ", ".join(sorted(names))


def _forward(model: torch.nn.Module, inputs: Inputs, threads: int, mode: str) -> tuple[Call, str]:
    import forward

    engine = forward.build(
        traced(model, inputs), inputs, mode=mode, backend="openvino", threads=threads
    ).engine
    arrays = [tensor.numpy() for tensor in inputs]
    return lambda: engine.run_list(arrays)[0], str(engine.manifest["compute"])


def traced(model: torch.nn.Module, inputs: Inputs) -> torch.jit.ScriptModule:
    """TorchScript, which Forward and OpenVINO's front end both read."""
    from fwd_ops_torch.importers import jit

    return jit.trace(model, inputs)


ROUTES: dict[str, Route] = {
    "forward float32": forward_float32,
    "forward float16": forward_float16,
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "onnxruntime + optimizer": onnxruntime_optimizer,
    "torch eager": torch_eager,
    "torch.compile": torch_compile,
}
