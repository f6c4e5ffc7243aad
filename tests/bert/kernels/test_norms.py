"""Kernels for norms without a GPU: that they compile, for what, and what is refused."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fwd_core.backends.tensorrt.runtime import device
from fwd_core.errors import OptionError
from fwd_plugins_bert.kernels import compiling, driver, norms
from fwd_plugins_bert.kernels.compiling import KernelError, compiled
from fwd_plugins_bert.kernels.norms import Norm


def _why_not() -> str:
    try:
        compiling.architectures()
    except KernelError as error:
        return str(error)
    return ""


nvrtc = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "there is NVRTC")
NORMS = st.builds(
    Norm,
    st.one_of(st.sampled_from([768, 1024, 4096]), st.integers(1, norms.MOST_WIDTH)),
    half=st.booleans(),
    scale=st.booleans(),
    shift=st.booleans(),
    bias=st.booleans(),
    int8=st.booleans(),
)
EMBEDDINGS = st.builds(
    Norm,
    st.one_of(st.sampled_from([768, 1024]), st.integers(1, norms.MOST_WIDTH)),
    half=st.booleans(),
    scale=st.booleans(),
    shift=st.booleans(),
    tables=st.integers(1, norms.MOST_TERMS),
    added=st.integers(0, norms.MOST_TERMS),
    long=st.booleans(),
)


@nvrtc
@settings(max_examples=10)
@given(norm=st.one_of(NORMS, EMBEDDINGS), gpu=st.sampled_from(["sm_80", "sm_90"]))
def test_each_compiles_to_machine_code(norm: Norm, gpu: str) -> None:
    assert norm.compiled(gpu).startswith(b"\x7fELF")


@nvrtc
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("int8", [False, True])
def test_loads_are_of_16_bytes(half: bool, int8: bool) -> None:
    norm = Norm(768, half, bias=True, int8=int8)
    options = ("--gpu-architecture=compute_90", *norm.options(norm.vector()))
    text = compiling._compile(norms.source(), norm.name, options, binary=False).decode()
    # x and skip, bias, scale and shift: each thread reads so many pieces of each.
    pieces = 768 // norm.vector() // 32
    assert len(re.findall(r"ld\.global\.cs\.v4\.[buf]32", text)) == 2 * pieces
    assert len(re.findall(r"ld\.global\.nc\.v4\.[buf]32", text)) == 3 * pieces
    written = r"st\.global\.v4\.[buf]32" if not int8 else r"st\.global\.(v2\.)?[bu]32"
    assert len(re.findall(written, text)) == pieces
    assert len(re.findall(r"\b(?:ld|st)\.global", text)) == 6 * pieces
    assert ".local" not in text  # all of a row is in registers


@nvrtc
def test_code_is_made_once() -> None:
    assert Norm(40).compiled("sm_90") is Norm(40).compiled("sm_90")


@nvrtc
def test_a_gpu_that_is_newer_than_the_compiler_gets_ptx() -> None:
    newest = compiling.architectures()[-1]
    code = Norm(40).compiled(f"sm_{newest + 1}")
    assert f".target sm_{newest}".encode() in code


@nvrtc
def test_a_gpu_that_is_too_old() -> None:
    with pytest.raises(KernelError, match="NVRTC here makes no code for sm_30") as told:
        Norm(40).compiled("sm_30")
    assert "sm_90" in str(told.value)


@pytest.mark.parametrize(
    ("capability", "hint"),
    [
        ("sm90", "did you mean 'sm_90'?"),
        ("8.9", "did you mean 'sm_89'?"),
        (
            "hopper",
            "`fwd doctor` tells that of the GPU at hand, NVIDIA's list of GPUs those of others",
        ),
    ],
)
def test_a_capability_that_is_written_otherwise(capability: str, hint: str) -> None:
    with pytest.raises(OptionError) as told:
        compiled("__global__ void f() {}", "f", capability)
    assert str(told.value) == (
        "argument 'capability'\n  expected: a compute capability such as sm_89\n"
        f"  got:      {capability!r}\n  Hint: {hint}"
    )


@nvrtc
def test_the_log_of_the_compiler_is_told() -> None:
    with pytest.raises(KernelError, match="NVRTC cannot compile wrong: ") as told:
        compiled("__global__ void wrong() { nonsense; }", "wrong", "sm_90")
    assert 'identifier "nonsense" is undefined' in str(told.value)
    assert "--gpu-architecture=sm_90" in str(told.value)


@nvrtc
def test_an_unknown_option_is_told() -> None:
    with pytest.raises(KernelError, match="NVRTC cannot compile f: NVRTC_ERROR_INVALID_OPTION"):
        compiled("__global__ void f() {}", "f", "sm_90", ("--no-such-option",))


@nvrtc
def test_what_the_compiler_refuses_beside_that_is_told() -> None:
    with pytest.raises(KernelError, match="nvrtcGetPTXSize failed: NVRTC_ERROR_INVALID_PROGRAM"):
        compiling._call("nvrtcGetPTXSize", 0)


@pytest.mark.skipif(device.find()[0] is not None, reason="there is a GPU")
def test_without_a_gpu_the_driver_says_so() -> None:
    pytest.importorskip("cuda.bindings")
    with pytest.raises(KernelError, match="cuCtxGetDevice failed: (no CUDA driver|CUDA_ERROR_)"):
        driver.capability()


def _forget() -> None:
    for kept in (compiling._library, compiling.architectures, driver._library):
        kept.cache_clear()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An environment without cuda-bindings."""
    for name in ("nvrtc", "driver"):
        monkeypatch.setitem(sys.modules, f"cuda.bindings.{name}", None)
    _forget()
    yield
    _forget()


@pytest.mark.usefixtures("bare")
def test_without_a_compiler() -> None:
    with pytest.raises(
        KernelError, match="NVRTC, which compiles kernels, cannot be loaded"
    ) as told:
        compiling.architectures()
    assert "pip install 'fwd-plugins-bert[kernels]'" in str(told.value)


@pytest.mark.usefixtures("bare")
def test_without_the_driver() -> None:
    with pytest.raises(KernelError, match="cuda-bindings, which launches kernels, cannot be"):
        driver.capability()


def test_loads_are_as_wide_as_rows_and_addresses_allow() -> None:
    assert [Norm(width).vector() for width in (768, 6, 7)] == [4, 2, 1]
    assert [Norm(width, half=True).vector() for width in (768, 12, 6, 7)] == [8, 4, 2, 1]
    assert [Norm(768).vector([0, 256 + at]) for at in (0, 4, 8, 12, 16)] == [4, 1, 2, 1, 4]
    assert [Norm(768, half=True).vector([at]) for at in (0, 2, 4, 8)] == [8, 1, 2, 4]
    assert [Norm(768).vector(out=at) for at in (0, 4, 8)] == [4, 1, 2]
    assert [Norm(768, True, int8=True).vector(out=at) for at in (0, 1, 2, 4, 8)] == [8, 1, 2, 4, 8]


@given(norm=NORMS)
def test_a_row_fits_into_registers(norm: Norm) -> None:
    vector = norm.vector()
    threads, rows = norm.threads(vector)
    assert 32 <= threads * rows <= 1024
    assert rows == 1 or threads == 32
    items = -(-norm.width // (vector * threads))
    assert items * vector <= 32
    assert threads == 32 or -(-norm.width // (vector * threads // 2)) * vector > 32


def test_what_no_kernel_computes() -> None:
    for width in (0, norms.MOST_WIDTH + 1):
        with pytest.raises(
            KernelError, match=f"some widths\n  expected: 1 … 32768\n  got: +{width}"
        ):
            Norm(width)
    with pytest.raises(KernelError, match="rows of 1 … 4 tables and 0 … 4 tensors"):
        Norm(8, tables=5)
    with pytest.raises(KernelError, match="got: +0 and 1"):
        Norm(8, added=1)
    with pytest.raises(KernelError, match="has no bias, and no result in int8"):
        Norm(8, tables=1, int8=True)


def test_operands_that_do_not_fit() -> None:
    plain, embeds = Norm(8), Norm(8, tables=2)
    with pytest.raises(KernelError, match="reads a scale, of which no address was given"):
        norms.skip_norm(plain, 16, 16, 16, 1, epsilon=0.0)
    with pytest.raises(KernelError, match="embeddings is no norm of a residual sum"):
        norms.skip_norm(embeds, 16, 16, 16, 1, epsilon=0.0)
    for step in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(KernelError, match="int8 needs a step"):
            norms.skip_norm(Norm(8, int8=True), 16, 16, 16, 1, epsilon=0.0, step=step)
    with pytest.raises(KernelError, match="2 tables and 0 tensors\n  got: +1 and 0"):
        norms.embedding_norm(embeds, [(16, 1, 16)], [], 16, 1, epsilon=0.0)
