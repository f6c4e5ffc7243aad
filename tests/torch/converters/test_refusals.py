"""What converters refuse, and in what words. That torch refuses it too is for the parity tests."""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import DynamicDims
from fwd_ops_torch.testing import module_from_source

F32, I64, BOOL, U8 = torch.float32, torch.int64, torch.bool, torch.uint8


def of(*shape: int, dtype: torch.dtype = F32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


SDPA = "F.scaled_dot_product_attention"
CONV = "torch.convolution(x, y, None, [1], [0], [1], {}, [{}], 1)"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "dropout": ("F.dropout(x, 0.5, True)", [of(2)], "argument 'train' .* in training mode is rand"),
    "attention mask and causal": (
        f"{SDPA}(x, x, x, torch.ones(2, 2), 0.0, True)", [of(1, 2, 4)],
        "a mask and is_causal exclude each other",
    ),
    "attention dropout": (f"{SDPA}(x, x, x, None, 0.5)", [of(1, 2, 4)], "dropout is random"),
    "attention heads": (
        f"{SDPA}(x, y, y, enable_gqa=True)", [of(1, 3, 2, 4), of(1, 2, 2, 4)],
        "heads of the query must be a multiple of the key's",
    ),
    "convolution ranks": (CONV.format(False, 0), [of(1, 2, 3), of(2, 2)], "weight differ in rank"),
    "output padding": (
        CONV.format(False, 1), [of(1, 2, 3), of(2, 2, 1)], "is for transposed convolution only"
    ),
    "conv2d of another rank": (
        "F.conv2d(x, y)", [of(1, 2, 3, 3), of(2, 2, 1)], "wrong rank of weight.*4 axes"
    ),
    "unknown padding": (
        'F.conv1d(x, y, None, 1, "full")', [of(1, 2, 3), of(2, 2, 1)],
        "unknown padding.*expected: same, valid.*full",
    ),
    "same padding with a stride": (
        'F.conv1d(x, y, None, 2, "same")', [of(1, 2, 3), of(2, 2, 1)],
        'padding="same" needs stride 1',
    ),
    "strides of another count": (
        "F.conv1d(x, y, None, [1, 2])", [of(1, 2, 3), of(2, 2, 1)],
        "wrong number of entries.*expected: 1 or 1",
    ),
    "sub of bool": ("x - y", [of(2, dtype=BOOL), of(2, dtype=BOOL)], "sub: not for bool"),
    "rounding mode": (
        'torch.div(x, x, rounding_mode="up")', [of(2)], "unknown rounding_mode.*floor, trunc"
    ),
    "negative power": ("x ** -1", [of(2, dtype=I64)], "integers to negative integer powers"),
    "clamp without bounds": ("torch.clamp(x)", [of(2)], "at least one of min and max"),
    "clamp of bool": (
        "torch.clamp(x, y, y)", [of(2, dtype=BOOL), of(2, dtype=BOOL)], "bool with two bounds"
    ),
    "bounds beyond the dtype": ("torch.clamp(x, 0, 300)", [of(2, dtype=U8)], "out of range.*uint8"),
    "hardtanh": ("F.hardtanh(x)", [of(2, dtype=U8)], "not for uint8 with these limits.*-1.0, 1.0"),
    "gelu": ('F.gelu(x, approximate="erf")', [of(2)], "unknown approximate.*none, tanh"),
    "bitwise not of floats": ("torch.bitwise_not(x)", [of(2)], "bitwise_not: not for floats"),
    "where alone": ("torch.where(x)[0]", [of(2, dtype=BOOL)], "size of the result depends on data"),
    "float alpha": ("torch.add(x, x, alpha=1.5)", [of(2, dtype=I64)], "alpha must not be a float"),
    "ceil of bool": ("torch.ceil(x)", [of(2, dtype=BOOL)], "ceil: not for bool"),
    "index of two axes": (
        "torch.index_select(x, 0, y)", [of(2), of(1, 1, dtype=I64)], "index has at most 1 axis"
    ),
    "bool mask": ("x[y]", [of(2), of(2, dtype=BOOL)], "a bool mask gives a result whose size dep"),
    "too many indices": ("x[y, y]", [of(2), of(1, dtype=I64)], "more indices than axes"),
    "vector and bias": (
        "F.linear(x, y, y.sum())", [of(2, 3), of(3)], "a vector for the weight .* takes no bias"
    ),
    "matmul": ("torch.matmul(x, y)", [of(2), of()], "both arguments need at least one axis"),
    "mm": ("torch.mm(x, y)", [of(2, 2), of(2)], "mm: both arguments need 2 axes"),
    "addmm": ("torch.addmm(x, x, y)", [of(2, 2), of(2)], "addmm: matrices have 2 axes"),
    "baddbmm": ("torch.baddbmm(x, x, x)", [of(2, 2)], "baddbmm: batches have 3 axes"),
    "mean": ("torch.mean(x)", [of(2, dtype=I64)], "the result must be of a float dtype"),
    "extreme of nothing": ("torch.amax(x)", [of(0)], "amax: nothing has no extremes"),
    "flatten": ("torch.flatten(x, 1, 0)", [of(2, 2)], "start_dim comes after end_dim.*1, 0"),
    "t": ("x.t()", [of(2, 2, 2)], "t: at most 2 axes"),
    "expand": ("x.expand(2)", [of(2, 2)], "expand: fewer sizes than axes"),
    "expand by nothing": ("x.expand(-1, 2)", [of(2)], "-1 for an axis that does not exist"),
    "split": ("torch.split(x, 0)[0]", [of(2)], "split_size must be positive"),
    "split sizes": ("torch.split(x, [1])[0]", [of(2)], "sizes do not add up.*2.*1"),
    "pad value": ('F.pad(x, [1, 1], "reflect", 2.0)', [of(1, 2, 3)], "'reflect' takes no value"),
    "pad ranks": (
        'F.pad(x, [1, 1], "reflect")', [of(3)], "pads the last 1, 2 or 3 axes.*.*2, 4 or 6 sizes"
    ),
    "odd pads": ("F.pad(x, [1])", [of(2)], "pairs of sizes, for at most all axes"),
    "two unknown sizes": ("x.reshape(-1, -1)", [of(2)], "only one size can be -1"),
    "uneven reshape": ("x.reshape(4, -1)", [of(6)], "do not fill the shape evenly.*multiple of 4"),
    "repeated axes": ("torch.sum(x, [0, -2])", [of(2, 2)], "a dimension is repeated"),
    "axis": ("torch.sum(x, 2)", [of(2, 2)], "dimension out of range.*-2 … 1.*2"),
    **{
        f"{source} of {dtype}": (
            source, [of(2, dtype=dtype)],
            f"integers do not divide by zero.*expected: a divisor other.*got: +0 for {computed}",
        )
        for dtype, computed, sources in (
            (I64, "int64", ("x // 0", "x % 0", "torch.fmod(x, 0)", "torch.remainder(x, False)",
                            "x.div(0, rounding_mode='trunc')", "x.floor_divide_(torch.tensor(0))")),
            (torch.bool, "int64", ("x // 0", "x % 0")),
            (torch.uint8, "uint8", ("x // 256", "x % torch.tensor([1, 0]).byte()")),
        )
        for source in sources
    },
    "step": ("x[::0]", [of(2)], "step must be positive"),
    "select of a number": ("x.select(0, 0)", [of()], "a 0-d tensor has no axis to select from"),
    "select": ("x[5]", [of(2)], "index out of range.*-2 … 1.*5"),
}  # fmt: skip


def refusal(source: str, given: list[torch.Tensor], dynamic: DynamicDims | None = None) -> str:
    names = ["x", "y"][: len(given)]
    model = scripted(module_from_source(source, *names))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given, dynamic)
    return str(caught.value)


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)


BATCH: Any = {"x": {0: ("batch", 1, 2, 4)}}
#: What cannot be decided for every size of a dynamic batch of 1 … 4.
UNDECIDED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "squeeze": (
        "x.squeeze(0)", [of(4, 2)],
        "argument 'dim' .*size batch may be 1 or not.*Hint: let the least value of its range be 2",
    ),
    "index": ("x[x.shape[0] - 2]", [of(4)], "argument 'index' .*may be negative or not"),
    "kernel": (
        'F.conv1d(y, x.unsqueeze(0).unsqueeze(0), padding="same")', [of(4), of(1, 1, 5)],
        'padding="same" needs a fixed kernel size',
    ),
    "step": ("torch.arange(0.0, 9, x.shape[0])", [of(4)], "argument 'step' .*that is dynamic"),
    "range of bool": (
        "torch.arange(x.shape[0], dtype=torch.bool)", [of(4)],
        "argument 'dtype' .*range of bool.*Hint: compare a range of integers with 0",
    ),
    "no step": (
        "torch.arange(0, x.shape[0], 0)", [of(4)], "a step of zero.*Hint: give a step above or be"
    ),
    "difference": (
        "torch.diff(x, 2)", [of(4)],
        "argument 'n' .*size batch - 1 may be 0 before the last difference.*Hint: raise the least",
    ),
    "dtype of a product": (
        "torch.mm(x.unsqueeze(1), y, out_dtype=torch.float64)", [of(4), of(1, 2)],
        "argument 'out_dtype' .*for CUDA only.*Hint: leave it at its default",
    ),
    "negative size": ("torch.zeros(x.shape[0], -1)", [of(4)], "sizes must not be negative"),
    "reshape": ("x.reshape(4, -1)", [of(4)], "contradicts a dynamic dim"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), UNDECIDED.values(), ids=UNDECIDED)
def test_undecided(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given, BATCH), re.DOTALL)
