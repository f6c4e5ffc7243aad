"""Nested tensors inside torch's encoder, as traces of its fast path have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from fwd_core import Builder
from fwd_core.errors import ConversionError, ForwardError, UnsupportedModelError
from fwd_core.ir import ops
from fwd_ops_torch.importers import jit

B, L, C = 4, 6, 8
PADDING = torch.arange(L) >= torch.tensor([L, 2, 1, 0])[:, None]

pytestmark = pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning", "ignore:The PyTorch API of nested tensors"
)


class Encoder(torch.nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(C, 2, 16, batch_first=True, **options)
        self.encoder = torch.nn.TransformerEncoder(layer, 2, torch.nn.LayerNorm(C))

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.encoder(x, src_key_padding_mask=padding)


def _traced(model: torch.nn.Module, *inputs: torch.Tensor) -> Any:
    traced = jit.trace(model.eval(), inputs, check=False)
    assert "_nested_tensor_from_mask" in str(traced.inlined_graph)
    return traced


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_the_encoder_gives_what_torch_gives(activation: str, dynamic: bool) -> None:
    """Zeros in places of padding too, and of a sequence without any token."""
    torch.manual_seed(0)
    model, x = Encoder(activation=activation).eval(), torch.randn(B, L, C)
    traced = _traced(model, x, torch.zeros_like(PADDING))
    builder = Builder(backend="openvino")
    more = {"dynamic": {"x": {0: ("b", 1, 4, 8)}, "padding": {0: ("b", 1, 4, 8)}}}
    graph = builder.import_model(traced, (x, PADDING), **(more if dynamic else {}))
    assert sum(isinstance(node.op, ops.Attention) for node in graph) == 2
    engine = builder.compile(graph)
    for rows in (slice(B), slice(2, B), slice(1)) if dynamic else (slice(B),):
        with torch.no_grad():
            expected = model(x[rows], PADDING[rows])
        (got,) = engine.run_list([x[rows].numpy(), PADDING[rows].numpy()])
        np.testing.assert_allclose(got, expected.numpy(), atol=3e-6)


class Padded(torch.nn.Module):
    """Takes padding away and puts it back."""

    def __init__(self, size: Any, value: float = -1.0) -> None:
        super().__init__()
        self.size, self.value = size, value

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        nested = torch._nested_tensor_from_mask(x, keep, False)
        return nested.to_padded_tensor(self.value, self.size)


def test_any_number_may_stand_for_padding() -> None:
    x, keep = torch.randn(B, L, C), ~PADDING
    model = Padded((B, L, C))
    engine = Builder(backend="openvino").build(_traced(model, x, keep), (x, keep))
    (got,) = engine.run_list([x.numpy(), keep.numpy()])
    np.testing.assert_array_equal(got, model(x, keep).numpy())


class Other(torch.nn.Module):
    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch._nested_tensor_from_mask(x, keep)).to_padded_tensor(0.0)


class Held(torch.nn.Module):
    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        return torch._nested_tensor_from_mask(x, keep)


class Listed(torch.nn.Module):
    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch._nested_tensor_from_mask(x, keep)])


MAKE = "aten::_nested_tensor_from_mask: a mask of the tokens"


@pytest.mark.parametrize(
    ("model", "shapes", "told"),
    [
        (Other(), ((B, L, C), (B, L)), "aten::relu of nested tensors is not supported"),
        (Listed(), ((B, L, C), (B, L)), "prim::ListConstruct of nested tensors is not supported"),
        (
            Held(),
            ((B, L, C), (B, L)),
            "the model's output 'output' of nested tensors is not supported",
        ),
        (Held(), ((B, L, C), (B, L - 1)), MAKE),
        (Held(), ((B, L), (B, L)), MAKE),
        (Padded((B, L + 1, C)), ((B, L, C), (B, L)), "aten::to_padded_tensor: to another length"),
        (Padded(None), ((B, L, C), (B, L)), "got:      no output_size, so the greatest length"),
    ],
)
def test_what_is_refused(model: Any, shapes: Any, told: str) -> None:
    scripted = jit.script(model) if not isinstance(model, Padded) else None
    x, keep = torch.randn(*shapes[0]), torch.ones(*shapes[1], dtype=torch.bool)
    source = scripted or _traced(model, x, keep)
    with pytest.raises(ForwardError) as caught:
        Builder(backend="openvino").import_model(source, (x, keep))
    assert told in str(caught.value)


def test_a_mask_of_other_numbers_is_refused() -> None:
    x, keep = torch.randn(B, L, C), torch.ones(B, L)
    with pytest.raises(ConversionError, match=MAKE) as caught:
        Builder(backend="openvino").import_model(jit.script(Held()), (x, keep))
    assert str(caught.value.got) == f"float32[{B}, {L}]"


class Masked(torch.nn.Module):
    """A layer with a mask of its own, which torch refuses when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = torch.ones(3 * C, C), torch.zeros(3 * C)
        self.one, self.square = torch.ones(C), torch.ones(C, C)

    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        nested = torch._nested_tensor_from_mask(x, keep)
        n, s = self.one, self.square
        return torch._transformer_encoder_layer_fwd(
            nested, 8, 2, self.w, self.b, s, n, True, False, 1e-5, n, n, n, n, s, n, s, n, keep, 1
        )


def test_a_mask_of_the_layer_itself_is_refused() -> None:
    x, keep = torch.randn(B, L, C), ~PADDING
    with pytest.raises(ConversionError, match="_fwd of nested tensors is not supported") as caught:
        Builder(backend="openvino").import_model(jit.script(Masked()), (x, keep))
    assert "without a mask of their own" in str(caught.value.expected)


class Unknown(torch.nn.Module):
    def forward(self, x: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        again = torch._nested_tensor_from_mask(x, keep).to_padded_tensor(0.0, x.shape)
        return torch.linalg.eigvals(again).real


def test_what_is_imported_is_no_problem_beside_others() -> None:
    x, keep = torch.randn(B, C, C), torch.ones(B, C, dtype=torch.bool)
    with pytest.raises(UnsupportedModelError) as caught:
        Builder(backend="openvino").import_model(jit.script(Unknown()), (x, keep))
    assert [one.operator for one in caught.value.problems] == ["aten::linalg_eigvals"]
