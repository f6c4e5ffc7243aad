from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from fwd_core.backends.tensorrt.features import ROWS, Features

REFERENCE = "FORWARD_REFERENCE_SURFACE"


def test_the_installed_library_is_what_its_row_says() -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    row = ROWS.get(("tensorrt_rtx", trt.__version__))
    if row is None:
        pytest.skip(f"no row for tensorrt_rtx {trt.__version__}")
    assert Features.of(trt) == row


@pytest.mark.skipif(REFERENCE not in os.environ, reason=f"{REFERENCE} names no file")
@pytest.mark.parametrize(("flavour", "version"), ROWS)
def test_rows_are_what_the_recorded_names_say(flavour: str, version: str) -> None:
    surface = _surface()
    versions = [surface["_versions"][column] for column in surface["_columns"]]
    column = versions.index(version)

    def members(name: str) -> Collection[str]:
        listed = surface.get(name, {"members": {}})["members"]
        return [member for member, where in listed.items() if where[column] == "Y"]

    assert Features.describe(flavour, members) == ROWS[flavour, version]


#: What every flavour is asked for, whatever its features.
NAMES_IN_USE = {
    "Builder": "create_network create_builder_config create_optimization_profile"
    " build_serialized_network error_recorder",
    "INetworkDefinition": "add_input mark_output name error_recorder add_constant add_shape"
    " add_cast add_identity add_shuffle add_slice add_concatenation add_elementwise add_unary"
    " add_activation add_select add_matrix_multiply add_convolution_nd add_pooling_nd"
    " add_scale_nd add_normalization add_softmax add_reduce add_gather add_gather_v2 add_fill"
    " add_parametric_relu add_quantize add_dequantize",
    "ILayer": "name metadata set_input get_output",
    "ITensor": "name shape dtype is_network_input",
    "IBuilderConfig": "clear_flag set_flag set_memory_pool_limit builder_optimization_level"
    " profiling_verbosity get_tactic_sources set_tactic_sources add_optimization_profile"
    " create_timing_cache set_timing_cache hardware_compatibility_level get_preview_feature"
    " set_preview_feature",
    "ITimingCache": "combine serialize",
    "EngineInspector": "execution_context get_engine_information",
    "LayerInformationFormat": "JSON",
    "IProfiler": "report_layer_time",
    "IOptimizationProfile": "set_shape",
    "IShuffleLayer": "first_transpose reshape_dims zero_is_placeholder",
    "ISliceLayer": "mode",
    "IConcatenationLayer": "axis",
    "IActivationLayer": "alpha beta",
    "IConvolutionLayer": "stride_nd pre_padding post_padding dilation_nd num_groups",
    "IQuantizeLayer": "axis",
    "IDequantizeLayer": "axis",
    "IPoolingLayer": "stride_nd pre_padding post_padding average_count_excludes_padding",
    "INormalizationLayer": "epsilon",
    "ISoftMaxLayer": "axes",
    "IGatherLayer": "axis num_elementwise_dims",
    "Runtime": "deserialize_cuda_engine engine_host_code_allowed",
    "ICudaEngine": "create_execution_context get_tensor_dtype create_engine_inspector"
    " num_io_tensors get_tensor_name get_tensor_mode get_tensor_shape get_tensor_profile_shape",
    "IExecutionContext": "set_input_shape set_tensor_address execute_async_v3 error_recorder"
    " profiler set_optimization_profile_async get_max_output_size",
    "SampleMode": "FILL CLAMP REFLECT",
    "ScaleMode": "CHANNEL",
    "GatherMode": "ELEMENT ND",
    "FillOperation": "LINSPACE",
    "MatrixOperation": "NONE TRANSPOSE VECTOR",
    "PoolingType": "MAX AVERAGE",
    "ReduceOperation": "SUM AVG PROD MAX MIN",
    "UnaryOperation": "EXP LOG SQRT RECIP ERF SIN COS TAN ASIN ACOS ATAN SINH COSH"
    " ASINH ACOSH ATANH FLOOR CEIL ROUND NEG ABS SIGN NOT",
    "ElementWiseOperation": "SUM SUB PROD DIV MAX MIN FLOOR_DIV AND OR XOR POW EQUAL LESS GREATER",
    "ActivationType": "TANH SIGMOID LEAKY_RELU RELU CLIP ELU SELU",
    "MemoryPoolType": "WORKSPACE",
    "BuilderFlag": "TF32 VERSION_COMPATIBLE",
    "HardwareCompatibilityLevel": "AMPERE_PLUS",
    "TacticSource": "EDGE_MASK_CONVOLUTIONS JIT_CONVOLUTIONS",
    "ProfilingVerbosity": "DETAILED",
}


@pytest.mark.skipif(REFERENCE not in os.environ, reason=f"{REFERENCE} names no file")
@pytest.mark.parametrize("owner", NAMES_IN_USE)
def test_names_that_are_used_everywhere_are_everywhere(owner: str) -> None:
    members = _surface()[owner]["members"]
    missing = {name: members.get(name) for name in NAMES_IN_USE[owner].split()}
    assert set(missing.values()) == {"YYYYY"}, missing


def _surface() -> Any:
    with open(os.environ[REFERENCE], encoding="utf-8") as stream:
        return json.load(stream)


def test_nothing_is_assumed_of_a_library_without_names() -> None:
    bare = Features.describe("tensorrt", lambda _name: ())
    assert bare.network_flag == "EXPLICIT_BATCH"
    assert not bare.strongly_typed
    assert bare == replace(
        ROWS["tensorrt", "8.6.0"],
        half_flag=False,
        plugin_creators=False,
        tactic_sources=(),
        sources_hidden=False,
        profile_sharing=False,
        timing_cache=False,
        version_compatible=False,
        hardware_compatible=False,
        inspector=False,
    )
    assert not bare.cudnn
    assert not bare.layer_list


def test_half_is_allowed_by_a_flag_only_where_types_are_weak() -> None:
    names = {
        "NetworkDefinitionCreationFlag": ["STRONGLY_TYPED", "EXPLICIT_BATCH"],
        "BuilderFlag": ["FP16"],
    }
    strong = Features.describe("tensorrt", lambda name: names.get(name, ()))
    assert not strong.half_flag
    weak = Features.describe("tensorrt", lambda name: ["FP16"] if name == "BuilderFlag" else ())
    assert weak.half_flag


def test_capabilities_leave_out_what_names_no_gpu() -> None:
    names = ["NONE", "CURRENT", "SM120", "SM75", "name", "value"]
    found = Features.describe("tensorrt_rtx", lambda name: names if "Capability" in name else ())
    assert found.compute_capabilities == ("sm_75", "sm_120")
    assert found.ahead_of_time
    assert found.layer_list


def test_a_library_that_builds_without_a_gpu_measures_nothing_and_is_bound_to_none() -> None:
    names = {
        "IBuilderConfig": ["set_timing_cache"],
        "BuilderFlag": ["VERSION_COMPATIBLE"],
        "HardwareCompatibilityLevel": ["AMPERE_PLUS", "NONE"],
    }
    for bound in (True, False):
        names["ComputeCapability"] = [] if bound else ["SM89"]
        found = Features.describe("tensorrt", lambda name: names.get(name, ()))
        assert found.timing_cache is bound
        assert found.version_compatible is bound
        assert found.hardware_compatible is bound


def test_every_flavour_tells_its_compiled_layers() -> None:
    assert all(row.layer_list for row in ROWS.values())


def test_sm_90_is_no_gpu_of_rtx() -> None:
    assert "sm_90" not in ROWS["tensorrt_rtx", "1.7.1.116"].compute_capabilities
    assert not replace(ROWS["tensorrt", "8.6.0"]).ahead_of_time
