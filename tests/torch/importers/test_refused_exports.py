"""Modules that torch.export refuses: what stopped it is said, and a way round that works."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn
from torch_models import check, importing, running, scripted, traced

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import DynamicDims
from fwd_ops_torch.importers.never import of_other_packages

X = torch.rand(2, 5, 8)
INDICES = torch.tensor([1, 2, 0, 2])
LENGTH: DynamicDims = {"x": {1: ("length", 3, 5, 9)}}


def refused(module: nn.Module, x: Tensor, dynamic: DynamicDims | None = None) -> Any:
    with pytest.raises(UnsupportedModelError) as caught:
        importing(module.eval(), (x,), dynamic)
    return caught.value


def test_an_operator_whose_size_depends_on_data() -> None:
    class Classes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.one_hot(x)

    error = refused(Classes(), INDICES)
    assert error.what == (
        "torch.export cannot export Classes: the size of what aten::one_hot gives depends on the "
        "contents of a tensor"
    )
    assert error.hint == "say how many classes there are: one_hot(x, num_classes)"
    assert f"{__file__}:" in str(error)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.arange(int(x.sum())),
        lambda x: x[: int(x[0])],
        lambda x: x.reshape(int(x[1]), -1),
    ],
    ids=["arange", "slice", "reshape"],
)
def test_a_number_that_depends_on_data(make: Any) -> None:
    class Sized(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return make(x)

    error = refused(Sized(), INDICES)
    assert error.what == (
        "torch.export cannot export Sized: int() makes a number that depends on the contents of "
        "a tensor"
    )
    assert "make a result of a fixed size and mask the rest with torch.where" in error.hint


class Counts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.arange(x.max().item())


class Fills(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(int(x.sum())) + 1


@pytest.mark.filterwarnings("ignore:the model may raise")  # torch adds a check of its own
@pytest.mark.parametrize(
    ("make", "of_script", "argument"),
    [
        (Counts, False, "'end' of aten::arange"),
        (Counts, True, "'end' of aten::arange"),
        (Fills, True, "'size' of aten::zeros"),
    ],
)
def test_a_size_that_depends_on_data(make: Any, of_script: bool, argument: str) -> None:
    model = scripted(make()) if of_script else make().eval()
    with pytest.raises(ConversionError, match=f"argument {argument} depends on the cont") as caught:
        importing(model, (INDICES,))
    assert "so would the size of the result" in str(caught.value)
    assert "no size may follow from data: make a result of a fixed size" in str(caught.value.hint)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_the_length_of_a_recurrent_layer(kind: Any) -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(8, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)[0]

    module = Reads().eval()
    error = refused(module, X, LENGTH)
    assert f"fixes the length of what {kind.__name__} reads" in error.hint
    for model in (traced(module, (X,)), scripted(module)):
        check(module, (X,), (X[:, :3],), model=model, dynamic=LENGTH)


def test_a_cache_among_the_results() -> None:
    class KeyCache:
        """Named as those of transformers are."""

    class Generates(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return x + 1, KeyCache()

    error = refused(Generates(), X)
    assert error.what == "torch.export cannot export Generates: it returns its cache"
    assert "model.config.use_cache = False" in error.hint


def test_experts_that_data_chooses() -> None:
    class Experts(nn.Module):
        def set_experts_implementation(self, _name: str) -> None: ...

        def forward(self, x: Tensor) -> Tensor:
            for expert in x.sum((0, 2)).nonzero():
                x = x + expert.sum()
            return x

    error = refused(Experts(), X)
    assert "which expert takes how many rows depends on data" in error.what
    assert 'model.set_experts_implementation("batched_mm")' in error.hint


def test_experts_as_operators() -> None:
    for name in ("aten::_grouped_mm", "transformers::grouped_mm_fallback"):
        why = of_other_packages(name)
        assert why is not None
        assert "batched_mm" in why[1]
    assert of_other_packages("aten::mm") is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_quantized_model() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.ao.quantization.quantize_dynamic(Layer().eval(), {nn.Linear})
    error = refused(module, X)
    assert "cannot export Layer: it was quantized" in error.what
    assert "convert the float model" in error.hint
    with pytest.raises(UnsupportedModelError, match="quantized::linear_dynamic") as caught:
        importing(traced(module, (X,)), (X,))
    assert "convert the float model" in str(caught.value)


def test_strides_of_a_dynamic_size() -> None:
    class Strided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            part = x[:, 1:]
            first, second, third = part.stride()
            return part.as_strided((part.size(0), 2, 8), (first, 2 * second, third))

    error = refused(Strided(), X, LENGTH)
    (problem,) = error.problems
    assert problem.operator == "aten::sym_stride"
    assert "how a tensor lies in memory, as as_strided needs it" in problem.reason
    assert "reshape, narrow, select or unfold" in problem.hint


def test_an_autograd_function_in_a_trace() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

    class Calls(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Twice.apply(x) + 1

    with pytest.raises(UnsupportedModelError, match=r"Twice, a torch.autograd.Function") as caught:
        importing(traced(Calls(), (X,)), (X,))
    assert "hand over the nn.Module itself" in str(caught.value)
    check(Calls(), (X,), model=Calls().eval())


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_an_encoder_of_nested_tensors_takes_its_ordinary_path() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    class Encodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.encoder(x, src_key_padding_mask=mask)

    module = Encodes().eval()
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[1, 3:] = True
    expected = module(X, mask).detach()  # with gradients torch takes the ordinary path too
    for model in (scripted(module), module):
        (result,) = running(model, (X, mask))
        torch.testing.assert_close(torch.from_numpy(result), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_packed_sequences(kind: Any) -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = kind(8, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.full_like(x[:, 0, 0], 3, dtype=torch.int64, device="cpu")
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]

    module = Packs().eval()
    error = refused(module, X)
    assert error.what == (
        "torch.export cannot export Packs: packed sequences have sizes that depend on data"
    )
    hint = "hand over padded sequences: call the recurrent layer with them, and mask its results"
    assert hint in error.hint
    with pytest.raises(UnsupportedModelError, match="packed sequences have sizes that") as caught:
        importing(traced(module, (X,)), (X,))
    assert hint in str(caught.value)


def test_distributions_that_check_their_values() -> None:
    class Likely(nn.Module):
        def __init__(self, check: bool) -> None:
            super().__init__()
            self.check = check

        def forward(self, x: Tensor) -> Tensor:
            normal = torch.distributions.Normal(x, x.exp(), validate_args=self.check)
            return normal.log_prob(2 * x)

    error = refused(Likely(True), X)
    assert error.what == (
        "torch.export cannot export Likely: torch.distributions checks values, and that depends "
        "on the contents of a tensor"
    )
    assert error.hint == (
        "leave the check out: give each distribution validate_args=False, as in "
        "Normal(mean, deviation, validate_args=False)"
    )
    assert f"{__file__}:" in str(error)
    check(Likely(False), (X,), model=Likely(False).eval())


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_sizes_by_way_of_floats() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, scale_factor=0.5)

    x = torch.rand(2, 5, 8)
    dynamic: DynamicDims = {"x": {2: ("length", 2, 8, 9)}}
    error = refused(Half(), x, dynamic)
    assert error.hint == (
        "the model computes sizes with remainders or floats, as interpolate does with a "
        "scale_factor, and torch.export cannot prove what holds for them: "
        "torch.jit.trace(module, inputs) or torch.jit.script(module) keeps the arithmetic"
    )
    for model in (traced(Half(), (x,)), scripted(Half())):
        check(Half(), (x,), (x[..., :2],), (x[..., :5],), model=model, dynamic=dynamic)


def test_a_dynamic_size_that_is_one_in_the_example() -> None:
    one: DynamicDims = {"x": {0: ("batch", 1, 2, 4)}}

    class Twice(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    error = refused(Twice(), X[:1], one)
    assert error.hint == (
        "torch.export fixes a size that is 0 or 1 in the example: give an example with 2 or more "
        "there, or torch.jit.trace(module, inputs), which keeps it"
    )
    for model in (traced(Twice(), (X[:1],)), Twice().eval()):
        given = X[:1] if isinstance(model, torch.jit.ScriptModule) else X
        check(Twice(), (given,), (X,), (X[:1],), model=model, dynamic=one)
