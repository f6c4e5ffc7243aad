"""`TorchEngine` with CUDA tensors, on torch's own streams."""

from __future__ import annotations

import pytest
from gpu_loopback import loopback

from fwd_core.backends.tensorrt.runtime import device
from fwd_core.errors import InputError
from fwd_core.ir import DType

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        device.find()[0] is None or not torch.cuda.is_available(), reason="no GPU for torch"
    ),
]


def _engine(*dtypes: DType, **settings: object):  # type: ignore[no-untyped-def]
    from fwd_ops_torch.api import TorchEngine

    return TorchEngine(loopback(*dtypes, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.FLOAT64], ids=str)
def test_cuda_in_cuda_out(dtype: DType) -> None:
    x = torch.arange(192).reshape(3, 64).remainder(2).to(getattr(torch, str(dtype))).cuda()
    engine = _engine(dtype)
    for _ in range(4):
        y = engine.forward(x)
        assert (y.dtype, y.shape, y.device) == (x.dtype, x.shape, x.device)
        assert torch.equal(x, y)
        assert x.data_ptr() != y.data_ptr()
    assert torch.equal(engine.forward(x.cpu()), x.cpu())


def test_types_that_the_engine_has_not_are_converted_on_the_gpu() -> None:
    engine = _engine(DType.INT64, bound=DType.INT32)
    x = torch.arange(64, device="cuda").reshape(1, 64)
    for given in (x, x.to(torch.int16), x.to(torch.uint8)):
        y = engine(given)
        assert y.dtype is torch.int64
        assert torch.equal(y, x)
    with pytest.raises(InputError, match=r"wrong dtype(.|\n)*convert it: tensor.to\(torch.int64\)"):
        engine(x.float())


def test_views_gradients_and_slices() -> None:
    engine = _engine()
    base = torch.randn(64, 8, device="cuda", requires_grad=True)
    assert torch.equal(engine(base.t()), base.t())
    rows = torch.randn(9, 64, device="cuda")
    assert torch.equal(engine(rows[1:]), rows[1:])
    flat = torch.randn(130, device="cuda")[1:129].reshape(2, 64)
    for _ in range(4):
        assert torch.equal(engine(flat), flat)
    assert engine(rows[:0]).shape == (0, 64)
    with pytest.raises(InputError, match="to_dense"):
        engine(rows.to_sparse())


def test_inputs_on_several_devices() -> None:
    engine = _engine(DType.FLOAT32, DType.FLOAT32)
    x = torch.zeros(1, 64)
    with pytest.raises(InputError, match="the inputs are on several devices"):
        engine(x, x.cuda())


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_inputs_on_another_gpu() -> None:
    engine, y = _engine(), torch.zeros(1, 64, device="cuda:1")
    with pytest.raises(InputError, match="on another GPU than the engine"):
        engine(y)
    for stream in (None, torch.cuda.current_stream(0)):
        with pytest.raises(InputError, match="'x0' is on another GPU than the engine"):
            engine.engine.run({"x0": y}, stream=stream)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_torchs_current_gpu_stays_what_it_was() -> None:
    with torch.cuda.device(1):
        x = torch.randn(3, 64, device="cuda")  # first: torch does not go there before it must
        engine = _engine()
    assert torch.equal(engine(x), x)
    assert torch.equal(engine(x.cpu()), x.cpu())
    assert torch.cuda.current_device() == 0
    assert torch.zeros(1, device="cuda").device.index == 0


@pytest.mark.parametrize("side", [False, True], ids=["default", "side"])
def test_torchs_streams_are_respected(side: bool) -> None:
    engine = _engine()
    stream = torch.cuda.Stream() if side else torch.cuda.current_stream()
    sums = []
    with torch.cuda.stream(stream):
        x = torch.zeros(4096, 64, device="cuda")
        for turn in range(20):
            torch.cuda._sleep(20_000_000)
            x.fill_(turn)
            y = engine(x)
            torch.cuda._sleep(5_000_000)
            sums.append(y.mean())
            del y
        stream.synchronize()
    assert [float(one) for one in sums] == [float(turn) for turn in range(20)]


def test_a_result_that_goes_to_another_stream() -> None:
    engine, other = _engine(), torch.cuda.Stream()
    x = torch.zeros(4096, 64, device="cuda")
    sums = []
    for turn in range(20):
        torch.cuda._sleep(10_000_000)
        x.fill_(turn)
        y = engine.engine.run_list([x], stream=torch.cuda.current_stream())[0]
        with torch.cuda.stream(other):
            z = torch.from_dlpack(y)
            torch.cuda._sleep(20_000_000)
            sums.append(z.mean())
        del y, z
    torch.cuda.synchronize()
    assert [float(one) for one in sums] == [float(turn) for turn in range(20)]


def test_without_a_stream_the_engine_waits_for_torchs() -> None:
    engine, side = _engine().engine, torch.cuda.Stream()
    with torch.cuda.stream(side):
        for turn in range(10):
            torch.cuda._sleep(20_000_000)
            x = torch.full((4096, 64), float(turn), device="cuda")
            y = engine.run({"x0": x})["y0"]
            assert (y.numpy() == turn).all()


def test_other_libraries_take_what_comes_out() -> None:
    cupy = pytest.importorskip("cupy")
    engine = _engine().engine
    x = cupy.arange(128, dtype=cupy.float32).reshape(2, 64)
    y = engine.run({"x0": x})["y0"]
    assert (cupy.asarray(y) == x).all()
    assert (cupy.from_dlpack(y) == x).all()
    with cupy.cuda.Stream(non_blocking=True) as stream:
        z = engine.run({"x0": x}, stream=stream)["y0"]
        assert (cupy.asarray(z) == x).all()
