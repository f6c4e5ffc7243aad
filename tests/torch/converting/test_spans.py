"""Elements of an axis: which ones a view takes, and putting others in their place."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from fwd_core.errors import ConversionError
from fwd_core.ir import DType, Graph, Location, TensorType, Value, ops
from fwd_core.ir.dims import symbol
from fwd_core.testing import strategies as fwd
from fwd_ops_torch.converting import ConversionContext, UnsupportedArgumentError, spans

BATCH = symbol("batch", 1, 4, 8)


def context(*shape: object) -> tuple[ConversionContext, Value]:
    graph = Graph("main")
    x = graph.add_input("x", TensorType(DType.FLOAT32, shape))  # type: ignore[arg-type]
    return ConversionContext(graph, "aten::slice", "slice", Location("")), x


@given(st.data())
def test_a_slice_takes_what_python_takes(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 6))
    cut = data.draw(fwd.slices(size))
    ctx, x = context(size)
    span = spans.sliced(ctx, x, 0, cut.start, cut.stop, cut.step)
    taken = [span.start + i * span.step for i in range(span.length)]  # type: ignore[arg-type]
    assert taken == list(range(size)[slice(cut.start, cut.stop, cut.step)])


def test_slices_of_a_dynamic_axis() -> None:
    ctx, x = context(3, BATCH)
    assert spans.sliced(ctx, x, -1, None, None) == spans.Span(1, 0, BATCH)
    assert spans.sliced(ctx, x, 1, -1, None) == spans.Span(1, BATCH - 1, 1)
    assert spans.sliced(ctx, x, 1, None, -1) == spans.Span(1, 0, BATCH - 1)
    assert spans.selected(ctx, x, 1, -1) == spans.Span(1, BATCH - 1, 1)


def test_a_step_that_is_not_positive() -> None:
    ctx, x = context(3)
    with pytest.raises(ConversionError, match="aten::slice: step must be positive"):
        spans.sliced(ctx, x, 0, None, None, 0)


def test_a_step_that_is_dynamic() -> None:
    ctx, x = context(3)
    with pytest.raises(UnsupportedArgumentError, match="it depends on dynamic size batch"):
        spans.sliced(ctx, x, 0, None, None, BATCH)


def test_an_index_whose_sign_is_not_known() -> None:
    ctx, x = context(BATCH)
    with pytest.raises(
        UnsupportedArgumentError, match="batch - 3 may be negative or not"
    ) as caught:
        spans.selected(ctx, x, 0, BATCH - 3)
    assert caught.value.hint == "narrow the range of the dynamic dim until it cannot"


def test_an_index_out_of_range() -> None:
    ctx, x = context(3)
    with pytest.raises(ConversionError, match="index out of range") as caught:
        spans.selected(ctx, x, 0, 3)
    assert (caught.value.expected, caught.value.got) == ("-3 … 2", 3)


def test_an_index_of_a_tensor_without_axes() -> None:
    ctx, x = context()
    with pytest.raises(ConversionError, match="a 0-d tensor has no axis to select from"):
        spans.selected(ctx, x, 0, 0)


def test_putting_all_elements_is_the_part_itself() -> None:
    ctx, x = context(BATCH, 2)
    _, part = context(BATCH, 2)
    assert spans.put(ctx, x, part, spans.Span(0, 0, BATCH)) is part


def test_putting_with_a_step_into_a_dynamic_axis() -> None:
    ctx, x = context(BATCH)
    part = ctx.graph.add_input("part", x.type.with_shape((BATCH // 2,)))
    result = spans.put(ctx, x, part, spans.Span(0, 0, BATCH // 2, 2))
    assert result.type == x.type
    assert result.producer is not None
    assert isinstance(result.producer.op, ops.ScatterElements)
