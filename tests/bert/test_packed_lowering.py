"""Attention without padding on TensorRT: what NVIDIA's plugin is handed, and what it is not.

TensorRT-RTX's network takes no plugins, so a layer of the same shape and type stands in for each:
nothing of a plugin is computed. Where sequences begin is computed by TensorRT-RTX itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from encoder_graphs import LENGTH, encoder
from refusals import Operands, why

import fwd_plugins_bert.pack
from fwd_core import core_pack, rewrite
from fwd_core.backends.tensorrt import creators
from fwd_core.backends.tensorrt.features import ROWS, Features
from fwd_core.ir import Dim, DType, Graph, Value, ops, symbol
from fwd_core.plugins import Plugins
from fwd_core.rewrite import cleanup
from fwd_core.rewrite.precision import to_half
from fwd_plugins_bert import fusions
from fwd_plugins_bert.ops import PackedSelfAttention
from fwd_plugins_bert.packing import packed_rows, remove_padding
from fwd_plugins_bert.padding import Padding
from fwd_plugins_bert.tensorrt import common, packed_attention
from fwd_plugins_bert.tensorrt.choice import VARIABLE

HALF, SINGLE, BOOL, I32 = DType.FLOAT16, DType.FLOAT32, DType.BOOL, DType.INT32
TAKES = replace(ROWS["tensorrt_rtx", "1.7.1.116"], plugin_creators=True, gelu=False)
QKV, SKIP = "CustomQKVToContextPluginDynamic 2", "CustomSkipLayerNormPluginDynamic 1"


class Plain(Features):
    """With those forms of layers that are for TensorRT 8."""

    @property
    def plain_attention(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were a GPU of sm_90."""
    monkeypatch.setattr(common, "capability", lambda: 90)


def attended(
    dtype: DType = HALF, length: Dim = 128, size: int = 64, low: float = -np.inf, **more: Any
) -> PackedSelfAttention:
    of = Operands(dtype)
    tokens = of.input(2, length, dtype=BOOL)
    mask: Value = of.graph.add(ops.Unsqueeze(tokens, (1, 2)))
    if low != -np.inf:
        zero, number = (of.graph.constant(np.array(each, dtype.storage)) for each in (0.0, low))
        mask = of.graph.add(ops.Where(mask, zero, number))
    rows, places = of.input(100, dtype=I32), of.input(2, length, dtype=I32)
    given = {"x": of.input(100, 16), "weight": of.constant(3 * 2 * size, 16), "mask": mask}
    given.update({key: make(of) for key, make in more.items()})
    return PackedSelfAttention(**given, bias=None, rows=rows, places=places, heads=2, scale=0.125)


def told(op: PackedSelfAttention) -> str | None:
    return why(packed_attention.packed_self_attention, op)


def test_what_the_plugin_takes() -> None:
    for length in (64, 100, 128, 384, 512):
        assert told(attended(length=length)) is None
    assert told(attended(low=-10000.0)) is None


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (attended(SINGLE), "the plugin has fused kernels for float16 only"),
        (attended(length=symbol("length", 1, 64, 128)), "the plugin needs a fixed length"),
        (attended(length=600), "the plugin takes 512 tokens at most"),
        (attended(size=32), "the plugin has no kernel for heads of 32 and 128 tokens here"),
        (attended(low=-1.0), "the mask leaves something of what it takes away"),
        (
            attended(mask=lambda of: of.input(2, 1, 128, 128)),
            "the plugin takes masks of padding only",
        ),
        (
            attended(weight=lambda of: of.input(3 * 2 * 64, 16)),
            "plugins hold their parameters as constants",
        ),
    ],
)
def test_what_it_does_not_take(op: PackedSelfAttention, reason: str) -> None:
    assert told(op) == reason


def test_gpus_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "capability", lambda: 100)
    assert told(attended()) == "the plugin has kernels for sm_75, sm_80, sm_86, sm_89, sm_90"


@pytest.mark.parametrize("kept", [1, 0])
def test_where_sequences_begin(kept: int) -> None:
    pytest.importorskip("tensorrt_rtx")
    from tensorrt_networks import LIKE_8, network, numbers

    mask = np.random.default_rng(1).random((5, 7)) < 0.4
    mask[2] = False
    graph = Graph()
    tokens = graph.constant(np.where(mask, kept, 1 - kept).astype(np.int64))
    graph.set_outputs([graph.add(ops.Abs(tokens))], ["y"])
    with network(graph, LIKE_8) as ctx:
        found = numbers(ctx, packed_attention._begins(ctx, Padding(tokens, kept, -np.inf)))
    np.testing.assert_array_equal(found, [0, *np.cumsum(mask.sum(1))])
    rows, places = packed_rows(mask)
    for sequence in range(5):
        own = places[sequence][mask[sequence]]
        assert own.tolist() == list(range(int(found[sequence]), int(found[sequence + 1])))
        assert {*(rows[own] // 7)} <= {sequence}


class Handed:
    """What plugins of a network are handed, by layers that stand in for them."""

    def __init__(self) -> None:
        self.plugins: list[tuple[str, dict[str, list[float]], list[str]]] = []

    def __call__(
        self,
        ctx: Any,
        name: str,
        version: str,
        fields: Mapping[str, Any],
        inputs: Sequence[Any],
    ) -> Any:
        told = [f"{one.dtype.name}{list(one.shape)}" for one in inputs]
        numbers = {key: field.ravel().tolist() for key, field in fields.items() if field.size == 1}
        self.plugins.append((f"{name} {version}", numbers, told))
        if "QKV" not in name:
            return ctx.named(ctx.network.add_identity(inputs[0]), name)
        third = np.arange(tuple(inputs[0].shape)[1] // 3, dtype=np.int32)
        picked = ctx("constant", third.shape, ctx.trt.Weights(third))
        return ctx.named(ctx.network.add_gather(inputs[0], picked, 1), name)


def handed(
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    batch: Dim,
    mask: Any = True,
    length: int = LENGTH,
) -> tuple[Any, dict[str, int]]:
    """What plugins of a packed encoder are handed, and how many layers there are of some kinds."""
    pytest.importorskip("tensorrt_rtx")
    import tensorrt_networks

    monkeypatch.setenv(VARIABLE, chosen)
    packs = Plugins({"core": core_pack, "bert": fwd_plugins_bert.pack})
    stand_in = Handed()
    monkeypatch.setattr(creators, "plugin", stand_in)
    monkeypatch.setattr(tensorrt_networks, "PLUGINS", packs)
    graph = encoder(batch, mask, length=length)
    remove_padding(graph, "tokens")
    rewrite.run(graph, cleanup.all_rewrites())
    for fusion, operator in fusions.fused():
        if f"tensorrt:{operator.kind()}" in packs.lowerings:
            rewrite.run(graph, [fusion])
    rewrite.run(graph, cleanup.all_rewrites())
    to_half(graph)
    graph.verify()
    features = Plain(**{one.name: getattr(TAKES, one.name) for one in fields(TAKES)})
    with tensorrt_networks.network(graph, features) as ctx:
        for node in graph:
            assert tuple(ctx[node.output].shape) == tensorrt_networks.static(
                node.output.type.shape
            ), node
        found = {
            kind: [one.name for one in tensorrt_networks.layers(ctx, f"I{kind}Layer")]
            for kind in ("Gather", "Convolution", "MatrixMultiply")
        }
    found["Gather"] = [name for name in found["Gather"] if "Custom" not in name]
    return stand_in.plugins, {kind: len(names) for kind, names in found.items()}


@pytest.mark.parametrize("mask", [True, -10000.0])
@pytest.mark.parametrize("batch", [3, symbol("batch", 1, 2, 4)], ids=["static", "dynamic"])
def test_tokens_go_to_the_plugin_as_they_are(
    monkeypatch: pytest.MonkeyPatch, batch: Dim, mask: Any
) -> None:
    plugins, layers = handed(monkeypatch, "packed", batch, mask)
    begins = batch + 1 if isinstance(batch, int) else -1
    numbers = {"type_id": [1], "hidden_size": [128], "num_heads": [2], "has_mask": [1]}
    longest = f"INT32[{LENGTH}]"
    inputs = ["HALF[-1, 384, 1, 1]", longest, f"INT32[{begins}]", longest]
    assert plugins == [(QKV, {**numbers, "var_seqlen": [1]}, inputs)] * 2
    # Of each layer the products: of all three projections, of the output, and two behind it.
    assert layers == {"Gather": 3, "Convolution": 0, "MatrixMultiply": 2 * 4}


@pytest.mark.parametrize(("length", "kernel"), [(50, 64), (96, 96), (100, 128), (130, 256)])
def test_the_kernel_is_that_of_the_next_length(
    monkeypatch: pytest.MonkeyPatch, length: int, kernel: int
) -> None:
    plugins, _ = handed(monkeypatch, "packed", 3, length=length)
    for _, _, inputs in plugins:
        assert inputs[1] == inputs[3] == f"INT32[{kernel}]"


@pytest.mark.parametrize("chosen", ["packed,packed-skip,packed-fc", "packed,skip,fc"])
def test_what_surrounds_attention_is_left_to_plugins_too(
    monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    plugins, layers = handed(monkeypatch, chosen, 3)
    assert [name for name, *_ in plugins] == [QKV, SKIP, SKIP] * 2
    for name, numbers, inputs in plugins:
        if name == SKIP:
            assert numbers == {"ld": [128], "type_id": [1]}
            assert inputs == ["HALF[-1, 1, 128, 1, 1]"] * 2
    assert layers == {"Gather": 3, "Convolution": 2 * 4, "MatrixMultiply": 0}


def test_none_goes_to_plugins_if_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins, layers = handed(monkeypatch, "none", 3)
    assert plugins == []
    assert layers["Gather"] == 2 * 4 + 3
