import torch
from hypothesis import given, settings

import forward
from fwd_core.testing import assert_parity, strategies
from fwd_ops_extra.pytorch import snake
from fwd_ops_torch.testing import module_from_source

MODEL = module_from_source("torch.ops.extra.snake(x, 2.5)", "x")


@settings(deadline=None, max_examples=20)  # a case is imported, compiled and run
@given(strategies.shapes().flatmap(lambda shape: strategies.arrays("float32", shape)))
def test_parity(x):
    assert_parity(MODEL, x, backend=["openvino", "tensorrt"])


def test_build():
    x = torch.randn(3, 4)
    torch.testing.assert_close(forward.build(MODEL, x, backend="openvino")(x), snake(x, 2.5))
