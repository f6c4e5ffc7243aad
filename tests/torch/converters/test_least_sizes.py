"""A size that the model fixed fits every value of a dynamic size, or is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch_models import check, importing, running, scripted, traced

from fwd_core.errors import ConversionError, ForwardWarning, UnsupportedModelError
from fwd_ops_torch.testing import module_from_source

I64 = torch.int64
ROW, COLUMN = "torch.tensor([0, 3])", "torch.tensor([[0], [3]])"
BELOW = "torch.tensor([0, -4])"
#: Expressions of x [batch, 2] that are right where batch is 4 or more.
LITERALS = {
    "select": "x[3]",
    "select from the end": "x.select(0, -4)",
    "element of all": "x.reshape(-1)[7]",
    "select_scatter": "x.select_scatter(torch.ones(2), 0, 3)",
    "select_scatter from the end": "x.select_scatter(torch.ones(2), 0, -4)",
    "narrow": "x.narrow(0, 1, 3)",
    "narrow from the end": "x.narrow(0, -4, 2)",
    "narrow from a tensor": "x.narrow(0, x[0, 0].long(), 4)",
    "index": f"x[{ROW}]",
    "index from the end": f"x[{BELOW}]",
    "two indices": f"x[{ROW}, torch.tensor([0, 1])]",
    "index_select": f"x.index_select(0, {ROW})",
    "gather": f"x.gather(0, {COLUMN})",
    "gather of an expanded index": f"x.gather(0, {COLUMN}.expand(2, 2))",
    "gather of more rows": "x.gather(1, torch.zeros(4, 1, dtype=torch.int64))",
    "take": "x.take(torch.tensor([7]))",
    "take_along_dim": "torch.take_along_dim(x, torch.tensor([[0, 1], [3, 1]]), 0)",
    "take_along_dim of all": "torch.take_along_dim(x, torch.tensor([7]))",
    "index_put": f"x.index_put([{ROW}], torch.zeros(2))",
    "index_fill": f"x.index_fill(0, {BELOW}, 7.0)",
    "index_add": f"x.index_add(0, {ROW}, torch.ones(2, 2))",
    "scatter": f"x.scatter(0, {COLUMN}, 7.0)",
    "scatter of more rows": "x.scatter(1, torch.zeros(4, 1, dtype=torch.int64), 7.0)",
    "scatter from fewer": "torch.zeros(9, 2).scatter(0, torch.arange(4).unsqueeze(1), x)",
    "put from the end": "x.put(torch.tensor([-8]), torch.ones(1))",
    "put": "x.put(torch.tensor([7]), torch.ones(1))",
}


def batch(least: int) -> dict[str, Any]:
    return {"x": {0: ("batch", least, 6, 8)}}


@pytest.mark.parametrize("source", LITERALS.values(), ids=LITERALS)
def test_literals_fit_the_least_size_or_are_refused(source: str) -> None:
    module = module_from_source(source, "x").eval()
    x = torch.arange(12, dtype=torch.float32).reshape(6, 2)
    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(module), [x], batch(3))
    told = r"elements may be more than size (2\*)?batch has: where batch is 3, it is [36]\n"
    assert re.search(told, str(caught.value))
    assert "Hint: raise the least value in the range of batch, or build" in str(caught.value)
    if "along_dim(x, torch.tensor([[" not in source:  # there torch reads what is beyond the end
        with pytest.raises((IndexError, RuntimeError)):
            module(x[:3])
    least = x[:4]
    _, result = running(scripted(module), [x], [least], dynamic=batch(4))
    np.testing.assert_array_equal(result, module(least))


KERNEL = "torch.ones(2, 2, 4)"
#: Expressions of x [1, 2, h] that are right where h is 4 or more, and what is told where it is 3.
WINDOWS = {
    "unfold": "x.unfold(2, 4, 1)",
    "topk": "x.topk(4)[0]",
    "kthvalue": "x.kthvalue(4)[0]",
    "reflect": "F.pad(x, (3, 1), mode='reflect')",
    "replicate": "F.pad(x, (-4, 1), mode='replicate')",
    "circular": "F.pad(x, (4, 1), mode='circular')",
    "cut": "F.pad(x, (-2, -2)).sum(2)",
    "cut and padded": "F.pad(x, (-4, 9))",
}
KERNELS = {
    "conv1d": f"F.conv1d(x, {KERNEL})",
    "dilated": "F.conv1d(x, torch.ones(2, 2, 2), dilation=3)",
    "padded": "F.conv1d(x, torch.ones(2, 2, 6), padding=1)",
    "max_pool1d": "F.max_pool1d(x, 4)",
    "avg_pool1d": "F.avg_pool1d(x, 4)",
    "avg_pool2d": "F.avg_pool2d(x, (1, 4))",
    "lp_pool1d": "F.lp_pool1d(x, 2.0, 4)",
    "im2col": "F.unfold(x.unsqueeze(0), (1, 4))",
}


def height(least: int) -> dict[str, Any]:
    return {"x": {2: ("h", least, 6, 8)}}


def told_of_height(source: str) -> str:
    module = module_from_source(source, "x").eval()
    x = torch.arange(12, dtype=torch.float32).reshape(1, 2, 6)
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(scripted(module), [x], height(3))
    with pytest.raises(RuntimeError):
        module(x[..., :3])  # torch cannot either
    least = x[..., :4]
    _, result = running(scripted(module), [x], [least], dynamic=height(4))
    np.testing.assert_allclose(result, module(least), rtol=1e-6)
    return str(caught.value)


@pytest.mark.parametrize("source", WINDOWS.values(), ids=WINDOWS)
def test_windows_fit_the_least_size_or_are_refused(source: str) -> None:
    told = told_of_height(source)
    assert "4 elements may be more than size h has: where h is 3, it is 3\n" in told
    assert "Hint: raise the least value in the range of h, or build that size static" in told


@pytest.mark.parametrize("source", KERNELS.values(), ids=KERNELS)
def test_kernels_fit_the_least_size_or_are_refused(source: str) -> None:
    told = told_of_height(source)
    fewer, size, is_ = (6, "h + 2", 5) if "padding" in source else (4, "h", 3)
    assert f"{fewer} elements may be more than size {size} has: where h is 3, it is {is_}\n" in told
    assert "Hint: raise the least value in the range of h, or build that size static" in told


def test_a_transposed_convolution_leaves_something_of_the_least_size() -> None:
    told = told_of_height("F.conv_transpose1d(x, torch.ones(2, 2, 1), padding=3, stride=2)")
    assert "1 elements may be more than size 2*h - 7 has: where h is 3, it is -1\n" in told


class Guarded(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.sum()
        if x.shape[0] > 3:
            y = x[3].sum()
        return y


def test_a_condition_may_keep_small_sizes_away() -> None:
    check(Guarded(), [torch.rand(6, 2)], [torch.rand(2, 2)], [torch.rand(4, 2)], dynamic=batch(1))


def test_more_is_cut_than_there_is() -> None:
    model = scripted(module_from_source("F.pad(x, (-3, 9))", "x"))
    with pytest.raises(ConversionError) as caught:
        importing(model, [torch.ones(2)])
    told = r"more is cut than there is.*float32\[2\].*got: +\[-3, 9\]"
    assert re.search(told, str(caught.value), re.DOTALL)


#: Expressions of x [h, 2], whose results have a negative size where h is 3, and the size.
NEGATIVE = {
    "ones": ("torch.ones(x.shape[0] - 4)", "h - 4"),
    "narrow": ("x.narrow(0, 0, x.shape[0] - 4)", "h - 4"),
    "split": ("x.split([4, x.shape[0] - 4])[0]", "h - 4"),
    "repeat": ("x.relu().repeat(x.shape[0] - 4, 1)", r"h\*\*2 - 4\*h"),
    "once": ("torch.ones(x.shape[0] - 4).relu().exp()", "h - 4"),
}


@pytest.mark.parametrize(("source", "size"), NEGATIVE.values(), ids=NEGATIVE)
def test_results_of_a_negative_size_are_refused(source: str, size: str) -> None:
    module = module_from_source(source, "x").eval()
    dynamic = {"x": {0: ("h", 3, 6, 8)}}
    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(module), [torch.ones(6, 2)], dynamic)
    (problem,) = caught.value.problems
    told = rf"a size of its result is negative: {size} is -[13] where h is 3"
    assert re.fullmatch(told, problem.reason)
    assert problem.hint == "raise the least value in the range of h, or build that size static"
    with pytest.raises(RuntimeError):
        module(torch.ones(3, 2))  # torch cannot either


def test_squeeze_without_dim_says_that_it_keeps_an_axis_that_may_be_1() -> None:
    model = scripted(module_from_source("x.squeeze() + 1", "x"))
    x = torch.ones(6, 1, 2)
    told = r"squeeze without dim \(at .*\) keeps axis 0: its size batch may be 1, and PyTorch would"
    with pytest.warns(ForwardWarning, match=told) as warned:
        graph = importing(model, [x], batch(1))
    assert len(warned) == 1
    assert str(warned[0].message).endswith("Name the axes to drop, as x.squeeze(dim)")
    assert str(graph.outputs[0].type) == "float32[batch, 2]"
    assert importing(model, [x], batch(2)).outputs  # without a warning


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_batch_that_a_trace_fixed_is_told_where_another_size_takes_its_place() -> None:
    """As Swin's window_reverse: int() of a shape is a constant of the trace."""
    source = "w = x.view(-1, 4)\nb = int(w.shape[0] / 2)\nreturn w.view(b, 2, -1)"
    x, dynamic = torch.ones(4, 8), {"x": {0: ("batch", 1, 4, 8)}}
    model = traced(module_from_source(source, "x"), (x,))
    told = r"(?s)\(at .*makes its -1 .*batch.*, beside a 4, which is also the example's batch"
    with pytest.warns(ForwardWarning, match=told) as warned:
        importing(model, [x], dynamic)
    assert str(warned[0].message).endswith("write it as x.shape[i], or with //")
    assert importing(model, [x]).outputs  # without a warning
    fixed = traced(module_from_source("x.view(2, -1)", "x"), (x,))
    assert importing(fixed, [x], dynamic).outputs  # no size of the example


def test_a_slice_takes_what_there_is() -> None:
    module = module_from_source("x[1:5] + 1", "x").eval()
    x = torch.ones(6, 2)
    _, result = running(scripted(module), [x], [x[:3]], dynamic=batch(1))
    np.testing.assert_array_equal(result, module(x[:3]))


#: Of a fixed size: expression of x [3, 2], and what is told.
OUTSIDE = {
    "index": ("x[torch.tensor([3])]", "index: index out of range.*-3 … 2.*got: +3"),
    "index from the end": ("x[torch.tensor([-4, 0])]", "-3 … 2.*got: +-4 … 0"),
    "index_select": (
        "x.index_select(1, torch.tensor([-1]))", "index_select: index out of range.*0 … 1.*-1"
    ),
    "gather": ("x.gather(0, torch.tensor([[-1]]))", "gather: index out of range.*0 … 2.*-1"),
    "scatter": ("x.scatter(0, torch.tensor([[3]]), 1.0)", "scatter: index out of range.*0 … 2.*3"),
    "index_copy": (
        "x.index_copy(0, torch.tensor([-1]), torch.ones(1, 2))", "index_copy: index out of ra.*-1"
    ),
    "put": ("x.put(torch.tensor([6]), torch.ones(1))", "put: index out of range.*-6 … 5.*6"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "text"), OUTSIDE.values(), ids=OUTSIDE)
def test_constant_indices_out_of_range_are_refused(source: str, text: str) -> None:
    module = module_from_source(source, "x").eval()
    x = torch.ones(3, 2)
    with pytest.raises(ConversionError) as caught:
        importing(scripted(module), [x])
    assert re.search(text, str(caught.value), re.DOTALL)
    with pytest.raises((IndexError, RuntimeError)):
        module(x)
