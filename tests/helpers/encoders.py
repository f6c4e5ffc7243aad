"""Tiny transformer encoders with random weights, of every family that the pack is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

TOKENS, HIDDEN, HEADS, LAYERS, VOCABULARY = 10, 32, 4, 2, 50
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 2 * HIDDEN,
    "max_position_embeddings": 2 * TOKENS,
    "attn_implementation": "eager",
}
Case = tuple[nn.Module, tuple[torch.Tensor, ...]]


class Last(nn.Module):
    """The hidden states (and the pooled ones) of a model of transformers, by position."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.model(**dict(zip(self.names, given, strict=True)))
        pooled = getattr(found, "pooler_output", None)
        last = found.last_hidden_state
        return (last,) if pooled is None else (last, pooled)


def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids of two sequences, and which are tokens: of the first one half."""
    torch.manual_seed(1)
    ids = torch.randint(2, VOCABULARY, (2, TOKENS))
    mask = torch.ones(2, TOKENS, dtype=torch.int64)
    mask[0, TOKENS // 2 :] = 0
    return ids, mask


def _text(model: str, attention: str, types: bool = False, **more: Any) -> Case:
    import transformers

    config = getattr(transformers, f"{model}Config")
    torch.manual_seed(0)
    made = config(**{**SIZES, "attn_implementation": attention, **more})
    network = getattr(transformers, f"{model}Model")(made).eval()
    ids, mask = tokens()
    if types:
        names = ("input_ids", "attention_mask", "token_type_ids")
        return Last(network, names).eval(), (ids, mask, (ids % 2).clone())
    return Last(network, ("input_ids", "attention_mask")).eval(), (ids, mask)


def _image(model: str, attention: str) -> Case:
    import transformers

    config = getattr(transformers, f"{model}Config")
    sizes = {
        name: SIZES[name] for name in SIZES if name not in ("vocab_size", "max_position_embeddings")
    }
    torch.manual_seed(0)
    made = config(**{**sizes, "attn_implementation": attention, "image_size": 16, "patch_size": 8})
    network = getattr(transformers, f"{model}Model")(made).eval()
    return Last(network, ("pixel_values",)).eval(), (torch.randn(2, 3, 16, 16),)


def _torch_encoder(**more: Any) -> Case:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(
                HIDDEN, HEADS, 2 * HIDDEN, batch_first=True, activation="gelu", **more
            )
            self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

        def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
            return self.encoder(x, src_key_padding_mask=padding)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    padding = tokens()[1] == 0
    return Encoder().eval(), (torch.randn(2, TOKENS, HIDDEN), padding)


def _old(name: str) -> Case:
    import old_encoders

    made: Case = getattr(old_encoders, name)()
    return made


#: Models by name; each is given the kind of its attention, ``eager`` or ``sdpa``.
MODELS: dict[str, Callable[[str], Case]] = {
    "BERT": lambda a: _text("Bert", a, types=True),
    "RoBERTa": lambda a: _text("Roberta", a),
    "DistilBERT": lambda a: _text(
        "DistilBert", a, dim=HIDDEN, n_heads=HEADS, n_layers=LAYERS, hidden_dim=2 * HIDDEN
    ),
    "ELECTRA": lambda a: _text("Electra", a, embedding_size=16),
    "ALBERT": lambda a: _text("Albert", a, embedding_size=16),
    "MPNet": lambda a: _text("MPNet", a),
    "DeBERTa": lambda a: _text("Deberta", a, relative_attention=True, pos_att_type=["c2p", "p2c"]),
    "XLM-RoBERTa": lambda a: _text("XLMRoberta", a),
    "CamemBERT": lambda a: _text("Camembert", a),
    "Megatron-BERT": lambda a: _text("MegatronBert", a),
    "BERT of transformers 2 and 3": lambda _a: _old("bert"),
    "DistilBERT of transformers 2 and 3": lambda _a: _old("distilbert"),
    "BERT of transformers 4": lambda _a: _old("bert_of_4"),
    "DistilBERT of transformers 4": lambda _a: _old("distilbert_of_4"),
    "BERT with relative positions": lambda _a: _old("relative"),
    "ViT": lambda a: _image("ViT", a),
    "DeiT": lambda a: _image("DeiT", a),
    "nn.TransformerEncoder": lambda _a: _torch_encoder(),
    "nn.TransformerEncoder, norm first": lambda _a: _torch_encoder(norm_first=True),
}
#: Models that have attention in one form only.
ONE_FORM = frozenset(
    {"MPNet", "DeBERTa", "Megatron-BERT", *(name for name in MODELS if "of tr" in name)}
    | {"BERT with relative positions", "nn.TransformerEncoder", "nn.TransformerEncoder, norm first"}
)


def kinds(name: str) -> tuple[str, ...]:
    """The kinds of attention that a model has."""
    return ("eager",) if name in ONE_FORM else ("eager", "sdpa")
