"""What lowerings to plugins of our own hand over, asked as TensorRT 10 and 11 ask a plugin.

TensorRT-RTX's network takes no plugins, so one stands in front of it that puts the questions and
adds a layer of the same shape and type. Nothing of a plugin is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

trt = pytest.importorskip("tensorrt_rtx")

import fwd_plugins_bert.pack
from fwd_core import Plugins, core_pack
from fwd_core.backends.tensorrt.context import static
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.logger import listen, logger
from fwd_core.backends.tensorrt.network import make_network
from fwd_core.events import Events
from fwd_core.ir import DType, Graph, TensorType, Value, symbol
from fwd_plugins_bert.kernels import compiling
from fwd_plugins_bert.kernels.compiling import KernelError
from fwd_plugins_bert.ops import EmbeddingNorm, SkipNorm
from fwd_plugins_bert.tensorrt.choice import VARIABLE

TAKES = replace(ROWS["tensorrt_rtx", "1.7.1.116"], plugin_objects=True)
HALF, SINGLE = DType.FLOAT16, DType.FLOAT32


def _why_not() -> str:
    try:
        compiling.architectures()
    except KernelError as error:
        return str(error)
    return ""


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "there is NVRTC")


class Taking:
    """A network that takes plugins, and asks them what TensorRT asks."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.asked: list[tuple[str, dict[str, Any], list[str]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def add_plugin_v3(self, inputs: Sequence[Any], shapes: Sequence[Any], plugin: Any) -> Any:
        assert shapes == []
        types = [tensor.dtype for tensor in inputs]
        (result,) = plugin.get_output_data_types(types)
        described = []
        for kind in (*types, result):
            one = trt.DynamicPluginTensorDesc()
            one.desc.type, one.desc.format = kind, trt.TensorFormat.LINEAR
            described.append(one)
        copy = plugin.clone()
        for at in range(len(described)):
            assert copy.supports_format_combination(at, described, len(inputs)), (at, types)
        names = [f"{tensor.dtype.name}{list(tensor.shape)}" for tensor in inputs]
        self.asked.append((plugin.plugin_name, plugin.numbers, names))
        if plugin.plugin_name == "ForwardSkipNorm":
            return self._network.add_identity(inputs[0])
        return self._network.add_gather(inputs[1], inputs[0], 0)


class Front:
    """A builder that makes such networks."""

    def __init__(self, builder: Any, made: list[Taking]) -> None:
        self._builder, self._made = builder, made

    def create_network(self, flags: int) -> Taking:
        self._made.append(Taking(self._builder.create_network(flags)))
        return self._made[-1]


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    monkeypatch.setenv(VARIABLE, "own-skip,own-emb")
    found = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    assert "tensorrt" in found.backends  # as builds do before they lower anything
    return found


def asked(graph: Graph, packs: Plugins) -> Any:
    """What plugins were asked about, and which there are, of the network of a graph."""
    library = Library(trt, TAKES, trt.__version__)
    made: list[Taking] = []

    with listen(trt) as record:
        builder = trt.Builder(logger(trt))
        builder.error_recorder = record.recorder
        front = Front(builder, made)
        ctx = make_network(graph, library, front, packs.lowerings, record, Events())
        tensor = ctx[graph.outputs[0]]
        assert static(graph.outputs[0].type.shape) == tuple(tensor.shape)
        return made[0].asked, ctx.plugins


@pytest.mark.parametrize("dtype", [HALF, SINGLE])
def test_residual_sums(packs: Plugins, dtype: DType) -> None:
    graph, rows = Graph(), symbol("rows", 1, 2, 4)

    def given(name: str, *shape: Any) -> Value:
        return graph.add_input(name, TensorType(dtype, shape))

    x, skip, bias, shift = given("x", rows, 8), given("s", rows, 8), given("b", 8), given("t", 8)
    graph.set_outputs([graph.add(SkipNorm(x, skip, bias, None, shift, 0.25))], ["y"])
    found, plugins = asked(graph, packs)
    kind = "HALF" if dtype is HALF else "FLOAT"
    numbers = {"epsilon": 0.25, "bias": 1, "scale": 0, "shift": 1, "step": 0.0}
    inputs = [f"{kind}[-1, 8]"] * 2 + [f"{kind}[8]"] * 2
    assert found == [("ForwardSkipNorm", numbers, inputs)]
    assert plugins == {"bert::ForwardSkipNorm 1"}


def test_embeddings(packs: Plugins) -> None:
    graph, batch = Graph(), symbol("batch", 1, 2, 4)
    ids = graph.add_input("ids", TensorType(DType.INT64, (batch, 6)))
    types = graph.add_input("types", TensorType(DType.INT32, (batch, 6)))
    words, kinds, positions, scale = (
        graph.add_input(name, TensorType(HALF, shape))
        for name, shape in (("w", (9, 8)), ("k", (2, 8)), ("p", (1, 6, 8)), ("g", (8,)))
    )
    op = EmbeddingNorm((words, kinds), (ids, types), (positions,), scale, None, 0.25)
    graph.set_outputs([graph.add(op)], ["y"])
    found, plugins = asked(graph, packs)
    numbers = {"epsilon": 0.25, "tables": 2, "added": 1, "scale": 1, "shift": 0}
    inputs = [
        "INT32[-1, 6]",
        "HALF[9, 8]",
        "INT32[-1, 6]",
        "HALF[2, 8]",
        "HALF[1, 6, 8]",
        "HALF[8]",
    ]
    assert found == [("ForwardEmbeddingNorm", numbers, inputs)]
    assert plugins == {"bert::ForwardEmbeddingNorm 1"}
