"""Conditions on data: both branches are imported, and the engine chooses."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import check, importing, running, scripted, traced

from fwd_core.errors import ConversionError, ForwardWarning, UnsupportedModelError
from fwd_core.importing import OptBatch
from fwd_core.ir import Graph, ops

POSITIVE = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
NEGATIVE = -POSITIVE
LARGE = 10 * POSITIVE
EACH = ((POSITIVE,), (NEGATIVE,), (LARGE,))


def count(graph: Graph, kind: type = ops.If) -> int:
    return sum(isinstance(node.op, kind) for node in graph.walk())


def both(module: nn.Module, ifs: int | None = None, **options: Any) -> Graph:
    """Check that one engine takes every branch; the graph."""
    check(module, *EACH, **options)
    graph = importing(scripted(module), (POSITIVE,))
    if ifs is not None:
        assert count(graph) == ifs
    return graph


class Early(nn.Module):
    """Early returns, conditions that are joined, and a layer that both branches read."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0 and x.amax().item() < 10:
            return self.layer(x)  # type: ignore[no-any-return]
        y = x * 2
        if not bool(y.mean() > -5):
            y = self.layer(y).relu()
        return y - 1


def test_branches_on_data_become_an_if() -> None:
    graph = both(Early(), 3)
    names = [value.name for value in graph.values()]
    for node in graph.walk():
        for inner in node.op.graphs():
            names += [value.name for value in inner.values()]
    assert len(set(names)) == len(names), "calibration caches go by names"
    assert any(name.endswith("/layer/linear") for name in names)


def test_dynamic_sizes_in_branches() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:
                return x.reshape(-1).reshape(3, x.size(0)).t() + torch.arange(3)
            return x * x.size(0)

    others = ((NEGATIVE,), (torch.rand(1, 3),), (-torch.rand(1, 3),))
    check(Model(), (POSITIVE,), *others, dynamic=OptBatch())


class Results(nn.Module):
    """Results of every kind: tensors in containers, and numbers."""

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor], dict[str, Tensor], Tensor, Tensor]:
        scale, shift, same = 2.0, 1, 7
        if x.sum() > 0:
            parts = (x, [x + 1, x + same])
            named = {"a": x}
            scale, shift = 3.0, 4
        else:
            parts = (x * 2, [x - 1, x - same])
            named = {"a": x / 2}
        y = x * scale + shift
        return parts[0], parts[1], named, y, torch.tensor(shift * 2 + same)


def test_results_are_brought_together_item_by_item() -> None:
    both(Results(), 1)


def test_numbers_that_are_computed_from_data() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
            n = int(x.sum())
            half = n // 2 + n % 3 - 1
            root = abs(float(x[0, 0])) ** 0.5
            most = max(n, 3)
            large = (n > 30 or n == -21) != (half < 0)
            if large:
                x = x + half
            numbers = torch.tensor([n, half])
            return (
                x * root,
                torch.tensor(most),
                torch.tensor(root / 2),
                torch.tensor(large),
                numbers,
            )

    both(Model())


def test_known_results_stay_known() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            size = 3
            if x.sum() > 0:
                y, size = x.relu(), 2
            else:
                y, size = x.abs(), 2
            return y.reshape(3, size)

    both(Model(), 1)


def test_a_condition_without_a_difference_is_no_if() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            done = False
            if x.sum() > 0:
                done = True
            return x + 1 if x.shape[0] == 2 else x + int(done)

    assert both(Model(), 0).value("add") is not None


def test_writes_in_branches_reach_what_was_there_before() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            y, untouched = x.clone(), x.clone()
            view, row = y.t(), y[1]
            if x.sum() > 0:
                y[0] += 5
                view[1, 0] = 7
                if x.amax() > 10:
                    row.mul_(3)
            else:
                row.neg_()
            return y, view, row + 1, untouched

    graph = both(Model(), 2)
    (outer,) = [node for node in graph if isinstance(node.op, ops.If)]
    assert len(outer.outputs) == 1, "one storage was written, however many views it has"


def test_inputs_are_written_in_branches_of_called_methods() -> None:
    class Model(nn.Module):
        def change(self, x: Tensor) -> Tensor:
            if x.mean() > 0:
                x.add_(1)
            return x

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = x * 1
            z = self.change(y)
            return y, z

    both(Model(), 1)


def test_branches_in_unrolled_loops() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x) if x.sum() > 0 else x * 2
            for i in range(2):
                if x[0, i] > 1:
                    x = x + i
            return x

    both(Model(), 4)


def test_a_size_that_is_not_known_chooses_too() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x / x.size(0) ** 0.5
            if x.size(0) > 2:
                y = y + 1
            return y * (x.size(0) / 2)

    check(Model(), (torch.rand(4, 3),), (torch.rand(2, 3),), dynamic=OptBatch())
    assert count(importing(scripted(Model()), (torch.rand(4, 3),))) == 0, "static sizes decide"


def test_loops_that_end_on_data_within_a_known_count() -> None:
    class Model(nn.Module):
        def search(self, x: Tensor) -> Tensor:
            for i in range(2):
                if x[i, 0] > 3:
                    return x[i] * 2
                x = x + 1
            return x[0]

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            y, rounds = x, 0
            for i in range(4):
                if y.sum() > 30:
                    break
                y = y + i
                rounds += 1
            z, left = x, 3
            while left > 0 and z.amax() < 5:
                z = z * 2
                left -= 1
            return y * rounds, z, self.search(x)

    both(Model())


def test_loops_that_end_on_data_alone_are_told_once() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            while x.sum() > 0:
                x = torch.special.bessel_j0(x)
            return x

    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(Model()), (POSITIVE,))
    found = {one.operator: one.count for one in caught.value.problems}
    assert found == {"prim::Loop": 1, "aten::special_bessel_j0": 1}


def test_tensors_are_compared_whole() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if torch.equal(x, x.abs()):
                x = x + 1
            if torch.equal(x, x[0]):
                x = x * 100
            return x

    both(Model(), 1)


class Raises(nn.Module):
    """Checks on data, by assert and by an exception."""

    def forward(self, x: Tensor) -> Tensor:
        assert x.sum() > -1000, "too small"
        if x.sum() > 1e9:
            raise ValueError("too large")
        return x + 1


def test_exceptions_on_data_are_left_out_with_a_warning() -> None:
    with pytest.warns(ForwardWarning) as told:
        graph = importing(scripted(Raises()), (POSITIVE,))
    assert count(graph) == 0
    texts = [str(one.message) for one in told]
    assert "may raise an exception: AssertionError: too small" in texts[0]
    assert "an engine cannot raise" in texts[0]
    assert f"{__file__}:" in texts[0]
    assert len(texts) == 2


def test_a_branch_that_raises_somewhere_inside() -> None:
    class Model(nn.Module):
        def refuse(self, x: Tensor) -> Tensor:
            if x.dim() != 3:
                raise ValueError("three axes")
            return x

        def forward(self, x: Tensor) -> Tensor:
            return self.refuse(x) if x.sum() > 0 else x + 1

    with pytest.warns(ForwardWarning, match="three axes"):
        assert count(importing(scripted(Model()), (POSITIVE,))) == 0


def test_a_model_that_raises_in_both_branches_is_refused() -> None:
    class Model(nn.Module):
        def one(self, x: Tensor) -> Tensor:
            if x.dim() == 2:
                raise ValueError("one")
            return x

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) if x.sum() > 0 else self.one(x + 1)

    with pytest.raises(ConversionError, match="raises an exception for these inputs: one"):
        importing(scripted(Model()), (POSITIVE,))


def test_assertions_on_tensors_are_left_out_with_a_warning() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch._assert_async(x.sum() > 0, "not positive")
            return x + 1

    program = torch.export.export(Model().eval(), (POSITIVE,))
    with pytest.warns(ForwardWarning, match="may raise an exception: not positive"):
        importing(program, (POSITIVE,))


def test_assertions_of_torchs_own_operators_are_left_out() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.one_hot(x, 5)

    x = torch.tensor([1, 2])
    program = torch.export.export(Model().eval(), (x,)).run_decompositions()
    check(Model(), (x,), model=program)


def test_assertions_on_tensors_that_are_known_are_made() -> None:
    class Model(nn.Module):
        def __init__(self, limit: float) -> None:
            super().__init__()
            self.register_buffer("limit", torch.tensor(limit))

        def forward(self, x: Tensor) -> Tensor:
            torch._assert_async(self.limit > 0, "not positive")
            return x + self.limit

    importing(torch.export.export(Model(1.0).eval(), (POSITIVE,)), (POSITIVE,))
    program = torch.export.export(Model(-1.0).eval(), (POSITIVE,))
    with pytest.raises(ConversionError, match="exception for these inputs: not positive"):
        importing(program, (POSITIVE,))


def test_checks_of_numbers_in_exported_programs_are_left_out_with_a_warning() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n = x.sum().item()
            torch._check(n > 0)
            return x * n

    program = torch.export.export(Model().eval(), (POSITIVE,))
    with pytest.warns(ForwardWarning, match="may raise an exception: Runtime assertion failed"):
        importing(program, (POSITIVE,))


# --- what is refused ----------------------------------------------------------------------------


class Dtypes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x.int()


class Shapes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else x[0]


class Lengths(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x] if x.sum() > 0 else [x, x]


class Strings(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        mode = "relu"
        if x.sum() > 0:
            mode = "tanh"
        return x.relu() if mode == "relu" else x.tanh()


class Optional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor | None = None
        if x.sum() > 0:
            y = x * 2
        return x if y is None else y


class Appends(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        parts = [x]
        if x.sum() > 0:
            parts.append(x)
        return parts


class SetsItem(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        named = {"x": x}
        if x.sum() > 0:
            named["y"] = x
        return named


class MayBeBefore(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        parts = [x]
        other = parts if x.sum() > 0 else [x + 1]
        other.append(x)
        return parts


class Attribute(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            self.count = 1
        return x + self.count


class Layout(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x[:, :2].clone()
        if x.sum() > 0:
            y.t_()
        return y


class MayShare(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        z = y[0] if x.sum() > 0 else y[1]
        y.add_(1)
        return z


class MayShareEachOther(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            a = x + 1
            b = a[0]
        else:
            a, b = x + 2, x[0] + 1
        a.mul_(2)
        return b


class Buffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            self.steps.add_(1)
        return x


class Sizes(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n = 1
        if x.sum() > 0:
            n = 2
        return x[:, :n]


class Loop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while x.sum() < 10:
            x = x * 2
        return x


class LoopCount(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for _ in range(int(x.sum())):
            x = x * 2
        return x


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (Dtypes(), r"different types\n.*\n.*float32\[2, 3\] as in the branch .*\n.*int32\[2, 3\]"),
        (Shapes(), r"different types\n.*\n.*float32\[2, 3\] as in the branch .*\n.*float32\[3\]"),
        (Lengths(), "cannot choose between\n.*\n.*a list of 1\n.*a list of 2"),
        (Strings(), "cannot choose between\n.*\n.*'tanh'\n.*'relu'"),
        (Optional(), "cannot choose between\n.*\n.*a tensor, .*\n.*None"),
        (Appends(), "a branch on data changes a list or dict from outside"),
        (SetsItem(), "a branch on data changes a list or dict from outside"),
        (MayBeBefore(), "may be one from before a branch on data, or not"),
        (Attribute(), "a branch on data sets an attribute of the model, 'count'"),
        (Layout(), "changes how a tensor from before lies in memory"),
        (MayShare(), "may share memory with one written in place before(.|\n)*given by"),
        (MayShareEachOther(), "may share memory with one written in place before"),
        (Buffer(), "the model changes its own state while it runs: steps"),
        (
            Sizes(),
            r"argument 'end' of aten::slice depends on .*, and so would the size of the result"
            r"(.|\n)*take a fixed number of elements, by x.narrow\(",
        ),
        (Loop(), "a loop depends on the contents of a tensor"),
        (LoopCount(), "a loop depends on the contents of a tensor"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, nn.Module) else "",
)
def test_what_has_no_one_meaning_is_refused(module: nn.Module, text: str) -> None:
    with pytest.raises((ConversionError, UnsupportedModelError), match=text) as caught:
        importing(scripted(module), (POSITIVE,))
    assert f"{__file__}:" in str(caught.value)
    assert "Hint:" in str(caught.value)


def test_what_cannot_be_converted_is_found_in_both_branches() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:
                y = torch.special.bessel_j0(x)
            else:
                y = torch.special.bessel_y0(x)
            return torch.special.bessel_j1(y)

    with pytest.raises(UnsupportedModelError, match="3 operators of 3 kinds") as caught:
        importing(scripted(Model()), (POSITIVE,))
    assert all(one.count == 1 for one in caught.value.problems)


def test_what_torchs_own_functions_check_is_not_told() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.group_norm(x, 1)  # raises for one value per channel

    graph = importing(scripted(Model()), (torch.rand(2, 1),), OptBatch())
    assert count(graph) == 0


class Picks(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        i = i.clone()
        place = int(i)
        y = x.clone()
        i += 1  # what was read of it before stays
        if place > 0:
            place = place - 1
        y[place] = 7
        y[:, place] += x[:, place]
        return y


class PicksByTensor(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> Tensor:
        i, y = i.clone(), x.clone()
        row = y[i]
        i.add_(1)
        y.mul_(2)  # which the view follows, at its own place
        return row + y[:, i].sum()


@pytest.mark.parametrize(("module", "form"), [(Picks(), scripted), (PicksByTensor(), traced),
                                              (PicksByTensor(), scripted)])  # fmt: skip
def test_a_number_that_is_read_may_say_which_element(module: nn.Module, form: Any) -> None:
    x = torch.arange(12.0).reshape(3, 4)
    places = [(x, torch.tensor(place)) for place in (1, 0, 2, -2)]
    model = form(module, places[0]) if form is traced else form(module)
    for given, got in zip(places, running(model, *places), strict=True):
        assert torch.equal(torch.from_numpy(got), model(*given))  # y[i] is a copy in TorchScript


def test_what_is_no_place_is_refused() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor, i: Tensor) -> Tensor:
            return torch.roll(x, int(i), 0)

    with pytest.raises(ConversionError) as error:
        importing(scripted(Half()), (torch.ones(3), torch.tensor(1)))
    assert "argument 'shifts' of aten::roll depends on the contents of a tensor" in str(error.value)
    assert "Hint: keep the number a tensor" in str(error.value)
