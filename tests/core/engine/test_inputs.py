"""What an engine takes, and what it says of what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from values import B, H, kind

from fwd_core.backends import Port
from fwd_core.engine.inputs import as_array, bind, collect
from fwd_core.errors import InputError
from fwd_core.ir import Dim, DType, Tensor

Array = np.ndarray[Any, Any]


def _port(*shape: Dim, dtype: str = "float32", name: str = "x") -> Port:
    return Port(name, kind(*shape, dtype=dtype))


class Speaks:
    """Something on the host that speaks DLPack, as tensors of other libraries do."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> object:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


class Elsewhere(Speaks):
    """One that is on a device: it refuses as torch's do."""

    def __dlpack__(self, **options: Any) -> object:
        raise BufferError("cannot export to the host")


class TestAsArray:
    @pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.BFLOAT16])
    def test_what_fits_is_not_copied(self, dtype: DType) -> None:
        array = np.zeros((2, 3), dtype.storage)
        assert as_array(_port(2, 3, dtype=str(dtype)), array) is array

    def test_words_of_bfloat16_are_taken_as_they_are(self) -> None:
        words = np.array([0x3F80], np.uint16)
        assert as_array(_port(1, dtype="bfloat16"), words) is words

    def test_dlpack_is_not_copied(self) -> None:
        array = np.zeros((2, 3), np.float32)
        found = as_array(_port(2, 3), Speaks(array))
        assert type(found) is np.ndarray
        assert np.shares_memory(found, array)

    def test_a_memory_map_is_not_copied(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.arange(3, dtype=np.float32))
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        found = as_array(_port(3), mapped)
        assert type(found) is np.ndarray
        assert np.shares_memory(found, mapped)

    def test_other_strides_are_copied(self) -> None:
        array = np.arange(6, dtype=np.float32).reshape(2, 3).T
        found = as_array(_port(3, 2), array)
        assert found.flags.c_contiguous
        assert found.tolist() == array.tolist()
        scalar = as_array(_port(), np.array(3, np.float32))
        assert scalar.shape == ()

    def test_numpy_scalars(self) -> None:
        assert as_array(_port(), np.float32(2)).tolist() == 2
        assert as_array(_port(dtype="float64"), np.float64(2)).shape == ()
        assert as_array(_port(dtype="bool"), np.bool_(True)).dtype == np.bool_

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ("int32", "int64"),
            ("int8", "int64"),
            ("uint8", "int16"),
            ("uint32", "int64"),
            ("uint16", "int32"),
        ],
    )
    def test_narrower_integers_are_widened(self, given: str, wanted: str) -> None:
        array = np.array([np.iinfo(given).max], given)
        found = as_array(_port(1, dtype=wanted), array)
        assert found.dtype == wanted
        assert found.tolist() == array.tolist()

    def test_float32_serves_half_engines(self) -> None:
        array = np.array([1 / 3, 1e9], np.float32)
        half = as_array(_port(2, dtype="float16"), array)
        assert half.dtype == np.float16
        assert half[0] == np.float16(1 / 3)
        words = as_array(_port(2, dtype="bfloat16"), array)
        assert words.tolist() == Tensor(array).astype(DType.BFLOAT16).data.tolist()

    @pytest.mark.parametrize(
        ("given", "wanted"),
        [
            ("float64", "float32"),
            ("float16", "float32"),
            ("float64", "float16"),
            ("int64", "int32"),
            ("uint64", "int64"),
            ("int32", "float32"),
            ("float32", "int32"),
            ("bool", "int32"),
            ("int8", "bool"),
            ("int8", "uint8"),
            ("complex64", "float32"),
            ("float16", "bfloat16"),
        ],
    )
    def test_other_dtypes(self, given: str, wanted: str) -> None:
        hint = "" if wanted == "bfloat16" else rf"\n  Hint: convert it: array.astype\('{wanted}'\)"
        with pytest.raises(
            InputError,
            match=rf"input 'x' has the wrong dtype\n  expected: {wanted}\[2\]\n"
            rf"  got:      {given}\[2\]{hint}$",
        ):
            as_array(_port(2, dtype=wanted), np.zeros(2, given))

    def test_another_byte_order(self) -> None:
        with pytest.raises(InputError, match="input 'x' has the wrong dtype"):
            as_array(_port(2), np.zeros(2, ">f4"))

    @pytest.mark.parametrize(
        "given", [[1.0], (1.0,), 1.0, 3, True, None, "text", {"x": 1}, object()]
    )
    def test_no_array(self, given: object) -> None:
        with pytest.raises(
            InputError,
            match=rf"input 'x' is no array\n  expected: float32\[1\]\n  got:      "
            rf"{type(given).__name__}\n  Hint: pass a NumPy array or a tensor that speaks DLPack",
        ):
            as_array(_port(1), given)

    def test_an_array_of_another_device(self) -> None:
        with pytest.raises(
            InputError,
            match="this Elsewhere cannot be read on the host\n.*\n  cannot export .*\n  Hint: move",
        ):
            as_array(_port(2), Elsewhere(np.zeros(2, np.float32)))


class TestCollect:
    PORTS = (_port(2, name="a"), _port(3, name="b"))

    def test_order_is_that_of_the_ports(self) -> None:
        assert collect(self.PORTS, {"b": 1, "a": 2}) == [2, 1]
        assert collect((), {}) == []

    @pytest.mark.parametrize(
        ("feeds", "told", "got"),
        [
            ({"a": 1}, "missing 'b'", "a"),
            ({}, "missing 'a', 'b'", "nothing"),
            (
                {"a": 1, "b": 1, "c": 1},
                "unknown 'c'",
                "a, b, c\n  Hint: leave it out, or build the engine with it",
            ),
            (
                {"a": 1, "b": 1, "c": 1, "d": 1},
                "unknown 'c', 'd'",
                "a, b, c, d\n  Hint: leave them out, or build the engine with them",
            ),
            ({"a": 1, "c": 1}, "missing 'b'; unknown 'c'", "a, c"),
            ({"a": 1, 3: 1}, "missing 'b'; unknown 3", "a, 3"),
        ],
    )
    def test_mistakes(self, feeds: dict[Any, int], told: str, got: str) -> None:
        with pytest.raises(
            InputError,
            match=rf"inputs by name: {told}\n  expected: a: float32\[2\], b: float32\[3\]\n"
            rf"  got:      {got}$",
        ):
            collect(self.PORTS, feeds)


class TestBind:
    def test_symbols_get_values(self) -> None:
        ports = (_port(B, 3), _port(H, B * 2, name="y"))
        assert bind(ports, [(2, 3), (8, 4)]) == {"batch": 2, "h": 8}

    def test_derived_sizes_may_come_first(self) -> None:
        ports = (_port(B * 2), _port(B, name="y"))
        assert bind(ports, [(6,), (3,)]) == {"batch": 3}
        with pytest.raises(
            InputError,
            match=r"input 'x': the size of axis 0 of float32\[2\*batch\] is wrong\n"
            r"  expected: 6 \(2\*batch\)\n  got:      5",
        ):
            bind(ports, [(5,), (3,)])

    @pytest.mark.parametrize(
        ("size", "hint"),
        [
            (7, "pad it to a multiple of 2"),
            (0, "build again with a range of '2*batch' that holds 0"),
            (10, "build again with a range of '2*batch' that holds 10"),
        ],
    )
    def test_a_multiple(self, size: int, hint: str) -> None:
        assert bind((_port(B * 2),), [(8,)]) == {"batch": 4}
        with pytest.raises(InputError) as caught:
            bind((_port(B * 2),), [(size,)])
        assert caught.value.expected == "a multiple of 2, 2 … 8 (2*batch)"
        assert caught.value.got == size
        assert caught.value.hint == hint

    def test_a_derived_size_may_be_all_there_is(self) -> None:
        assert bind((_port(B * 2 + 1),), [(7,)]) == {"batch": 3}
        assert bind((_port(B * 2), _port(B + 1, name="y")), [(4,), (3,)]) == {"batch": 2}
        for size, dims in ((4, B * 2 + 1), (11, B * 2 + 1), (4, B * B), (4, B * H), (4, H // 2)):
            with pytest.raises(
                InputError, match=rf"input 'x': the size of axis 0.*\n.*\n  got:      {size}"
            ):
                bind((_port(dims),), [(size,)])

    @pytest.mark.parametrize(
        ("shapes", "text"),
        [
            (
                [(2,), (2,)],
                r"input 'x' has the wrong rank\n  expected: float32\[batch, 3\]\n"
                r"  got:      rank 1, shape \[2\]\n"
                r"  Hint: array\[None\] gives one sample the axis of a batch$",
            ),
            (
                [(2, 3, 1), (2,)],
                r"input 'x' has the wrong rank\n  expected: float32\[batch, 3\]\n"
                r"  got:      rank 3, shape \[2, 3, 1\]$",
            ),
            (
                [(2, 4), (2,)],
                r"size of axis 1 of float32\[batch, 3\] is wrong\n  expected: 3\n  got:      4",
            ),
            (
                [(0, 3), (0,)],
                r"axis 0 of float32\[batch, 3\] is wrong\n"
                r"  expected: 1 … 4 \(batch\)\n  got:      0\n"
                "  Hint: build again with a range of 'batch' that holds 0",
            ),
            ([(5, 3), (5,)], "build again with a range of 'batch' that holds 5"),
            ([(2, 3), (3,)], r"input 'y'.*\n  expected: 2 \(batch, set before\)\n  got:      3"),
        ],
    )
    def test_mistakes(self, shapes: list[tuple[int, ...]], text: str) -> None:
        with pytest.raises(InputError, match=text):
            bind((_port(B, 3), _port(B, name="y")), shapes)
