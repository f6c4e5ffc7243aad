"""What converters that move, join, cut, pick or put elements refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_ops_torch.testing import module_from_source

I64 = torch.int64


def of(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


BAG = "torch.embedding_bag(x, y, y, False, 0, False, None"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "matrix_H": ("x.H", [of(2, 2, 2)], "matrix_H: 2 axes or none"),
    "mT": ("x.mT", [of(2)], "mT: 2 axes or more"),
    "movedim": ("x.movedim([0], [0, 1])", [of(2, 2)], "as many destinations as sources"),
    "movedim twice": ("x.movedim([0, 0], [0, 1])", [of(2, 2)], "a dimension is repeated"),
    "flip": ("x.flip([0, 0])", [of(2)], "flip: a dimension is repeated"),
    "fliplr": ("torch.fliplr(x)", [of(2)], "fliplr: 2 axes or more"),
    "flipud": ("torch.flipud(x)", [of()], "flipud: 1 axis or more"),
    "rot90": ("torch.rot90(x, 1, [0])", [of(2, 2)], "rot90: 2 of 2 axes or more"),
    "roll": ("x.roll([1, 2], [0])", [of(2)], "as many shifts as dims"),
    "roll of a number": ("x.roll(1, 0)", [of()], "a 0-d tensor has no axis to roll"),
    "unfold": ("x.unfold(0, 3, 1)", [of(2)], "a window of 0 … 2 elements"),
    "block_diag": ("torch.block_diag([x])", [of(1, 1, 1)], "block_diag: at most 2 axes"),
    "repeat": ("x.repeat(2)", [of(2, 2)], "a number of 0 or more for each axis"),
    "repeat_interleave of a number": (
        "torch.repeat_interleave(x, 2, 0)", [of()], "a 0-d tensor has no axis to repeat"
    ),
    "negative repeats": ("torch.repeat_interleave(x, -1)", [of(2)], "must not be negative"),
    "output_size": (
        "torch.repeat_interleave(x, 2, output_size=3)", [of(2)],
        "output_size and what the repeats add up to differ.*expected: 3.*got: +4",
    ),
    "float repeats": (
        "torch.repeat_interleave(x, y, output_size=3)", [of(2), of(2)],
        "repeats are int32 or int64 and have one axis.*float32",
    ),
    "repeats of other sizes": (
        "torch.repeat_interleave(x, y, 0, output_size=3)", [of(2), of(3, dtype=I64)],
        "sizes of repeats and of the axis differ",
    ),
    "negative output_size": (
        "torch.repeat_interleave(x, y, 0, output_size=-1)", [of(2), of(2, dtype=I64)],
        "output_size must not be negative",
    ),
    "chunks": ("x.chunk(0)[0]", [of(2)], "chunks must be positive"),
    "split_size": ("x.split(0)[0]", [of(2)], "split_size must be positive"),
    "narrow": ("x.narrow(0, 0, -1)", [of(2)], "length must not be negative"),
    "narrow of a number": ("x.narrow(0, 0, 0)", [of()], "has no axis to narrow"),
    "narrow from floats": ("x.narrow(0, y, 1)", [of(2), of()], "an integer tensor without axes"),
    "strides": ("x.t().as_strided([2], [1])", [of(2, 2)], "how its elements lie in memory"),
    "too few strides": ("x.as_strided([2], [])", [of(2)], "as many strides as sizes"),
    "beyond its memory": ("x.as_strided([2], [9])", [of(2)], "out of the bounds of its memory"),
    "scattered strides": (
        "torch.as_strided_scatter(x.t(), y, [2], [1])", [of(2, 2), of(2)], "how its elements lie in"
    ),
    "scattered together": (
        "torch.as_strided_scatter(x, y, [3], [0])", [of(4), of(3)],
        "several elements go to one place.*sizes \\[3\\], strides \\[0\\]",
    ),
    "scattered sizes": (
        "torch.as_strided_scatter(x, y, [2], [1])", [of(4), of(3)],
        "src is not of the sizes.*expected: \\[2\\].*got: +float32\\[3\\]",
    ),
    "masked_scatter by numbers": (
        "x.masked_scatter(x, x)", [of(2)], "masked_scatter: a bool mask.*float32"
    ),
    "masked_scatter of another dtype": (
        "x.masked_scatter(x > 0, y)", [of(2), of(2, dtype=I64)],
        "source is not of the tensor's dtype.*expected: float32.*got: +int64",
    ),
    "masked_scatter_ of more": (
        "x.clone().masked_scatter_(y > 0, x)", [of(2), of(2, 2)],
        "masked_scatter_: the mask has more elements.*float32\\[2\\].*bool\\[2, 2\\]",
    ),
    "masked_scatter apart": (
        "x.masked_scatter(y > 0, x)", [of(2), of(3)], "masked_scatter: shapes .*do not broadcast"
    ),
    "split of a number": ("x.split(1)[0]", [of()], "aten::split: a 0-d tensor has no axis to spl"),
    "chunk of a number": ("x.chunk(1)[0]", [of()], "aten::chunk: a 0-d tensor has no axis to spl"),
    "unbind of a number": ("x.unbind()[0]", [of()], "aten::unbind: a 0-d tensor has no axis to s"),
    "slice of a number": (
        "x[:1]", [of()], "slice: a 0-d tensor has no axis to slice.*expected: 1 axis or more.*none"
    ),
    "unflatten of a number": ("x.unflatten(0, (1, 1))", [of()], "0-d tensor has no axis to unfl"),
    "no chunks": (
        "x.chunk(0)[0]", [of(3)], "chunk: chunks must be positive.*expected: 1 or more.*got: +0"
    ),
    "less than no chunks": ("x.chunk(-1)[0]", [of(3)], "chunks must be positive.*got: +-1"),
    "tensor_split of a number": ("x.tensor_split(1)[0]", [of()], "no axis to split"),
    "hsplit": ("x.hsplit(1)[0]", [of()], "hsplit: 1 axes or more"),
    "uneven hsplit": ("x.hsplit(2)[0]", [of(3)], "does not divide evenly"),
    "diagonal": ("x.diagonal()", [of(2)], "dimension out of range"),
    "diagonal of one axis": ("x.diagonal(0, 1, 1)", [of(2, 2)], "diagonal: two axes"),
    "diagonal_scatter": ("torch.diagonal_scatter(x, y)", [of(2, 2), of(3)], "not of the shape"),
    "diag_embed": ("torch.diag_embed(x, 0, 1, 1)", [of(2)], "two axes beyond those"),
    "diag": ("torch.diag(x)", [of(2, 2, 2)], "diag: 1 or 2 axes"),
    "indices": ("torch.take_along_dim(x, y, 0)", [of(2), of(2)], "indices are int64"),
    "axes of indices": (
        "torch.take_along_dim(x, y, 0)", [of(2), of(1, 1, dtype=I64)], "as many axes in indices"
    ),
    "take by int32": (
        "x.take(y)", [of(2), of(1, dtype=torch.int32)],
        "take: index is not of int64.*expected: int64.*got: +int32.*index.long",
    ),
    "masked_fill by bytes": (
        "x.masked_fill(y, 0.0)", [of(2), of(2, dtype=torch.uint8)],
        "masked_fill: mask does not hold truths.*expected: bool.*got: +uint8.*mask != 0",
    ),
    "masked_fill_ by numbers": (
        "x.clone().masked_fill_(y, 0.0)", [of(2), of(2, dtype=I64)],
        "masked_fill_: mask does not hold truths.*expected: bool.*got: +int64",
    ),
    "masked_fill with a vector": (
        "x.masked_fill(x > 0, y)", [of(2), of(1)],
        "masked_fill: value has no axes.*a number or a 0-d tensor.*got: +float32\\[1\\].*use where",
    ),
    "where of numbers": (
        "torch.where(y, x, x)", [of(2), of(2, dtype=I64)],
        "where: condition does not hold truths.*expected: bool or uint8.*got: +int64",
    ),
    "table of one axis": (
        "F.embedding(y, x)", [of(3), of(2, dtype=I64)],
        "embedding: weight is not a matrix.*expected: 2 axes.*got: +float32\\[3\\]",
    ),
    "table of three axes": (
        "F.embedding(y, x)", [of(3, 2, 2), of(2, dtype=I64)], "embedding: weight is not a matrix"
    ),
    "padding_idx": (
        f"{BAG}, False, 3)[0]", [of(3, 2), of(2, dtype=I64)],
        "embedding_bag: padding_idx is out of range.*expected: -3 … 2.*got: +3",
    ),
    "negative padding_idx": (
        f"{BAG}, False, -4)[0]", [of(3, 2), of(2, dtype=I64)],
        "embedding_bag: padding_idx is out of range.*expected: -3 … 2.*got: +-4",
    ),
    "mask of other sizes": ("x[y]", [of(2), of(3).bool()], "a mask of other sizes"),
    "dtype of values": (
        "torch.index_put(x, [y], y)", [of(2), of(1, dtype=I64)], "values are not of the tensor's"
    ),
    "values": (
        "torch.index_put(x, [y], x)", [of(2), of(1, dtype=I64)], "do not broadcast to what they"
    ),
    "reduce": (
        "torch.scatter(x, 0, y, x, reduce='max')", [of(2), of(1, dtype=I64)], "unknown reduce"
    ),
    "reduction": (
        "torch.scatter_reduce(x, 0, y, x, 'max')", [of(2), of(1, dtype=I64)], "unknown reduce"
    ),
    "dtype of src": ("torch.scatter(x, 0, y, y)", [of(2), of(1, dtype=I64)], "not of the tensor's"),
    "axes of src": (
        "torch.scatter(x, 0, y, x)", [of(2), of(1, 1, dtype=I64)], "as many axes in index and src"
    ),
    "more indices": (
        "torch.scatter(x, 0, y, x)", [of(2), of(3, dtype=I64)], "more indices than elements of src"
    ),
    "index_add": (
        "torch.index_add(x, 0, y, x)", [of(2), of(1, 1, dtype=I64)], "index has at most 1 axis"
    ),
    "source": ("torch.index_add(x, 0, y, x)", [of(2), of(1, dtype=I64)], "the shape that it repl"),
    "float alpha": ("torch.index_add(x, 0, x, x, alpha=1.5)", [of(1, dtype=I64)], "alpha must not"),
    "value": (
        "torch.index_fill(x, 0, y, x)", [of(2), of(1, dtype=I64)], "index_fill: value has no axes"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    names = ["x", "y"][: len(given)]
    model = scripted(module_from_source(source, *names))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given)
    assert re.search(text, str(caught.value), re.DOTALL)


def test_narrow_by_a_length_that_a_dynamic_size_may_lack() -> None:
    model = scripted(module_from_source("x.narrow(0, 1, 2) + 1", "x"))
    with pytest.raises(UnsupportedModelError, match="3 elements may be more than size batch has"):
        importing(model, [of(4, 2)], {"x": {0: ("batch", 1, 4, 8)}})
    enough = importing(model, [of(4, 2)], {"x": {0: ("batch", 3, 4, 8)}})
    assert enough.outputs[0].type.shape == (2, 2)
    rest = scripted(module_from_source("x.narrow(0, 1, x.shape[0] - 1) + 1", "x"))
    assert importing(rest, [of(4, 2)], {"x": {0: ("batch", 1, 4, 8)}}).outputs


MULTIPLE = "declare the dynamic size as a multiple of the number of parts, as '2*batch'"


@pytest.mark.parametrize("source", ["x.chunk(3)[0]", "x.split(2)[0]", "x.vsplit(2)[0]"])
def test_parts_whose_number_a_dynamic_size_decides(source: str) -> None:
    model = scripted(module_from_source(source, "x"))
    with pytest.raises((ConversionError, UnsupportedModelError), match=re.escape(MULTIPLE)):
        importing(model, [of(6, 2)], {"x": {0: ("batch", 2, 6, 8)}})
