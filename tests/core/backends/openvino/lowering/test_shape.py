"""Operators that move elements, against NumPy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from on_openvino import Array, assert_same, dynamic_types, graph_of, run

from fwd_core.ir import Dim, DType, Graph, TensorType, Value, ops, symbol

pytest.importorskip("openvino")

DTYPES = st.sampled_from([np.float32, np.float16, np.int64, np.int32, np.int8, np.uint8, np.bool_])
B = symbol("b", 1, 2, 8)
H = symbol("h", 4, 6, 12)


def numbers(dtype: type[np.generic], *shape: int) -> Array:
    """Distinct where the type allows it, and beyond what float32 holds."""
    values = np.arange(int(np.prod(shape))).reshape(shape) * 7 - 11
    if dtype in (np.int32, np.int64):
        values += 2**24 + 1
    return values.astype(dtype)


def floats(*dims: Dim) -> TensorType:
    return TensorType(DType.FLOAT32, dims)


@given(shape=hnp.array_shapes(min_dims=0, max_dims=5, max_side=4), dtype=DTYPES, data=st.data())
def test_transpose_squeeze_unsqueeze(
    shape: tuple[int, ...], dtype: type[np.generic], data: st.DataObject
) -> None:
    x = numbers(dtype, *shape)
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    new = tuple(data.draw(st.lists(st.integers(0, len(shape)), max_size=2, unique=True)))
    dynamic = data.draw(st.booleans())

    def make(graph: Graph, x: Value) -> list[Value]:
        unsqueezed = graph.add(ops.Unsqueeze(x, new))
        squeezed = graph.add(ops.Squeeze(unsqueezed, new))
        return [graph.add(ops.Transpose(x, order)), unsqueezed, squeezed]

    got = run(make, x, types=dynamic_types([x]) if dynamic else None)
    assert_same(got[0], x.transpose(order))
    assert_same(got[1], np.expand_dims(x, new))
    assert_same(got[2], x)


RESHAPES: list[tuple[tuple[Dim, ...], tuple[Dim, ...], tuple[int, ...], tuple[int, ...]]] = [
    ((2, 6), (3, 4), (2, 6), (3, 4)),
    ((2, 6), (12,), (2, 6), (12,)),
    ((), (1, 1), (), (1, 1)),
    ((1,), (), (1,), ()),
    ((B, 6), (B, 2, 3), (3, 6), (3, 2, 3)),
    ((B, H, 4), (B, H, 2, 2), (2, 5, 4), (2, 5, 2, 2)),
    ((B, H, 2, 2), (B, H * 4), (2, 5, 2, 2), (2, 20)),
    ((B, H, 4), (B * H, 4), (2, 5, 4), (10, 4)),
    ((B, H, 4), (H, B, 4), (2, 5, 4), (5, 2, 4)),
    ((B, H, 4), (H * 2, B * 2), (2, 5, 4), (10, 4)),
    ((B, 4 * H), (4, B, H), (2, 20), (4, 2, 5)),
    ((B, H), (B, H), (2, 5), (2, 5)),
    ((B, H), (B * H,), (8, 12), (96,)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
@pytest.mark.parametrize(("before", "after", "size", "expected"), RESHAPES)
def test_reshape(
    before: tuple[Dim, ...],
    after: tuple[Dim, ...],
    size: tuple[int, ...],
    expected: tuple[int, ...],
    dtype: type[np.generic],
) -> None:
    x = numbers(dtype, *size)
    types = [TensorType(DType.of(x.dtype), before)]
    # Symbols that appear only in products are read from inputs of their own.
    types += [floats(B), floats(H)]
    carriers = [np.zeros(value, np.float32) for value in _values(before, size)]
    got = run(lambda graph, x, b, h: graph.add(ops.Reshape(x, after)), x, *carriers, types=types)
    assert_same(got[0], x.reshape(expected))


def _values(dims: tuple[Dim, ...], sizes: tuple[int, ...]) -> tuple[int, int]:
    found = {str(dim): size for dim, size in zip(dims, sizes, strict=True)}
    return found.get("b", 1), found.get("h", found.get("4*h", 16) // 4)


def test_reshape_of_equal_sizes_needs_no_sizes_at_run_time() -> None:
    from on_openvino import PLUGINS

    from fwd_core.backends.openvino.model import lower_graph
    from fwd_core.events import Events

    graph = graph_of(
        lambda graph, x: graph.add(ops.Reshape(graph.add(ops.Relu(x)), (B, H, 2, 2))),
        [floats(B, H, 4)],
    )
    model = lower_graph(graph, PLUGINS.lowerings, Events()).model
    assert {node.get_type_name() for node in model.get_ops()} == {
        "Parameter",
        "Relu",
        "Constant",
        "Reshape",
        "Result",
    }


def test_reshape_when_a_size_may_be_zero() -> None:
    z = symbol("z", 0, 1, 4)

    def make(graph: Graph, x: Value) -> list[Value]:
        return [
            graph.add(ops.Reshape(x, (z, 12))),
            graph.add(ops.Reshape(x, (z * 12,))),
            graph.add(ops.Reshape(x, (4, z, 3))),
        ]

    for size in (3, 0):
        x = numbers(np.float32, size, 3, 4)
        got = run(make, x, types=[floats(z, 3, 4)])
        assert_same(got[0], x.reshape(size, 12))
        assert_same(got[1], x.reshape(size * 12))
        assert_same(got[2], x.reshape(4, size, 3))


@given(data=st.data(), dtype=DTYPES, dynamic=st.booleans())
def test_expand(data: st.DataObject, dtype: type[np.generic], dynamic: bool) -> None:
    target = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, max_side=4))
    lead = data.draw(st.integers(0, len(target)))
    shape = tuple(data.draw(st.sampled_from([1, size])) for size in target[lead:])
    x = numbers(dtype, *shape)
    dims: tuple[Dim, ...] = target
    types = None
    if dynamic:
        types = dynamic_types([x])
        dims = tuple(
            have if isinstance(have, int) is False else size
            for have, size in zip([*target[:lead], *types[0].shape], target, strict=True)
        )
    (got,) = run(lambda graph, x: graph.add(ops.Expand(x, dims)), x, types=types)
    assert_same(got, np.broadcast_to(x, target))


def test_expand_to_a_dynamic_size() -> None:
    x, like = numbers(np.float32, 1, 3), numbers(np.float32, 5)
    (got,) = run(
        lambda graph, x, like: graph.add(ops.Expand(x, (2 * B, B, 3))),
        x,
        like,
        types=[floats(1, 3), floats(B)],
    )
    assert_same(got, np.broadcast_to(x, (10, 5, 3)))


@given(data=st.data(), dtype=DTYPES, dynamic=st.booleans())
def test_concat(data: st.DataObject, dtype: type[np.generic], dynamic: bool) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    parts = [
        numbers(dtype, *(size if one == axis else dim for one, dim in enumerate(shape)))
        for size in sizes
    ]
    (got,) = run(
        lambda graph, *parts: graph.add(ops.Concat(parts, axis)),
        *parts,
        types=dynamic_types(parts) if dynamic else None,
    )
    assert_same(got, np.concatenate(parts, axis))


@given(
    size=st.integers(1, 9),
    start=st.integers(0, 8),
    length=st.integers(0, 9),
    step=st.sampled_from([1, 2, 3, -1, -2, -3]),
    dtype=DTYPES,
    dynamic=st.booleans(),
)
def test_slice(
    size: int, start: int, length: int, step: int, dtype: type[np.generic], dynamic: bool
) -> None:
    last = start + (length - 1) * step
    assume(length == 0 or (start < size and 0 <= last < size))
    x = numbers(dtype, 2, size, 3)
    expected = x[:, [start + i * step for i in range(length)]]
    types = None
    if dynamic:
        types = [TensorType(DType.of(x.dtype), (B, symbol("n", size, size, size + 1), 3))]
    (got,) = run(lambda graph, x: graph.add(ops.Slice(x, 1, start, length, step)), x, types=types)
    assert_same(got, expected)


def test_slice_of_dynamic_bounds() -> None:
    x = numbers(np.float32, 7, 2)
    got = run(
        lambda graph, x: [
            graph.add(ops.Slice(x, 0, 1, H - 1)),
            graph.add(ops.Slice(x, 0, H // 2, H - H // 2)),
            graph.add(ops.Slice(x, 0, H - 1, H, -1)),
            graph.add(ops.Slice(x, 0, H - 1, (H + 1) // 2, -2)),
            graph.add(ops.Slice(x, 0, H % 4, 1)),
        ],
        x,
        types=[floats(H, 2)],
    )
    assert_same(got[0], x[1:])
    assert_same(got[1], x[3:])
    assert_same(got[2], x[::-1])
    assert_same(got[3], x[::-2])
    assert_same(got[4], x[3:4])


@given(
    mode=st.sampled_from(["constant", "edge", "reflect"]),
    around=st.tuples(*[st.integers(-2, 3)] * 4),
    dtype=DTYPES,
    value=st.sampled_from([0, 1, 2**31 - 1, -(2**31), 2**24 + 1]),
    dynamic=st.booleans(),
)
def test_pad(
    mode: Literal["constant", "edge", "reflect"],
    around: tuple[int, int, int, int],
    dtype: type[np.generic],
    value: int,
    dynamic: bool,
) -> None:
    if dtype is np.float16 or dtype not in (np.float32, np.int32, np.int64):
        value = value % 2
    x = numbers(dtype, 2, 5, 4)
    before, after = (0, around[0], around[1]), (0, around[2], around[3])
    cut = x[
        :,
        max(0, -before[1]) : 5 - max(0, -after[1]),
        max(0, -before[2]) : 4 - max(0, -after[2]),
    ]
    assume(min(cut.shape) > 0)
    grown = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
    options: dict[str, Any] = {"constant_values": value} if mode == "constant" else {}
    if mode == "reflect":
        assume(all(max(g) < size for g, size in zip(grown, cut.shape, strict=True)))
    expected = np.pad(cut, grown, mode, **options)
    types = None
    if dynamic:
        types = [TensorType(DType.of(x.dtype), (B, symbol("n", 5, 5, 6), 4))]
    (got,) = run(lambda graph, x: graph.add(ops.Pad(x, before, after, mode, value)), x, types=types)
    assert_same(got, expected)


def test_pad_by_dynamic_sizes() -> None:
    x = numbers(np.float32, 5, 2)
    got = run(
        lambda graph, x: [
            graph.add(ops.Pad(x, (0, 0), (H, 1), value=2.5)),
            graph.add(ops.Pad(x, (6 - H, 0), (-1, 0))),
        ],
        x,
        types=[floats(H, 2)],
    )
    assert_same(got[0], np.pad(x, ((0, 5), (0, 1)), constant_values=2.5))
    assert_same(got[1], np.pad(x[:-1], ((1, 0), (0, 0))))
