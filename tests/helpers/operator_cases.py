"""Every operator of the core, on operands of every type that it takes: what backends must lower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import operator_cases_of_axes
import quantization_cases
import spatial_cases
from control_graphs import IFS
from operator_case import (
    ALL,
    BATCH,
    BOOL,
    FLOATS,
    INDICES,
    INTEGERS,
    NUMBERS,
    STATIC,
    Case,
    Typed,
    Weight,
)
from recurrent_cases import recurrent_cases

from fwd_core.ir import Dim, DType, Operator, Value, ops

__all__ = ["BATCH", "CASES", "FLOATS", "STATIC", "Case"]


def _unary(operator: Any, dtypes: tuple[str, ...], **attributes: Any) -> Case:
    return Case(
        operator,
        lambda x: operator(x, **attributes),
        lambda b: [(b, 3)],
        dtypes,
        " ".join(f"{name}={value}" for name, value in attributes.items()),
    )


def _binary(
    operator: Any, dtypes: tuple[str, ...], others: tuple[str, ...] | None = None
) -> list[Case]:
    """Of equal shapes, and broadcast, for which fewer dtypes may do."""
    others = dtypes if others is None else others
    return [
        Case(operator, operator, lambda b: [(b, 3), (b, 3)], dtypes),
        Case(operator, operator, lambda b: [(b, 1, 4), (3, 1)], others, "broadcast"),
        Case(operator, operator, lambda b: [(b, 3), Weight(())], others, "scalar"),
    ]


_UNARY = [
    *(_unary(operator, FLOATS) for operator in (ops.Exp, ops.Log, ops.Sqrt, ops.Reciprocal)),
    *(_unary(operator, FLOATS) for operator in (ops.Erf, ops.Sin, ops.Cos, ops.Tanh)),
    *(_unary(operator, FLOATS) for operator in (ops.Sigmoid, ops.Floor, ops.Ceil, ops.Silu)),
    *(_unary(operator, NUMBERS) for operator in (ops.Relu, ops.Abs, ops.Neg, ops.Sign)),
    *(_unary(operator, FLOATS) for operator in (ops.Tan, ops.Asin, ops.Acos, ops.Atan)),
    *(_unary(operator, FLOATS) for operator in (ops.Sinh, ops.Cosh, ops.Asinh, ops.Acosh)),
    *(_unary(operator, FLOATS) for operator in (ops.Atanh, ops.Round, ops.Expm1, ops.Log1p)),
    _unary(ops.Gelu, FLOATS),
    _unary(ops.Gelu, FLOATS, approximate="tanh"),
    _unary(ops.LeakyRelu, FLOATS, alpha=0.1),
    _unary(ops.Elu, FLOATS, alpha=0.5),
    _unary(ops.Mish, FLOATS),
    _unary(ops.Elu, FLOATS, alpha=0.5, scale=2.0),
    Case(ops.PRelu, ops.PRelu, lambda b: [(b, 3, 4), Weight((3, 1))], FLOATS),
    Case(ops.PRelu, ops.PRelu, lambda b: [(b, 3), ()], FLOATS, "given slope"),
    Case(ops.PRelu, ops.PRelu, lambda b: [(), Weight(())], FLOATS, "0-d"),
    _unary(ops.Clamp, NUMBERS, minimum=1, maximum=6),
    _unary(ops.Clamp, NUMBERS, minimum=2),
    _unary(ops.Clamp, NUMBERS, maximum=3),
    _unary(ops.Clamp, NUMBERS, minimum=6, maximum=1),
    _unary(ops.Not, BOOL),
    *(_unary(ops.Cast, ALL, dtype=dtype) for dtype in DType),
]
_NUMBER_BINARY = (ops.Add, ops.Sub, ops.Mul, ops.Maximum, ops.Minimum, ops.FloorDiv, ops.TruncDiv)
_COMPARISONS = (
    ops.Equal,
    ops.NotEqual,
    ops.Less,
    ops.LessEqual,
    ops.Greater,
    ops.GreaterEqual,
)
_BINARY = [
    *(case for operator in _NUMBER_BINARY for case in _binary(operator, NUMBERS)),
    *(case for operator in (ops.Mod, ops.Pow) for case in _binary(operator, NUMBERS)),
    *_binary(ops.Div, FLOATS),
    *(case for operator in _COMPARISONS for case in _binary(operator, ALL)),
    *(case for operator in (ops.And, ops.Or, ops.Xor) for case in _binary(operator, BOOL)),
    Case(ops.Where, ops.Where, lambda b: [Typed("bool", (b, 3)), (b, 3), (b, 3)], ALL),
    Case(
        ops.Where,
        ops.Where,
        lambda b: [Typed("bool", (b, 1)), Weight(()), (2, 1, 3)],
        ALL,
        "broadcast",
    ),
]
_BITWISE = [
    # Networks of every dtype take seconds to compile, and the others decompose to this one.
    *_binary(ops.BitAnd, INTEGERS, ("int32", "uint8")),
    *(
        Case(operator, operator, lambda b: [(b, 3), (b, 3)], INTEGERS)
        for operator in (ops.BitOr, ops.BitXor)
    ),
    *(case for operator in (ops.ShiftLeft, ops.ShiftRight) for case in _binary(operator, INTEGERS)),
    Case(ops.BitAnd, ops.BitAnd, lambda b: [Weight((3,)), (b, 3)], ("int64", "int8"), "mask"),
]
_LINEAR = [
    Case(ops.MatMul, ops.MatMul, lambda b: [(b, 2, 3), (b, 3, 4)], NUMBERS),
    Case(ops.MatMul, ops.MatMul, lambda b: [(b, 5, 2, 3), (3, 4)], NUMBERS, "broadcast"),
    Case(ops.MatMul, ops.MatMul, lambda b: [(b, 0), Weight((0, 4))], ("float32",), "no terms"),
    Case(
        ops.MatMul,
        lambda a, b: ops.MatMul(a, b, transpose_a=True, transpose_b=True),
        lambda b: [(b, 3, 2), (b, 4, 3)],
        NUMBERS,
        "transposed",
    ),
    Case(ops.Linear, ops.Linear, lambda b: [(b, 3), Weight((4, 3))], FLOATS),
    Case(
        ops.Linear, ops.Linear, lambda b: [(b, 5, 3), Weight((4, 3)), Weight((4,))], FLOATS, "3-d"
    ),
    Case(ops.Linear, ops.Linear, lambda b: [(3,), Weight((4, 3)), Weight((4,))], FLOATS, "1"),
    Case(ops.Linear, ops.Linear, lambda b: [(b, 3), (4, 3), (4,)], FLOATS, "given weight"),
]


def _convolution(
    id_: str,
    x: tuple[int, ...],
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    before: int = 0,
    after: int | None = None,
    dilation: int = 1,
    groups: int = 1,
) -> Case:
    spatial = len(x) - 1

    def make(x: Value, weight: Value, *bias: Value) -> Operator:
        def each(n: int) -> tuple[int, ...]:
            return (n,) * spatial

        return ops.Convolution(
            x,
            weight,
            bias[0] if bias else None,
            each(stride),
            each(before),
            each(before if after is None else after),
            each(dilation),
            groups,
        )

    return Case(
        ops.Convolution,
        make,
        lambda b: [(b, *x), weight, *([bias] if bias is not None else [])],
        FLOATS,
        id_,
    )


_CONVOLUTION = [
    _convolution("1-d", (3, 9), Weight((4, 3, 3)), Weight((4,)), stride=2, before=1),
    _convolution("2-d", (3, 9, 9), Weight((4, 3, 3, 3)), Weight((4,)), before=1),
    _convolution("3-d", (2, 5, 5, 5), Weight((4, 2, 3, 3, 3)), stride=2),
    _convolution("grouped", (4, 9, 9), Weight((8, 2, 3, 3)), groups=2, dilation=2),
    _convolution("depthwise", (8, 9, 9), Weight((8, 1, 3, 3)), groups=8, before=1),
    _convolution("unequal padding", (3, 9, 9), Weight((4, 3, 3, 3)), before=0, after=2),
    _convolution("given weight", (3, 9, 9), (4, 3, 3, 3), (4,), before=1),
    _convolution("given weight 1-d", (3, 9), (4, 3, 3), (4,), before=1),
]


def _pool(
    operator: Any,
    id_: str,
    shape: tuple[int, ...],
    dtypes: tuple[str, ...],
    k: int,
    s: int,
    p: int = 0,
    **attributes: Any,
) -> Case:
    n = len(shape) - 1
    if operator is ops.MaxPool:
        attributes.setdefault("dilation", (1,) * n)
    return Case(
        operator,
        lambda x: operator(x, (k,) * n, (s,) * n, (p,) * n, **attributes),
        lambda b: [(b, *shape)],
        dtypes,
        id_,
    )


def _adaptive(spatial: tuple[int, ...], size: tuple[int, ...]) -> Case:
    return Case(
        ops.AdaptiveAveragePool,
        lambda x: ops.AdaptiveAveragePool(x, size),
        lambda b: [(b, 3, *spatial)],
        FLOATS,
        f"{spatial} to {size}",
    )


_POOLING = [
    _pool(ops.MaxPool, "1-d", (3, 9), FLOATS, 3, 2, 1),
    _pool(ops.MaxPool, "2-d", (3, 9, 9), FLOATS, 3, 2, 1),
    _pool(ops.MaxPool, "3-d", (2, 5, 5, 5), FLOATS, 2, 2),
    _pool(ops.MaxPool, "ceil", (2, 6, 6), FLOATS, 3, 2, ceil_mode=True),
    _pool(ops.MaxPool, "ceil drops", (2, 6, 6), FLOATS, 2, 4, 1, ceil_mode=True),
    _pool(ops.MaxPool, "dilated", (2, 9, 9), FLOATS, 3, 2, 1, dilation=(2, 2)),
    _pool(ops.MaxPool, "integers", (2, 6, 6), INTEGERS, 3, 2, 1),
    _pool(ops.AveragePool, "1-d", (3, 9), FLOATS, 3, 2, 1),
    _pool(ops.AveragePool, "2-d", (3, 9, 9), FLOATS, 3, 2, 1, count_include_pad=False),
    _pool(ops.AveragePool, "3-d", (2, 5, 5, 5), FLOATS, 2, 2),
    _pool(ops.AveragePool, "ceil", (2, 6, 6), FLOATS, 3, 2, 1, ceil_mode=True),
    _pool(
        ops.AveragePool,
        "ceil uncounted",
        (2, 6, 6),
        FLOATS,
        3,
        2,
        1,
        ceil_mode=True,
        count_include_pad=False,
    ),
    _adaptive((7, 7), (1, 1)),
    _adaptive((8, 6), (4, 3)),
    _adaptive((7, 5), (3, 2)),
    _adaptive((7, 5), (7, 1)),
    _adaptive((9,), (4,)),
    _adaptive((4, 5, 6), (2, 2, 4)),
]


_SHAPE = [
    Case(ops.Reshape, lambda x, b: ops.Reshape(x, (b, 6)), lambda b: [(b, 2, 3)], ALL, sized=True),
    Case(
        ops.Reshape,
        lambda x, b: ops.Reshape(x, (b * 2, 3)),
        lambda b: [(b, 2, 3)],
        ALL,
        "into the batch",
        sized=True,
    ),
    Case(
        ops.Reshape,
        lambda x, b: ops.Reshape(x, (3, b, 2, b)),
        lambda b: [(b, 6, b)],
        ("float32",),
        "two sizes",
        sized=True,
    ),
    Case(
        ops.Reshape,
        lambda x, b: ops.Reshape(x, (0, 4, b)),
        lambda b: [(b, 0, 3)],
        ("float32",),
        "empty",
        sized=True,
    ),
    Case(ops.Reshape, lambda x: ops.Reshape(x, ()), lambda b: [(1, 1)], ALL, "to 0-d"),
    Case(ops.Unsqueeze, lambda x: ops.Unsqueeze(x, (0, 2)), lambda b: [(b, 3)], ALL),
    Case(ops.Unsqueeze, lambda x: ops.Unsqueeze(x, (1,)), lambda b: [(b, b)], ALL, "two sizes"),
    Case(ops.Squeeze, lambda x: ops.Squeeze(x, (0, 2)), lambda b: [(1, b, 1, 3)], ALL),
    Case(ops.Transpose, lambda x: ops.Transpose(x, (2, 0, 1)), lambda b: [(b, 2, 3)], ALL),
    Case(
        ops.Expand,
        lambda x, b: ops.Expand(x, (2, b, 3)),
        lambda b: [(b, 3)],
        ALL,
        sized=True,
    ),
    Case(
        ops.Expand,
        lambda x, b: ops.Expand(x, (b, 4)),
        lambda b: [(b, 1)],
        ALL,
        "an axis",
        sized=True,
    ),
    Case(ops.Expand, lambda x: ops.Expand(x, (2, 3)), lambda b: [()], ALL, "of 0-d"),
    Case(
        ops.Concat,
        lambda *x: ops.Concat(x, 1),
        lambda b: [(b, 2), (b, 3), (b, 0)],
        ALL,
    ),
    Case(ops.Concat, lambda *x: ops.Concat(x, 0), lambda b: [(b, 2), (1, 2)], ALL, "of the batch"),
    Case(ops.Slice, lambda x: ops.Slice(x, 1, 1, 2, 2), lambda b: [(b, 5)], ALL),
    Case(ops.Slice, lambda x: ops.Slice(x, 1, 4, 3, -2), lambda b: [(b, 5)], ALL, "backwards"),
    Case(
        ops.Slice,
        lambda x, b: ops.Slice(x, 0, b - 1, 1),
        lambda b: [(b, 5)],
        ALL,
        "the last",
        sized=True,
    ),
    Case(
        ops.Slice,
        lambda x, b: ops.Slice(x, 1, 1, b),
        lambda b: [(b, 5)],
        ALL,
        "of dynamic length",
        sized=True,
    ),
    *(
        Case(
            ops.Pad,
            lambda x, mode=mode: ops.Pad(x, (0, 2, 1), (0, 1, 0), mode, 3),
            lambda b: [(b, 4, 5)],
            ALL,
            mode,
        )
        for mode in ("constant", "edge", "reflect")
    ),
    Case(ops.Pad, lambda x: ops.Pad(x, (0, -1), (0, 2)), lambda b: [(b, 4)], ALL, "cuts"),
    Case(
        ops.Pad,
        lambda x, b: ops.Pad(x, (0, b), (0, 1)),
        lambda b: [(b, 4)],
        ALL,
        "by the batch",
        sized=True,
    ),
]


def _gather(dtype: str) -> Case:
    return Case(
        ops.Gather,
        lambda x, i: ops.Gather(x, i, 1),
        lambda b: [(b, 5), Typed(dtype, (2, 3))],
        ALL,
        dtype,
    )


_INDEXING = [
    *map(_gather, INDICES),
    Case(
        ops.Gather,
        lambda x, i: ops.Gather(x, i, 0),
        lambda b: [(b, 5), Typed("int64", ())],
        ALL,
        "0-d",
    ),
    Case(
        ops.Gather,
        lambda x, i: ops.Gather(x, i, 0),
        lambda b: [Weight((5, 3)), Typed("int64", (b, 4))],
        ALL,
        "table",
    ),
    Case(
        ops.GatherElements,
        lambda x, i: ops.GatherElements(x, i, 1),
        lambda b: [(b, 5), Typed("int64", (1, 3))],
        ALL,
    ),
    Case(
        ops.GatherND,
        ops.GatherND,
        lambda b: [(4, 5, 3), Typed("int64", (b, 2))],
        ALL,
    ),
    Case(
        ops.GatherND,
        lambda x, i: ops.GatherND(x, i, 1),
        lambda b: [(b, 5, 3), Typed("int32", (b, 2, 1))],
        ALL,
        "batched",
    ),
]


def _scatters(combination: str, dtypes: tuple[str, ...]) -> list[Case]:
    return [
        Case(
            ops.ScatterElements,
            lambda x, i, u: ops.ScatterElements(x, i, u, 1, combination),
            lambda b: [(b, 5), Typed("int64", (b, 3)), (b, 3)],
            dtypes,
            combination,
        ),
        Case(
            ops.ScatterElements,
            lambda x, i, u: ops.ScatterElements(x, i, u, 0, combination),
            lambda b: [(b, 5, 4), Typed("int32", (2, 3, 4)), (2, 3, 4)],
            dtypes,
            f"{combination}, smaller",
        ),
        Case(
            ops.ScatterElements,
            lambda x, i, u: ops.ScatterElements(x, i, u, 0, combination),
            lambda b: [(3, 4), Typed("int64", (5, b)), (5, b)],
            dtypes,
            f"{combination}, crowded",
        ),
        Case(
            ops.ScatterND,
            lambda x, i, u: ops.ScatterND(x, i, u, combination),
            lambda b: [(4, 5, 3), Typed("int64", (b, 2)), (b, 3)],
            dtypes,
            combination,
        ),
        Case(
            ops.ScatterND,
            lambda x, i, u: ops.ScatterND(x, i, u, combination),
            lambda b: [(b, 5), Typed("int32", (3, 1)), (3, 5)],
            dtypes,
            f"{combination}, rows",
        ),
    ]


_SCATTERING = [
    *_scatters("none", ALL),
    *(case for each in ("sum", "prod", "max", "min") for case in _scatters(each, NUMBERS)),
]


def _attention(id_: str, shapes: Callable[[Dim], list[Any]], **attributes: Any) -> Case:
    return Case(ops.Attention, lambda *x: ops.Attention(*x, **attributes), shapes, FLOATS, id_)


_ATTENTION = [
    _attention("4-d", lambda b: [(b, 2, 6, 16)] * 3),
    _attention("2-d", lambda b: [(6, 16)] * 3, scale=0.5),
    _attention("3-d", lambda b: [(b, 6, 16)] * 3),
    _attention("5-d", lambda b: [(b, 3, 2, 6, 16)] * 3),
    _attention("causal", lambda b: [(b, 2, 6, 16)] * 3, causal=True),
    _attention(
        "causal, more keys", lambda b: [(b, 2, 4, 16), (b, 2, 6, 16), (b, 2, 6, 8)], causal=True
    ),
    _attention("additive mask", lambda b: [*[(b, 2, 6, 16)] * 3, (b, 1, 1, 6)]),
    _attention("bool mask", lambda b: [*[(b, 2, 6, 16)] * 3, Typed("bool", (b, 1, 6, 6))]),
    _attention(
        "bool mask, causal", lambda b: [*[(b, 2, 6, 16)] * 3, Typed("bool", (6, 1))], causal=True
    ),
    _attention("additive mask, causal", lambda b: [*[(b, 2, 6, 16)] * 3, (6,)], causal=True),
    _attention("shared keys", lambda b: [(b, 4, 6, 16), (b, 1, 6, 16), (6, 16)]),
    _attention("5-d mask", lambda b: [*[(b, 3, 2, 6, 16)] * 3, (b, 1, 1, 1, 6)]),
]
_CREATION = [
    Case(
        ops.Full,
        lambda x, b, dtype=dtype: ops.Full((b, 3), dtype == "bool" or 3, DType.of(dtype)),
        lambda b: [(b, 3)],
        ("float32",),
        dtype,
        sized=True,
    )
    for dtype in ALL
] + [
    Case(
        ops.Arange,
        lambda x, b, dtype=dtype: ops.Arange(b + 1, 1, 2, DType.of(dtype)),
        lambda b: [(b,)],
        ("float32",),
        dtype,
        sized=True,
    )
    for dtype in NUMBERS
]
_CONTROL = [
    Case(
        ops.If, one.make, lambda b, one=one: [Typed("bool", ()), *one.shapes(b)], one.dtypes, one.id
    )
    for one in IFS
]
CASES: list[Case] = [
    *operator_cases_of_axes.CASES,
    *quantization_cases.CASES,
    *_CONTROL,
    *_UNARY,
    *_BINARY,
    *_BITWISE,
    *_LINEAR,
    *_CONVOLUTION,
    *_POOLING,
    *spatial_cases.CASES,
    *_SHAPE,
    *_INDEXING,
    *_SCATTERING,
    *_ATTENTION,
    *recurrent_cases(Case, Weight, FLOATS),
    *_CREATION,
    Case(
        ops.Arange,
        lambda x, b: ops.Arange(4, b, b * 2),
        lambda b: [(b,)],
        ("float32",),
        "from a size",
        sized=True,
    ),
    Case(
        ops.Full, lambda x: ops.Full((), 1.5, DType.FLOAT32), lambda b: [(b,)], ("float32",), "0-d"
    ),
    *(
        Case(
            ops.DimValue,
            lambda x, b, dtype=dtype: ops.DimValue(b * 3 - 1, DType.of(dtype)),
            lambda b: [(b,)],
            ("float32",),
            dtype,
            sized=True,
        )
        for dtype in INDICES
    ),
]
