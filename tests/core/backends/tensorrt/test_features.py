from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import replace

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
    with open(os.environ[REFERENCE], encoding="utf-8") as stream:
        surface = json.load(stream)
    versions = [surface["_versions"][column] for column in surface["_columns"]]
    column = versions.index(version)

    def members(name: str) -> Collection[str]:
        listed = surface.get(name, {"members": {}})["members"]
        return [member for member, where in listed.items() if where[column] == "Y"]

    assert Features.describe(flavour, members) == ROWS[flavour, version]


def test_nothing_is_assumed_of_a_library_without_names() -> None:
    bare = Features.describe("tensorrt", lambda _name: ())
    assert bare.network_flag == "EXPLICIT_BATCH"
    assert not bare.strongly_typed
    assert bare == replace(ROWS["tensorrt", "8.6.0"], half_flag=False, cudnn=False)


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


def test_sm_90_is_no_gpu_of_rtx() -> None:
    assert "sm_90" not in ROWS["tensorrt_rtx", "1.7.1.116"].compute_capabilities
    assert not replace(ROWS["tensorrt", "8.6.0"]).ahead_of_time
