"""The models that are measured: classes of transformers with random weights from a config."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch

#: What residual branches are multiplied by, once settled.
_BRANCH_GAIN = 0.2

Inputs = tuple[torch.Tensor, ...]


def resnet50(batch: int = 1) -> tuple[torch.nn.Module, Inputs]:
    """ResNet-50 without its head; 224 x 224 images."""
    from transformers import ResNetConfig, ResNetModel

    return _ready(ResNetModel(ResNetConfig())), _images(batch)


def mobilenet_v2(batch: int = 1) -> tuple[torch.nn.Module, Inputs]:
    """MobileNetV2 1.0 without its head; 224 x 224 images."""
    from transformers import MobileNetV2Config, MobileNetV2Model

    return _ready(MobileNetV2Model(MobileNetV2Config())), _images(batch)


def vit_base(
    attention: str = "sdpa", layers: int = 12, batch: int = 1
) -> tuple[torch.nn.Module, Inputs]:
    """ViT-base, patches of 16; 224 x 224 images."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(attn_implementation=attention, num_hidden_layers=layers)
    return _ready(ViTModel(config)), _images(batch)


def bert_base(
    attention: str = "sdpa", layers: int = 12, batch: int = 1
) -> tuple[torch.nn.Module, Inputs]:
    """BERT-base; 128 tokens, of which the last 28 are padding."""
    from transformers import BertConfig, BertModel

    config = BertConfig(attn_implementation=attention, num_hidden_layers=layers)
    model = _ready(BertModel(config))  # before the inputs: its weights are those of any batch
    ids = torch.randint(0, 30_000, (batch, 128))
    return model, (ids, (torch.arange(128) < 100).long()[None].repeat(batch, 1))


MODELS: dict[str, Callable[..., tuple[torch.nn.Module, Inputs]]] = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "vit_base": vit_base,
    "bert_base": bert_base,
}
#: The same models with attention written out instead of one operator.
EAGER: dict[str, Callable[..., tuple[torch.nn.Module, Inputs]]] = {
    "vit_base eager": functools.partial(vit_base, "eager"),
    "bert_base eager": functools.partial(bert_base, "eager"),
}
#: Those that have any number of equal layers.
TRANSFORMERS = ("vit_base", "bert_base", *EAGER)


def make(name: str, layers: int | None = None, batch: int = 1) -> tuple[torch.nn.Module, Inputs]:
    """A model and its inputs; the same weights and inputs in every process.

    Args:
        name: A key of ``MODELS`` or ``EAGER``.
        layers: How many layers one of ``TRANSFORMERS`` has, if not all of its own.
        batch: How many images or sequences the inputs hold.
    """
    torch.manual_seed(0)
    chosen = {} if layers is None or name not in TRANSFORMERS else {"layers": layers}
    return (MODELS | EAGER)[name](**chosen, batch=batch)


def calibration_data(name: str, count: int = 64) -> list[Inputs]:
    """Inputs of batch 1 to calibrate a model with, the same in every process.

    Images are normal and token ids uniform, as the inputs of :func:`make` are, which are not among
    them; masks are those of :func:`make`.
    """
    _, inputs = make(name, layers=1)
    drawn = torch.Generator().manual_seed(1)
    return [tuple(_another(tensor, drawn) for tensor in inputs) for _ in range(count)]


def settle(model: torch.nn.Module) -> None:
    """Give batch normalization the statistics of what really comes in, for inputs as those drawn.

    With drawn statistics the deep CNNs give nearly the same for every input, since signals fade
    from layer to layer, and how near int8 is to float would say nothing about ranges.

    Residual branches end in a small gain, as in trained networks, whose gains begin at 0 (Goyal et
    al., "Accurate, Large Minibatch SGD", 2017). With gains of 1, networks of random weights are
    chaotic: noise of int8 grows to the size of the signal, whatever the ranges.
    """
    norms = [one for one in model.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    if not norms:
        return
    for last in _ends_of_branches(model):
        torch.nn.init.constant_(last.weight, _BRANCH_GAIN)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all that comes
        norm.train()
    images = torch.randn(8, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        model(images)
    model.eval()


def _ends_of_branches(model: torch.nn.Module) -> Iterator[torch.nn.BatchNorm2d]:
    """The last normalization before each residual addition."""
    block: Any
    for block in model.modules():
        if getattr(block, "use_residual", False):  # MobileNetV2's
            inner = block.reduce_1x1
        elif hasattr(block, "shortcut"):  # ResNet's
            inner = block.layer[-1]
        else:
            continue
        yield from (one for one in inner.modules() if isinstance(one, torch.nn.BatchNorm2d))


def further_inputs(name: str, count: int = 7) -> list[Inputs]:
    """More inputs to compare results on, neither those of :func:`make` nor calibrated with."""
    return calibration_data(name, 64 + count)[64:]


def of_tokens(name: str, inputs: Inputs, hidden: Any) -> Any:
    """Hidden states of real tokens alone, [tokens, features]; results of other models as they are.

    What a model gives for padding is of no interest, and not what routes agree on.
    """
    if not name.startswith("bert_base"):
        return hidden
    _, mask = inputs
    return hidden[mask.numpy().astype(bool)]


def _another(tensor: torch.Tensor, drawn: torch.Generator) -> torch.Tensor:
    if tensor.is_floating_point():
        return torch.randn(tensor.shape, generator=drawn)
    if tensor.max() > 1:
        return torch.randint(0, 30_000, tensor.shape, generator=drawn)
    return tensor.clone()


def _images(batch: int) -> Inputs:
    return (torch.randn(batch, 3, 224, 224),)


def _ready(model: torch.nn.Module) -> torch.nn.Module:
    model.eval()
    model.config.return_dict = False  # type: ignore[union-attr]
    for module in model.modules():  # statistics of a network that has seen something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return model
