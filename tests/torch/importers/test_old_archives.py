"""TorchScript files of old torch versions.

No old torch can be installed here, so these archives are SYNTHETIC: a file saved today, with its
code and its version number replaced by what an old torch would have written. Loading them runs
torch's own upgraders, which put version-dependent branches into the graph; the importer must walk
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from old_archives import aged
from torch import Tensor, nn
from torch_models import running, scripted


class Template(nn.Module):
    """Saved today; its code is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(18.0).reshape(2, 1, 3, 3) / 9)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b


def synthetic(path: Path, version: int, *body: str) -> Path:
    """An archive of an old version number whose forward has this body."""

    def code(text: str) -> str:
        head = text[: text.index("    return" if "    return" in text else "    _0")]
        return head + "".join(f"    {line}\n" for line in body)

    return aged(scripted(Template()).save_to_buffer(), path, version, code)


def ints(*values: int) -> Tensor:
    return torch.tensor(values)


def test_division_of_version_3_truncates_integers_and_divides_floats(tmp_path: Path) -> None:
    path = synthetic(tmp_path / "div.pth", 3, "return torch.div(a, b)")
    (result,) = running(path, (ints(7, -7, 8), ints(2, 2, 3)))
    assert result.dtype == np.int64
    assert result.tolist() == [3, -3, 2]
    (result,) = running(path, (ints(7, -7, 8).float(), ints(2, 2, 4).float()))
    assert result.tolist() == [3.5, -3.5, 2.0]


def test_division_of_todays_version_is_true(tmp_path: Path) -> None:
    path = synthetic(tmp_path / "div.pth", 10, "return torch.div(a, b)")
    (result,) = running(path, (ints(7, -7, 8), ints(2, 2, 4)))
    assert result.dtype == np.float32
    assert result.tolist() == [3.5, -3.5, 2.0]


def test_full_of_version_4_makes_floats_of_integers(tmp_path: Path) -> None:
    path = synthetic(
        tmp_path / "full.pth",
        4,
        "c = torch.full([3], 2, dtype=None, layout=None, device=None, pin_memory=False)",
        "return torch.add(a, c)",
    )
    (result,) = running(path, (ints(1, 2, 3), ints(1, 2, 3)))
    assert result.dtype == np.float32
    assert result.tolist() == [3.0, 4.0, 5.0]


def test_gelu_of_version_9_has_no_approximate(tmp_path: Path) -> None:
    path = synthetic(tmp_path / "gelu.pth", 9, "return torch.gelu(torch.add(a, b))")
    a, b = torch.randn(5), torch.randn(5)
    (result,) = running(path, (a, b))
    np.testing.assert_allclose(result, nn.functional.gelu(a + b).numpy(), atol=1e-6)


def test_linspace_of_version_7_draws_a_hundred_steps(tmp_path: Path) -> None:
    path = synthetic(
        tmp_path / "linspace.pth",
        7,
        "c = torch.linspace(0., 1., dtype=None, layout=None, device=None, pin_memory=None)",
        "return torch.add(a, c)",
    )
    (result,) = running(path, (torch.zeros(100), torch.zeros(1)))
    np.testing.assert_allclose(result, np.linspace(0, 1, 100), atol=1e-6)


def test_convolution_as_torch_1_6_traced_it(tmp_path: Path) -> None:
    path = synthetic(
        tmp_path / "conv.pth",
        3,
        "_0 = self.weight",
        "_1 = [1, 1]",
        "_2 = torch._convolution(a, _0, None, _1, _1, _1, False, [0, 0], 1, False, False, True)",
        "return torch.relu_(_2)",
    )
    image = torch.randn(2, 1, 5, 5)
    (result,) = running(path, (image, torch.zeros(1)))
    expected = torch.relu(nn.functional.conv2d(image, Template().weight, padding=1))
    np.testing.assert_allclose(result, expected.detach().numpy(), atol=1e-5)
