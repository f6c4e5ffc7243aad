"""What an engine does with an executable that has a device; its memory is the host's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from host_device import OWN, executable_of, host_device
from host_memory import Lender, Told

from fwd_core.engine import DeviceArray, dlpack
from fwd_core.errors import ForwardError, InputError
from fwd_core.ir import DType

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def _there(array: Any = X) -> Lender:
    return Lender(array, device=(dlpack.CUDA, 0))


@pytest.mark.parametrize("given", [_there(), Told(X)], ids=["dlpack", "interface"])
def test_arrays_of_the_device_give_arrays_of_the_device(given: Any) -> None:
    engine = host_device()
    found = engine.run({"x0": given})
    assert list(found) == ["y0"]
    assert isinstance(found["y0"], DeviceArray)
    np.testing.assert_array_equal(found["y0"].numpy(), X + 1)
    again = engine.run_list([found["y0"]])[0]
    np.testing.assert_array_equal(again.numpy(), X + 2)
    assert executable_of(engine).streams == [None, None]


def test_arrays_of_the_host_give_arrays_of_the_host() -> None:
    engine = host_device()
    assert isinstance(engine.run({"x0": X})["y0"], np.ndarray)
    assert executable_of(engine).streams == [], "the short way"
    assert isinstance(engine.run({"x0": X}, stream=5)["y0"], np.ndarray)
    assert isinstance(engine.run({"x0": Lender(X)})["y0"], np.ndarray)
    assert executable_of(engine).streams == [5, None]


def test_the_callers_stream_in_its_forms() -> None:
    engine, given = host_device(), _there()
    for stream in (0, 5, SimpleNamespace(cuda_stream=6)):
        engine.run({"x0": given}, stream=stream)
        engine.run_list([given], stream=stream)
        engine.run_async({"x0": given}, stream=stream).result()
    assert executable_of(engine).streams == [0] * 3 + [5] * 3 + [6] * 3
    assert given.asked == [1] * 3 + [5] * 3 + [6] * 3, "the default stream is 1 in DLPack"
    engine.run({"x0": given})
    assert given.asked[-1] == OWN


def test_a_run_in_the_background() -> None:
    engine = host_device()
    executable_of(engine).go_on.clear()
    pending = engine.run_async({"x0": _there()})
    assert not pending.done()
    executable_of(engine).go_on.set()
    assert pending.done()
    found = pending.result()
    np.testing.assert_array_equal(found["y0"].numpy(), X + 1)
    assert pending.result()["y0"] is found["y0"]
    host = engine.run_async({"x0": X}).result()["y0"]
    np.testing.assert_array_equal(host, X + 1)


def test_what_does_not_fit_is_told_at_once() -> None:
    engine = host_device(DType.FLOAT32, contexts=2)
    for _ in range(3):  # contexts come back
        for use in (engine.run, engine.run_async):
            with pytest.raises(InputError, match=r"'x0' has the wrong dtype\n.*\n.*float16"):
                use({"x0": _there(X.astype(np.float16))})
            with pytest.raises(InputError, match=r"'x0': the size of axis 1 of float32\[n, 3\]"):
                use({"x0": _there(X[:, :2].copy())})
            with pytest.raises(InputError, match="this is no CUDA stream"):
                use({"x0": _there()}, stream="fast")
            with pytest.raises(InputError, match=r"'x0' is no array"):
                use({"x0": [1.0]})
    with pytest.raises(InputError, match="wrong number of inputs"):
        engine.run_list([_there(), _there()])
    np.testing.assert_array_equal(engine.run({"x0": _there()})["y0"].numpy(), X + 1)


def test_a_tensor_of_no_device() -> None:
    class Meta(Lender):
        def __dlpack_device__(self) -> tuple[int, int]:
            raise ValueError("Unknown device type meta for Dlpack")

        def __dlpack__(self, **_options: Any) -> Any:
            return self.__dlpack_device__()

    with pytest.raises(InputError, match="this Meta cannot be read on the host\n.*\n  Unknown dev"):
        host_device().run({"x0": Meta(X)})


def test_types_that_the_device_has_not() -> None:
    engine = host_device(DType.INT64, bound=DType.INT32)
    wide = np.arange(6).reshape(2, 3)
    with pytest.raises(InputError, match="on the GPU, where this engine has no int64"):
        engine.run({"x0": _there(wide)})
    found = engine.run({"x0": _there(wide.astype(np.int32))})["y0"]
    assert found.dtype is DType.INT32
    np.testing.assert_array_equal(found.numpy(), wide + 1)


@pytest.mark.parametrize("stream", [None, 5])
def test_a_closed_engine_refuses(stream: int | None) -> None:
    engine = host_device()
    engine.close()
    for use in (engine.run, engine.run_async):
        with pytest.raises(ForwardError, match="^the engine is closed\n  Hint: build or load it"):
            use({"x0": _there()}, stream=stream)


def test_a_context_that_works_on_is_left_alone() -> None:
    engine = host_device(contexts=2)
    executable_of(engine).go_on.clear()
    pending = [engine.run_async({"x0": _there()})]
    assert executable_of(engine).made == 1
    pending += [engine.run_async({"x0": _there()}) for _ in range(4)]
    assert executable_of(engine).made == 2, "the second run had a context of its own"
    assert engine.contexts.peak == 1, "contexts come back before their runs are over"
    executable_of(engine).go_on.set()
    for one in pending:
        np.testing.assert_array_equal(one.result()["y0"].numpy(), X + 1)
