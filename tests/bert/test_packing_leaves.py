"""Where values leave what is computed for tokens alone: pooling by the mask, and zeros else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from encoders import HIDDEN
from packings import assert_same, batch, bert, built
from torch import Tensor, nn

from fwd_core.errors import OptionError

WHOLE = slice(None)


class _Head(nn.Module):
    def __init__(self, head: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.head = bert(), head
        self.last = nn.Linear(HIDDEN, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        found = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return self.head(self, found.last_hidden_state, attention_mask)


def _mul(_: Any, h: Tensor, mask: Tensor) -> Any:
    kept = mask.unsqueeze(-1).to(h.dtype)
    return (h * kept).sum(1) / kept.sum(1)


def _expand(_: Any, h: Tensor, mask: Tensor) -> Any:
    kept = mask.unsqueeze(-1).expand(h.size()).to(h.dtype)
    return (h * kept).sum(1) / kept.sum(1)


def _fill(_: Any, h: Tensor, mask: Tensor) -> Any:
    return h.masked_fill(mask.unsqueeze(-1) == 0, 0.0).sum(1)


def _max(_: Any, h: Tensor, mask: Tensor) -> Any:
    return h.masked_fill(mask.unsqueeze(-1) == 0, -1e9).max(1).values


def _where(_: Any, h: Tensor, mask: Tensor) -> Any:
    return torch.where(mask.unsqueeze(-1).bool(), h, torch.zeros(())).sum(1)


def _product(_: Any, h: Tensor, mask: Tensor) -> Any:
    return (mask.unsqueeze(1).to(h.dtype) @ h).squeeze(1)


def _attended(self: Any, h: Tensor, mask: Tensor) -> Any:
    scores = self.last(h)[..., :1].masked_fill(mask.unsqueeze(-1) == 0, -1e4)
    return (scores.softmax(1) * h).sum(1)


def _then_layer(self: Any, h: Tensor, mask: Tensor) -> Any:
    h = h * mask.unsqueeze(-1)
    return self.last(h * 2 + h).masked_fill(mask.unsqueeze(-1) == 0, 0).sum(1), h.sum(1)


POOLED = [_mul, _expand, _fill, _max, _where, _product, _attended, _then_layer]


@pytest.mark.parametrize("head", POOLED)
def test_pooling_by_the_mask_gives_what_it_gives_in_a_padded_run(head: Callable[..., Any]) -> None:
    model, given = _Head(head).eval(), batch()
    engine = built(model, given)
    count = 2 if head is _then_layer else 1
    assert_same(engine, model, given, *[WHOLE] * count)
    assert_same(engine, model, batch((2, 9, 1, 10)), *[WHOLE] * count)


def test_outputs_that_the_mask_fills_are_what_it_fills_them_with() -> None:
    model, given = (
        _Head(lambda _, h, mask: h.masked_fill(mask[..., None] == 0, 5.0)).eval(),
        batch(),
    )
    assert_same(built(model, given), model, given, WHOLE)


@pytest.mark.parametrize(
    "head",
    [
        lambda self, h, _: self.last(h),
        lambda self, h, _: self.last(h).softmax(-1),
        lambda self, h, _: self.last(h).softmax(-1).argmax(-1),
        lambda self, h, _: self.last(h).split(1, dim=-1)[1].squeeze(-1),
        lambda self, h, _: torch.cat([h, self.last(h).exp()], -1) + 1,
        lambda self, h, _: h.topk(2, -1).values,
        lambda _, h, __: h.amax(-1, keepdim=True),
    ],
)
def test_outputs_are_0_in_padding(head: Callable[..., Any]) -> None:
    model, given = _Head(head).eval(), batch()
    assert_same(built(model, given), model, given, given[1].bool())


@pytest.mark.parametrize("lengths", [(10, 3, 7, 1), (4,)])
def test_outputs_are_0_in_padding_wherever_it_lies(lengths: tuple[int, ...]) -> None:
    def head(self: Any, h: Tensor, _: Tensor) -> Any:
        flat = self.last(h).view(-1, 3)
        return h.transpose(1, 2).cos(), flat.softmax(-1), h[:, 1:-1].cos(), h.reshape(-1).cos()

    model, given = _Head(head).eval(), batch(lengths)
    real = given[1].bool()
    wide = real[..., None].expand(*real.shape, HIDDEN)
    kept = (wide.transpose(1, 2), real.reshape(-1), real[:, 1:-1], wide.reshape(-1))
    assert_same(built(model, given), model, given, *kept)


def test_questions_are_answered_with_zeros_in_padding() -> None:
    from encoders import SIZES
    from transformers import BertConfig, BertForQuestionAnswering

    class Answers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.model = BertForQuestionAnswering(BertConfig(**SIZES))

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            found = self.model(input_ids=input_ids, attention_mask=attention_mask)
            return found.start_logits, found.end_logits

    model, given = Answers().eval(), batch()
    assert_same(built(model, given), model, given, *[given[1].bool()] * 2)


def test_weights_of_attention_are_0_for_padding() -> None:
    from encoders import SIZES
    from transformers import BertConfig, BertModel

    class Weights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.model = BertModel(BertConfig(**SIZES), add_pooling_layer=False)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            more = {"attention_mask": attention_mask, "output_attentions": True}
            return self.model(input_ids=input_ids, **more).attentions

    model, given = Weights().eval(), batch()
    real = given[1].bool()
    both = (real[:, None, :, None] & real[:, None, None]).expand(-1, 4, -1, -1)
    assert_same(built(model, given), model, given, both, both)


@pytest.mark.parametrize(
    ("head", "first"),
    [
        (lambda _, h, __: h[:, 0], True),
        (lambda _, h, __: h[:, 1:2].tanh(), True),
        (lambda _, h, __: h.index_select(1, torch.tensor([2])), True),
        (lambda _, h, mask: h[torch.arange(4), mask.sum(1) - 1], False),
        (lambda _, h, mask: h.gather(1, (mask.sum(1) - 1)[:, None, None].expand(-1, 1, 4)), False),
    ],
)
def test_a_place_that_is_read_is_right_or_0(head: Callable[..., Any], first: bool) -> None:
    model, (ids, mask) = _Head(head).eval(), batch((10, 9, 7, 3))
    engine = built(model, (ids, mask))
    assert_same(engine, model, (ids, mask), WHOLE)
    mask[1] = torch.arange(10) >= (3 if first else 8)  # of both what is read is padding
    rows = torch.arange(4) != 1
    found = engine(ids, mask)
    kept = rows.reshape(-1, *(1 for _ in found.shape[1:])).expand(found.shape)
    assert_same(engine, model, (ids, mask), kept)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (lambda _, h, __: h.mean(1), "fwd.ReduceMean"),
        (lambda _, h, __: h.max(1).values, "fwd.ReduceMax"),
        (lambda _, h, __: h.mean(0), "fwd.ReduceMean"),
        (lambda _, h, __: h[:, 1:].sum(1), "fwd.ReduceSum"),
        (lambda _, h, __: h.cumsum(1), "fwd.CumSum"),
        (lambda _, h, __: h.softmax(0), "fwd.Softmax"),
        (lambda _, h, __: h.permute(1, 2, 0) @ h.transpose(0, 1), "fwd.MatMul"),
        (lambda _, h, __: h[1:], "fwd.Slice"),
        (lambda _, h, __: h.sum(-1).softmax(1), "fwd.Softmax"),
        (lambda _, h, __: h.flatten(1) @ torch.ones(10 * HIDDEN, 2), "fwd."),
        (lambda _, h, mask: (h * (1 - mask)[..., None]).sum(1), "fwd.ReduceSum"),
        (lambda _, h, mask: (h * mask[..., None].flip(1)).sum(1), "fwd.Mul"),
        (lambda _, h, mask: (h + mask[..., None]).sum(1), "fwd.ReduceSum"),
        (lambda _, h, __: h.transpose(1, 2) @ h, "fwd.MatMul"),
        (
            lambda _, h, __: nn.functional.conv1d(h.transpose(1, 2), torch.ones(2, HIDDEN, 3)),
            "fwd.Conv",
        ),
    ],
)
def test_what_mixes_tokens_and_padding_is_refused(head: Callable[..., Any], kind: str) -> None:
    with pytest.raises(
        OptionError, match=f"variable_length: {kind}.* mixes tokens and pad"
    ) as told:
        built(_Head(head).eval(), batch())
    assert "expected: padding taken away by input 'attention_mask', or operators on each" in str(
        told.value
    )
    way = "add a mask that is made of input 'attention_mask' before it"
    if kind != "fwd.Softmax":
        way = "take padding away before it, as (x * mask[..., None]).sum(1) does"
    assert f"Hint: {way}, or leave variable_length out" in str(told.value)
