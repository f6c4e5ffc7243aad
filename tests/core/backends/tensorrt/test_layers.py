from __future__ import annotations

import pytest

from fwd_core.backends.tensorrt.layers import CompiledLayer, CompiledTensor, find, parse

MESSAGE = """Layers:
Name: __mye63_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], \
TacticName: , StreamId: 0, Metadata: \x1e
Name: conv1/0:convolution_nd, odd [name]_myl0_2, LayerType: correlation, Inputs: [ { Name: \
relu [1], b, Dimensions: [-1,4,32,32], Strides: [4096,1,128,4], StrideOrder: [3,0,2,1], Datatype: \
Half, Format: (NHWC) Channel major format }, { Name: y, Dimensions: [], Datatype: Int64, Format: \
f }], Constants: [ { Name: c, Dimensions: [1], Strides: [1], StrideOrder: [0], Datatype: Float, \
Format: f }, { Name: w, Dimensions: [16,4,3,3], Strides: [36,1,12,4], StrideOrder: [3,0,2,1], \
Datatype: Half, Format: f }], Outputs: [ { Name: o, Dimensions: [-1,16,30,30], Strides: [1], \
StrideOrder: [3,0,2,1], Datatype: Half, Format: f }], TacticName: stub, StreamId: 0, \
Metadata: conv1\x1ebn\x1frelu\x1econv1

I/O Tensors:
 Name: x, IOMode: Input, DataType: Float, Dimensions: [-1,3,32,32], Location: Device
"""


def _layer(name: str, kind: str = "kgen") -> CompiledLayer:
    return CompiledLayer(name, kind, (), (), (), "", ())


def test_a_list_is_read() -> None:
    shape, conv = parse(MESSAGE)
    assert not shape.computes
    assert conv.computes
    assert (conv.kind, conv.tactic) == ("correlation", "stub")
    assert conv.nodes == ("conv1", "bn", "relu")
    assert [(x.name, x.shape, x.dtype) for x in conv.inputs] == [
        ("relu [1], b", (-1, 4, 32, 32), "Half"),
        ("y", (), "Int64"),
    ]
    assert [x.shape for x in conv.constants] == [(1,), (16, 4, 3, 3)]
    assert conv.outputs[0].shape == (-1, 16, 30, 30)
    assert conv.product_dtype == "Half"


def test_a_product_is_named_after_its_weights_or_first_floats() -> None:
    mask, query = CompiledTensor("mask", (4, 1), "Bool"), CompiledTensor("q", (4, 8), "Half")
    single, weight = CompiledTensor("one", (1,), "Float"), CompiledTensor("w", (8, 8), "Half")
    attention = CompiledLayer("_gemm_mha_v2", "kgen", (mask, query), (), (), "", ())
    assert attention.product_dtype == "Half"
    product = CompiledLayer("fc", "gemm", (query,), (single, weight), (), "", ())
    assert product.product_dtype == "Half"
    assert _layer("empty").product_dtype == "none"


def test_weights_of_8_bits_are_multiplied_as_integers_only_with_integers() -> None:
    query, integers = CompiledTensor("q", (4, 8), "Half"), CompiledTensor("i", (4, 8), "Int8")
    weight = CompiledTensor("w", (8, 8), "Int8")
    for inputs, dtype in [((query,), "Half"), ((integers,), "Int8"), ((integers, query), "Int8")]:
        assert CompiledLayer("fc", "gemm", inputs, (weight,), (), "", ()).product_dtype == dtype
    told_by_weights = CompiledLayer("fc", "CaskConvolution", (), (weight,), (), "", ())
    assert told_by_weights.product_dtype == "Int8"


@pytest.mark.parametrize(
    ("tactic", "expected"),
    [
        ("sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32_nhwckrsc_nhwc", "Half"),
        ("ampere_h16816gemm_256x128_ldg8_nn_v1", "Half"),
        ("ampere_fp16_s16816gemm_fp16_128x64_ldg8_f2f", "Half"),
        ("sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n", "Float"),
        ("ampere_sgemm_128x128_nn", "Float"),
        ("sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32", "Int8"),
        ("sm80_xmma_gemm_bf16f16_x", "none"),
        ("", "none"),
    ],
)
def test_a_product_without_types_is_what_its_kernel_says(tactic: str, expected: str) -> None:
    unknown = CompiledTensor("x", (-1, 4), "")
    layer = CompiledLayer("a", "MatrixMultiply", (unknown,), (), (unknown,), tactic, ())
    assert layer.product_dtype == expected


def test_a_list_survives_json() -> None:
    import json

    for layer in parse(MESSAGE):
        assert CompiledLayer.from_json(json.loads(json.dumps(layer.to_json()))) == layer


def test_the_message_is_found_among_others() -> None:
    found = find(["Engine generation completed", MESSAGE, "Layers: again"])
    assert found is not None
    assert len(found) == 2
    assert find(["nothing of the kind"]) is None


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (_layer("fc_myl0_3", "gemm"), True),
        (_layer("conv", "correlation"), True),
        (_layer("__myl_CorrMulAddRelu_myl0_1", "runtime_fusion"), True),
        (_layer("__myl_FcAdd_myl0_1", "runtime_fusion"), True),
        (_layer("_gemm_mha_v2_myl0_13"), True),
        (_layer("__myl_CastConc_myl0_0"), False),
        (_layer("__myl_ReshFcsAdd_myl0_0"), False),
        (_layer("encoder.FcLayer/0:shuffle"), False),
        (_layer("a", "CaskConvolution"), True),
        (_layer("a", "CaskConvActPool"), True),
        (_layer("a", "CaskDeconvolution"), True),
        (_layer("a", "CaskGemmConvolution"), True),
        (_layer("a", "CaskGemmMatrixMultiply"), True),
        (_layer("a", "MatrixMultiply"), True),
        (_layer("a", "FullyConnected"), True),
        (_layer("a", "Reformat"), False),
        (_layer("a", "CaskPooling"), False),
        (_layer("a", "PointWiseV2"), False),
        (_layer("{ForeignNode[a.gemm/0:matrix_multiply]}", "Myelin"), False),
    ],
    ids=lambda value: value.name if isinstance(value, CompiledLayer) else str(value),
)
def test_products_are_known_by_kind_and_by_what_their_name_lists(
    layer: CompiledLayer, expected: bool
) -> None:
    assert layer.is_product is expected
