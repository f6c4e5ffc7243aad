"""Whose tokens a mask is of: several encoders, other masks, none, and the length first."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from encoders import HIDDEN, LAYERS
from packings import LENGTHS, assert_same, batch, bert, built, encoder, program
from torch import Tensor, nn

import forward
from fwd_core import Builder
from fwd_core.errors import OptionError
from fwd_core.ir import Graph, ops
from fwd_plugins_bert.packing import remove_padding
from fwd_plugins_bert.packing.rewrite import ROWS

REAL = batch()[1].bool()
WHOLE = slice(None)


def _graph(model: nn.Module, given: tuple[Any, ...]) -> Graph:
    return Builder(backend="auto").import_model(program(model, given), given)


def _packed_products(graph: Graph) -> int:
    tokens = graph.value(ROWS).type.shape
    products = [one for one in graph if isinstance(one.op, (ops.Linear, ops.MatMul))]
    return sum(one.output.type.shape[:1] == tokens for one in products)


class _Towers(nn.Module):
    """One encoder for two batches, each with a mask of its own."""

    def __init__(self, joined: bool = False) -> None:
        super().__init__()
        self.model, self.joined = bert(), joined

    def forward(self, ids: Tensor, attention_mask: Tensor, others: Tensor, mask: Tensor) -> Any:
        a = self.model(input_ids=ids, attention_mask=attention_mask).last_hidden_state
        b = self.model(input_ids=others, attention_mask=mask).last_hidden_state
        if self.joined:
            return (a * attention_mask[..., None]).sum(1) @ (b * mask[..., None]).sum(1).T
        return a, b


@pytest.mark.parametrize("longest", [10, 4])
def test_of_two_encoders_that_of_the_mask_is_packed(longest: int) -> None:
    lengths = tuple(min(one, longest) for one in LENGTHS)
    given = (*batch(lengths, longest), *batch(lengths[::-1], longest, seed=5))
    model, joined = _Towers().eval(), _Towers(joined=True).eval()
    for asked, a, b in (
        ("attention_mask", given[1].bool(), WHOLE),
        ("mask", WHOLE, given[3].bool()),
    ):
        assert_same(built(model, given, asked), model, given, a, b)
        graph = _graph(model, given)
        assert remove_padding(graph, asked).products == _packed_products(graph) == 6 * LAYERS
        assert_same(built(joined, given, asked), joined, given, WHOLE)


@pytest.mark.parametrize(
    ("attention", "told"),
    [
        ("sdpa", "tokens would see padding in attention .*, which is masked by input 'mask'"),
        ("eager", r"fwd\.Softmax .* mixes tokens and padding"),
    ],
)
def test_tokens_that_two_masks_are_of_are_not_packed(attention: str, told: str) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = bert(attn_implementation=attention)

        def forward(self, ids: Tensor, attention_mask: Tensor, mask: Tensor) -> Any:
            masks = (attention_mask, mask)
            return [self.model(input_ids=ids, attention_mask=one)[0] for one in masks]

    (ids, mask), other = batch(), batch(LENGTHS[::-1])[1]
    with pytest.raises(OptionError, match=f"variable_length: {told}"):
        built(Twice().eval(), (ids, mask, other))


def test_a_mask_that_marks_padding_is_named_with_its_sign() -> None:
    class Marked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder()

        def forward(self, x: Tensor, padding: Tensor) -> Tensor:
            return self.encoder(x, src_key_padding_mask=padding)

    x, padding = torch.randn(2, 5, HIDDEN), torch.arange(5)[None] >= torch.tensor([[3], [5]])
    for asked in (True, "padding"):
        with pytest.raises(OptionError) as told:
            forward.build(Marked().eval(), (x, padding), variable_length=asked)
        assert "variable_length='~padding'" in str(told.value)


class _Translator(nn.Module):
    """An encoder and a decoder, of batches of the same sizes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        layer = nn.TransformerDecoderLayer(HIDDEN, 4, 64, batch_first=True)
        self.encoder, self.decoder = encoder(), nn.TransformerDecoder(layer, LAYERS)

    def forward(self, x: Tensor, y: Tensor, padding: Tensor) -> Tensor:
        memory = self.encoder(x, src_key_padding_mask=padding)
        found: Tensor = self.decoder(y, memory, memory_key_padding_mask=padding)
        return found


def test_a_decoder_is_not_packed_by_its_encoders_mask() -> None:
    model = _Translator().eval()
    given = (torch.randn(4, 10, HIDDEN), torch.randn(4, 10, HIDDEN), ~REAL)
    assert_same(built(model, given, "~padding"), model, given, WHOLE)
    graph = _graph(model, given)
    # With key and value of what each of the decoder's layers reads of the encoder.
    assert remove_padding(graph, "padding", marks_padding=True).products >= 4 * LAYERS
    assert _packed_products(graph) >= 4 * LAYERS


def test_a_decoder_may_read_the_same_ids() -> None:
    """In another order, so that the encoder's mask is not of its tokens."""

    class Reversed(_Translator):
        def forward(self, x: Tensor, padding: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(x, x.flip(1), padding)

    model, given = Reversed().eval(), (torch.randn(4, 10, HIDDEN), ~REAL)
    assert_same(built(model, given, "~padding"), model, given, WHOLE)


def test_other_layers_of_the_same_sizes_are_not_packed() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.other = bert(), nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))

        def forward(self, ids: Tensor, attention_mask: Tensor, x: Tensor) -> Any:
            found = self.model(input_ids=ids, attention_mask=attention_mask).last_hidden_state
            return found, self.other(x)

    model, given = Beside().eval(), (*batch(), torch.randn(4, 10, 8))
    assert_same(built(model, given), model, given, REAL, WHOLE)


def test_attention_without_a_mask_is_refused() -> None:
    class Unmasked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder()

        def forward(self, x: Tensor, attention_mask: Tensor) -> Any:
            return self.model(x) * attention_mask.unsqueeze(-1)

    with pytest.raises(OptionError, match="tokens would see padding in attention") as told:
        built(Unmasked().eval(), (torch.randn(4, 10, HIDDEN), batch()[1]))
    assert (
        ", which has no mask\n  expected: a mask that is made of input 'attention_mask'\n"
        in str(told.value)
    )
    assert "Hint: give that mask to all attention of these tokens, or leave var" in str(told.value)


class _Attention(nn.Module):
    """Attention that is written out, of scores that are given a mask."""

    def __init__(self, masked: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.masked = masked
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.bias = nn.Parameter(torch.randn(1, 10, 10))

    def forward(self, x: Tensor, attention_mask: Tensor) -> Any:
        scores = self.q(x) @ self.k(x).transpose(1, 2) / math.sqrt(8)
        return self.masked(self, scores, attention_mask) @ self.v(x)


def _low(mask: Tensor) -> Tensor:
    return torch.zeros(()).masked_fill(mask[:, None] == 0, -1e9)


MASKED = {
    "bias first": lambda m, s, mask: (s + m.bias + _low(mask)).softmax(-1),
    "bias and mask in one": lambda m, s, mask: (s + (m.bias + _low(mask))).softmax(-1),
    "causal and kept": lambda _, s, mask: s.masked_fill(
        ~(torch.ones(10, 10).tril().bool() & mask[:, None].bool()), -1e9
    ).softmax(-1),
    "filled": lambda _, s, mask: s.masked_fill(mask[:, None] == 0, -math.inf).softmax(-1),
    "filled with the least": lambda _, s, mask: torch.max(
        s + (mask[:, None] - 1) * 1e9, torch.tensor(-1e9)
    ).softmax(-1),
    "of queries too": lambda _, s, mask: s.masked_fill(
        (mask[:, None] * mask[:, :, None]) == 0, -1e9
    ).softmax(-1),
    "causal too": lambda _, s, mask: s.masked_fill(
        torch.ones(10, 10).triu(1).bool() | (mask[:, None] == 0), -1e9
    ).softmax(-1),
    "by exponents": lambda _, s, mask: (
        (e := (s - 9).masked_fill(mask[:, None] == 0, -1e9).exp()) / e.sum(-1, keepdim=True)
    ),
    "weights filled": lambda _, s, mask: torch.sigmoid(s) * mask[:, None],
}


@pytest.mark.parametrize("name", MASKED)
def test_masks_may_be_more_than_padding(name: str) -> None:
    model = _Attention(MASKED[name]).eval()
    given = (torch.randn(4, 10, 8), batch()[1])
    assert_same(built(model, given), model, given, REAL)
    wide = (torch.randn(4, 10, 8), batch((2, 10, 1, 5))[1])
    assert_same(built(model, given), model, wide, wide[1].bool())


NOT_MASKED = {
    "by a part": lambda _, s, mask: s.masked_fill(mask[:, None] == 0, -1.0).softmax(-1),
    "the wrong way": lambda _, s, mask: (s + mask[:, None] * -1e4).softmax(-1),
    "of queries alone": lambda _, s, mask: (s + (1.0 - mask[:, :, None]) * -1e4).softmax(-1),
    "another axis": lambda _, s, mask: (s + (1.0 - mask[:, None]) * -1e4).softmax(1),
    "behind": lambda _, s, mask: s.softmax(-1) * mask[:, None],
}


@pytest.mark.parametrize("name", NOT_MASKED)
def test_masks_that_leave_padding_are_refused(name: str) -> None:
    model = _Attention(NOT_MASKED[name]).eval()
    with pytest.raises(OptionError) as told:
        built(model, (torch.randn(4, 10, 8), batch()[1]))
    kind = "MatMul" if name == "by a part" else "Softmax"
    assert f"variable_length: fwd.{kind} " in str(told.value)
    way = "add a mask that is made of input 'attention_mask' before it"
    assert (way in str(told.value)) == (kind == "Softmax")


class _LengthFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = encoder(batch_first=False)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        found: Tensor = self.model(x, src_key_padding_mask=padding)
        return found


@pytest.mark.parametrize("longest", [10, 4], ids=["4 x 10", "4 x 4"])
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_the_length_may_come_first(longest: int, dynamic: bool) -> None:
    lengths = (longest, 2, 3, 1)
    padding = batch(lengths, longest)[1] == 0
    model, given = _LengthFirst().eval(), (torch.randn(longest, 4, HIDDEN), padding)
    rows, columns = ("batch", 1, 4, 4), ("length", 1, longest, 12)
    sizes = {"x": {0: columns, 1: rows}, "padding": {0: rows, 1: columns}}
    more = {"dynamic": sizes} if dynamic else {}
    engine = built(model, given, "~padding", **more)
    assert_same(engine, model, given, ~padding.T)
    graph = _graph(model, given)
    assert remove_padding(graph, "padding", marks_padding=True).products >= 4 * LAYERS
    assert _packed_products(graph) >= 4 * LAYERS
