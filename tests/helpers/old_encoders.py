"""Layers as transformers 2 to 4 wrote them, whose traces people still have."""

from __future__ import annotations

import math

import torch
from encoders import HEADS, HIDDEN, TOKENS, VOCABULARY, Case, tokens
from torch import nn

SIZE = HIDDEN // HEADS
LEAST = torch.finfo(torch.float32).min


class Cut(nn.Module):
    """Projections, and how their results were cut into heads."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(HIDDEN, HIDDEN) for _ in range(3))

    def transpose_for_scores(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(x.size()[:-1] + (HEADS, SIZE)).permute(0, 2, 1, 3)

    def heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value = self.query(x), self.key(x), self.value(x)
        return (
            self.transpose_for_scores(query),
            self.transpose_for_scores(key),
            self.transpose_for_scores(value),
        )

    def joined(self, context: torch.Tensor) -> torch.Tensor:
        context = context.permute(0, 2, 1, 3).contiguous()
        return context.view(context.size()[:-2] + (HIDDEN,))


class BertAttention(Cut):
    """Of transformers 2 to 4: scores are divided, then a mask is added."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = self.heads(x)
        scores = torch.matmul(query, key.transpose(-1, -2))
        scores = scores / math.sqrt(SIZE)
        scores = scores + mask
        weights = nn.Softmax(dim=-1)(scores)
        return self.joined(torch.matmul(nn.functional.dropout(weights, 0.1, False), value))


class RelativeAttention(Cut):
    """Of transformers 4: scores of relative positions are added, and depend on the query."""

    def __init__(self, of_keys_too: bool) -> None:
        super().__init__()
        self.distance_embedding = nn.Embedding(2 * TOKENS - 1, SIZE)
        self.of_keys_too = of_keys_too

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query, key, value = self.heads(x)
        scores = torch.matmul(query, key.transpose(-1, -2))
        length = x.shape[1]
        left = torch.arange(length).view(-1, 1)
        positions = self.distance_embedding(left - torch.arange(length).view(1, -1) + TOKENS - 1)
        scores = scores + torch.einsum("bhld,lrd->bhlr", query, positions)
        if self.of_keys_too:
            scores = scores + torch.einsum("bhrd,lrd->bhlr", key, positions)
        scores = scores / math.sqrt(SIZE) + mask
        return self.joined(torch.matmul(nn.functional.softmax(scores, dim=-1), value))


class DistilAttention(Cut):
    """DistilBERT's of transformers 2 to 4: the query is divided, and scores of padding replaced."""

    def __init__(self, lowest: float) -> None:
        super().__init__()
        self.lowest = lowest

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape

        def shape(y: torch.Tensor) -> torch.Tensor:
            return y.view(batch, -1, HEADS, SIZE).transpose(1, 2)

        query, key, value = shape(self.query(x)), shape(self.key(x)), shape(self.value(x))
        query = query / math.sqrt(SIZE)
        scores = torch.matmul(query, key.transpose(2, 3))
        removed = (mask == 0).view(batch, 1, 1, length).expand_as(scores)
        if math.isinf(self.lowest):
            scores.masked_fill_(removed, self.lowest)
        else:
            scores = scores.masked_fill(removed, torch.tensor(self.lowest))
        context = torch.matmul(nn.Softmax(dim=-1)(scores), value)
        return context.transpose(1, 2).contiguous().view(batch, -1, HIDDEN)


def gelu(x: torch.Tensor) -> torch.Tensor:
    """As it was written before torch had it."""
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class Layer(nn.Module):
    """A layer around an attention."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.dense = nn.Linear(HIDDEN, HIDDEN)
        self.attention_norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.intermediate = nn.Linear(HIDDEN, 2 * HIDDEN)
        self.output = nn.Linear(2 * HIDDEN, HIDDEN)
        self.output_norm = nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        attended = self.attention_norm(self.dense(self.attention(x, mask)) + x)
        between = gelu(self.intermediate(attended))
        return self.output_norm(self.output(between) + attended)  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Embeddings, two layers, and a pooler; a mask adds ``lowest`` for padding, if it is there."""

    def __init__(self, attentions: list[nn.Module], positions: bool, lowest: float | None) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, HIDDEN, padding_idx=0)
        self.types = nn.Embedding(2, HIDDEN)
        self.positions = nn.Embedding(2 * TOKENS, HIDDEN) if positions else None
        self.norm = nn.LayerNorm(HIDDEN, eps=1e-12)
        self.layers = nn.ModuleList(Layer(one) for one in attentions)
        self.pooler = nn.Linear(HIDDEN, HIDDEN)
        self.lowest = lowest

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.words(ids)
        if self.positions is not None:
            places = torch.arange(ids.size(1), dtype=torch.long, device=ids.device)
            hidden = hidden + self.positions(places.unsqueeze(0).expand_as(ids))
        hidden = self.norm(hidden + self.types(types))
        if self.lowest is not None:
            mask = mask.unsqueeze(1).unsqueeze(2).to(dtype=torch.float32)
            mask = (1.0 - mask) * self.lowest
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return hidden, torch.tanh(self.pooler(hidden[:, 0]))


def _case(
    attentions: list[nn.Module], positions: bool = True, lowest: float | None = -10000.0
) -> Case:
    ids, mask = tokens()
    return Encoder(attentions, positions, lowest).eval(), (ids, mask, ids % 2)


def bert() -> Case:
    """BERT as transformers 2 and 3 had it."""
    torch.manual_seed(0)
    return _case([BertAttention(), BertAttention()])


def bert_of_4() -> Case:
    """BERT as transformers 4 had it: only the number of the mask is another."""
    torch.manual_seed(0)
    return _case([BertAttention(), BertAttention()], lowest=LEAST)


def distilbert() -> Case:
    """DistilBERT as transformers 2 and 3 had it."""
    torch.manual_seed(0)
    return _case([DistilAttention(-math.inf), DistilAttention(-math.inf)], lowest=None)


def distilbert_of_4() -> Case:
    """DistilBERT as transformers 4 had it."""
    torch.manual_seed(0)
    return _case([DistilAttention(LEAST), DistilAttention(LEAST)], lowest=None)


def relative() -> Case:
    """BERT with relative positions, of queries and then of keys too."""
    torch.manual_seed(0)
    return _case([RelativeAttention(False), RelativeAttention(True)], positions=False)
