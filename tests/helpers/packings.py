"""Models whose padding is removed, beside torch and the padded engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch
from encoders import HIDDEN, LAYERS, SIZES, VOCABULARY
from torch import nn
from torch_models import installed

import forward

LENGTHS = (10, 3, 7, 1)
#: Of each model, by what it is and by the shapes of its inputs.
_MADE: WeakKeyDictionary[nn.Module, dict[Any, Any]] = WeakKeyDictionary()


def batch(lengths: tuple[int, ...] = LENGTHS, longest: int = 10, seed: int = 2) -> Any:
    """Ids, and 1 where there is a token of them."""
    numbers = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, VOCABULARY, (len(lengths), longest), generator=numbers)
    return ids, (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()


def bert(**more: Any) -> nn.Module:
    """A small BERT without a pooler."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model: nn.Module = BertModel(BertConfig(**{**SIZES, **more}), add_pooling_layer=False)
    return model.eval()


def encoder(batch_first: bool = True) -> nn.Module:
    """Torch's encoder, without nested tensors."""
    torch.manual_seed(3)
    layer = nn.TransformerEncoderLayer(HIDDEN, 4, 64, batch_first=batch_first)
    return nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval()


def built(
    model: nn.Module, given: tuple[Any, ...], mask: str = "attention_mask", **more: Any
) -> Any:
    """An OpenVINO engine without padding."""
    pytest.importorskip("openvino")
    source = model if more else program(model, given)
    more |= {"plugins": installed(), "variable_length": mask}
    return forward.build(source, given, backend="openvino", **more)


def program(model: nn.Module, given: tuple[Any, ...]) -> torch.export.ExportedProgram:
    """The model exported, once for all: that takes longer than what is done to it afterwards."""
    return _once(model, "program", given, lambda: torch.export.export(model, given))


def _padded(model: nn.Module, given: tuple[Any, ...]) -> Any:
    """An engine that computes for padding too."""
    return _once(
        model,
        "padded",
        given,
        lambda: forward.build(
            program(model, given), given, backend="openvino", plugins=installed()
        ),
    )


def _once(
    model: nn.Module, what: str, given: tuple[torch.Tensor, ...], make: Callable[[], Any]
) -> Any:
    made = _MADE.setdefault(model, {})
    key = (what, *(one.shape for one in given))
    if key not in made:
        made[key] = make()
    return made[key]


def results(engine: Any, model: nn.Module, given: tuple[Any, ...]) -> Any:
    """What the engine gives, what torch gives, and what the padded engine gives, as tuples."""
    with torch.no_grad():
        found = [one(*given) for one in (engine, model, _padded(model, given))]
    return tuple(one if isinstance(one, tuple) else (one,) for one in found)


def assert_same(engine: Any, model: nn.Module, given: tuple[Any, ...], *real: Any) -> None:
    """Each output the same as torch's and the padded engine's in its real places, else 0."""
    found, exact, padded = results(engine, model, given)
    assert len(found) == len(exact) == len(real)
    for one, wanted, other, kept in zip(found, exact, padded, real, strict=True):
        assert one.shape == wanted.shape
        assert one.dtype == wanted.dtype
        torch.testing.assert_close(one[kept], wanted[kept], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one[kept], other[kept], rtol=1e-4, atol=1e-5)
        if isinstance(kept, torch.Tensor):
            assert not one[~kept].any()
