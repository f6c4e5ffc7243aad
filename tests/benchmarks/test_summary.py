"""Numbers that benchmarks share, and the data that they calibrate with."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

from benchmarks.models import calibration_data, further_inputs, make, of_tokens, settle
from benchmarks.summary import sqnr


def test_sqnr_is_ten_decibels_per_power_of_ten() -> None:
    expected = np.array([3.0, 4.0])
    assert sqnr(expected + [0.3, -0.4], expected) == pytest.approx(20.0)
    assert sqnr(expected + [0.03, 0.04], expected) == pytest.approx(40.0)
    assert sqnr(expected, expected) == math.inf


@pytest.mark.parametrize(("name", "kind"), [("mobilenet_v2", "f"), ("bert_base", "i")])
def test_calibration_data_is_the_same_each_time_and_differs_within(name: str, kind: str) -> None:
    first, second = calibration_data(name, 2), calibration_data(name, 2)
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(first[0][0], first[1][0])
    assert first[0][0].numpy().dtype.kind == kind


def test_a_settled_cnn_gives_different_results_for_different_inputs() -> None:
    model, _ = make("mobilenet_v2")
    settle(model)
    assert not any(module.training for module in model.modules())
    with torch.inference_mode():
        results = torch.stack([model(*one)[0] for one in further_inputs("mobilenet_v2", 2)])
    varying = ((results - results.mean(0)) ** 2).sum() / (results**2).sum()
    assert float(varying) > 0.1


def test_a_settled_cnn_does_not_let_noise_grow_without_end() -> None:
    model, (images,) = make("mobilenet_v2")
    settle(model)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(3)) * 1e-3  # 60 dB
    with torch.inference_mode():
        exact, found = (model(one)[0].numpy() for one in (images, images + noise))
    assert sqnr(found, exact) > 30  # 24 if branches had gains of 1


def test_hidden_states_are_those_of_real_tokens() -> None:
    ids, mask = torch.zeros(1, 4), torch.tensor([[1, 1, 0, 1]])
    hidden = np.arange(8.0).reshape(1, 4, 2)
    found = of_tokens("bert_base", (ids, mask), hidden)
    np.testing.assert_array_equal(found, [[0, 1], [2, 3], [6, 7]])
    assert of_tokens("bert_base eager", (ids, mask), hidden).shape == (3, 2)
    assert of_tokens("vit_base", (ids,), hidden) is hidden
