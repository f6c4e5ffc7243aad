"""Where a size that the model fixed contradicts a dynamic one, every operator says what to do."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError
from fwd_core.ir.dim_hints import LITERAL
from fwd_ops_torch.testing import module_from_source

#: Expressions of x [batch, 2], right where batch is 4.
FIXED = {
    "add": "x + torch.ones(4, 2)",
    "sub_": "x.sub_(torch.ones(4, 2))",
    "where": "torch.where(x > 0, x, torch.ones(4, 2))",
    "masked_fill": "x.masked_fill(torch.ones(4, 2) > 0, 1.0)",
    "lerp": "torch.lerp(x, torch.ones(4, 2), 0.5)",
    "expand": "x.expand(4, 2)",
    "expand_as": "x.expand_as(torch.ones(4, 2))",
    "broadcast_tensors": "torch.broadcast_tensors(x, torch.ones(4, 2))[0]",
    "cat": "torch.cat([x, torch.ones(4, 1)], 1)",
    "stack": "torch.stack([x, torch.ones(4, 2)])",
    "hstack": "torch.hstack([x, torch.ones(4, 2)])",
    "matmul": "torch.ones(3, 4) @ x",
    "linear": "F.linear(x.t(), torch.ones(3, 4))",
    "addmm": "torch.addmm(torch.ones(4, 2), x, torch.ones(2, 2))",
    "dot": "torch.dot(x[:, 0], torch.ones(4))",
    "einsum": "torch.einsum('ij,ik->jk', x, torch.ones(4, 3))",
    "bilinear": "F.bilinear(x, torch.ones(4, 2), torch.ones(1, 2, 2))",
    "conv1d": "F.conv1d(x.unsqueeze(0), torch.ones(2, 4, 1))",
    "layer_norm": "F.layer_norm(x.t(), [4])",
    "batch_norm": "F.batch_norm(x.t(), torch.zeros(4), torch.ones(4))",
    "attention": (
        "F.scaled_dot_product_attention(x.unsqueeze(0), torch.ones(1, 4, 2), x.unsqueeze(0))"
    ),
    "split": "x.split([2, 2])[0]",
    "copy_": "x.clone().copy_(torch.ones(4, 2))",
    "index_add": "torch.ones(4, 2).index_add(0, torch.arange(4), x)",
    "index_copy": "torch.ones(4, 2).index_copy(0, torch.arange(4), x)",
    "repeat_interleave": "torch.repeat_interleave(x, torch.tensor([1, 2, 3, 4]), 0)",
    "mask": "x[torch.tensor([True, False, True, False])]",
    "slice_scatter": "x.slice_scatter(torch.ones(4, 2), 0)",
    "view": "x.view(4, 2)",
    "reshape": "x.reshape(4, -1)",
    "unflatten": "x.unflatten(0, (2, 2))",
}


@pytest.mark.parametrize("source", FIXED.values(), ids=FIXED)
def test_the_hint_says_how_to_write_the_size(source: str) -> None:
    module = module_from_source(source, "x").eval()
    x = torch.ones(4, 2)
    model = scripted(module)
    with pytest.raises(ConversionError) as caught:
        importing(model, [x], {"x": {0: ("batch", 1, 4, 8)}})
    assert str(caught.value).endswith(f"Hint: {LITERAL}")
    assert importing(model, [x]).outputs  # right for the size that it has


def test_a_multiple_is_asked_for_with_a_hint() -> None:
    model = scripted(module_from_source("F.pixel_shuffle(x, 2)", "x"))
    with pytest.raises(ConversionError) as caught:
        importing(model, [torch.ones(4, 2, 2)], {"x": {0: ("maps", 4, 4, 8)}})
    assert str(caught.value).endswith("with the factor before its name: '4*name'")
