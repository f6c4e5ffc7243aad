"""Engines for many spatial sizes: what converters compute of sizes that are not fixed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

from parity_cases import plugins

from fwd_core.ir import DType
from fwd_core.testing import Tolerance, assert_parity
from fwd_ops_torch.testing import module_from_source

#: What is computed of an image [batch, 4, height, width].
CALLS = [
    "F.conv_transpose2d(x, self.w, None, 2, 1, 1)",
    "F.max_pool2d(x, 3, 2, 1, return_indices=True)",
    "F.max_pool2d(x, 2, 3, ceil_mode=True, return_indices=True)[1]",
    "F.avg_pool2d(x, 2, 3, 1, ceil_mode=True, divisor_override=3)",
    "F.adaptive_max_pool2d(x, 1, True)",
    "F.pad(x, [1, 2, 0, 1], 'reflect')",
    "F.pad(x, [2, 1, 1, -1], 'circular')",
    "F.pad(x, [1, 1, -1, 2], 'replicate')",
    "F.interpolate(x, scale_factor=2.0)",
    "F.interpolate(x, scale_factor=2.0, mode='nearest-exact')",
    "F.interpolate(x, scale_factor=1.5)",
    "F.interpolate(x, scale_factor=1.5, mode='nearest-exact')",
    "F.interpolate(x, size=(7, 9), mode='nearest')",
    "F.interpolate(x, size=(7, 9), mode='nearest-exact')",
    "F.interpolate(x, size=(7, 9), mode='bilinear')",
    "F.interpolate(x, size=(7, 9), mode='bilinear', align_corners=True)",
    "F.interpolate(x, scale_factor=0.5, mode='bilinear')",
    "F.interpolate(x[:, :, :2], scale_factor=1.3, mode='bilinear')",
    "F.interpolate(x, scale_factor=1.125, mode='bilinear')",  # 6 stays, 9 does not
    "F.interpolate(x, scale_factor=1.5, mode='bicubic')",
    "F.interpolate(x, scale_factor=1.5, mode='bicubic', align_corners=True)",
    "F.interpolate(x, scale_factor=1.5, recompute_scale_factor=True)",
    "F.interpolate(x, scale_factor=(0.5, 2.0), mode='bilinear', recompute_scale_factor=True)",
    "F.interpolate(x, scale_factor=0.7, mode='bicubic', recompute_scale_factor=True)",
    "F.interpolate(x, size=(int(x.shape[2] * 0.5), math.ceil(x.shape[3] / 3)))",
    "F.interpolate(x, size=(int(x.shape[2] / 2 + 1.5), math.floor(1.25 * x.shape[3])))",
    "x[:, :, : math.floor(x.shape[2] * 0.7), int(10 - x.shape[3] * 0.9) :]",
    "x[:, :, torch.arange(0, x.shape[2], 2)]",
    "x * torch.arange(1, x.shape[3] + 1, 0.5)[: x.shape[3]]",
    "x * torch.arange(0, x.shape[3] * x.shape[2], x.shape[2])",
    "x * torch.arange(0, x.shape[3], 0.1)[: x.shape[3]]",
    "torch.quantile(x, 0.3, 2)",
    "torch.quantile(x.flatten(1), 0.6, interpolation='nearest')",
    "F.interpolate(x, size=(x.shape[2] * 2, x.shape[3] + 1), mode='bilinear')",
    "F.grid_sample(x, x.flatten(2).transpose(1, 2)[:, :, :2].unsqueeze(1), align_corners=False)",
    "F.grid_sample(x.unsqueeze(2), x.flatten(2).transpose(1, 2)[:, None, None, :, :3], "
    "padding_mode='reflection', align_corners=True)",
    "F.pixel_shuffle(x, 2)",
    "F.unfold(x, 3, 2, 2, 2)",
]
CLOSE = {DType.FLOAT32: Tolerance(1e-4, 1e-4, reason="positions in float32, in other steps")}


@pytest.mark.parametrize("call", CALLS)
def test_spatial_sizes(call: str) -> None:
    generator = np.random.default_rng(0)

    def image(*shape: int) -> np.ndarray:
        return generator.uniform(-1, 1, shape).astype(np.float32)

    module = module_from_source(call, "x", w=image(4, 2, 3, 3))
    sizes = {0: ("batch", 1, 1, 2), 2: ("height", 5, 6, 9), 3: ("width", 5, 6, 9)}
    # A trace has such numbers of one run, and torch.export fixes the size or refuses.
    rounds = any(word in call for word in ("int(", "math."))
    forms = ("scripted",) if rounds else ("traced", "scripted", "exported")
    parity = assert_parity(
        module,
        (image(2, 4, 6, 8),),
        backend="openvino",
        forms=forms,
        dynamic={"x": sizes},
        second_inputs=(image(1, 4, 9, 5),),
        tolerance=CLOSE,
        plugins=plugins(),
    )
    if "arange" in call or "recompute" in call or "quantile" in call:
        assert any("exported" in made for made in parity.graphs.values())
    assert sum(map(len, parity.graphs.values())) >= min(len(forms), 2)
