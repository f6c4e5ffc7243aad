"""torch.as_tensor in scripts, which torch's tracer and torch.export never see."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError
from fwd_core.testing import assert_parity
from fwd_ops_torch.testing import module_from_source

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    "source",
    [
        "torch.as_tensor([1.0, 2.0, 0.5]) * x",
        "torch.as_tensor([[1, 2, 3]], dtype=torch.float32) * x",
        "torch.as_tensor(True) & (x > 1)",
        "torch.as_tensor(2.5) + x",
        "torch.as_tensor(x)",
        "torch.as_tensor(x, dtype=torch.int32)",
        "torch.as_tensor(x, dtype=torch.float32)",
        "torch.as_tensor(x.shape[0]) + x",
        "torch.as_tensor([x.shape[0], 2], dtype=torch.float32).sum() * x",
        "y = x.clone()\ntorch.as_tensor(y).add_(1)\nreturn y",
        "y = x.clone()\ntorch.as_tensor(y, dtype=torch.int32).add_(1)\nreturn y",
        "n = x.sum().item()\nreturn torch.as_tensor(n) + x",
    ],
)
def test_as_tensor(source: str) -> None:
    dynamic = None if "item" in source else {"x": {0: ("n", 1, 2, 4)}}
    parity = assert_parity(
        module_from_source(source, "x"), X, forms=["scripted"], backend="openvino",
        dynamic=dynamic, second_inputs=None if dynamic is None else (X[:1],),
    )  # fmt: skip
    assert set(parity.ran) == {"openvino"}


def test_lists_of_lists_of_sizes_are_refused() -> None:
    script = scripted(module_from_source("torch.as_tensor([[x.shape[0], 1]])", "x"))
    with pytest.raises(ConversionError, match="a tensor of lists of dynamic sizes"):
        importing(script, (torch.from_numpy(X),), {"x": {0: ("n", 1, 2, 4)}})
