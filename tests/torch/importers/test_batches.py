"""A dynamic batch that an input has at another axis than 0: the hint names the axes."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch import Tensor, nn
from torch_models import check, importing, scripted, traced

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import OptBatch
from fwd_core.ir.dim_hints import LITERAL
from fwd_ops_torch.importers.batches import elsewhere
from fwd_ops_torch.testing import module_from_source

X, H = torch.rand(3, 5, 4), torch.rand(1, 3, 4)
ASKED = {"x": {0: ("batch", 1, 3, 3)}, "h0": {1: ("batch", 1, 3, 3)}}
HINT = (
    "a dynamic batch is of axis 0 only, and the example's batch size is in input 'h0' at axis 1: "
    f"name the axes, dynamic={ASKED}"
)


class Reads(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer = kind(4, 4, batch_first=True)
        self.pair = kind is nn.LSTM

    def forward(self, x: Tensor, h0: Tensor) -> Any:
        return self.layer(x, (h0, h0) if self.pair else h0)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_states_of_recurrent_layers(kind: Any) -> None:
    module = Reads(kind).eval()
    trace = traced(module, (X, H))
    for model, error in ((trace, ConversionError), (module, UnsupportedModelError)):
        with pytest.raises(error) as caught:
            importing(model, (X, H), OptBatch())
        assert caught.value.hint == HINT
    check(module, (X, H), (X[:2], H[:, :2]), model=trace, dynamic=ASKED)


@pytest.mark.parametrize(
    "source", ["x + h0", "torch.where(x > h0, x, h0)", "x.view(3, 4) * h0.t()"]
)
def test_wherever_sizes_contradict(source: str) -> None:
    square = source.replace("h0", "h0.t()") if ".t()" not in source else source
    model = scripted(module_from_source(square, "x", "h0").eval())
    x, h = torch.rand(3, 4), torch.rand(4, 3)
    with pytest.raises(ConversionError) as caught:
        importing(model, (x, h), OptBatch())
    assert caught.value.hint == HINT
    with pytest.raises(ConversionError) as caught:
        importing(model, (x, h), {"x": ASKED["x"]})
    assert caught.value.hint == LITERAL  # the axes are named


def test_what_is_told() -> None:
    assert elsewhere(OptBatch(), {"x": (3, 5, 4), "h0": (1, 3, 4)}) == HINT
    assert elsewhere(OptBatch(8), {"x": (3, 5), "y": (3, 3), "a": (2, 3), "b": (1, 1, 3)}) == (
        "a dynamic batch is of axis 0 only, and the example's batch size is in input 'a' at axis "
        "1, input 'b' at axis 2: name the axes, dynamic={'x': {0: ('batch', 1, 8, 8)}, "
        "'y': {0: ('batch', 1, 8, 8)}, 'a': {1: ('batch', 1, 8, 8)}, 'b': {2: ('batch', 1, 8, 8)}}"
    )


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"s": ()},
        {"x": (3, 3), "y": (3, 1)},
        {"x": (1, 4), "y": (4, 1)},
        {"x": (2, 4), "y": (4,)},
    ],
)
def test_nothing_is_told_where_there_is_nothing(shapes: Any) -> None:
    assert elsewhere(OptBatch(), shapes) is None
    assert elsewhere({"x": {0: ("batch", 1, 3, 3)}}, {"x": (3, 5), "h0": (1, 3)}) is None
