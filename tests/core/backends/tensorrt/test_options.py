from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fwd_core.backends.tensorrt import lean, tactics
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.options import TensorRTOptions
from fwd_core.errors import OptionError

RTX, FULL = ROWS["tensorrt_rtx", "1.7.1.116"], ROWS["tensorrt", "10.13.3.9"]


def _assert_whole(error: OptionError) -> None:
    """It says what is wrong, what would be right, and what to do."""
    assert "option" in error.what
    assert None not in (error.expected, error.hint)
    assert error.got is not None or error.details or "no option" in error.what


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"flavour": "rtx"},
            r"option 'flavour'(.|\n)*expected: auto, tensorrt, tensorrt_rtx\n  got:      'rtx'\n"
            r"  Hint: did you mean 'tensorrt_rtx'\?$",
        ),
        ({"flavour": "x"}, r"Hint: auto takes what can be used here$"),
        ({"cuda_graph": "on"}, r"option 'cuda_graph'(.|\n)*auto, off\n  got:      'on'\n  Hint: a"),
        ({"empty_sequences": "nan"}, r"option 'empty_sequences'(.|\n)*any, zeros\n"
         r"  got:      'nan'\n  Hint: zeros gives what PyTorch does"),
        ({"avg_timing_iterations": 0}, r"'avg_timing_iterations'(.|\n)*1 or more\n  got:      0"),
        ({"gpu": "89"}, r"option 'gpu'(.|\n)*got:      '89'\n  Hint: did you mean 'sm_89'\?$"),
        ({"gpu": "9.0"}, r"such as sm_89, several with commas between(.|\n)*'sm_90'\?$"),
        ({"gpu": "sm120, sm_89"}, r"got:      'sm120'\n  Hint: did you mean 'sm_120'\?$"),
        ({"gpu": ["sm_89", "ada"]}, r"got:      'ada'\n  Hint: `fwd doctor` tells that of the GPU"),
        ({"workspace": 0}, r"option 'workspace'(.|\n)*a number of bytes above 0(.|\n)*is a GiB; "),
        ({"optimization_level": 6}, r"'optimization_level'(.|\n)*0 … 5\n  got:      6\n  Hint: 0 "),
        ({"workspace": "1G"}, r"option 'workspace'(.|\n)*an integer or None\n  got:      '1G'\n"
         r"  Hint: leave it out for what it is by default$"),
        ({"gpu": 89}, r"option 'gpu' of backend 'tensorrt'(.|\n)*got:      89"),
        ({"tf32": "yes"}, r"option 'tf32'(.|\n)*True or False\n  got:      'yes'"),
        ({"optimization_level": True}, r"option 'optimization_level'(.|\n)*got:      True"),
        ({"level": 3}, r"no option 'level'"),
        ({"timing_cache": ""}, r"option 'timing_cache'(.|\n)*expected: auto, off, or a file\n"
         r"  got:      ''\n  Hint: auto keeps the times"),
        ({"timing_cache": None}, r"option 'timing_cache'(.|\n)*expected: text\n  got:      None\n"
         r"  Hint: leave it out for what it is by default, 'auto'$"),
        ({"tactic_sources": 3}, r"option 'tactic_sources'(.|\n)*several of: text"),
        ({"version_compatible": 1}, r"option 'version_compatible'(.|\n)*True or False"),
        ({"hardware_compatible": "x"}, r"option 'hardware_compatible'(.|\n)*True or False"),
        ({"profiles": 3}, r"option 'profiles'(.|\n)*several of: a mapping or None\n  got:      3"),
        ({"profiles": [3]}, r"option 'profiles'(.|\n)*several of: a mapping"),
        ({"profiles": [{"b": (2, 1, 3)}]}, r"the range of 'b'\n  expected: three integers"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        TensorRTOptions.parse("tensorrt", given)
    _assert_whole(caught.value)


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
    TensorRTOptions(gpu="sm_89").check(RTX, None, "1.7")
    message = (
        r"option 'gpu' of backend 'tensorrt': tensorrt_rtx cannot build for sm_90\n"
        r"  expected: sm_75, (.*), sm_121\n  got: +sm_90\n  Hint: choose among these, or "
    )
    with pytest.raises(OptionError, match=message):
        TensorRTOptions(gpu="sm_90").check(RTX, None, "1.7")


def test_the_full_library_builds_for_the_gpu_at_hand() -> None:
    TensorRTOptions(gpu="sm_90").check(FULL, "sm_90", "10.13")
    with pytest.raises(OptionError, match=r"builds on the GPU that it runs on"):
        TensorRTOptions(gpu="sm_89").check(FULL, "sm_90", "10.13")
    with pytest.raises(OptionError, match=r"the GPU at hand, and there is none"):
        TensorRTOptions(gpu="sm_89").check(FULL, None, "10.13")


def test_the_layer_list_is_refused_where_it_cannot_be_had() -> None:
    for row in ROWS.values():
        TensorRTOptions(layers=True).check(row, "sm_90", "10.13")
    bare = replace(FULL, inspector=False)
    with pytest.raises(OptionError, match=r"tensorrt does not tell its compiled layers"):
        TensorRTOptions(layers=True).check(bare, "sm_90", "10.13")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"timing_cache": "off"},
            r"option 'timing_cache' of backend 'tensorrt': tensorrt_rtx measures no kernels "
            r"while it builds, so there is no timing cache\n"
            r"  expected: auto, the default\n  got:      off\n"
            r"  Hint: leave the option out, or choose another flavour",
        ),
        ({"timing_cache": "x.timing"}, r"measures no kernels(.|\n)*got:      x\.timing"),
        (
            {"avg_timing_iterations": 4},
            r"tensorrt_rtx measures no kernels while it builds\n  expected: None, the default\n"
            r"  got:      4\n  Hint: leave the option out",
        ),
        ({"version_compatible": True}, r"tensorrt_rtx makes plans for its own version only"),
        ({"hardware_compatible": True}, r"tensorrt_rtx finishes kernels on the GPU that runs them"),
        (
            {"tactic_sources": "cublas"},
            r"tensorrt_rtx takes no kernels from cublas\n"
            r"  expected: edge_mask_convolutions, jit_convolutions\n  got:      cublas\n"
            r"  Hint: leave it out, or the option, for the library's own sources$",
        ),
        ({"tactic_sources": "jit_conv"}, r"Hint: did you mean 'jit_convolutions'\?$"),
    ],
)
def test_what_rtx_lacks_is_refused_with_the_reason(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        TensorRTOptions(**given).check(RTX, None, "1.7")
    _assert_whole(caught.value)


@pytest.mark.parametrize("version", ["8.6.0", "10.0.1", "10.13.3.9", "11.4.0.106"])
def test_the_full_library_has_all_of_it(version: str) -> None:
    options = TensorRTOptions(
        timing_cache="off",
        version_compatible=lean.missing(version) is None,
        hardware_compatible=True,
        tactic_sources=["jit_convolutions"],
        layers=True,
    )
    options.check(ROWS["tensorrt", version], "sm_90", version)


def test_a_gpu_that_is_too_old_makes_no_compatible_plan() -> None:
    TensorRTOptions(hardware_compatible=True).check(FULL, "sm_80", "10.13")
    message = (
        r"the GPU at hand is too old\n  expected: sm_80 or newer\n  got:      sm_75\n  Hint: leave"
    )
    with pytest.raises(OptionError, match=message) as caught:
        TensorRTOptions(hardware_compatible=True).check(FULL, "sm_75", "10.13")
    _assert_whole(caught.value)


def test_rtx_takes_the_default_of_every_option() -> None:
    TensorRTOptions().check(RTX, None, "1.7")


@pytest.mark.skipif(lean.missing("10.13.3.9") is None, reason="the lean runtime is here")
def test_a_plan_for_later_versions_needs_the_lean_runtime() -> None:
    message = (
        r"^option 'version_compatible' of backend 'tensorrt': TensorRT puts its lean runtime into "
        r"such plans, and that cannot be loaded\n  expected: libnvinfer_lean\.so\.10\n"
        r"  libnvinfer_lean\.so\.10: .*\n"
        r"  Hint: pip install tensorrt-lean==10\.13\.3\.9 and put its lib folder on "
        r"LD_LIBRARY_PATH, or leave version_compatible out$"
    )
    with pytest.raises(OptionError, match=message):
        TensorRTOptions(version_compatible=True).check(FULL, "sm_90", "10.13.3.9")
    TensorRTOptions().check(FULL, "sm_90", "10.13.3.9")


@pytest.mark.skipif(tactics.missing_for_times() is None, reason="cuDNN 8 is here")
def test_tensorrt_8_keeps_no_times_in_a_file_without_cudnn() -> None:
    message = (
        r"^option 'timing_cache' of backend 'tensorrt': TensorRT writes the version of cuDNN "
        r"beside its times, and cuDNN cannot be loaded\n"
        r"  expected: libcudnn\.so\.8, libcudnn_ops_infer\.so\.8\n  libcudnn(.|\n)*"
        r"Hint: pip install 'nvidia-cudnn-cu12<9' (.|\n)*leave timing_cache out$"
    )
    with pytest.raises(OptionError, match=message):
        TensorRTOptions(timing_cache="x.timing").check(ROWS["tensorrt", "8.6.0"], "sm_90", "8.6.0")
    for name in ("auto", "off"):
        options = TensorRTOptions(timing_cache=name)
        options.check(ROWS["tensorrt", "8.6.0"], "sm_90", "8.6.0")
    TensorRTOptions(timing_cache="x.timing").check(FULL, "sm_90", "10.13.3.9")
