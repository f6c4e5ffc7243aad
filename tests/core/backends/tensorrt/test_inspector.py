"""Reading the engine inspector, from documents in the forms that TensorRT writes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from fwd_core.backends.tensorrt.inspector import (
    element_type,
    nodes_in,
    parse,
    set_shapes,
    without_profile,
)
from fwd_core.backends.tensorrt.layers import CompiledLayer, half_share
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import listen
from fwd_core.errors import BuildError


def _tensor(name: str, shape: list[int], words: str, **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Location": "Device",
        "Dimensions": shape,
        "Format/Datatype": words,
        **more,
    }


HALVES = "Channel major FP16 format where channel % 8 == 0"
UNKNOWN = "N/A due to dynamic shapes"
#: TensorRT 8.6: types inside sentences, weights apart, layers joined in names.
OLD = {
    "Layers": [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to conv1/0:convolution_nd",
            "LayerType": "Reformat",
            "Inputs": [_tensor("x", [8, 3, 56, 56], "Row major linear FP32")],
            "Outputs": [_tensor("Reformatted x", [8, 3, 56, 56], HALVES)],
            "ParameterType": "Reformat",
            "Origin": "REFORMAT",
            "TacticValue": "0x0000000000000000",
            "StreamId": 0,
            "Metadata": "",
        },
        {
            "Name": "l1.0.conv1/0:convolution_nd + l1.0.bn1/1:scale_nd + l1.0.relu/0:activation",
            "LayerType": "CaskConvolution",
            "Inputs": [_tensor("Reformatted x", [8, 64, 56, 56], HALVES)],
            "Outputs": [_tensor("y", [8, 64, 56, 56], HALVES)],
            "ParameterType": "Convolution",
            "Kernel": [1, 1],
            "Groups": 1,
            "Weights": {"Type": "Half", "Count": 4096},
            "Bias": {"Type": "Half", "Count": 64},
            "HasReLU": 1,
            "TacticName": "sm80_xmma_fprop_implicit_gemm_f16f16_f16f16_f16_nhwckrsc_nhwc",
            "TacticValue": "0x130df49cb195156b",
            "StreamId": 0,
            "Metadata": "",
        },
        {
            "Name": "PWN(gate/0:activation, gate/1:elementwise)",
            "LayerType": "PointWiseV2",
            "Inputs": [_tensor("y", [8, 64, 56, 56], "Row major linear FP16 format")],
            "Outputs": [_tensor("g", [8, 64, 56, 56], "Row major linear FP16 format")],
            "ParameterType": "PointWise",
            "TacticValue": "0x000000000000001c",
            "StreamId": 0,
            "Metadata": "gate",
        },
        {
            "Name": "fc/0:matrix_multiply [profile 1]",
            "LayerType": "CaskGemmMatrixMultiply",
            "Inputs": [
                _tensor("g", [-1, 64], UNKNOWN),
                _tensor("w", [64, 10], UNKNOWN),
            ],
            "Outputs": [_tensor("z", [-1, 10], UNKNOWN)],
            "ParameterType": "MatrixMultiply",
            "TacticName": "sm80_xmma_gemm_f32f32_f32f32_f32_nn_n_tilesize32x32x8_stage3",
            "StreamId": 0,
            "Metadata": "",
        },
        {
            "Name": "{ForeignNode[encoder.0.q/0:matrix_multiply...encoder.11.out/3:elementwise]}",
            "LayerType": "Myelin",
            "Inputs": [_tensor("z", [8, 10], "Row major linear FP16 format")],
            "Outputs": [_tensor("h", [8, 10], "Row major linear FP16 format")],
            "TacticName": "",
            "StreamId": 0,
            "Metadata": "",
        },
    ],
    "Bindings": ["x", "h"],
}
#: TensorRT 10 and 11: a key for the type, kernels of the second compiler one by one, metadata.
NEW = {
    "Layers": [
        {
            "Name": "__myl_FcAdd_myl0_1",
            "LayerType": "gemm",
            "Inputs": [
                {"Name": "x", "Dimensions": [-1, 64], "Format": "Linear", "Datatype": "Half"}
            ],
            "Constants": [
                {"Name": "w", "Dimensions": [64, 10], "Format": "Linear", "Datatype": "Half"}
            ],
            "Outputs": [{"Name": "y", "Dimensions": [-1, 10], "Format/Datatype": "Float"}],
            "TacticName": "sm90_xmma_gemm_f16f16_f16f32_f32_nn_n",
            "StreamId": 0,
            "Metadata": "encoder.fc\x1eencoder.add\x1fencoder.fc",
        },
        {"Name": "signal^0_myl0_2", "LayerType": "signal", "Inputs": [], "Outputs": []},
    ],
    "Bindings": ["x", "y"],
}


def _facts(document: Any) -> list[tuple[Any, ...]]:
    layers = parse(json.dumps(document))
    return [(one.kind, one.dtype, one.nodes, one.is_product, one.is_opaque) for one in layers]


def test_layers_of_tensorrt_8() -> None:
    assert _facts(OLD) == [
        ("Reformat", "Half", (), False, False),
        (
            "CaskConvolution",
            "Half",
            ("l1.0.conv1", "l1.0.bn1", "l1.0.relu"),
            True,
            False,
        ),
        ("PointWiseV2", "Half", ("gate",), False, False),
        ("CaskGemmMatrixMultiply", "Float", ("fc",), True, False),
        ("Myelin", "Half", ("encoder.0.q", "encoder.11.out"), False, True),
    ]
    _, conv, _, gemm, _ = parse(json.dumps(OLD))
    assert [(one.name, one.shape, one.dtype) for one in conv.constants] == [
        ("weights", (4096,), "Half"),
        ("bias", (64,), "Half"),
    ]
    assert [one.dtype for one in gemm.inputs] == ["", ""], "shapes were not set"


def test_layers_of_tensorrt_10() -> None:
    assert _facts(NEW) == [
        ("gemm", "Half", ("encoder.fc", "encoder.add"), True, False),
        ("signal", "", (), False, False),
    ]
    gemm, signal = parse(json.dumps(NEW))
    assert gemm.inputs[0].shape == (-1, 64)
    assert gemm.outputs[0].dtype == "Float"
    assert gemm.computes
    assert not signal.computes


def test_control_characters_of_metadata_are_read_as_they_are() -> None:
    text = '{"Layers": [{"Name": "k", "LayerType": "kgen", "Metadata": "a\x1eb\x1fc"}]}'
    [layer] = parse(text)
    assert layer.nodes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("metadata", "nodes"),
    [("bn", ("bn", "conv", "relu")), ("conv\x1ebn", ("conv", "bn", "relu")), ("", None)],
)
def test_nodes_are_told_by_metadata_and_by_names(
    metadata: str, nodes: tuple[str, ...] | None
) -> None:
    name = "conv/0:convolution_nd + bn/0:convolution_nd + relu/0:activation"
    [layer] = parse(json.dumps({"Layers": [{"Name": name, "Metadata": metadata}]}))
    assert layer.nodes == (nodes or ("conv", "bn", "relu"))


def test_what_a_pieces_compiler_hides_is_counted_apart() -> None:
    found = half_share(parse(json.dumps(OLD)))
    assert (found.half, found.products, found.opaque) == (1, 2, 1)
    assert found.share == 0.5
    assert half_share([]).share == 0


def test_names_alone_are_read_where_there_are_no_details() -> None:
    [layer, copy] = parse('{"Layers": ["a.b/0:shuffle + c/1:elementwise", "Reformatting a/0:x"]}')
    assert (layer.kind, layer.nodes, layer.dtype) == ("", ("a.b", "c"), "")
    assert copy.nodes == ()


def test_layers_survive_the_manifest() -> None:
    for layer in parse(json.dumps(OLD)):
        assert CompiledLayer.from_json(json.loads(json.dumps(layer.to_json()))) == layer


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"Layers": [3]}', '{"Layers": [{}]}'])
def test_other_documents_are_refused(text: str) -> None:
    message = r"engine inspector tells something unknown\n  expected: JSON with \"Layers\""
    with pytest.raises(BuildError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Row major linear FP32", "Float"),
        ("Row major linear FP16 format", "Half"),
        ("Two wide channel vectorized row major FP16 format", "Half"),
        ("Thirty-two wide channel vectorized row major Int8 format", "Int8"),
        ("Row major INT8 format", "Int8"),
        ("Row major linear INT32", "Int32"),
        ("Row major linear BOOL", "Bool"),
        ("Row major linear BF16", "BFloat16"),
        ("Row major linear UInt8 format", "UInt8"),
        ("Half", "Half"),
        ("Float", "Float"),
        ("Int64", "Int64"),
        ("Bool", "Bool"),
        ("FP8", "FP8"),
        ("N/A due to dynamic shapes", ""),
        ("", ""),
    ],
)
def test_types_in_words(words: str, expected: str) -> None:
    assert element_type(words) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.0.conv/0:convolution_nd + a.0.bn/2:scale_nd", ("a.0.conv", "a.0.bn")),
        ("q/0:matrix_multiply || k/0:matrix_multiply", ("q", "k")),
        ("x/float16/0:cast", ("x/float16",)),
        ("PWN(PWN(a/0:unary), b/0:elementwise) [profile 2]", ("a", "b")),
        ("fc/0:matrix_multiply + fc/1:elementwise", ("fc",)),
        ("{ForeignNode[(Unnamed Layer* 3) [Shuffle]...b/1:reduce]}", ("b",)),
        ("__myl_CastAdd_myl0_1", ()),
    ],
)
def test_nodes_in_names(name: str, expected: tuple[str, ...]) -> None:
    assert nodes_in(name) == expected


def test_a_name_without_its_profile() -> None:
    assert without_profile("fc/0:matrix_multiply [profile 12]") == "fc/0:matrix_multiply"
    assert without_profile("relu [1]") == "relu [1]"


class Plan:
    """A loaded engine of one dynamic input, one fixed input and an output."""

    num_io_tensors = 3

    def __init__(self, trt: Any) -> None:
        self._trt = trt

    def get_tensor_name(self, index: int) -> str:
        return ("x", "fixed", "y")[index]

    def get_tensor_mode(self, name: str) -> Any:
        modes = self._trt.TensorIOMode
        return modes.OUTPUT if name == "y" else modes.INPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (2, 3) if name == "fixed" else (-1, 3)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        assert (name, profile) == ("x", 0)
        return [(1, 3), (4, 3), (8, 3)]


def test_sizes_that_the_inspectors_context_refuses_are_told() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    library, asked = load("tensorrt_rtx"), []

    def set_input_shape(name: str, shape: tuple[int, ...]) -> bool:
        asked.append((name, shape))
        return len(asked) < 2

    context = SimpleNamespace(set_input_shape=set_input_shape)
    with listen(trt) as record:
        set_shapes(library, Plan(trt), context, record)
        assert asked == [("x", (4, 3))]
        record.recorder.report_error(trt.ErrorCodeTRT.INTERNAL_ERROR, "its words")
        with pytest.raises(
            BuildError,
            match=r"^tensorrt_rtx refuses the sizes of 'x' that it tuned its plan for\n"
            r"  got:      \[4, 3\]\n  its words$",
        ):
            set_shapes(library, Plan(trt), context, record)
