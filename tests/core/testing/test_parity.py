"""One check for a model, on a small real backend and a framework that NumPy runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from toy_backend import Layers, plugins
from toy_reference import LayersReference, ReferencePack

from fwd_core.errors import BuildError, OptionError
from fwd_core.importing import OptBatch
from fwd_core.plugins import Plugins
from fwd_core.testing import EXACT, Corpus, ParityError, assert_parity

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3)).astype(np.float32)
WEIGHT = RNG.standard_normal((2, 3)).astype(np.float32)
MODEL = Layers([("linear", WEIGHT), ("relu",)])


class Listed(LayersReference):
    """A framework that returns lists."""

    def run(self, model: Layers, inputs: Any) -> Any:
        return [super().run(model, inputs)]


def packs(**reference: Any) -> Plugins:
    return plugins(reference=ReferencePack(LayersReference(**reference)))


def check(model: Any = MODEL, inputs: Any = X, **more: Any) -> Any:
    return assert_parity(model, inputs, **{"backend": "toy", "plugins": packs(), **more})


def test_forms_of_one_graph_are_built_once() -> None:
    done = check(Layers([("linear", WEIGHT)]))
    assert list(done.graphs.values()) == [["layers", "doubled"]]
    assert (done.ran, done.built, done.refusal) == (["toy"], [], None)


def test_forms_of_other_graphs_are_run_too() -> None:
    done = check()
    assert list(done.graphs.values()) == [["layers"], ["doubled"]]


def test_chosen_forms() -> None:
    assert list(check(forms=["doubled"]).graphs.values()) == [["doubled"]]


def test_nested_outputs() -> None:
    check(Layers([("relu",)], nested=True))
    with pytest.raises(ParityError, match="nested otherwise"):
        check(plugins=plugins(reference=ReferencePack(Listed())))


def test_a_difference_says_where_and_how_to_see_it_again() -> None:
    with pytest.raises(ParityError) as caught:
        check(plugins=packs(bias=0.5), options={"parallel": 1})
    text = str(caught.value)
    assert text.startswith("output 'y': values differ\n  at toy float32, layers\n  expected: ")
    assert "Hint: to see it again: assert_parity(<Layers>, (np.array(" in text
    assert "backend='toy', mode='float32', options={'parallel': 1})" in text


def test_a_difference_of_one_form_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toy_reference._doubled", lambda model: Layers([("linear", -WEIGHT)]))
    with pytest.raises(ParityError, match="at toy float32, doubled"):
        check()


def test_tolerance() -> None:
    with pytest.raises(ParityError):
        check(plugins=packs(bias=1e-6), tolerance=EXACT)
    check(plugins=packs(bias=1e-7))


def test_a_second_batch() -> None:
    done = check(dynamic=OptBatch(), second_inputs=X[:2])
    assert all("batch" in graph for graph in done.graphs)
    check(dynamic={"x": {0: ("n", 1, 2, 4)}}, second_inputs=(X[:1],))


def test_a_difference_of_the_second_batch_only() -> None:
    class OnlyFour(LayersReference):
        def run(self, model: Layers, inputs: Any) -> Any:
            return super().run(model, inputs) + np.float32(len(inputs[0]) != 4)

    with pytest.raises(ParityError, match=r"of float32\[2, 2\]"):
        check(plugins=plugins(reference=ReferencePack(OnlyFour())), dynamic=OptBatch(),
              second_inputs=X[:2])  # fmt: skip


def test_several_backends_and_building_only() -> None:
    assert check(backend=["toy", "toy"]).ran == ["toy"]
    done = check(build_only=True, plugins=packs(bias=9))
    assert (done.ran, done.built) == ([], ["toy"])


def test_a_backend_that_cannot_build() -> None:
    with pytest.raises(BuildError, match="pip install absent"):
        check(backend="absent")


def test_refusals() -> None:
    wrong = np.zeros((4, 5), np.float32)
    with pytest.raises(ParityError, match=r"(?s)layers itself cannot run .* ValueError: matmul"):
        check(inputs=wrong)
    done = check(inputs=wrong, may_raise=True)
    assert isinstance(done.refusal, ValueError)
    assert (done.refused, done.graphs, done.ran) == (["layers", "doubled"], {}, [])


def test_what_the_framework_refuses_must_not_be_imported() -> None:
    with pytest.raises(ParityError) as caught:
        check(plugins=packs(refused=[4]), may_raise=True)
    text = str(caught.value)
    assert "layers refuses these inputs, and the layers form was imported" in text
    assert "expected: an error, as ValueError: no batch of 4" in text
    # What the framework rewrites may take what the model refuses.
    done = check(plugins=packs(refused=[4]), may_raise=True, forms=["doubled"])
    assert isinstance(done.refusal, ValueError)
    assert done.refused == []


def test_kept_in_a_corpus(tmp_path: Any) -> None:
    corpus = Corpus(tmp_path)
    check(dynamic=OptBatch(), second_inputs=X[:2], corpus=corpus)
    assert len(corpus.entries()) == 4  # two graphs, two batches


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no such form": ({"forms": ["traced"]}, "layers models have no form traced"),
    "no form can be made": ({"forms": ["never"]}, "can make no form"),
    "no such framework": ({"model": object()}, "no loaded pack can run a object as a reference"),
    "a dict of inputs": ({"inputs": {"x": X}}, "the model's arguments in order"),
    "no such backend": ({"backend": "toi"}, "there is no backend 'toi'"),
    "no such mode": ({"mode": "float23"}, "there is no mode 'float23'"),
    "no such option": ({"options": {"paralel": 1}}, "has no option 'paralel'"),
}


@pytest.mark.parametrize(("arguments", "text"), BAD.values(), ids=BAD)
def test_bad_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(OptionError, match=text):
        check(**arguments)


def test_no_pack_with_a_reference() -> None:
    with pytest.raises(OptionError, match="pip install './fwd_ops_torch.torch.' in .* runs"):
        check(plugins=plugins())
