"""Recurrent networks against eager torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("openvino")

import torch
from hypothesis import strategies as st
from parity_cases import FLOATS, check, covers, draw_array, plugins

from fwd_core.ir import DType
from fwd_core.testing import Tolerance, assert_parity
from fwd_core.testing import strategies as fwd

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections is not supported with oneDNN:UserWarning"
)

#: Weights and inputs within 1, up to 5 features and steps; states are within 1 but for relu's.
STEPS = {
    DType.FLOAT32: Tolerance(1e-4, 1e-4, reason="exponentials, and sums in another order"),
    DType.FLOAT16: Tolerance(3e-2, 3e-2, reason="torch rounds states to float16 at each step"),
    DType.BFLOAT16: Tolerance(0.2, 0.2, reason="torch rounds states to bfloat16 at each step"),
}
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
PACKED = {"data": "packed sequences: refused, see the tests of converters"}


def array(data: st.DataObject, name: str, dtype: DType, shape: tuple[int, ...]) -> Any:
    return draw_array(data, name, dtype, shape, low=-1, high=1)


@covers(
    "aten::{name}",
    name=list(GATES),
    without=PACKED,
    fixed={"train": "dropout is random: refused"},
)
def test_layers(name: str, data: st.DataObject) -> None:
    pick = data.draw
    dtype = pick(fwd.dtypes((FLOATS[0], *FLOATS)), label="dtype")
    layers, both = pick(st.integers(1, 2), label="layers"), pick(st.booleans(), label="both ways")
    biased, first = pick(st.booleans(), label="biases"), pick(st.booleans(), label="batch first")
    batch, length = pick(st.integers(1, 3), label="batch"), pick(st.integers(1, 4), label="length")
    width, hidden = pick(st.integers(1, 5), label="in"), pick(st.integers(2, 5), label="hidden")
    size = pick(st.integers(1, hidden - 1), label="projection") if name == "lstm" else hidden
    if not pick(st.booleans(), label="project"):
        size = hidden
    buffers: dict[str, Any] = {}
    for cell in range(layers * (1 + both)):
        fed = width if cell < 1 + both else size * (1 + both)
        shapes = [(GATES[name] * hidden, fed), (GATES[name] * hidden, size)]
        shapes += [(GATES[name] * hidden,)] * 2 * biased
        shapes += [(size, hidden)] * (size != hidden)
        for shape in shapes:
            buffers[f"w{len(buffers)}"] = array(data, f"w{len(buffers)}", dtype, shape)
    states = layers * (1 + both)
    given = {
        "x": array(data, "x", dtype, (batch, length, width) if first else (length, batch, width))
    }
    given["h"] = array(data, "h", dtype, (states, batch, size))
    hx = "h"
    if name == "lstm":
        given["c"] = array(data, "c", dtype, (states, batch, hidden))
        hx = "[h, c]"
    listed = ", ".join(f"self.{weight}" for weight in buffers)
    dropout = pick(st.sampled_from([0.0, 0.5]), label="dropout")
    call = (
        f"torch.{name}(x, {hx}, [{listed}], {biased}, {layers}, {dropout}, False, {both}, {first})"
    )
    check(data, call, buffers=buffers, tolerance=STEPS, **given)


@covers(
    "aten::lstm_cell", "aten::gru_cell", "aten::rnn_tanh_cell", "aten::rnn_relu_cell",
    each={"name": list(GATES)}, examples=2,
)  # fmt: skip
def test_cells(name: str, data: st.DataObject) -> None:
    pick = data.draw
    dtype = pick(fwd.dtypes(FLOATS), label="dtype")
    batch, width, hidden = (pick(st.integers(1, 4), label=one) for one in ("batch", "in", "hidden"))
    rows = GATES[name] * hidden
    given = {
        "x": array(data, "x", dtype, (batch, width)),
        "h": array(data, "h", dtype, (batch, hidden)),
    }
    if name == "lstm":
        given["c"] = array(data, "c", dtype, (batch, hidden))
    names = list(given)
    shapes = {"w": (rows, width), "r": (rows, hidden)}
    if biased := pick(st.booleans(), label="biases"):
        shapes |= {"b": (rows,), "d": (rows,)}
    weights = {key: array(data, key, dtype, shape) for key, shape in shapes.items()}
    inside = pick(st.booleans(), label="constants")
    listed = ", ".join(f"self.{key}" if inside else key for key in weights)
    call = f"torch.{name}_cell(x, {'[h, c]' if name == 'lstm' else 'h'}, {listed}"
    call += ")" if biased else ", None, None)"
    more = {"buffers": weights} if inside else weights
    check(data, call, batch=names, tolerance=STEPS, **given, **more)


class Sequence(torch.nn.Module):
    """A layer without initial states, and a head, as models have them."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        results, _states = self.layer(x)
        return torch.relu(results)


MODULES: dict[str, Any] = {
    "lstm": lambda: torch.nn.LSTM(3, 5, batch_first=True),
    "lstm of two layers both ways": lambda: torch.nn.LSTM(
        3, 5, 2, bidirectional=True, dropout=0.2, batch_first=True
    ),
    "lstm with a projection": lambda: torch.nn.LSTM(3, 5, proj_size=2, batch_first=True),
    "lstm of length first": lambda: torch.nn.LSTM(3, 5),
    "gru": lambda: torch.nn.GRU(3, 5, 2, batch_first=True),
    "gru both ways without biases": lambda: torch.nn.GRU(
        3, 5, bias=False, bidirectional=True, batch_first=True
    ),
    "rnn": lambda: torch.nn.RNN(3, 5, batch_first=True),
    "rnn of relu": lambda: torch.nn.RNN(3, 5, nonlinearity="relu", bidirectional=True),
}


# Tracing and export copy weights out of the one piece of memory that torch wants them in.
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("dynamic", ["nothing", "batch", "both"])
@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, dynamic: str) -> None:
    """torch's own layers, of one batch and length, and of any."""
    torch.manual_seed(0)
    layer = MODULES[name]()
    generator = np.random.default_rng(0)
    axis = 0 if layer.batch_first else 1
    axes = {"nothing": (), "batch": (axis,), "both": (0, 1)}[dynamic]
    shape = (4, 4, 3)
    second = tuple(2 if index in axes else size for index, size in enumerate(shape))
    x, other = (generator.standard_normal(one, np.float32) for one in (shape, second))
    # torch.export fixes the length, because torch walks over the steps in Python there.
    forms = ["traced", "scripted", *(["exported"] if dynamic != "both" else [])]
    forms += ["decomposed"] if dynamic == "nothing" else []
    sizes = {"x": {index: (f"size{index}", 1, 4, 4) for index in axes}}
    parity = assert_parity(
        Sequence(layer).eval(),
        (x,),
        backend=("openvino", "tensorrt"),
        forms=forms,
        dynamic=sizes if axes else None,
        second_inputs=(other,) if axes else None,
        tolerance=STEPS[DType.FLOAT32],
        plugins=plugins(),
    )
    assert {form for forms in parity.graphs.values() for form in forms} == set(forms)
