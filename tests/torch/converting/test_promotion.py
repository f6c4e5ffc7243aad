"""Type promotion is PyTorch's own, for every pair of dtypes, ranks and numbers."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from fwd_core.ir import DType, Graph, TensorType, Value
from fwd_ops_torch.converting.promotion import result_dtype
from fwd_ops_torch.tensors import dtype_of, torch_dtype

DTYPES = list(DType)
NUMBERS = [True, 2, 2.5]


def value(dtype: DType, rank: int) -> Value:
    return Graph().add_input("x", TensorType(dtype, (2,) * rank))


@pytest.mark.parametrize("ranks", list(itertools.product((0, 1), repeat=2)), ids=str)
def test_two_tensors(ranks: tuple[int, int]) -> None:
    for a, b in itertools.product(DTYPES, repeat=2):
        tensors = [
            torch.zeros((2,) * rank, dtype=torch_dtype(dtype))
            for dtype, rank in zip((a, b), ranks, strict=True)
        ]
        expected = torch.result_type(*tensors)
        found = result_dtype([value(a, ranks[0]), value(b, ranks[1])])
        assert found is dtype_of(expected), (a, b, ranks)


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_a_tensor_and_a_number(number: Any) -> None:
    for dtype, rank in itertools.product(DTYPES, (0, 1)):
        tensor = torch.zeros((2,) * rank, dtype=torch_dtype(dtype))
        expected = dtype_of(torch.result_type(tensor, number))
        assert result_dtype([value(dtype, rank), number]) is expected
        assert result_dtype([number, value(dtype, rank)]) is expected


def test_nothing_to_promote() -> None:
    with pytest.raises(ValueError, match="no operands to promote"):
        result_dtype([])
