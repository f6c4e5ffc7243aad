"""Cases of transposed convolutions, resizing and sampling."""

from __future__ import annotations

from typing import Any

from operator_case import ALL, FLOATS, Case, Weight

from fwd_core.ir import ops


def _transposed(
    id_: str,
    x: tuple[int, ...],
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int = 0,
    more: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Case:
    attributes = ((n,) * (len(x) - 1) for n in (stride, padding, more, dilation))
    held = tuple(attributes)
    return Case(
        ops.ConvolutionTranspose,
        lambda x, w, b=None: ops.ConvolutionTranspose(x, w, b, *held, groups),
        lambda b: [(b, *x), weight, *([bias] if bias is not None else [])],
        FLOATS,
        id_,
    )


_TRANSPOSED = [
    _transposed("1-d", (3, 5), Weight((3, 4, 3)), Weight((4,)), stride=2, padding=1),
    _transposed("2-d", (4, 5, 5), Weight((4, 3, 3, 3)), Weight((3,)), 2, 1, 1),
    _transposed("3-d", (2, 3, 3, 3), Weight((2, 4, 2, 2, 2)), stride=2),
    _transposed("grouped", (4, 5, 5), Weight((4, 3, 3, 3)), Weight((6,)), 2, groups=2),
    _transposed("dilated", (4, 5, 5), Weight((4, 3, 3, 3)), dilation=2, padding=1),
    _transposed("strided, dilated", (4, 5, 5), Weight((4, 1, 3, 3)), None, 2, 1, 1, 2, 4),
    _transposed("added after", (4, 5, 5), Weight((4, 3, 3, 3)), Weight((3,)), 3, 1, 2),
    _transposed("added after 1-d", (4, 5), Weight((4, 3, 3)), Weight((3,)), 3, 0, 2),
    _transposed("given weight", (4, 5, 5), (4, 3, 3, 3), (6,), 2, 1, 0, 2, 2),
    _transposed("given weight 1-d", (4, 5), (4, 3, 3), (3,), 2, 0, 1, 2),
]


def _resize(
    id_: str,
    spatial: tuple[int, ...],
    size: tuple[int, ...],
    mode: str,
    dtypes: tuple[str, ...] = FLOATS,
    align_corners: bool = False,
    scales: tuple[float | None, ...] = (),
) -> Case:
    return Case(
        ops.Resize,
        lambda x: ops.Resize(x, size, mode, align_corners, scales),  # type: ignore[arg-type]
        lambda b: [(b, 3, *spatial)],
        dtypes,
        f"{mode} {id_}".strip(),
    )


_RESIZE = [
    *(_resize("1-d", (5,), (10,), mode) for mode in ("nearest", "nearest_exact", "linear")),
    *(
        _resize("", (4, 6), (8, 3), mode)
        for mode in ("nearest", "nearest_exact", "linear", "cubic")
    ),
    *(_resize("3-d", (2, 3, 4), (4, 6, 2), mode) for mode in ("nearest", "linear")),
    *(_resize("corners", (4, 6), (7, 3), mode, FLOATS, True) for mode in ("linear", "cubic")),
    *(
        _resize("by scales", (4, 5), (6, 6), mode, FLOATS, False, (1.6, 1.3))
        for mode in ("nearest", "linear", "cubic")
    ),
    _resize("uneven", (5, 7), (7, 5), "nearest", ALL),
    *(
        Case(
            ops.Resize,
            lambda x, b, mode=mode: ops.Resize(x, (b * 2, b + 3), mode),
            lambda b: [(b, 2, b, b)],
            FLOATS[:2],
            f"{mode} of dynamic sizes",
            sized=True,
        )
        for mode in ("nearest", "nearest_exact", "linear", "cubic")
    ),
]


def _grid_sample(
    mode: str,
    outside: str,
    align: bool,
    size: tuple[int, ...],
    places: tuple[int, ...],
    dtypes: tuple[str, ...] = FLOATS,
) -> Case:
    return Case(
        ops.GridSample,
        lambda x, grid: ops.GridSample(x, grid, mode, outside, align),  # type: ignore[arg-type]
        lambda b: [(b, 3, *size), (b, *places, len(size))],
        dtypes,
        f"{len(size)}-d {mode} {outside}",
    )


_SAMPLING = [
    *(
        _grid_sample(mode, outside, align, (4, 5), (3, 2))
        for mode, outside, align in (
            ("linear", "zeros", False),
            ("nearest", "border", True),
            ("cubic", "reflection", False),
        )
    ),
    _grid_sample("linear", "reflection", True, (2, 3, 4), (2, 2, 3), FLOATS[:1]),
    _grid_sample("nearest", "zeros", False, (2, 3, 4), (2, 2, 3), FLOATS[:2]),
]
CASES: list[Case] = [*_TRANSPOSED, *_RESIZE, *_SAMPLING]
