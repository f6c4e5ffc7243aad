"""Attention against a reference in NumPy, and against torch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from on_openvino import PLUGINS, Array, assert_same, dynamic_types, graph_of, run

from fwd_core.backends.openvino.model import lower_graph
from fwd_core.errors import GraphError
from fwd_core.events import Events
from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops, symbol

pytest.importorskip("openvino")

#: Sums of up to 8 products, then exp of them.
ATOL = 1e-5


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(
    q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float | None
) -> Array:
    factor = scale if scale is not None else 1 / math.sqrt(q.shape[-1])
    scores = np.matmul(q.astype(np.float64), k.swapaxes(-1, -2)) * factor
    keep = np.ones(scores.shape, bool)
    if causal:
        keep &= np.tril(np.ones(scores.shape[-2:], bool))
    if mask is not None and mask.dtype == bool:
        keep &= mask
    elif mask is not None:
        scores = scores + mask
    scores = np.where(keep, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    weights = np.exp(scores - np.where(np.isinf(top), 0, top))
    total = weights.sum(-1, keepdims=True)
    result = np.matmul(weights / np.where(total == 0, 1, total), v)
    return np.asarray(result, np.float32)


def masks(lead: tuple[int, ...], length: int, source: int) -> dict[str, Array]:
    """Masks of every form that broadcasts, and one that empties a row."""
    kept = np.random.default_rng(7).random((length, source)) < 0.6
    kept[:, 0] = True
    emptied = kept.copy()
    emptied[1] = False
    return {
        "bool": kept,
        "bool per key": kept[0],
        "bool per query": np.array([[True], [False], [True], [True]]),
        "bool with lead": np.broadcast_to(kept, (*lead, length, source)).copy(),
        "emptied row": emptied,
        "emptied everywhere": np.zeros((1, 1), bool),
        "one bool": np.array(True),
        "float": normal(8, length, source),
        "float with lead": normal(9, *lead, length, source),
        "float with infinities": np.where(kept, 0, -np.inf).astype(np.float32),
        "float that empties a row": np.where(emptied, 0, -np.inf).astype(np.float32),
        "float that empties all": np.full((1, 1), -np.inf, np.float32),
    }


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (2, 1, 3)])
def test_without_mask(
    lead: tuple[int, ...], causal: bool, scale: float | None, dynamic: bool
) -> None:
    q, k, v = normal(0, *lead, 4, 8), normal(1, *lead, 5, 8), normal(2, *lead, 5, 6)
    types = dynamic_types([q, k, v]) if dynamic else None
    if types is not None:
        types[:2] = [kind.with_shape((*kind.shape[:-1], 8)) for kind in types[:2]]
    (got,) = run(
        lambda graph, q, k, v: graph.add(ops.Attention(q, k, v, None, causal, scale)),
        q,
        k,
        v,
        types=types,
    )
    assert_same(got, reference(q, k, v, None, causal, scale), atol=ATOL)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lead", [(), (2, 3)])
@pytest.mark.parametrize("form", list(masks((), 4, 5)))
def test_mask(form: str, lead: tuple[int, ...], causal: bool, constant: bool) -> None:
    q, k, v = normal(0, *lead, 4, 8), normal(1, *lead, 5, 8), normal(2, *lead, 5, 6)
    mask = masks(lead, 4, 5)[form]

    def make(graph: Graph, q: Value, k: Value, v: Value, *given: Value) -> Value:
        value = given[0] if given else graph.constant(mask)
        return graph.add(ops.Attention(q, k, v, value, causal))

    (got,) = run(make, q, k, v, *(() if constant else (mask,)))
    assert_same(got, reference(q, k, v, mask, causal, None), atol=ATOL)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("form", ["bool", "emptied row", "float with lead", "bool per query",
                                  "float that empties a row"])  # fmt: skip
def test_mask_of_dynamic_sizes(form: str, causal: bool) -> None:
    q, k, v = normal(0, 2, 3, 4, 8), normal(1, 2, 3, 5, 8), normal(2, 2, 3, 5, 6)
    mask = masks((2, 3), 4, 5)[form]
    batch, length, source = (symbol(name, 1, 4, 8) for name in ("batch", "length", "source"))
    symbols: dict[int, Dim] = {2: batch, 3: 3, 4: length, 5: source, 1: 1}
    types = [
        TensorType(DType.FLOAT32, (batch, 3, length, 8)),
        TensorType(DType.FLOAT32, (batch, 3, source, 8)),
        TensorType(DType.FLOAT32, (batch, 3, source, 6)),
        TensorType(DType.of(mask.dtype), tuple(symbols[size] for size in mask.shape)),
    ]
    (got,) = run(
        lambda graph, q, k, v, mask: graph.add(ops.Attention(q, k, v, mask, causal)),
        q,
        k,
        v,
        mask,
        types=types,
    )
    assert_same(got, reference(q, k, v, mask, causal, None), atol=ATOL)


def test_leading_axes_broadcast() -> None:
    q, k, v = normal(0, 2, 3, 4, 8), normal(1, 1, 3, 5, 8), normal(2, 3, 5, 6)
    (got,) = run(lambda graph, q, k, v: graph.add(ops.Attention(q, k, v)), q, k, v)
    assert_same(got, reference(q, k, v, None, False, None), atol=ATOL)


def test_a_dynamic_feature_size_needs_a_scale() -> None:
    features = symbol("features", 1, 8, 8)
    q, k, v = normal(0, 1, 4, 8), normal(1, 1, 5, 8), normal(2, 1, 5, 6)
    types = dynamic_types([q, k, v])
    types[0], types[1] = (kind.with_shape((*kind.shape[:-1], features)) for kind in types[:2])
    (got,) = run(
        lambda graph, q, k, v: graph.add(ops.Attention(q, k, v, scale=0.5)), q, k, v, types=types
    )
    assert_same(got, reference(q, k, v, None, False, 0.5), atol=ATOL)
    with pytest.raises(GraphError, match="a dynamic feature size needs a scale"):
        run(lambda graph, q, k, v: graph.add(ops.Attention(q, k, v)), q, k, v, types=types)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", [DType.BOOL, DType.FLOAT32])
def test_layers_share_the_check_for_emptied_rows(dtype: DType, causal: bool) -> None:
    def make(graph: Graph, x: Value, mask: Value) -> Value:
        for _ in range(3):
            x = graph.add(ops.Attention(x, x, x, mask, causal))
        return x

    kinds = [TensorType(DType.FLOAT32, (1, 2, 4, 8)), TensorType(dtype, (1, 1, 4, 4))]
    model = lower_graph(graph_of(make, kinds), PLUGINS.lowerings, Events()).model
    names = [node.get_type_name() for node in model.get_ops()]
    assert names.count("Softmax") == 3
    assert names.count("ReduceLogicalOr") == 1


@pytest.mark.parametrize("form", ["bool per key", "float with infinities"])
def test_a_known_mask_that_keeps_something_needs_no_check(form: str) -> None:
    mask = masks((), 4, 4)[form]
    model = lower_graph(
        graph_of(
            lambda graph, x: graph.add(ops.Attention(x, x, x, graph.constant(mask))),
            [TensorType(DType.FLOAT32, (1, 2, 4, 8))],
        ),
        PLUGINS.lowerings,
        Events(),
    ).model
    names = [node.get_type_name() for node in model.get_ops()]
    assert names.count("ScaledDotProductAttention") == 1
    assert "ReduceLogicalOr" not in names


@pytest.mark.parametrize("form", ["emptied row", "float that empties a row"])
def test_against_torch_with_an_emptied_row(form: str) -> None:
    torch = pytest.importorskip("torch")
    q, k, v = normal(0, 2, 3, 4, 8), normal(1, 2, 3, 5, 8), normal(2, 2, 3, 5, 8)
    mask = masks((2, 3), 4, 5)[form]
    (got,) = run(
        lambda graph, q, k, v, mask: graph.add(ops.Attention(q, k, v, mask)), q, k, v, mask
    )
    tensors = [torch.from_numpy(one) for one in (q, k, v, mask)]
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors)
    assert_same(got, expected.numpy(), atol=ATOL)


@pytest.mark.parametrize("is_bool", [True, False])
def test_a_lone_key_of_a_dynamic_batch(is_bool: bool) -> None:
    """OpenVINO's fused kernel takes the wrong rows of the mask then."""
    q, k, v = normal(0, 2, 1, 3, 4), normal(1, 2, 1, 1, 4), normal(2, 2, 1, 1, 4)
    kept = np.array([True, False, True, False, False, True]).reshape(2, 1, 3, 1)
    mask = kept if is_bool else np.where(kept, np.float32(0.5), np.float32(-np.inf))
    batch = symbol("batch", 1, 2, 4)
    types = [TensorType(DType.of(one.dtype), (batch, *one.shape[1:])) for one in (q, k, v, mask)]

    def make(graph: Graph, *given: Value) -> Value:
        return graph.add(ops.Attention(*given))

    (got,) = run(make, q, k, v, mask, types=types)
    assert_same(got, reference(q, k, v, mask, False, None), atol=ATOL)
