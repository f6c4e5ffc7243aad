"""Engines called with one mapping, as tokenizers give it."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

import forward
from fwd_core.errors import InputError

IDS = torch.arange(6).reshape(2, 3)
MASK = torch.tensor([[1, 1, 0], [1, 0, 0]])


class Masked(torch.nn.Module):
    def forward(self, input_ids: Any, attention_mask: Any, scale: int = 2) -> Any:
        return input_ids * attention_mask * scale


class OfMapping(torch.nn.Module):
    def forward(self, tokens: Any) -> Any:
        return tokens["a"] - tokens["b"]


class OfOne(torch.nn.Module):
    def forward(self, input_ids: Any) -> Any:
        return input_ids + 1


@pytest.mark.parametrize("kind", [dict, UserDict])
def test_a_mapping_is_inputs_by_name(kind: Any) -> None:
    engine = forward.build(Masked().eval(), kind(input_ids=IDS, attention_mask=MASK))
    wanted = IDS * MASK * 2
    assert torch.equal(engine(kind(attention_mask=MASK, input_ids=IDS)), wanted)
    assert torch.equal(engine.forward(kind(attention_mask=MASK, input_ids=IDS)), wanted)
    assert torch.equal(engine(**kind(attention_mask=MASK, input_ids=IDS)), wanted)
    one = forward.build(OfOne().eval(), IDS)
    assert torch.equal(one(kind(input_ids=IDS)), IDS + 1)


def test_what_is_fixed_may_be_in_it() -> None:
    example = {"input_ids": IDS, "attention_mask": MASK, "scale": 3}
    engine = forward.build(Masked().eval(), example)
    assert torch.equal(engine(example), IDS * MASK * 3)
    with pytest.raises(InputError, match="argument 'scale' was fixed"):
        engine({**example, "scale": 4})


def test_names_that_do_not_fit() -> None:
    engine = forward.build(Masked().eval(), (IDS, MASK))
    tokens = {"input_ids": IDS, "attention_mask": MASK}
    with pytest.raises(InputError, match="inputs by name: unknown 'token_type_ids'"):
        engine({**tokens, "token_type_ids": MASK})
    with pytest.raises(InputError, match="inputs by name: missing 'attention_mask'"):
        engine({"input_ids": IDS})
    with pytest.raises(InputError, match="input .input_ids. is no array"):
        engine(tokens, MASK)


def test_a_model_that_takes_a_mapping_keeps_it() -> None:
    engine = forward.build(OfMapping().eval(), ({"a": IDS, "b": MASK},))
    assert torch.equal(engine({"a": IDS, "b": MASK}), IDS - MASK)
    with pytest.raises(InputError, match="not nested as the model takes them"):
        engine({"a": IDS})
