"""Lists, dicts and strings of scripted programs: what is written to them stays written."""

from __future__ import annotations

import enum

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, running, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import OptBatch

X = torch.arange(6.0).reshape(2, 3)


class Sorts(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        up = [3, 1, 2]
        up.sort()
        down = [3.5, 1.5, 2.5]
        down.sort(reverse=True)
        words = ["b", "a"]
        words.sort()
        pairs = [(2, 1.0), (1, 5.0)]
        pairs.sort()
        kept = sorted([3, 1, 2])
        return [x * up[0], x * down[0], x * len(words[0] + "a"), x * pairs[0][1], x * kept[0]]


class Shrinks(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        items = [3, 1, 2, 1]
        items.remove(3)
        one = items[0] * 10 + items[1]
        del items[0]
        del items[-1]
        items.append(items.count(2) + items.index(2))
        last = items.pop()
        empty = [5, 6]
        empty.clear()
        return [x * one, x * items[0], x * len(items), x * last, x + len(empty)]


class Grows(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        items = [1, 2]
        same = items
        items += [4]
        items *= 2
        items.insert(-10, 7)
        copy = items.copy()
        copy.reverse()
        copy.extend([9])
        tensors = [x]
        tensors += [x + 1]
        tensors *= 2
        gone = [1, 2]
        gone *= 0
        return [x * same[0], x * len(same), x * copy[0], x * copy[-1], tensors[3], x + len(gone)]


class Dicts(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        d = {"a": 1, "b": 2, "c": 3}
        copy = d.copy()
        del d["a"]
        two = d.setdefault("b", 7)
        nine = d.setdefault("z", 9)
        d.update({"c": 5, "y": 6})
        six = d.pop("y")
        default = d.pop("absent", 8)
        keys = "".join(list(d.keys()))
        copy.clear()
        tensors = {"x": x}
        tensors["y"] = x + 1
        del tensors["x"]
        return [
            x * two, x * nine, x * six, x * default, x * len(keys), x * d["c"], x + len(copy),
            x * len(tensors), tensors["y"],
        ]  # fmt: skip


@pytest.mark.parametrize(
    "module", [Sorts(), Shrinks(), Grows(), Dicts()], ids=lambda module: type(module).__name__
)
def test_operators_in_place_write_to_the_list_itself(module: nn.Module) -> None:
    check(module, (X,))


def test_popitem_takes_the_first_as_torchscript_does() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            d = {"a": 1, "b": 2}
            key, value = d.popitem()
            return x * value + len(d) + len(key) + d["b"]

    model = scripted(Model())
    (result,) = running(model, (X,))
    assert (result == model(X).numpy()).all()


def test_lists_of_sizes() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sizes = [x.size(0) + 5, x.size(0), 3]
            sizes.remove(x.size(0))
            del sizes[1]
            pair = [x.size(0) + 1, x.size(0)]
            pair.sort()
            return x * sizes[0] + pair[0]

    check(Model(), (torch.randn(4, 3),), (torch.randn(2, 3),), dynamic=OptBatch())


class SortsOpen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        sizes = [x.size(0), 2]
        sizes.sort()
        return x * sizes[0]


class RemovesOpen(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        sizes = [x.size(0), 2]
        sizes.remove(2)
        return x * sizes[0]


@pytest.mark.parametrize("module", [SortsOpen(), RemovesOpen()], ids=["sort", "remove"])
def test_what_a_dynamic_size_leaves_open_is_refused(module: nn.Module) -> None:
    with pytest.raises(ConversionError, match="depends on a dynamic size") as caught:
        importing(scripted(module), (torch.randn(4, 3),), OptBatch())
    assert f"{__file__}:" in str(caught.value)


class RemovesAbsent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        items = [1, 2]
        items.remove(7)
        return x * len(items)


class DeletesAbsent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        d = {"a": 1}
        del d["b"]
        return x * len(d)


class PopsNothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        d = {"a": 1}
        d.clear()
        d.popitem()
        return x * len(d)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (RemovesAbsent(), "aten::remove"),
        (DeletesAbsent(), "aten::Delete"),
        (PopsNothing(), "aten::popitem"),
    ],
    ids=["remove", "delete", "popitem"],
)
def test_failures_of_the_program_itself_are_told_with_their_line(
    module: nn.Module, text: str
) -> None:
    with pytest.raises(ConversionError, match="the model's own program fails") as caught:
        importing(scripted(module), (X,))
    assert text in str(caught.value)
    assert f"{__file__}:" in str(caught.value)


def test_writes_that_nobody_carries_out_are_refused() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            items = [torch.ones(1), torch.zeros(1)]
            items.remove(torch.ones(1))
            return x + items[0]

    class Sorting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            items = [torch.ones(1), torch.zeros(1)]
            items.sort()
            return x + items[0]

    for module in (Model(), Sorting()):
        with pytest.raises(
            UnsupportedModelError, match="changes a list or dict in place"
        ) as caught:
            importing(scripted(module), (X,))
        (problem,) = caught.value.problems
        assert f"{__file__}:" in problem.places[0]


def test_searches_among_tensors_are_computed_where_all_are_known() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            items = [torch.ones(1), torch.zeros(1)]
            return x * items.index(torch.zeros(1)) + items.count(torch.ones(1))

    class Unknown(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * [x, x + 1].index(x)

    check(Model(), (X,))
    with pytest.raises(UnsupportedModelError, match=r"aten::index \(1x\)"):
        importing(scripted(Unknown()), (X,))


class Color(enum.Enum):
    RED = 2
    BLUE = 3


def test_enumerations() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.color = Color.BLUE

        def forward(self, x: Tensor) -> Tensor:
            color = self.color
            return x * color.value + len(color.name) if color == Color.BLUE else x

    check(Model(), (X,))


def test_percent_formats_work() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            n = 2
            d = {"a2": 5, "b 2.500%": 7}
            y = x * d["a%d" % n] + len("%s" % x.size(0))  # noqa: UP031
            return y + d["%s %.3f%%" % ("b", 2.5)]  # noqa: UP031

    check(Model(), (X,))


def test_percent_formats_of_what_is_not_known_show_it() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("%d rows of %s, %.1f" % (x.size(0), x, 2.5))  # noqa: UP031

    with pytest.raises(ConversionError, match="batch rows of <float32") as caught:
        importing(scripted(Model()), (torch.randn(4, 3),), OptBatch())
    assert "2.5" in str(caught.value)


def test_a_percent_format_that_fails_is_told() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * len("%d %d" % 3)  # noqa: UP031, F507

    with pytest.raises(ConversionError, match="own program fails: aten::percentFormat") as caught:
        importing(scripted(Model()), (X,))
    assert f"{__file__}:" in str(caught.value)


def test_tensors_to_lists() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.tensor([[1, 2], [3, 4]]))

        def forward(self, x: Tensor) -> Tensor:
            rows: list[list[int]] = self.table.tolist()
            half: float = torch.tensor(0.5).tolist()
            return x * rows[1][0] + half

    check(Model(), (X,))


class TakesData(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows: list[list[float]] = x.tolist()
        return x * rows[0][0]


class TakesAnotherRank(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows: list[list[int]] = torch.tensor([1, 2]).tolist()
        return x * rows[0][0]


class TakesAnotherType(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        rows: list[float] = torch.tensor([1, 2]).tolist()
        return x * rows[0]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (TakesData(), r"tolist\(\) depends on the contents of a tensor"),
        (TakesAnotherRank(), r"tolist\(\) gives another list than the model says"),
        (TakesAnotherType(), r"tolist\(\) gives another list than the model says"),
    ],
    ids=["data", "rank", "type"],
)
def test_tensors_that_cannot_become_lists(module: nn.Module, text: str) -> None:
    with pytest.raises(ConversionError, match=text) as caught:
        importing(scripted(module), (X,))
    assert f"{__file__}:" in str(caught.value)


def test_errors_of_torchs_own_operators_are_told_with_their_line() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * int("seven")

    class Character(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * ord("ab")

    for module in (Character(),):
        with pytest.raises(ConversionError, match="aten::ord fails in torch itself") as caught:
            importing(scripted(module), (X,))
        assert f"{__file__}:" in str(caught.value)
    with pytest.raises(ConversionError, match="aten::Int") as caught:
        importing(scripted(Model()), (X,))
    assert f"{__file__}:" in str(caught.value)


def test_seeding_in_the_model_leaves_the_callers_generator_alone() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            torch.manual_seed(3)
            return x + 1

    before = torch.random.get_rng_state()
    importing(scripted(Model()), (X,))
    assert torch.equal(before, torch.random.get_rng_state())
