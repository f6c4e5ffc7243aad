"""Arrays for an engine's inputs."""

from __future__ import annotations

import numpy as np
import pytest

from fwd_core.backends import Port
from fwd_core.cli.feeds import by_name, complete, readable
from fwd_core.cli.inputs import parse
from fwd_core.errors import InputError
from fwd_core.ir import DType, Tensor, TensorType, symbol

BATCH = symbol("batch", 1, 2, 8)
SIZE = symbol("size", 4, 6, 9)


def _port(name: str, dtype: DType, *shape: object) -> Port:
    return Port(name, TensorType(dtype, shape))  # type: ignore[arg-type]


PORTS = [
    _port("scalar", DType.FLOAT64),
    _port("ids", DType.INT64, BATCH, SIZE),
    _port("x", DType.FLOAT32, BATCH, SIZE * 2, 3),
    _port("half", DType.BFLOAT16, BATCH),
    _port("mask", DType.BOOL, 100),
]


def test_random_values_have_the_right_types_and_ranges() -> None:
    found = complete(PORTS, {}, None)
    assert {name: (array.dtype.name, array.shape) for name, array in found.items()} == {
        "scalar": ("float64", ()),
        "ids": ("int64", (2, 6)),
        "x": ("float32", (2, 12, 3)),
        "half": ("float32", (2,)),  # which engines round to bfloat16
        "mask": ("bool", (100,)),
    }
    assert 0 <= found["x"].min() < found["x"].max() <= 1
    assert set(np.unique(found["ids"])) == {0, 1}
    assert set(np.unique(found["mask"])) == {False, True}
    again = complete(PORTS, {}, None)
    np.testing.assert_array_equal(found["x"], again["x"])


def test_given_values_settle_sizes_of_others() -> None:
    ids = np.full((3, 5), 7)
    found = complete(PORTS, {"ids": ids}, None)
    assert found["ids"] is ids
    assert found["x"].shape == (3, 10, 3)
    found = complete(PORTS, {"ids": parse("ids=4x9")}, None)
    assert found["ids"].dtype == np.int64, "the engine's own where none is said"
    assert found["x"].shape == (4, 18, 3)
    found = complete(PORTS, {"ids": parse("ids=4x9:int32")}, None)
    assert found["ids"].dtype == np.int32


def test_batch() -> None:
    found = complete(PORTS, {}, 7)
    assert found["x"].shape == (7, 12, 3)


@pytest.mark.parametrize("batch", [0, 9])
def test_batch_out_of_range(batch: int) -> None:
    with pytest.raises(InputError, match=r"the batch is out of range of ids: [\s\S]*1 … 8"):
        complete(PORTS, {}, batch)


def test_batch_of_a_fixed_engine() -> None:
    with pytest.raises(InputError, match=r"the batch of the engine is fixed: x: float32\[3\]"):
        complete([_port("x", DType.FLOAT32, 3)], {}, 3)
    with pytest.raises(InputError, match="the batch of the engine is fixed: x: float32"):
        complete([_port("x", DType.FLOAT32)], {}, 3)


def test_mistakes() -> None:
    with pytest.raises(InputError, match="the batch of the given inputs differs"):
        complete(PORTS, {"half": np.ones(3, np.float32)}, 2)
    with pytest.raises(InputError, match="the engine has no input 'y'"):
        complete(PORTS, {"y": np.ones(3)}, None)
    with pytest.raises(InputError, match="input 'mask': the size of axis 0"):
        complete(PORTS, {"mask": np.ones(3, bool)}, None)


def test_by_position() -> None:
    ports = PORTS[:2]
    assert by_name(ports, (1, 2)) == {"scalar": 1, "ids": 2}
    assert by_name(ports, (1,)) == {"scalar": 1}
    assert by_name(ports, {"ids": 2}) == {"ids": 2}
    with pytest.raises(InputError, match=r"wrong number of inputs\n  expected: 2: scalar: f"):
        by_name(ports, (1, 2, 3))


def test_bfloat16_is_shown_as_float32() -> None:
    port = _port("half", DType.BFLOAT16, 2)
    words = Tensor(np.array([1.5, -2.0], np.float32)).astype(DType.BFLOAT16).data
    expected = np.array([1.5, -2.0], np.float32)
    np.testing.assert_array_equal(readable(port, words), expected, strict=True)
    assert readable(_port("x", DType.FLOAT32, 2), expected) is expected
