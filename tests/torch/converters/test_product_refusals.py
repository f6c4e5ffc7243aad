"""What converters of products, attention and recurrent networks refuse, and in what words."""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_ops_torch.testing import module_from_source

F32, F16, I64, BOOL, U8 = torch.float32, torch.float16, torch.int64, torch.bool, torch.uint8


def of(*shape: int, dtype: torch.dtype = F32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


SDPA = "F.scaled_dot_product_attention"
FOR_CPU = "torch.ops.aten._scaled_dot_product_flash_attention_for_cpu"
HEADS = "torch._native_multi_head_attention(x, x, y, 4, {}, z, z[:, 0], x[0], x[0, 0], {})"
MASKED = "x[0], True, True, {}"
LSTM = "torch.lstm(x, [y, {}], [z, z], False, {}, {}, {}, False, False)"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "mv": ("torch.mv(x, x)", [of(2, 2)], "mv: a matrix and a vector"),
    "dot": ("torch.dot(x, x)", [of(2, 2)], "dot: two vectors"),
    "dot of bool": ("torch.dot(x, x)", [of(2, dtype=BOOL)], "element type not taken"),
    "bmm batches": (
        "torch.bmm(x, y)", [of(2, 3, 4), of(1, 4, 3)],
        "bmm: the first sizes of both batches differ.*expected: 2.*got: +1",
    ),
    "baddbmm batches": (
        "torch.baddbmm(z, x, y)", [of(1, 3, 4), of(2, 4, 3), of(1)],
        "baddbmm: the first sizes of both batches differ.*expected: 1.*got: +2",
    ),
    "addbmm": ("torch.addbmm(x, x, x)", [of(2, 2)], "addbmm: batches have 3 axes"),
    "addbmm batches": (
        "torch.addbmm(x, y, z)", [of(2, 2), of(1, 2, 3), of(2, 3, 2)],
        "addbmm: the first sizes of both batches differ.*expected: 1.*got: +2",
    ),
    "addbmm sizes": (
        "torch.addbmm(x, y, z)", [of(2, 2), of(2, 2, 3), of(2, 2, 2)],
        "addbmm: columns of batch1 and rows of batch2 differ.*expected: 3.*got: +2",
    ),
    "addr": ("torch.addr(x, x, x)", [of(2, 2)], "addr: two vectors"),
    "addr factors": (
        "torch.addr(x, x, x, beta=1.5)", [of(2, dtype=I64)], "may be float for floats only.*1.5 for"
    ),
    "added shape": (
        "torch.addmm(x, y, y)", [of(3, 2, 2), of(2, 2)], "does not stretch to the product"
    ),
    "float for uint8": (
        "torch.addmm(x, x, x, alpha=-0.5)", [of(2, 2, dtype=U8)], "number out of range.*uint8"
    ),
    "float beta of no sum": (
        "torch.addmm(x, y, z, beta=0.5)",
        [of(2, 2, dtype=I64), of(2, 0, dtype=I64), of(0, 2, dtype=I64)],
        "addmm: a float beta cannot scale integers.*expected: an integer beta.*0.5 of int64",
    ),
    "beta of an empty vector": (
        "torch.addmv(x, y, x, beta=-0.5)", [of(0, dtype=U8), of(0, 0, dtype=U8)],
        "addmv: number out of range.*uint8",
    ),
    "outer": ("torch.outer(x, x)", [of(2, 2)], "outer: of vectors"),
    "inner": ("torch.inner(x, y)", [of(2), of(3)], "the last sizes differ.*expected: 2.*got: +3"),
    "vecdot": ("torch.linalg.vecdot(x, x)", [of(2, dtype=I64)], "both are floats of one dtype"),
    "tensordot count": (
        "torch.ops.aten.tensordot(x, x, [0], [])", [of(2)], "as many axes of one as of the other"
    ),
    "tensordot dtypes": (
        "torch.ops.aten.tensordot(x, y, [0], [0])", [of(2), of(2, dtype=I64)],
        "tensordot: numbers of one dtype",
    ),
    "tensordot axes": (
        "torch.ops.aten.tensordot(x, x, [0, 0], [0, 1])", [of(2, 2)], "a dimension is repeated"
    ),
    "einsum sizes": (
        'torch.einsum("i,i", x, y)', [of(2), of(3)], "sizes of one axis differ.*expected: 2.*got: "
    ),
    "einsum operands": ('torch.einsum("i,j", x)', [of(2)], "is for 2 operands"),
    "einsum letters": ('torch.einsum("i1", x)', [of(2, 2)], "is malformed.*i1"),
    "einsum output": ('torch.einsum("i->ii", x)', [of(2)], "repeats an output"),
    "einsum unknown": ('torch.einsum("i->j", x)', [of(2)], "has an output of no operand"),
    "einsum axes": ('torch.einsum("ij", x)', [of(2)], "another number of axes than labels"),
    "einsum path": (
        'torch.ops.aten.einsum("i,i", [x, x], path=[0])', [of(2)], "path names two of the operands"
    ),
    "einsum diagonal": (
        'torch.einsum("ii", x)', [of(2, 3)],
        "sizes of the label 'i', which repeats, differ.*expected: 2.*got: +3",

    ),
    "einsum sublists": (
        "torch.einsum(x, [0, 1], [1, 0])", [of(2, 2)], "lists of numbers.*write them as one string"
    ),
    "bilinear": ("F.bilinear(x, x, x)", [of(2, 2)], "a weight of 3 axes"),
    "bilinear sizes": ("F.bilinear(x, x, y)", [of(2), of(1, 2, 3)], "bilinear: sizes do not fit"),
    "bilinear bias": (
        "F.bilinear(x, x, y, z)", [of(2), of(1, 2, 2), of(2)], "bias has one number per output"
    ),
    "bilinear of nothing": ("F.bilinear(x, x, y)", [of(0), of(1, 0, 0)], "bilinear: no features"),
    "cross": ("torch.linalg.cross(x, x)", [of(2, 2)], "vectors have 3 elements"),
    "cross ranks": ("torch.linalg.cross(x, y)", [of(2, 3), of(3)], "both have one rank"),
    "cross of none": ("torch.cross(x, x)", [of(2, 2)], "no axis has 3 elements"),
    "chain": ("torch.chain_matmul(x, x)", [of(2)], "chain_matmul: matrices have 2 axes"),
    "multi_dot": ("torch.linalg.multi_dot([x])", [of(2, 2)], "two or more matrices"),
    "power": ("torch.matrix_power(x, 2)", [of(2, 3)], "square matrices only"),
    "negative power": ("torch.matrix_power(x, -1)", [of(2, 2)], "negative powers invert"),
    "inverse": ("torch.linalg.inv(x)", [of(2, 2)], "factors or inverts matrices.*as a buffer"),
    "svd": ("torch.linalg.svd(x)[0]", [of(2, 2)], "linalg_svd.*factors or inverts matrices"),
    "attention grouped": (f"{SDPA}(x, x, x, enable_gqa=True)", [of(2, 4)], "need 3 axes"),
    "attention mask": (f"{SDPA}(x, x, x, y)", [of(2, 4), of(2)], "a mask has 2 axes or more"),
    "attention mask dtype": (
        f"{SDPA}(x, x, x, y)", [of(2, 4), of(2, 2, dtype=I64)], "a mask is bool, float32 or of"
    ),
    "attention kernel": (f"{FOR_CPU}(x, x, x)[0]", [of(2, 4)], r"\[batch, heads, length, feat"),
    "native heads": (HEADS.format(3, ""), [of(4, 4, 4)] * 2 + [of(12, 4)], "heads do not divide"),
    "native shapes": (
        HEADS.format(2, ""), [of(4, 4, 4), of(4, 3, 4), of(12, 4)], "one shape of 3 axes"
    ),
    "native mask type": (
        HEADS.format(2, MASKED.format(3)), [of(4, 4, 4)] * 2 + [of(12, 4)], "mask_type is 0, 1 or 2"
    ),
    "native mask": (
        HEADS.format(2, MASKED.format(2)), [of(4, 4, 4)] * 2 + [of(12, 4)],
        "the mask's shape does not fit mask_type 2",
    ),
    "recurrent dropout": (
        LSTM.format("y", 2, 0.5, True) + "[0]", [of(2, 1, 1), of(2, 1, 1), of(4, 1)],
        "argument 'train' .*dropout between layers is random",
    ),
    "recurrent states": (
        LSTM.replace(", {}]", "]", 1).format(1, 0.0, False) + "[0]",
        [of(2, 1, 1), of(1, 1, 1), of(4, 1)], "hx holds two states",
    ),
    "recurrent axes": (
        LSTM.format("y", 1, 0.0, False) + "[0]", [of(2, 1), of(1, 1, 1), of(4, 1)],
        "the input and the states have 3 axes",
    ),
    "recurrent weights": (
        LSTM.format("y", 2, 0.0, False) + "[0]", [of(2, 1, 1), of(2, 1, 1), of(4, 1)],
        "weights and states for every layer.*4 weights, 2 states.*2 weights",
    ),
    "cell states": (
        "torch.lstm_cell(x, [x], y, y)[0]", [of(2, 1), of(4, 1)], "hx holds two states"
    ),
    "cell axes": ("torch.gru_cell(x, x, y, y)", [of(1), of(3, 1)], "have 2 axes and one batch"),
    "cell gates": ("torch.gru_cell(x, x, y, y)", [of(2, 1), of(4, 1)], "hold 3 gates of one size"),
    "packed": (
        "torch._pack_padded_sequence(x, y, True)[0]", [of(2, 3, 1), of(2, dtype=I64)],
        "packed sequences .*hand over padded sequences",
    ),
    "packed layer": (
        "torch.gru(x, y, z, [z[:, 0], z[:, 0]], False, 1, 0.0, False, False)[0]",
        [of(2, 1), of(1, dtype=I64), of(1, 1, 1)], "argument 'batch_sizes' .*packed sequences",
    ),
    "nested": (
        "torch._nested_tensor_from_mask(x, y)", [of(1, 2, 4), of(1, 2, dtype=BOOL)],
        "the model's output 'output' of nested tensors is not.*enable_nested_tensor=False",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    names = ["x", "y", "z"][: len(given)]
    model: Any = scripted(module_from_source(source, *names))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given)
    assert re.search(text, str(caught.value), re.DOTALL)


def test_cross_along_an_axis_that_a_dynamic_size_decides() -> None:
    batch = {"x": {0: ("batch", 1, 2, 4)}}
    model = scripted(module_from_source("torch.cross(x, x)", "x"))
    with pytest.raises(UnsupportedModelError, match="first axis of size 3 counts, and batch may"):
        importing(model, [of(2, 3)], batch)
    model = scripted(module_from_source("torch.cross(x, x, dim=1)", "x"))
    assert importing(model, [of(2, 3)], batch).outputs[0].type.rank == 2


def test_sizes_that_may_differ_are_told_from_those_that_do() -> None:
    model = scripted(module_from_source("torch.inner(x, y)", "x", "y"))
    dynamic = {"x": {1: ("a", 1, 2, 3)}, "y": {1: ("b", 1, 2, 3)}}
    with pytest.raises(ConversionError) as error:
        importing(model, (of(1, 2), of(1, 2)), dynamic=dynamic)
    assert str(error.value).splitlines()[0] == "aten::inner: the last sizes may differ"
    assert "expected: a, whatever the sizes are when the engine runs\n  got:      b" in str(
        error.value
    )
    assert "Hint: give dynamic sizes that are always the same one name" in str(error.value)
