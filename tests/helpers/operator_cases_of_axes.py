"""Cases of the operators that normalize, reduce, sort and accumulate along axes."""

from __future__ import annotations

from typing import Any

from operator_case import BOOL, FLOATS, NUMBERS, Case, Weight

from fwd_core.ir import ops


def _softmax(rank: int, axis: int) -> Case:
    return Case(
        ops.Softmax,
        lambda x: ops.Softmax(x, axis),
        lambda b: [(b, 3, 4, 5)[:rank]],
        FLOATS,
        f"{rank}-d axis {axis}",
    )


_NORMALIZATION = [
    Case(
        ops.BatchNorm,
        lambda x, m, v, a, b: ops.BatchNorm(x, m, v, a, b, 1e-5),
        lambda b: [(b, 3, 4, 4), *[Weight((3,))] * 4],
        FLOATS,
    ),
    Case(
        ops.BatchNorm,
        lambda x, m, v: ops.BatchNorm(x, m, v, None, None, 1e-5),
        lambda b: [(b, 3), *[Weight((3,))] * 2],
        FLOATS,
        "2-d",
    ),
    Case(
        ops.BatchNorm,
        lambda x, m, v, a, b: ops.BatchNorm(x, m, v, a, b, 1e-5),
        lambda b: [(b, 3, 4), *[(3,)] * 4],
        FLOATS,
        "given statistics",
    ),
    Case(
        ops.LayerNorm,
        lambda x, a, b: ops.LayerNorm(x, a, b, 1, 1e-5),
        lambda b: [(b, 3, 8), Weight((8,)), Weight((8,))],
        FLOATS,
    ),
    Case(
        ops.LayerNorm,
        lambda x: ops.LayerNorm(x, None, None, 2, 1e-5),
        lambda b: [(b, 3, 8)],
        FLOATS,
        "bare",
    ),
    Case(
        ops.LayerNorm,
        lambda x, a, b: ops.LayerNorm(x, a, b, 2, 1e-5),
        lambda b: [(b, 3, 8), (3, 8), (3, 8)],
        FLOATS,
        "given scale",
    ),
    Case(
        ops.LayerNorm,
        lambda x: ops.LayerNorm(x, None, None, 2, 1e-5),
        lambda b: [(b, 8)],
        FLOATS,
        "of all axes",
    ),
    *(
        Case(
            ops.GroupNorm,
            lambda x, *p, groups=groups: ops.GroupNorm(x, *p, groups, 1e-5),
            lambda b, shape=shape: [(b, *shape), Weight((4,)), Weight((4,))],
            FLOATS,
            f"{groups} groups {len(shape) + 1}-d",
        )
        for groups, shape in (
            (2, (4, 5, 3)),
            (1, (4, 5)),
            (4, (4, 3, 5, 2)),
            (4, (4, 5, 3)),
            (2, (4,)),
        )
    ),
    Case(
        ops.GroupNorm,
        lambda x: ops.GroupNorm(x, None, None, 2, 1e-5),
        lambda b: [(b, 4, 5, 3)],
        FLOATS,
        "bare",
    ),
    Case(
        ops.GroupNorm,
        lambda x, scale: ops.GroupNorm(x, scale, None, 4, 1e-5),
        lambda b: [(b, 4, b, 3), (4,)],
        ("float32",),
        "given scale",
    ),
    _softmax(1, 0),
    _softmax(2, 1),
    _softmax(3, 1),
    _softmax(4, 0),
    _softmax(4, 3),
]
_REDUCTIONS = (ops.ReduceSum, ops.ReduceMax, ops.ReduceMin, ops.ReduceProd)


def _reduce(operator: Any, dtypes: tuple[str, ...]) -> list[Case]:
    return [
        Case(
            operator,
            lambda x, axes=axes, keep=keep: operator(x, axes, keep),
            lambda b: [(b, 3, 4)],
            dtypes,
            f"axes {axes} keepdims {keep}",
        )
        for axes, keep in (((1,), False), ((0, 2), True), ((0, 1, 2), False), ((), False))
    ]


_REDUCTION = [
    *(case for operator in _REDUCTIONS for case in _reduce(operator, NUMBERS)),
    *_reduce(ops.ReduceMean, FLOATS),
    *_reduce(ops.ReduceAny, BOOL),
    *_reduce(ops.ReduceAll, BOOL),
]
_SORTING = [
    *(
        Case(
            ops.TopK,
            lambda x, k=k, axis=axis, settings=settings: ops.TopK(x, k, axis, **settings),
            lambda b, shape=shape: [(b, *shape)],
            NUMBERS,
            f"{k} of axis {axis} of {len(shape) + 1}-d {settings or ''}",
        )
        for k, axis, shape, settings in (
            (2, 1, (5, 3), {}),
            (3, 1, (3,), {"largest": False}),
            (3, 1, (5, 3), {"stable": True}),
            (1, 1, (5, 3), {"stable": True}),
            (1, 2, (5, 3), {"largest": False, "stable": True}),
            (2, 1, (3, 1, 2, 1, 2), {}),
        )
    ),
    Case(ops.TopK, lambda x: ops.TopK(x, 2, 0), lambda b: [(3,)], NUMBERS, "1-d"),
    Case(
        ops.TopK, lambda x, b: ops.TopK(x, b, 0), lambda b: [(b, 3)], NUMBERS, "batch", sized=True
    ),
    Case(
        ops.TopK, lambda x, b: ops.TopK(x, b, 0), lambda b: [(b,)], ("float32",), "all", sized=True
    ),
    Case(ops.TopK, lambda x: ops.TopK(x, 4000, 1), lambda b: [(b, 4001)], ("float32",), "many"),
]
_CUMULATIVE = [
    Case(
        ops.CumSum,
        lambda x, axis=axis: ops.CumSum(x, axis),
        lambda b, shape=shape: [(b, *shape)],
        NUMBERS,
        f"axis {axis} of {len(shape) + 1}-d",
    )
    for axis, shape in ((0, ()), (0, (3,)), (1, (3,)), (1, (3, 2)))
]
CASES: list[Case] = [*_NORMALIZATION, *_REDUCTION, *_SORTING, *_CUMULATIVE]
