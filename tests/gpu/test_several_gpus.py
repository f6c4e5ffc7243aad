"""An engine on one GPU of several, for a caller who is at another. TensorRT is not needed."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_loopback import loopback
from gpu_memory import Raw
from numpy.typing import NDArray

from fwd_core.backends.tensorrt.runtime import cuda, device
from fwd_core.engine import DeviceArray
from fwd_core.errors import InputError
from fwd_core.ir import DType


def _count() -> int:
    return 0 if device.find()[0] is None else int(cuda.call("cudaGetDeviceCount"))


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(_count() < 2, reason="there are not several GPUs"),
]


def _rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 64), np.float32)


def test_the_callers_gpu_stays_what_it_was() -> None:
    with cuda.on(1):
        engine = loopback()
        given = Raw(_rows(9))
        stream = int(cuda.call("cudaStreamCreateWithFlags", 1))
    with engine:
        assert engine.executable.device == 1
        for turn in range(6):
            x = _rows(9, turn)
            np.testing.assert_array_equal(engine.run({"x0": x})["y0"], x)
            assert cuda.call("cudaGetDevice") == 0
            found = engine.run({"x0": given}, stream=stream)["y0"]
            assert isinstance(found, DeviceArray)
            assert found.device == 1
            assert cuda.call("cudaGetDevice") == 0
            again = engine.run_async({"x0": found})
            np.testing.assert_array_equal(again.result()["y0"].numpy(), given.array)
            np.testing.assert_array_equal(found.numpy(), given.array)
            assert cuda.call("cudaGetDevice") == 0
            del found, again
    assert cuda.call("cudaGetDevice") == 0


def test_the_callers_gpu_stays_also_after_an_error() -> None:
    with cuda.on(1):
        engine = loopback(DType.INT64, bound=DType.INT32)
    with engine, pytest.raises(InputError, match="do not fit int32"):
        engine.run({"x0": np.full((2, 64), 2**40)})
    assert cuda.call("cudaGetDevice") == 0


@pytest.mark.parametrize("speaks", ["interface", "dlpack"])
@pytest.mark.parametrize("own", [False, True], ids=["without a stream", "on a stream"])
def test_arrays_of_another_gpu_are_refused(speaks: str, own: bool) -> None:
    with cuda.on(1):
        engine, here = loopback(), Raw(_rows(2), speaks)
        stream = int(cuda.call("cudaStreamCreateWithFlags", 1)) if own else None
    there = Raw(_rows(2), speaks)
    words = r"^input 'x0' is on another GPU than the engine\n  expected: GPU 1\n  got:      GPU 0\n"
    with engine:
        with pytest.raises(InputError, match=words):
            engine.run({"x0": there}, stream=stream)
        found = engine.run({"x0": here}, stream=stream)["y0"]
        np.testing.assert_array_equal(found.numpy(), here.array)


def test_memory_goes_back_to_the_gpu_that_it_is_of() -> None:
    with cuda.on(1):
        engine, given = loopback(), Raw(_rows(4096))
        free = int(cuda.call("cudaMemGetInfo")[0])
    kept = [engine.run({"x0": given})["y0"] for _ in range(40)]
    with cuda.on(1):
        assert free - int(cuda.call("cudaMemGetInfo")[0]) >= 32 << 20
    del kept
    engine.close()
    with cuda.on(1):
        assert free - int(cuda.call("cudaMemGetInfo")[0]) <= 4 << 20
