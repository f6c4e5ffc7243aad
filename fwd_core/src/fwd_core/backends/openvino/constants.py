"""Compute what depends on constants only, where OpenVINO leaves that to its CPU device.

The device runs such operators once, and takes their buffers for ordinary ones: an operator that
works in place, as Add does, then writes its result over the constant, and the next run starts from
there (seen in OpenVINO 2026.4 with BitwiseAnd, SquaredDifference and CumSum of constants).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openvino import Model, Output

#: What OpenVINO's own pass has always folded; all else is looked at closer.
_FOLDED = frozenset({
    "Constant", "Convert", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Broadcast", "Concat",
    "Gather", "Slice", "StridedSlice", "Split", "VariadicSplit", "Add", "Subtract", "Multiply",
    "Divide", "Range", "Tile", "Select", "Equal", "Less", "Greater", "LogicalAnd", "LogicalOr",
    "LogicalNot", "Maximum", "Minimum", "ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin",
})  # fmt: skip


def fold(model: Model) -> int:
    """Replace tensors of a model that depend on constants only by constants.

    Args:
        model: Changed in place. Graphs inside its operators are left alone.

    Returns:
        How many tensors were replaced.
    """
    edges = _edges(model)
    if not edges:
        return 0
    for edge, constant in zip(edges, _values(edges), strict=True):
        for port in edge.get_target_inputs():
            port.replace_source_output(constant)
    return len(edges)


def _edges(model: Model) -> list[Output]:
    """Tensors that only constants make, not all by what OpenVINO folds, and that others take."""
    fixed: dict[str, bool] = {}
    found: dict[str, Output] = {}
    for node in model.get_ordered_ops():
        sources = [port.get_source_output() for port in node.inputs()]
        makers = [source.get_node().get_name() for source in sources]
        kind = node.get_type_name()
        if kind == "Constant" or (sources and all(maker in fixed for maker in makers)):
            if kind == "Result":
                continue
            fixed[node.get_name()] = kind not in _FOLDED or any(fixed[one] for one in makers)
            continue
        for source, maker in zip(sources, makers, strict=True):
            if fixed.get(maker, False):
                found[f"{maker}:{source.get_index()}"] = source
    return list(found.values())


def _values(edges: list[Output]) -> list[Output]:
    """The tensors of ports that need no input, as constants."""
    import openvino
    from openvino import opset15

    results = [opset15.result(edge) for edge in edges]
    alone = openvino.Model(results, [], "constants").clone()
    # "dynamic" leaves each element type as it is.
    compiled = openvino.Core().compile_model(
        alone, "CPU", {"INFERENCE_PRECISION_HINT": openvino.Type.dynamic}
    )
    request = compiled.create_infer_request()
    request.infer([])
    tensors = [request.get_output_tensor(index) for index in range(len(edges))]
    for result in results:
        result.input(0).get_source_output().remove_target_input(result.input(0))
    return [opset15.constant(tensor, shared_memory=False).output(0) for tensor in tensors]
