"""The ONNX file of a model, for the parser of TensorRT."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import torch

#: The last that the parser of TensorRT 8.6 reads, and the first with layer normalization.
OPSET = 17


def export(
    traced: torch.jit.ScriptModule, inputs: Sequence[Any], outputs: int, opset: int = OPSET
) -> bytes:
    """The file's bytes; constants folded if ``onnxscript`` is installed.

    The exporter of TorchScript writes opset 17; the newer one writes no opset before 18.

    Args:
        traced: The model.
        inputs: Its arguments.
        outputs: How many outputs it has.
        opset: Of the file. Before 17, layer normalization is written out in simpler operators.
    """
    stream = io.BytesIO()
    with warnings.catch_warnings(), _without_onnx():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced,
            tuple(inputs),
            stream,  # type: ignore[arg-type] # this exporter writes to streams too
            dynamo=False,
            opset_version=opset,
            input_names=[f"input_{i}" for i in range(len(inputs))],
            output_names=[f"output_{i}" for i in range(outputs)],
        )
    return _folded(stream.getvalue()) if folds() else stream.getvalue()


def folds() -> bool:
    """Whether constants are folded here: torch's exporter leaves, say, sizes of padding."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))


def _folded(content: bytes) -> bytes:
    # By name: neither has types, and both are a peer's, not Forward's.
    onnx: Any = importlib.import_module("onnx")
    optimizer: Any = importlib.import_module("onnxscript.optimizer")
    model = onnx.load_from_string(content)
    # Left to itself it folds no node of this kind; None leaves it the choice of the others.
    optimizer.fold_constants(model, should_fold=lambda node: _is_fill(node) or None)
    optimizer.remove_unused_nodes(model)
    return bytes(model.SerializeToString())


def _is_fill(node: Any) -> bool:
    return bool(node.op_type == "ConstantOfShape")


@contextlib.contextmanager
def _without_onnx() -> Iterator[None]:
    """Let the exporter work without the package ``onnx``.

    It is needed for functions of ONNX Script alone, which it looks for in every model.
    """
    module = "torch.onnx._internal.torchscript_exporter.onnx_proto_utils"
    if importlib.util.find_spec("onnx") is not None:
        yield
        return
    with mock.patch(f"{module}._add_onnxscript_fn", lambda content, _opsets: content):
        yield
