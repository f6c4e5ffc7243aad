from __future__ import annotations

from typing import Any

import pytest

trt = pytest.importorskip("tensorrt_rtx")

from fwd_core.backends.tensorrt import tactics
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.library import load
from fwd_core.backends.tensorrt.logger import logger
from fwd_core.errors import OptionError

OLD = ROWS["tensorrt", "8.6.0"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ("", ()),
        ([], ()),
        ("cublas, Cublas_LT", ("CUBLAS", "CUBLAS_LT")),
        (["jit_convolutions"], ("JIT_CONVOLUTIONS",)),
    ],
)
def test_names(given: Any, expected: Any) -> None:
    assert tactics.parse(given) == expected


def test_sources_that_a_flavour_has_are_taken() -> None:
    tactics.check(None, OLD)
    tactics.check((), OLD)
    tactics.check(("CUBLAS", "CUBLAS_LT", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"), OLD)


@pytest.mark.parametrize("version", ["8.6.0", "11.4.0.106"])
def test_sources_that_a_flavour_lacks_are_refused(version: str) -> None:
    message = r"option 'tactic_sources' of backend 'tensorrt': tensorrt takes no kernels from mine"
    with pytest.raises(OptionError, match=message):
        tactics.check(("MINE",), ROWS["tensorrt", version])


def test_cudnn_is_loaded_before_tensorrt_asks_for_it() -> None:
    missing = ("libc.so.6", "libcudnn_of_nobody.so.8")
    message = r"cudnn cannot be loaded\n(.|\n)*libcudnn_of_nobody\.so\.8(.|\n)*leave cudnn out"
    with pytest.raises(OptionError, match=message):
        tactics.require(missing)
    tactics.require(missing[:1])


def test_bits_are_what_tensorrt_takes() -> None:
    builder = trt.Builder(logger(load("tensorrt_rtx").trt))
    config = builder.create_builder_config()
    assert tactics.mask(trt, config, None) is None, "there is no cuDNN to leave out"
    bits = tactics.mask(trt, config, ("JIT_CONVOLUTIONS", "JIT_CONVOLUTIONS"))
    assert bits == 1 << int(trt.TacticSource.JIT_CONVOLUTIONS)
    assert config.set_tactic_sources(bits)
    assert config.get_tactic_sources() == bits
    assert tactics.mask(trt, config, ()) == 0
