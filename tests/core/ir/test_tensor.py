"""Constants on the host."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwd_core.ir.dtypes import DType
from fwd_core.ir.tensor import Tensor
from fwd_core.ir.types import TensorType


def _bfloat16(value: float) -> int:
    return int(Tensor(np.array(value, np.float32)).astype(DType.BFLOAT16).data)


def _value(word: int) -> float:
    return float(np.array([word << 16], np.uint32).view(np.float32)[0])


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bfloat16_is_the_nearest(value: float) -> None:
    word = _bfloat16(value)
    if not np.isfinite(_value(word)):
        assert abs(value) > DType.BFLOAT16.limits[1]
        return
    for neighbour in (word - 1, word + 1):  # next toward and away from zero
        if neighbour & 0x7FFF != 0x7FFF and np.isfinite(other := _value(neighbour & 0xFFFF)):
            assert abs(_value(word) - value) <= abs(other - value)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.0, 0x0000),
        (-0.0, 0x8000),
        (1.0, 0x3F80),
        (1.00390625, 0x3F80),  # half-way: the even neighbour is below
        (1.01171875, 0x3F82),  # half-way: the even neighbour is above
        (3.4028235e38, 0x7F80),  # the greatest float32 rounds to infinity
        (float("inf"), 0x7F80),
        (float("-inf"), 0xFF80),
        (float("nan"), 0x7FC0),
        (1e-45, 0x0000),
    ],
)
def test_bfloat16_words(value: float, word: int) -> None:
    assert _bfloat16(value) == word


def test_every_bfloat16_survives_widening() -> None:
    words = np.arange(0x10000, dtype=np.uint16)
    back = Tensor(Tensor(words, DType.BFLOAT16).numpy()).astype(DType.BFLOAT16).data
    nan = np.isnan(Tensor(words, DType.BFLOAT16).numpy())
    assert nan.sum() == 254
    np.testing.assert_array_equal(back[~nan], words[~nan])
    assert (back[nan] == 0x7FC0).all()


def test_every_nan_stays_one_without_a_warning() -> None:
    for word in (0x7FC00000, 0xFFFFFFFF, 0x7F800001):
        for shape in ((), (1,)):
            data = np.full(shape, word, np.uint32).view(np.float32)
            assert (Tensor(data).astype(DType.BFLOAT16).data == 0x7FC0).all()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
@pytest.mark.parametrize("source", list(DType))
@pytest.mark.parametrize("target", list(DType))
def test_conversion_keeps_shape_and_small_numbers(
    source: DType, target: DType, shape: tuple[int, ...]
) -> None:
    numbers = Tensor(np.resize([0, 1], shape).astype(np.float32)).astype(source)
    assert numbers.type == TensorType(source, shape)
    converted = numbers.astype(target)
    assert type(converted.data) is np.ndarray
    assert converted.type == TensorType(target, shape)
    assert converted.data.dtype == target.storage
    np.testing.assert_array_equal(
        converted.numpy().astype(np.float32), numbers.numpy().astype(np.float32)
    )


def test_same_dtype_is_the_same_object() -> None:
    tensor = Tensor(np.zeros(3))
    assert tensor.astype(DType.FLOAT64) is tensor


def test_data_is_shared_unless_it_is_not_contiguous() -> None:
    data = np.arange(6.0).reshape(2, 3)
    assert Tensor(data).data is data
    turned = Tensor(data.T)
    assert turned.data.flags.c_contiguous
    assert turned.data.tolist() == data.T.tolist()


def test_numpy_scalars_become_0d_arrays() -> None:
    tensor = Tensor(np.float32(1.5))
    assert type(tensor.data) is np.ndarray
    assert tensor.shape == ()
    assert tensor.item() == 1.5


def test_storage_must_fit() -> None:
    with pytest.raises(ValueError, match="bfloat16 is held as uint16, not float32"):
        Tensor(np.zeros(1, np.float32), DType.BFLOAT16)
    with pytest.raises(ValueError, match="float32 is held as float32, not >f4"):
        Tensor(np.zeros(1, ">f4"))


def test_digest_tells_contents_dtype_and_shape() -> None:
    tensors = [
        Tensor(np.zeros(4, np.float32)),
        Tensor(np.zeros((2, 2), np.float32)),
        Tensor(np.zeros(4, np.int32)),
        Tensor(np.array([0, 0, 0, -0.0], np.float32)),
        Tensor(np.zeros(0, np.float32)),
        Tensor(np.zeros((0, 2), np.float32)),
        Tensor(np.array(0, np.float32)),
        Tensor(np.zeros(4, np.int16)),
        Tensor(np.zeros(4, np.uint16), DType.BFLOAT16),
    ]
    assert len({tensor.digest for tensor in tensors}) == len(tensors)
    assert tensors[0].digest == Tensor(np.zeros(4, np.float32)).digest


def test_item_wants_one_element() -> None:
    assert Tensor(np.array([[7]])).item() == 7
    assert Tensor(np.array(True)).item() is True
    assert Tensor(np.array([0x3FC0], np.uint16), DType.BFLOAT16).item() == 1.5
    with pytest.raises(ValueError, match="size 1"):
        Tensor(np.zeros(2)).item()


def test_sizes() -> None:
    tensor = Tensor(np.zeros((2, 3), np.uint16), DType.BFLOAT16)
    assert (tensor.shape, tensor.nbytes) == ((2, 3), 12)


def test_printed_form() -> None:
    assert repr(Tensor(np.array([1, 2], np.int32))) == "int32[2] [1, 2]"
    assert re.fullmatch(r"float32\[9\] #[0-9a-f]{12}", repr(Tensor(np.zeros(9, np.float32))))
