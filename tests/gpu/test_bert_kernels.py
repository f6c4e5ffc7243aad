"""The BERT pack's own kernels on a GPU, against NumPy in float64, and PyTorch where it is there.

Neither TensorRT nor PyTorch is needed: `pytest -m gpu tests/gpu/test_bert_kernels.py`.
"""

from __future__ import annotations

import norm_cases
import numpy as np
import pytest
from gpu_memory import Raw, Slow
from hypothesis import given, settings
from hypothesis import strategies as st
from norm_cases import Array, Case, embedding_norms, skip_norms

from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_plugins_bert.kernels import compiling, driver, norms
from fwd_plugins_bert.kernels.compiling import KernelError
from fwd_plugins_bert.kernels.norms import Norm


def _why_not() -> str:
    if device.find()[0] is None:
        return device.find()[1] or "no GPU"
    try:
        compiling.architectures()
    except KernelError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(_why_not()), reason=_why_not())]
BLOCKS = st.sampled_from([driver.MOST_BLOCKS, 1, 3])
#: The first example of a width compiles its kernel. Said here too, for runs with no conftest.
NO_DEADLINE = settings(deadline=None)


class Launch(norm_cases.Launch):
    """A case in the memory of the GPU."""

    def __init__(self, case: Case, offset: int = 0) -> None:
        cuda.call("cudaFree", 0)  # makes a context
        super().__init__(case, lambda array, bytes_: Raw(array, offset=bytes_), offset)

    def result(self) -> Array:
        found = self.case.out()
        cuda.call("cudaDeviceSynchronize")
        cuda.to_host(found.ctypes.data, self.out.address, found.nbytes, 0)
        cuda.call("cudaDeviceSynchronize")
        return found


def residual(norm: Norm, rows: int, seed: int = 0) -> Case:
    numbers = np.random.default_rng(seed)
    case = Case(norm, rows)
    for name in ("x", "skip"):
        array = numbers.standard_normal((rows, norm.width), np.float32)
        setattr(case, name, array.astype(case.dtype))
    for name in ("bias", "scale", "shift"):
        if getattr(norm, name):
            setattr(case, name, numbers.standard_normal(norm.width).astype(case.dtype))
    return case


@NO_DEADLINE
@given(case=skip_norms(300, 5000), blocks=BLOCKS, offset=st.sampled_from([0, 0, 1, 2, 4]))
def test_residual_sums(case: Case, blocks: int, offset: int) -> None:
    launch = Launch(case, offset)
    launch.queue(blocks=blocks)
    case.check(launch.result())


@NO_DEADLINE
@given(case=embedding_norms(300, 5000), blocks=BLOCKS, offset=st.sampled_from([0, 0, 1, 2]))
def test_embeddings(case: Case, blocks: int, offset: int) -> None:
    launch = Launch(case, offset)
    launch.queue(blocks=blocks)
    case.check(launch.result())


@pytest.mark.parametrize("width", [1, 8192, 32767, norms.MOST_WIDTH])
@pytest.mark.parametrize("half", [False, True])
def test_ends_of_the_widths(width: int, half: bool) -> None:
    case = residual(Norm(width, half, bias=True), 5)
    launch = Launch(case)
    launch.queue()
    case.check(launch.result())


def test_more_rows_than_a_grid_has_in_other_directions() -> None:
    case = residual(Norm(4, half=True), 65535 * 8 + 3)
    launch = Launch(case)
    launch.queue()
    case.check(launch.result())
    launch.queue(blocks=7)
    case.check(launch.result())


def test_no_rows() -> None:
    launch = Launch(residual(Norm(64), 0))
    launch.queue()
    assert launch.result().shape == (0, 64)


def test_the_result_may_replace_an_operand() -> None:
    case = residual(Norm(768, half=True, bias=True), 500)
    for name in ("x", "skip"):
        launch = Launch(case)
        launch.out = launch.vectors[name]
        launch.queue()
        case.check(launch.result())


def test_an_index_that_no_table_has_makes_a_row_of_nan() -> None:
    case = Case(Norm(768, tables=1, long=True), 4)
    case.scale, case.shift = np.ones((2, 768), np.float32)
    case.tables = [np.random.default_rng(0).standard_normal((9, 768)).astype(np.float32)]
    case.indices = [np.array([8, 9, -10, 2**40], np.int64)]
    launch = Launch(case)
    launch.queue()
    assert np.isnan(launch.result()).all(-1).tolist() == [False, True, True, True]


def test_work_is_in_the_order_of_its_stream() -> None:
    case = residual(Norm(768, half=True), 200)
    launch, slow = Launch(case), Slow()
    assert case.x is not None
    launch.vectors["x"].write(np.zeros_like(case.x))
    case.norm.prepare()
    cuda.call("cudaDeviceSynchronize")
    stream = cuda.call("cudaStreamCreateWithFlags", 1)  # waits for no other stream
    slow.queue(int(stream))
    launch.vectors["x"].write(case.x, int(stream))
    launch.queue(int(stream))
    cuda.call("cudaStreamSynchronize", stream)
    case.check(launch.result())
    cuda.call("cudaStreamDestroy", stream)


def test_launches_are_recorded_and_replayed() -> None:
    case = residual(Norm(1024), 200)
    launch = Launch(case)
    case.norm.prepare()
    stream = cuda.call("cudaStreamCreateWithFlags", 1)
    mode = cuda.runtime().cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    cuda.call("cudaStreamBeginCapture", stream, mode)
    launch.queue(int(stream))
    graph = cuda.call("cudaStreamEndCapture", stream)
    made = cuda.call("cudaGraphInstantiate", graph, 0)
    assert (launch.result() == 77).all()
    cuda.call("cudaGraphLaunch", made, stream)
    cuda.call("cudaStreamSynchronize", stream)
    case.check(launch.result())
    cuda.call("cudaGraphExecDestroy", made)
    cuda.call("cudaGraphDestroy", graph)
    cuda.call("cudaStreamDestroy", stream)


def test_a_kernel_is_loaded_once() -> None:
    case = residual(Norm(776), 2)
    Launch(case).queue()
    loaded = len(driver._LOADED)
    Launch(case).queue()
    assert len(driver._LOADED) == loaded


def test_the_driver_says_what_it_refuses() -> None:
    norm = Norm(64)
    Launch(residual(norm, 1)).queue()
    with pytest.raises(KernelError, match="cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE"):
        driver.launch(norm._function(4), 0, 128, [])
    with pytest.raises(KernelError, match="cuModuleLoadData failed: CUDA_ERROR_"):
        driver.function("damaged", "f", lambda _capability: b"no code, but long enough\0" * 9)
    with pytest.raises(KernelError, match="cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND"):
        driver.function("nameless", "other", lambda capability: norm.compiled(capability, 4))


@pytest.mark.parametrize("half", [False, True])
def test_torch_computes_the_same(half: bool) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    case = residual(Norm(768, half), 333)
    launch = Launch(case)
    launch.queue()
    found = launch.result()
    x, skip, scale, shift = (
        torch.from_numpy(array).cuda().float()
        for array in (case.x, case.skip, case.scale, case.shift)
    )
    wanted = torch.nn.functional.layer_norm(x + skip, (768,), scale, shift, case.epsilon)
    wanted = wanted.to(torch.float16 if half else torch.float32).cpu().numpy()
    near = 2e-3 if half else 4e-6
    np.testing.assert_allclose(found, wanted, rtol=near, atol=near)
