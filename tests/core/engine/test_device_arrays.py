"""Arrays of a GPU as callers give them and engines give them back; memory of the host stands in."""

from __future__ import annotations

import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from host_memory import HostMemory, Lender, Told, ToldTwice
from values import kind

from fwd_core.backends import Port
from fwd_core.engine import DeviceArray, dlpack
from fwd_core.engine.device_arrays import Given, as_given, on_device, stream_handle
from fwd_core.errors import InputError
from fwd_core.ir import DType

ON_GPU, OWN = (dlpack.CUDA, 0), 77
FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def _given(
    item: Any, dtype: str = "float32", bound: str | None = None, **more: int | None
) -> Given:
    device, stream = more.get("device", 0) or 0, more.get("stream")
    port = Port("x", kind(2, 3, dtype=dtype))
    return as_given(port, DType.of(bound or dtype), item, device, stream, OWN)


def _array(array: Any = FLOATS, stream: int | None = None, **more: Any) -> DeviceArray:
    dtype = more.pop("dtype", None) or DType.of(array.dtype)
    return DeviceArray(HostMemory(array, stream), array.shape, dtype, **more)


def _lent(array: DeviceArray) -> list[int | None]:
    assert isinstance(array.memory, HostMemory)
    return array.memory.lent


class Nowhere(Lender):
    """On a device that DLPack does not have, as torch's meta tensors are."""

    def __dlpack_device__(self) -> tuple[int, int]:
        raise ValueError("Unknown device type meta for Dlpack")


class Refusing(Lender):
    """One that cannot be exported, as torch's tensors with a gradient."""

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError("Can't export tensors that require gradient")


class TestWhere:
    @pytest.mark.parametrize(
        ("item", "wanted"),
        [
            (FLOATS, False),
            (_array(), True),
            (Lender(FLOATS), False),
            (Lender(FLOATS, device=(dlpack.CUDA_HOST, 0)), False),
            (Lender(FLOATS, device=ON_GPU), True),
            (Lender(FLOATS, device=(dlpack.CUDA_MANAGED, 1)), True),
            (Told(FLOATS), True),
            (Nowhere(FLOATS), False),
            ([1.0], False),
            (None, False),
        ],
        ids=lambda item: type(item).__name__,
    )
    def test_what_lies_on_a_gpu(self, item: Any, wanted: bool) -> None:
        assert on_device(item) is wanted


class TestByInterface:
    @pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.BFLOAT16], ids=str)
    def test_every_type(self, dtype: DType) -> None:
        array = np.zeros((2, 3), dtype.storage)
        item = Told(array)
        found = _given(item, str(dtype))
        assert (found.address, found.shape, found.dtype) == (array.ctypes.data, (2, 3), dtype)
        assert found.nbytes == array.nbytes
        assert found.keep is item

    @pytest.mark.parametrize(
        ("told", "wanted"), [(None, None), (1, 0), (2, 2), (12345, 12345)], ids=str
    )
    def test_the_stream_to_wait_for(self, told: int | None, wanted: int | None) -> None:
        assert _given(Told(FLOATS, stream=told)).stream == wanted

    def test_no_stream_told(self) -> None:
        assert _given(Told(FLOATS)).stream is None

    def test_strides_that_are_contiguous(self) -> None:
        assert _given(Told(FLOATS, strides=(12, 4))).shape == (2, 3)

    @pytest.mark.parametrize("strides", [(4, 8), (24, 4), (12, 8), (-12, 4)])
    def test_other_strides(self, strides: tuple[int, int]) -> None:
        with pytest.raises(InputError, match=_STRIDED):
            _given(Told(FLOATS, strides=strides))

    def test_another_type(self) -> None:
        with pytest.raises(
            InputError,
            match=r"^input 'x' has the wrong dtype\n  expected: float32\[2, 3\]\n"
            r"  got:      float64\[2, 3\]\n"
            r"  Hint: convert it to float32 on the GPU, or give an array on the host$",
        ):
            _given(Told(FLOATS.astype(np.float64)))

    @pytest.mark.parametrize("typestr", [">f4", "<c8", "<u4"])
    def test_a_type_that_forward_has_not(self, typestr: str) -> None:
        with pytest.raises(InputError, match=rf"got:      {typestr}\[2, 3\]"):
            _given(Told(FLOATS, typestr=typestr))

    def test_a_type_that_the_engine_has_not_on_the_gpu(self) -> None:
        with pytest.raises(
            InputError,
            match=r"expected: int32\[2, 3\] on the GPU, where this engine has no int64\n"
            r"  got:      int64\[2, 3\]\n  Hint: convert it to int32 on the GPU, or",
        ):
            _given(Told(np.zeros((2, 3), np.int64)), "int64", "int32")
        assert _given(Told(np.zeros((2, 3), np.int32)), "int64", "int32").dtype is DType.INT32

    def test_a_mask(self) -> None:
        assert _given(Told(FLOATS, mask=None)).shape == (2, 3)
        with pytest.raises(
            InputError,
            match=r"^input 'x' has a mask\n  expected: an array whose elements are all valid\n"
            r"  Hint: fill the masked elements on the GPU$",
        ):
            _given(Told(FLOATS, mask=Told(FLOATS)))


class TestByDLPack:
    def test_it_is_asked_where_there_is_no_stream(self) -> None:
        item = ToldTwice(FLOATS)
        found = _given(item)
        assert item.asked == [OWN]
        assert (found.address, found.stream) == (FLOATS.ctypes.data, None)
        assert isinstance(found.keep, dlpack.Held)

    def test_the_interface_is_asked_where_there_is_one(self) -> None:
        item = ToldTwice(FLOATS)
        assert _given(item, stream=5).keep is item
        assert item.asked == []

    @pytest.mark.parametrize(("stream", "wanted"), [(None, OWN), (0, 1), (2, 2), (1234, 1234)])
    def test_the_stream_is_spelt_as_the_protocol_does(
        self, stream: int | None, wanted: int
    ) -> None:
        item = Lender(FLOATS, device=ON_GPU)
        _given(item, stream=stream)
        assert item.asked == [wanted]

    def test_bfloat16_comes_by_dlpack_alone(self) -> None:
        item = ToldTwice(np.zeros((2, 3), np.uint16), dtype=DType.BFLOAT16)
        for stream in (None, 5):
            assert _given(item, "bfloat16", stream=stream).dtype is DType.BFLOAT16
        assert item.asked == [OWN, 5]

    @pytest.mark.parametrize("stream", [None, 5])
    def test_another_type(self, stream: int | None) -> None:
        item = Lender(FLOATS.astype(np.float16), device=ON_GPU)
        with pytest.raises(
            InputError, match=r"'x' has the wrong dtype\n.*\n  got:      float16\[2, 3\]"
        ):
            _given(item, stream=stream)

    def test_a_type_that_forward_has_not(self) -> None:
        class Complex(Lender):
            def __dlpack__(self, **_options: Any) -> Any:
                return self.array.__dlpack__()

        item = Complex(np.zeros((2, 3), np.complex64), DType.FLOAT32, ON_GPU)
        with pytest.raises(InputError, match=r"got:      another type\[2, 3\]"):
            _given(item)

    def test_other_strides(self) -> None:
        class Turned(Lender):
            def __dlpack__(self, **_options: Any) -> Any:
                return self.array.__dlpack__()

        item = Turned(np.zeros((3, 2), np.float32).T, device=ON_GPU)
        with pytest.raises(InputError, match=_STRIDED):
            _given(item)

    @pytest.mark.parametrize("stream", [None, 5])
    def test_what_cannot_be_read(self, stream: int | None) -> None:
        with pytest.raises(
            InputError,
            match=r"^input 'x': this Refusing cannot be read\n  expected: float32\[2, 3\]\n"
            r"  Can't export tensors that require gradient\n"
            r"  Hint: detach it if it has a gradient, and give a dense array$",
        ):
            _given(Refusing(FLOATS, device=ON_GPU), stream=stream)

    def test_an_interface_that_fails(self) -> None:
        class Failing:
            @property
            def __cuda_array_interface__(self) -> Any:
                raise RuntimeError("no values")

        with pytest.raises(InputError, match="this Failing cannot be read"):
            _given(Failing(), stream=5)


class TestOtherGpus:
    MESSAGE = (
        r"^input 'x' is on another GPU than the engine\n  expected: GPU {}\n  got:      GPU {}\n"
        r"  Hint: copy it to the engine's GPU, or load the engine on the array's$"
    )

    @pytest.mark.parametrize(("engine", "there"), [(0, 1), (1, 0)])
    @pytest.mark.parametrize("stream", [None, 5])
    def test_are_refused(self, engine: int, there: int, stream: int | None) -> None:
        device = (dlpack.CUDA, there)
        for item in (
            Lender(FLOATS, device=device),
            ToldTwice(FLOATS, device),
            Refusing(FLOATS, device=device),  # as torch does with those of other GPUs
            _array(device=there),
        ):
            with pytest.raises(InputError, match=self.MESSAGE.format(engine, there)):
                _given(item, device=engine, stream=stream)


class TestGpusOfAddresses:
    """The CUDA array interface does not tell the GPU, so where there are several CUDA is asked."""

    @pytest.mark.parametrize(
        ("item", "stream"),
        [(Told(FLOATS), None), (Told(FLOATS), 5), (ToldTwice(FLOATS, (dlpack.CUDA, 1)), 5)],
        ids=["without a stream", "on a stream", "DLPack too"],
    )
    def test_the_one_that_cuda_tells(self, item: Any, stream: int | None) -> None:
        asked: list[int] = []

        def device_of(address: int) -> int:
            asked.append(address)
            return 1

        port = Port("x", kind(2, 3))
        more = (stream, OWN, device_of)
        assert as_given(port, DType.FLOAT32, item, 1, *more).keep is item
        with pytest.raises(InputError, match=TestOtherGpus.MESSAGE.format(0, 1)):
            as_given(port, DType.FLOAT32, item, 0, *more)
        assert asked == [FLOATS.ctypes.data] * 2

    def test_memory_of_all_of_them(self) -> None:
        port = Port("x", kind(2, 3))
        found = as_given(port, DType.FLOAT32, Told(FLOATS), 1, None, OWN, lambda _address: None)
        assert found.address == FLOATS.ctypes.data

    def test_empty_arrays_are_nowhere(self) -> None:
        item = Told(np.zeros((0, 3), np.float32), data=(0, False))
        port = Port("x", kind(0, 3))
        assert as_given(port, DType.FLOAT32, item, 1, None, OWN, lambda _address: 0).shape == (0, 3)


class TestOutputsAsInputs:
    @pytest.mark.parametrize(
        ("ready", "stream", "lent"),
        [
            (None, None, []),  # finished, and the run is over before the array can go
            (None, 5, [5]),  # finished, but stream 5 may still read it when it goes
            (5, 5, []),
            (5, 6, [6]),
            (5, None, [OWN]),
            (0, 0, []),
        ],
    )
    def test_streams_wait(self, ready: int | None, stream: int | None, lent: list[int]) -> None:
        array = _array(stream=ready)
        found = _given(array, stream=stream)
        assert _lent(array) == lent
        assert (found.address, found.stream, found.keep) == (array.address, None, array)

    def test_another_type(self) -> None:
        with pytest.raises(InputError, match=r"wrong dtype\n.*\n  got:      float32\[2, 3\]"):
            _given(_array(), "float16")


class TestDeviceArray:
    def test_what_it_says(self) -> None:
        array = _array(stream=5, device=1)
        assert repr(array) == "<DeviceArray float32[2, 3] on GPU 1>"
        assert (array.nbytes, array.stream, array.address) == (24, 5, FLOATS.ctypes.data)
        assert array.__dlpack_device__() == (dlpack.CUDA, 1)

    def test_a_copy_on_the_host(self) -> None:
        copy = _array().numpy()
        np.testing.assert_array_equal(copy, FLOATS)
        assert not np.shares_memory(copy, FLOATS)
        words = _array(np.array([0x3F80], np.uint16), dtype=DType.BFLOAT16).numpy()
        assert words.dtype == np.uint16
        assert words.tolist() == [0x3F80]
        assert _array(np.zeros((0, 3), np.float32)).numpy().shape == (0, 3)

    @pytest.mark.parametrize(("stream", "told"), [(None, None), (0, 1), (5, 5)], ids=str)
    def test_the_interface(self, stream: int | None, told: int | None) -> None:
        array = _array(stream=stream)
        assert array.__cuda_array_interface__ == {
            "version": 3,
            "shape": (2, 3),
            "typestr": "<f4",
            "data": (array.address, False),
            "strides": None,
            "stream": told,
        }
        assert _lent(array) == [None]

    def test_the_interface_of_an_empty_array_has_no_address(self) -> None:
        interface = _array(np.zeros((0, 3), np.float32)).__cuda_array_interface__
        assert interface["data"] == (0, False)

    def test_the_interface_has_no_bfloat16(self) -> None:
        array = _array(np.zeros(3, np.uint16), dtype=DType.BFLOAT16)
        assert not hasattr(array, "__cuda_array_interface__")
        with pytest.raises(
            AttributeError, match="^__cuda_array_interface__ has no bfloat16; use DLPack$"
        ):
            _ = array.__cuda_array_interface__
        assert dlpack.take(array.__dlpack__()).dtype is DType.BFLOAT16

    @pytest.mark.parametrize(
        ("stream", "lent"), [(None, 0), (1, 0), (0, 0), (2, 2), (1234, 1234), (-1, None)]
    )
    def test_the_consumers_stream_waits(self, stream: int | None, lent: int | None) -> None:
        array = _array()
        found = dlpack.take(array.__dlpack__(stream=stream, max_version=(1, 0)))
        assert _lent(array) == [lent]
        assert (found.address, found.shape, found.dtype) == (array.address, (2, 3), DType.FLOAT32)
        assert found.device == ON_GPU

    def test_what_is_wanted_and_what_there_is(self) -> None:
        array = _array()
        for more in ({"copy": False}, {"copy": None}, {"dl_device": ON_GPU}):
            assert dlpack.take(array.__dlpack__(**more)).shape == (2, 3)

    @pytest.mark.parametrize(
        "more", [{"copy": True}, {"dl_device": (dlpack.CPU, 0)}, {"dl_device": (dlpack.CUDA, 1)}]
    )
    def test_copies_and_other_devices_are_refused(self, more: Any) -> None:
        array = _array()
        with pytest.raises(
            BufferError,
            match=r"^an array on GPU 0 is handed over where it is: copy it with numpy\(\), or with "
            r"the library that takes it$",
        ):
            array.__dlpack__(**more)
        assert _lent(array) == []

    def test_memory_outlives_the_array(self) -> None:
        array = _array(FLOATS.copy())
        memory = weakref.ref(array.memory)
        found = dlpack.take(array.__dlpack__())
        del array
        assert memory() is not None
        del found
        assert memory() is None


class Number:
    """Converts to an integer, as the handles of cuda.bindings do."""

    def __int__(self) -> int:
        return 9


@pytest.mark.parametrize(
    ("stream", "wanted"),
    [
        (0, 0),
        (1234, 1234),
        (np.int64(8), 8),
        (Number(), 9),
        (SimpleNamespace(cuda_stream=3), 3),
        (SimpleNamespace(ptr=4), 4),
        (SimpleNamespace(__cuda_stream__=lambda: (0, 5)), 5),
        (SimpleNamespace(__cuda_stream__=(0, 6)), 6),
        (SimpleNamespace(__cuda_stream__=(0, Number()), ptr=4), 9),
    ],
    ids=["default", "handle", "numpy", "converts", "torch", "cupy", "core", "older", "first"],
)
def test_streams_of_every_form(stream: Any, wanted: int) -> None:
    assert stream_handle(stream) == wanted


@pytest.mark.parametrize(
    "stream", ["fast", "12", b"12", 1.5, object(), [1], SimpleNamespace(ptr="here"), None],
    ids=["text", "digits", "bytes", "fraction", "object", "list", "ptr", "none"],
)  # fmt: skip
def test_no_stream(stream: Any) -> None:
    with pytest.raises(
        InputError,
        match="^this is no CUDA stream\n  expected: a handle, or a stream of torch, CuPy or "
        f"cuda.core\n  got:      {type(stream).__name__}$",
    ):
        stream_handle(stream)


_STRIDED = (
    r"^input 'x' is not C-contiguous\n"
    r"  expected: elements one after the other, the last axis fastest\n"
    r"  got:      \[2, 3\] with other strides\n"
    r"  Hint: make it so on the GPU \(tensor.contiguous\(\), cupy.ascontiguousarray\(array\)\)$"
)
