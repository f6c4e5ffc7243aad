"""Writes in place, through views of every kind, mean what torch means by them."""

from __future__ import annotations

import inspect

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, scripted, traced

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import OptBatch
from fwd_ops_torch.testing import module_from_source

X = torch.arange(24.0).reshape(2, 3, 4)


class InPlaceChain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x + 1
        z = y
        y += 2
        y.mul_(3)
        z.relu_()
        return y + z


class ThroughSlices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 1
        y[:, 1:3] += 10
        y[:, -1] = 5
        y[0].mul_(2)
        y[:, :, 0].zero_()
        return y


class ThroughShapes(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x * 1
        flat = y.view(6, 4)
        turned = flat.t()
        turned[0] += 100
        swapped = y.transpose(0, 1)
        swapped[1].sub_(1)
        y.permute(2, 0, 1)[3].fill_(7)
        y.unsqueeze(0).add_(0.5)
        return y, flat


class ViewsSeeWrites(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x * 1
        part = y[:, 0]
        y.add_(1)
        return part, y.narrow(1, 0, 2)


class CopyAndMask(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, :2].copy_(x[:, 1:])
        y.masked_fill_(y > 12, -1.0)
        y[1, 2, 3] = 3.5
        return y


class WritesToConstants(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        table = torch.ones(3, 4)
        table[1] = 2
        row = table[2]
        row.add_(1)
        return x * table


class ThroughParts(nn.Module):
    """Parts of one tensor are views of it, and of no other part."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = x.clone()
        a, b = y.chunk(2, 2)
        a.mul_(2)
        rows = y.unbind(1)
        rows[-1].add_(b[:, 0].sum())
        c, d, e = y.split([1, 2, 1], -1)
        d.copy_(b)
        f, g = torch.tensor_split(y, 2, 1)
        f += g
        h = torch.split(y[0], 2)[1]
        h.zero_()
        y[1] = 3
        return y, [a, b, rows[0], rows[2], c, d, e, f, g, h]


class PartsOfAConstant(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        table = torch.arange(12.0).view(3, 4)
        a, b, c = table.tensor_split([1, 3], 1)
        b.mul_(2)
        c.copy_(x[0, :, :1])
        a[0] = 9
        return table, b


class IsItself(nn.Module):
    """What returns its operand itself shares its memory, whatever its schema says."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 1
        same = y.type_as(x)
        same.add_(1)
        a = torch.dropout(y, 0.5, False)
        a.add_(10)
        b = torch.feature_dropout(y, 0.5, False)
        b.add_(100)
        c = torch.alpha_dropout(y, 0.5, False)
        c.add_(1000)
        y.to(torch.float32).add_(10000)
        y.unflatten(2, [2, 2])[:, :, 1].neg_()
        wide = y[:, :1].expand_as(y)
        y.add_(0.5)
        return y + wide + same + a + b + c  # the scripting compiler drops what is not used


class IsNoView(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        y = x * 1
        copies = [
            y.to(torch.float32, copy=True),
            y.type_as(torch.ones(1, dtype=torch.int32)),
        ]
        y.add_(1)
        return y, copies


@pytest.mark.parametrize(
    "module",
    [
        InPlaceChain(),
        ThroughSlices(),
        ThroughShapes(),
        ViewsSeeWrites(),
        CopyAndMask(),
        WritesToConstants(),
        ThroughParts(),
        PartsOfAConstant(),
        IsItself(),
        IsNoView(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_scripted_and_exported_programs_write_alike(module: nn.Module) -> None:
    check(module, (X,))
    check(module, (X,), model=torch.export.export(module.eval(), (X,)))


def test_parts_of_a_dynamic_batch() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            y = x.clone()
            a, b = y.chunk(2, 2)
            a.mul_(2)
            twice = torch.cat([y, y])
            c, d = twice.chunk(2)  # of 2 batch rows, so its parts begin at a dynamic place
            d.sub_(c.sum())
            y[:-1].neg_()
            return y, b, twice

    x = torch.arange(96.0).reshape(4, 6, 4)
    for form in (scripted(Model()), traced(Model(), (x,))):
        check(Model(), (x,), (x[:2],), (x[:1],), model=form, dynamic=OptBatch())


def test_constants_that_are_written_stay_known() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes = torch.ones(2, dtype=torch.int64)
            sizes[0] = 6
            table = sizes.view(1, 2).t_()
            table[1:].add_(3)
            table.squeeze_(1).unsqueeze_(0).transpose_(0, 1)[1] *= 1
            return x.view(int(sizes[0]), int(sizes[1]))

    check(Model(), (X,))


def test_a_callers_input_is_not_changed_by_the_engine() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x.add_(1)
            return x * 2

    given = X.clone()
    from torch_models import running

    (result,) = running(scripted(Model()), (given,))
    assert torch.equal(given, X)
    assert (result == (X.numpy() + 1) * 2).all()


class Reshaped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 1
        z = y.reshape(6, 4)
        z.add_(1)
        return y


class LaidOut(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = (x * 1).unsqueeze(0)
        z = y.to(memory_format=torch.channels_last)
        y.add_(1)
        return z


@pytest.mark.parametrize(
    ("module", "call"), [(Reshaped(), "reshape(…)"), (LaidOut(), "to(…)")], ids=["reshape", "to"]
)
@pytest.mark.parametrize("form", ["scripted", "exported"])
def test_reading_what_may_share_memory_with_something_written_is_refused(
    module: nn.Module, call: str, form: str
) -> None:
    model = scripted(module) if form == "scripted" else torch.export.export(module.eval(), (X,))
    with pytest.raises(ConversionError) as caught:
        importing(model, (X,))
    error = caught.value
    assert error.what == ("a tensor is read that may share memory with one written in place before")
    lines = inspect.getsourcelines(type(module).forward)
    written = next(i for i, line in enumerate(lines[0]) if "add_" in line) + lines[1]
    assert f"{__file__}:{written}" in str(error.where)
    assert error.got == f"{call} of a tensor: a view or a copy, which depends on strides"
    assert f"{__file__}:{written - 1}" in error.details[0]
    shared = ", or view(…) so that it is" if call == "reshape(…)" else ""
    assert error.hint == f"write {call}.clone() so that no memory is shared{shared}"


@pytest.mark.parametrize("text", ["y.reshape(6, 4).clone()", "y.view(6, 4)"])
def test_what_its_hint_says_helps(text: str) -> None:
    module = module_from_source(f"y = x * 1\nz = {text}\nz.add_(1)\nreturn y, z", "x")
    check(module, (X,), model=traced(module, (X,)))


@pytest.mark.parametrize("changed", ["y.transpose_(0, -1)", "z.transpose_(0, -1)", "z.add_(1)"])
@pytest.mark.parametrize(
    "text",
    [
        "torch.atleast_2d(y)",
        "torch.atleast_3d([y, x])[0]",
        "torch.broadcast_tensors(y, x)[0]",
        "y.float()",
        "y.type_as(x)",
        "torch.positive(y)",
        "torch.real(y)",
        "torch.conj_physical(y)",
        "y.resolve_neg()",
        "F.dropout(y, 0.5, False)",
        "y.flatten(1, 1)",
        "y.sum_to_size(2, 3, 4)",
    ],
)
def test_what_torch_returns_as_it_is_changes_its_layout_too(text: str, changed: str) -> None:
    module = module_from_source(f"y = x * 1\nz = {text}\n{changed}\nreturn y, z", "x")
    for model in (scripted(module), torch.export.export(module.eval(), (X,))):
        check(module, (X,), model=model)


@pytest.mark.parametrize("text", ["y.sum_to_size([])", "y.flatten()", "torch.atleast_1d(y)"])
def test_what_has_no_axes_is_not_returned_as_it_is(text: str) -> None:
    source = f"y = x.sum()\nz = {text}\ny.unsqueeze_(0).unsqueeze_(0)\nreturn y, z"
    module = module_from_source(source, "x")
    check(module, (X,), model=scripted(module))


@pytest.mark.parametrize("changed", ["y.transpose_(0, -1)", "z.unsqueeze_(0)"])
def test_reading_what_may_be_the_tensor_whose_layout_changed_is_refused(changed: str) -> None:
    read = "z" if changed[0] == "y" else "y"
    module = module_from_source(f"y = x * 1\nz = y.contiguous()\n{changed}\nreturn {read}", "x")
    with pytest.raises(ConversionError) as caught:
        importing(scripted(module), (X,))
    assert (
        caught.value.got == "contiguous(…) of a tensor: a view or a copy, which depends on strides"
    )
    assert caught.value.hint == "write contiguous(…).clone() so that no memory is shared"


def test_views_of_what_may_be_the_tensor_whose_layout_changed_are_read() -> None:
    source = "y = x * 1\nv = y.t()\nz = v.contiguous()\nz.transpose_(0, 1)\nreturn y, z"
    module = module_from_source(source, "x")
    check(module, (X[0],), model=scripted(module))


def test_writing_what_may_share_memory_is_right_when_the_other_is_not_read_again() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = (x * 1).reshape(6, 4).contiguous()
            y.add_(1)
            return y

    check(Model(), (X,))


def test_a_write_through_a_view_without_an_inverse_is_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.select(2, 0).unsqueeze(2) * 1
            y.expand(2, 3, 4).add_(1)
            return y

    with pytest.raises(ConversionError) as caught:
        importing(scripted(Model()), (X,))
    assert caught.value.what == "a write in place through aten::expand cannot be converted"
    assert __file__ in str(caught.value.where)
    assert caught.value.hint == (
        "write to a copy instead: x = x.clone() before the in-place operator"
    )


def test_a_write_through_a_slice_with_a_step_of_a_dynamic_axis() -> None:
    module = module_from_source("y = x * 1\ny[::2] += 1\nreturn y", "x")
    dynamic = {"x": {0: ("batch", 1, 2, 2)}}
    graph = importing(traced(module, (X,)), (X,), dynamic)
    assert "ScatterElements" in str(graph)


class TestViewsWithoutAConverter:
    """Constants are computed by torch, whatever views are made of them."""

    def test_they_see_constants_written_to_what_they_are_views_of(self) -> None:
        source = "t = torch.ones(4, 4)\nv = torch._neg_view(t)\nt.mul_(2)\nreturn x * v[0, 3]"
        module = module_from_source(source, "x")
        check(module, (X,), model=scripted(module))

    def test_they_are_told_of_when_an_output_is_read_after_a_write(self) -> None:
        source = "t = torch.ones(4, 4)\nv = torch._neg_view(t)\nt.mul_(x[0, 0])\nreturn v"
        with pytest.raises(UnsupportedModelError, match="_neg_view .1x.: no installed pack"):
            importing(scripted(module_from_source(source, "x")), (X,))

    def test_writes_through_them_are_refused(self) -> None:
        source = "t = torch.arange(16.0).view(4, 4)\ntorch._neg_view(t).mul_(2)\nreturn x[0] * t[0]"
        with pytest.raises(ConversionError, match="through aten::_neg_view cannot be converted"):
            importing(scripted(module_from_source(source, "x")), (X,))
