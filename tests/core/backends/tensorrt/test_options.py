from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.errors import OptionError

RTX, FULL = ROWS["tensorrt_rtx", "1.7.1.116"], ROWS["tensorrt", "10.13.3.9"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"flavour": "rtx"}, r"option 'flavour'(.|\n)*expected: auto, tensorrt, tensorrt_rtx"),
        ({"gpu": "89"}, r"option 'gpu'(.|\n)*such as sm_89\n  got:      89"),
        ({"gpu": ["sm_89", "ada"]}, r"got:      ada"),
        ({"workspace": 0}, r"option 'workspace'(.|\n)*expected: bytes"),
        ({"optimization_level": 6}, r"option 'optimization_level'(.|\n)*0 … 5\n  got:      6"),
        ({"workspace": "1G"}, r"option 'workspace'(.|\n)*an integer or None\n  got:      '1G'"),
        ({"gpu": 89}, r"option 'gpu' of backend 'tensorrt'(.|\n)*got:      89"),
        ({"tf32": "yes"}, r"option 'tf32'(.|\n)*True or False\n  got:      'yes'"),
        ({"optimization_level": True}, r"option 'optimization_level'(.|\n)*got:      True"),
        ({"level": 3}, r"no option 'level'"),
    ],
)
def test_values_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        TensorRTOptions.parse("tensorrt", given)


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        (None, ()),
        ("sm_89", ("sm_89",)),
        ("sm_89, sm_120", ("sm_89", "sm_120")),
        (["sm_75"], ("sm_75",)),
    ],
)
def test_gpus_are_one_or_several(gpu: Any, expected: tuple[str, ...]) -> None:
    assert TensorRTOptions(gpu=gpu).gpus == expected


def test_gpus_that_a_flavour_does_not_know_are_refused() -> None:
    TensorRTOptions(gpu="sm_89").check(RTX, None)
    message = r"tensorrt_rtx cannot build for sm_90\n  expected: sm_75, (.*), sm_121\n  got: +sm_90"
    with pytest.raises(OptionError, match=message):
        TensorRTOptions(gpu="sm_90").check(RTX, None)


def test_the_full_library_builds_for_the_gpu_at_hand() -> None:
    TensorRTOptions(gpu="sm_90").check(FULL, "sm_90")
    with pytest.raises(OptionError, match=r"builds on the GPU that it runs on"):
        TensorRTOptions(gpu="sm_89").check(FULL, "sm_90")
    with pytest.raises(OptionError, match=r"the GPU at hand, and there is none"):
        TensorRTOptions(gpu="sm_89").check(FULL, None)


def test_the_layer_list_is_refused_where_it_cannot_be_had() -> None:
    TensorRTOptions(layers=True).check(RTX, None)
    with pytest.raises(OptionError, match=r"does not tell the compiled layers while it builds"):
        TensorRTOptions(layers=True).check(replace(FULL), "sm_90")
