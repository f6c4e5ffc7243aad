"""Lowerings of activations with operands of their own. For the others see ``test_unary``."""

from __future__ import annotations

import numpy as np
import pytest
from on_openvino import assert_same, dynamic_types, run

from fwd_core.ir import Tensor, ops

pytest.importorskip("openvino")


@pytest.mark.parametrize(
    ("given", "dynamic"),
    [(False, False), (True, False), (True, True)],
    ids=["held", "given", "given dynamic"],
)
@pytest.mark.parametrize("slope", [(), (1, 1, 1), (1, 3, 1), (3, 1), (4,), (2, 3, 4)])
def test_prelu(slope: tuple[int, ...], dynamic: bool, given: bool) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(0, 2, (2, 3, 4)).astype(np.float32)
    slopes = generator.normal(0, 1, slope).astype(np.float32)
    inputs = [x, slopes] if given else [x]
    (got,) = run(
        lambda graph, x, *rest: graph.add(
            ops.PRelu(x, rest[0] if rest else graph.constant(Tensor(slopes)))
        ),
        *inputs,
        types=dynamic_types(inputs) if dynamic else None,
    )
    assert_same(got, np.where(x > 0, x, slopes * x))
