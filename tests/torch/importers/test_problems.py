"""Everything that is not supported is listed at once: operator, count, places, hint."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import check, importing, scripted, traced

from fwd_core import Plugins
from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import ImportRequest
from fwd_ops_torch.importers.failures import failure
from fwd_ops_torch.importers.problems import CannotContinueError, draws_in_training_only
from fwd_ops_torch.importers.session import Session

X = torch.randn(4, 6)


class Many(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.special.bessel_y0(x)
        y = torch.special.bessel_y0(y) + torch.special.bessel_j0(y)
        z = torch.nonzero(y)
        noise = torch.rand_like(y)
        return torch.special.bessel_y0(noise) + z.sum()


def test_all_of_them_are_found_although_the_first_one_cannot_be_converted() -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(Many()), (X,))
    found = {problem.operator: problem for problem in caught.value.problems}
    assert set(found) == {
        "aten::special_bessel_y0",
        "aten::special_bessel_j0",
        "aten::nonzero",
        "aten::rand_like",
    }
    assert found["aten::special_bessel_y0"].reason == "no installed pack converts it"
    assert found["aten::nonzero"].reason == "the size of its result depends on data"
    assert "torch.where" in found["aten::nonzero"].hint
    assert found["aten::rand_like"].reason == "it draws random numbers"
    places = found["aten::special_bessel_y0"].places
    assert all(f"{__file__}:" in place for place in places)
    text = str(caught.value)
    assert "the model cannot be converted:" in text
    assert "aten::nonzero (1x)" in text


def test_what_is_random_in_training_only_is_not_called_random() -> None:
    for name in ("aten::lstm", "aten::gru", "aten::scaled_dot_product_attention", "aten::dropout"):
        assert draws_in_training_only(name), name
    for name in ("aten::rand_like", "aten::bernoulli", "aten::multinomial", "nobody::knows"):
        assert not draws_in_training_only(name), name


def test_counts_and_lines_of_one_operator_used_often() -> None:
    class Often(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = torch.special.bessel_y0(x)
            return torch.special.bessel_y0(x)

    with pytest.raises(UnsupportedModelError, match=r"4 operators of 1 kind") as caught:
        importing(scripted(Often()), (X,))
    (problem,) = caught.value.problems
    assert problem.count == 4
    assert len(problem.places) == 2


def test_exported_programs_list_them_too() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_y0(x) + torch.special.bessel_j0(x)

    program = torch.export.export(Two().eval(), (X,))
    with pytest.raises(UnsupportedModelError, match=r"2 operators of 2 kinds"):
        importing(program, (X,))


def test_the_only_one_is_spelled_in_the_singular_and_near_names_are_shown() -> None:
    class One(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_y0(x)

    with pytest.raises(UnsupportedModelError, match="1 operator of 1 kind not supported"):
        importing(traced(One(), (X,)), (X,))


def test_arguments_that_are_not_supported_are_listed_with_operators() -> None:
    class Argument(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mask = x > 0
            return torch.special.bessel_y0(x).sum() + x[mask].sum()

    with pytest.raises(UnsupportedModelError) as caught:
        importing(scripted(Argument()), (X,))
    reasons = {problem.operator: problem.reason for problem in caught.value.problems}
    assert "a bool mask gives a result whose size depends on data" in reasons["aten::index"]
    assert "aten::special_bessel_y0" in reasons


class Fails(nn.Module):
    """The first line cannot be converted with these arguments; the others never can."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 1
        y.reshape(24).add_(1)
        return torch.special.bessel_j0(torch.special.bessel_y0(y))


class Contradicts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.special.bessel_y0(x)
        return y.reshape(7, 3)


@pytest.mark.parametrize("form", ["scripted", "traced", "exported"])
def test_what_stops_the_import_is_one_of_the_problems(form: str) -> None:
    model = {
        "scripted": lambda: scripted(Fails()),
        "traced": lambda: traced(Fails(), (X.clone(),)),
        "exported": lambda: torch.export.export(Fails().eval(), (X,)),
    }[form]()
    with pytest.raises(UnsupportedModelError, match="3 operators of 3 kinds") as caught:
        importing(model, (X,))
    found = {problem.operator: problem for problem in caught.value.problems}
    assert set(found) == {
        "aten::add_",
        "aten::special_bessel_j0",
        "aten::special_bessel_y0",
    }
    stopped = found["aten::add_"]
    assert stopped.count == 1
    assert "may share memory with one written in place before; expected" in stopped.reason
    assert f"{__file__}:" in stopped.places[0]
    assert stopped.hint


def test_what_stops_the_import_comes_with_what_was_found_before() -> None:
    with pytest.raises(UnsupportedModelError, match="2 operators of 2 kinds") as caught:
        importing(scripted(Contradicts()), (X,))
    found = {problem.operator: problem for problem in caught.value.problems}
    assert set(found) == {"aten::special_bessel_y0", "aten::reshape"}
    assert "element counts differ; expected 24 elements" in found["aten::reshape"].reason


def test_state_that_changes_is_listed_with_the_rest() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k = 1

        def forward(self, x: Tensor) -> Tensor:
            self.k += 1
            return torch.special.bessel_y0(x) * self.k

    with pytest.raises(UnsupportedModelError, match="2 operators of 2 kinds") as caught:
        importing(scripted(Counts()), (X,))
    reasons = [problem.reason for problem in caught.value.problems]
    assert "the model changes its own state while it runs: k" in reasons


def test_an_import_that_cannot_go_on_says_why() -> None:
    session = Session("model", ImportRequest((X,), Plugins.discover()), owned=False)
    error = failure(session, CannotContinueError("the graph has no output"))
    assert isinstance(error, ConversionError)
    assert str(error) == "the import cannot go on\n  the graph has no output"


def test_an_error_that_stands_alone_stays_itself() -> None:
    class Alone(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.reshape(7, 3).relu()

    with pytest.raises(ConversionError, match="element counts differ"):
        importing(scripted(Alone()), (X,))


def test_rows_that_are_scaled_in_the_weight_are_refused_with_a_way_round() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Embedding(4, 3, max_norm=1.0).eval()
    ids = torch.tensor([0, 2])
    with pytest.raises(UnsupportedModelError) as caught:
        importing(layer, [ids])
    (problem,) = caught.value.problems  # and not a second one for the weight that changes
    assert problem.operator == "aten::embedding_renorm_"
    assert "max_norm scales rows of the weight in the weight itself" in problem.reason
    assert "renorm(layer.norm_type, 0, layer.max_norm)" in problem.hint
    wanted = layer(ids)
    layer.weight.data = layer.weight.data.renorm(layer.norm_type, 0, layer.max_norm)
    layer.max_norm = None
    check(layer, [ids])
    torch.testing.assert_close(layer(ids), wanted)
