"""Random graphs with every dtype, sizes known and not, and attributes of every type."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from toy_ops import Halves, Tagged, Twice

from fwd_core.ir import DType, Frame, Graph, Location, Tensor, TensorType, Value, ops, symbol

SYMBOLS = [symbol("n", 1, 2, 4), symbol("m", 0, 3, 9)]
_FLOATS = st.floats() | st.sampled_from([0.0, -0.0, float("inf"), float("-inf")])
_TEXTS = st.text(max_size=5)
_NAMES = st.text("abc./_ %\u00e9", min_size=1, max_size=6)
_PLACES = st.builds(
    Location,
    _TEXTS,
    _TEXTS,
    st.none() | st.builds(Frame, _TEXTS, st.integers(0, 99), _TEXTS),
    st.none() | st.builds(Frame, _TEXTS, st.integers(0, 99)),
)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Any bits, 0-d and size 0 among the shapes."""
    dtype = draw(st.sampled_from(list(DType)))
    shape = draw(st.lists(st.integers(0, 3), max_size=3).map(tuple))
    count = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8)
    if dtype is DType.BOOL:
        raw = (raw & 1).astype(np.uint8)
    return Tensor(raw.view(dtype.storage).reshape(shape), dtype)


@st.composite
def sizes(draw: st.DrawFn) -> object:
    """Sizes with each operation."""
    n, m = SYMBOLS
    return draw(st.sampled_from([3, 0, n, n * m + 2, (m + 1) // 2, m % 4, n * n - 1, (m // 2) * n]))


@st.composite
def graphs(draw: st.DrawFn, depth: int = 1) -> Graph:
    """A graph of up to nine nodes that is well-formed."""
    graph = Graph(draw(_NAMES))
    shape = tuple(draw(st.lists(sizes(), max_size=2)))
    kind = TensorType(draw(st.sampled_from(list(DType))), shape)  # type: ignore[arg-type]
    values: list[Value] = [graph.add_input(draw(_NAMES), kind)]
    for _ in range(draw(st.integers(0, 8))):
        operand = draw(st.sampled_from(values))
        name, place = draw(_NAMES), draw(_PLACES)
        which = draw(st.sampled_from(["constant", "cast", "tagged", "halves", "twice", "dim"]))
        if which == "constant":
            values.append(graph.constant(draw(tensors()), name=name, location=place))
        elif which == "cast":
            op = ops.Cast(operand, draw(st.sampled_from(list(DType))))
            values.append(graph.add(op, name=name, location=place))
        elif which == "tagged":
            tagged = Tagged(
                operand,
                extra=draw(st.none() | st.sampled_from(values)),
                number=draw(_FLOATS),
                flag=draw(st.booleans()),
                count=draw(st.integers()),
                text=draw(_TEXTS),
                nothing=draw(st.none() | _TEXTS),
                dtype=draw(st.sampled_from(list(DType))),
                size=draw(sizes()),  # type: ignore[arg-type]
                sizes=tuple(draw(st.lists(sizes(), max_size=2))),  # type: ignore[arg-type]
                nested=draw(st.sampled_from([(), ((),), ((1, 2), (3,))])),
                type=draw(st.none() | st.just(kind)),
            )
            values.append(graph.add(tagged, name=name, location=place))
        elif which == "dim":
            op_dim = ops.DimValue(draw(sizes()))  # type: ignore[arg-type]
            values.append(graph.add(op_dim, name=name, location=place))
        elif which == "halves":
            four = graph.constant(np.arange(4, dtype=np.int16), name=name)
            values += graph.add_all(Halves(four), name=draw(_NAMES), location=place)
        elif depth:
            body = draw(graphs(depth=0))
            if [value.type for value in body.inputs] == [operand.type]:
                values.append(graph.add(Twice(operand, body), name=name, location=place))
    outputs = draw(st.lists(st.sampled_from(values), max_size=3))
    names = draw(st.lists(_NAMES, min_size=len(outputs), max_size=len(outputs), unique=True))
    structure = draw(st.sampled_from([None, {"list": ["*"] * len(outputs)}]))
    graph.set_outputs(outputs, names, structure)
    graph.input_structure = draw(st.sampled_from([None, {"tuple": ["*"]}]))
    return graph.verify()
