"""What converters of convolution, pooling, padding, resizing and sampling refuse."""

from __future__ import annotations

import re
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch_models import importing, scripted

from fwd_core.errors import ConversionError, UnsupportedModelError
from fwd_core.importing import DynamicDims
from fwd_ops_torch.testing import module_from_source

F32, I64, BOOL, U8 = torch.float32, torch.int64, torch.bool, torch.uint8


def of(*shape: int, dtype: torch.dtype = F32) -> torch.Tensor:
    return torch.ones(shape, dtype=dtype)


IMAGE = of(1, 4, 4, 4)
TRANSPOSED = "F.conv_transpose1d(x, y, None, {}, {}, {})"
NEAREST = "torch.ops.aten.upsample_nearest2d(x, {})"
FOLD = "torch.ops.aten.col2im(x, [2, 2], [{}, 1], [1, 1], [0, 0], [1, 1])"
UNPOOL = "torch.ops.aten.max_unpool{}d(x, y, {})"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "rank of a transposed weight": (
        "F.conv_transpose2d(x, y)", [of(1, 2, 3, 3), of(2, 2, 1)], "wrong rank of weight.*4 axes"
    ),
    "output_padding": (
        TRANSPOSED.format(2, 0, 2), [of(1, 2, 3), of(2, 2, 1)],
        "output_padding is less than the stride or the dilation.*0 … 1.*2",
    ),
    "nothing left": (
        TRANSPOSED.format(1, 3, 0), [of(1, 2, 3), of(2, 2, 1)], "nothing is left of the padded"
    ),
    "transposed channels": (
        TRANSPOSED.format(1, 0, 0), [of(1, 2, 3), of(3, 2, 1)], "channels: sizes differ"
    ),
    **{
        f"negative padding {d}": (
            f"F.conv{d}d(x, y, padding=-1)", [of(1, 2, *[4] * d), of(2, 2, *[1] * d)],
            f"conv{d}d: padding must not be negative.*expected: 0 or more.*got: .*-1.*crop the inp",
        )
        for d in (1, 2, 3)
    },
    **{
        f"negative transposed padding {d}": (
            f"F.conv_transpose{d}d(x, y, padding=-1)", [of(1, 2, *[4] * d), of(2, 2, *[1] * d)],
            f"conv_transpose{d}d: padding must not be negative.*expected: 0 or more.*got: .*-1",
        )
        for d in (1, 2, 3)
    },
    "negative output_padding": (
        TRANSPOSED.format(2, 0, -1), [of(1, 2, 3), of(2, 2, 1)],
        "output_padding must not be negative.*expected: 0 or more.*got: .*-1",
    ),
    "conv_tbc": ("torch.conv_tbc(x, y, y)", [of(3, 1, 2), of(2, 2)], "wrong rank of weight"),
    "no divisor": (
        "F.avg_pool2d(x, 2, divisor_override=0)", [IMAGE], "divisor_override must not be 0"
    ),
    "window of padding alone": (
        "F.max_pool1d(x, 2, 4, 1, 3, True)", [of(1, 1, 1)],
        "'dilation' is not supported here: a window from -1 on has no element of the 1 that.*"
        "Hint: take a smaller dilation or no padding",
    ),
    "place in a window of padding alone": (
        "F.max_pool1d(x, 2, 4, 1, 3, True, True)[1]", [of(1, 1, 1)], "a window from -1 on has no"
    ),
    "window that lacks a stride": (
        "F.max_pool1d(x, 3, 1, 0, 1, True)", [of(1, 1, 2)], "larger than the padded input"
    ),
    "window beyond a volume": (
        "F.avg_pool3d(x, 3, 1, 1)", [of(1, 1, 2, 2, 2)],
        "avg_pool3d: the window is larger than the image.*at most \\[2, 2, 2\\].*\\[3, 3, 3\\]",
    ),
    "mean of integers": (
        "F.avg_pool2d(x, 2)", [of(1, 1, 4, 4, dtype=I64)],
        "element type not taken.*Hint: cast to float first, as x.float\\(\\)",
    ),
    "convolution of integers": (
        "F.conv1d(x, y)", [of(1, 1, 4, dtype=I64), of(1, 1, 2, dtype=I64)],
        "element type not taken.*int64.*Hint: cast to float first, as x.float\\(\\)",
    ),
    "unpooling of numbers": (
        UNPOOL.format(2, "[4, 4]"), [of(1, 1, 2, 2, dtype=I64), of(1, 1, 2, 2, dtype=I64)],
        "max_unpool2d: floats, and int64 indices.*int64",
    ),
    "unpooling by floats": (
        UNPOOL.format(2, "[4, 4]"), [of(1, 1, 2, 2), of(1, 1, 2, 2)], "floats, and int64 indices"
    ),
    "sizes of unpooling": (
        UNPOOL.format(2, "[4]"), [of(1, 1, 2, 2), of(1, 1, 2, 2, dtype=I64)],
        "output_size with an entry per spatial axis.*expected: 2.*4",
    ),
    "strides of unpooling": (
        UNPOOL.format(3, "[4] * 3, [1], [0] * 3"),
        [of(1, 1, 2, 2, 2), of(1, 1, 2, 2, 2, dtype=I64)],
        "max_unpool3d: stride with an entry per spatial axis.*expected: 3",
    ),
    "no strides of unpooling": (
        UNPOOL.format(3, "[4] * 3, [0] * 3, [0] * 3"),
        [of(1, 1, 2, 2, 2), of(1, 1, 2, 2, 2, dtype=I64)], "max_unpool3d: stride of 1 or more",
    ),
    "places of unpooling": (
        UNPOOL.format(2, "[4, 4]"), [of(1, 1, 2, 2), of(1, 1, 2, 1, dtype=I64)],
        "an index for every element.*2, 2.*2, 1",
    ),
    "nothing to unpool": (
        UNPOOL.format(2, "[4, 4]"), [of(1, 0, 2, 2), of(1, 0, 2, 2, dtype=I64)],
        "max_unpool2d: sizes of 1 or more",
    ),
    "rank of unpooling": (
        UNPOOL.format(2, "[4, 4]"), [of(2, 2), of(2, 2, dtype=I64)], "wrong rank.*3 or 4 axes"
    ),
    "rank of a pool": ("F.max_pool2d(x, 2)", [of(4, 4)], "wrong rank.*expected: 3 or 4 axes"),
    **{
        f"{name} of {dtype}": (
            "F.max_pool1d(x, 2)", [of(1, 2, 4, dtype=dtype)],
            f"max_pool1d: floats only.*expected: a float dtype.*got: +{name}",
        )
        for name, dtype in (("uint8", U8), ("int8", torch.int8), ("int64", I64), ("bool", BOOL))
    },
    "maximum of bool": ("F.max_pool2d(x, 2)", [IMAGE > 0], "element type not taken.*bool"),
    **{
        f"{source} of {sizes}": (
            source, [of(*sizes)],
            f"{source[2:].split('(')[0]}.*: the input is empty.*expected: sizes of 1.*float32.*0",
        )
        for source, sizes in (
            ("F.max_pool1d(x, 2)", (1, 0, 4)),
            ("F.max_pool1d(x, 2)", (0, 4)),
            ("F.max_pool2d(x, 2)", (2, 0, 4, 4)),
            ("F.max_pool2d(x, 2)", (0, 4, 4)),
            ("F.max_pool2d(x, 2, padding=1)", (2, 3, 0, 4)),
            ("F.max_pool3d(x, 2)", (2, 0, 4, 4, 4)),
            ("F.max_pool2d(x, 2, return_indices=True)[0]", (2, 0, 4, 4)),
            ("F.avg_pool1d(x, 2)", (1, 0, 4)),
            ("F.avg_pool2d(x, 2)", (2, 0, 4, 4)),
            ("F.avg_pool3d(x, 2)", (2, 0, 4, 4, 4)),
            ("F.adaptive_avg_pool1d(x, 2)", (1, 3, 0)),
            ("F.adaptive_avg_pool2d(x, 2)", (1, 0, 4)),
            ("F.adaptive_avg_pool3d(x, 2)", (2, 0, 4, 4, 4)),
            ("F.adaptive_max_pool1d(x, 2)", (1, 0, 4)),
            ("F.adaptive_max_pool2d(x, 2)", (2, 0, 4, 4)),
            ("F.adaptive_max_pool3d(x, 2)", (2, 0, 4, 4, 4)),
        )
    },
    "grid of an empty image": (
        "F.grid_sample(x, y)", [of(2, 3, 0, 4), of(2, 2, 2, 2)],
        "the input is empty.*expected: spatial sizes of 1 or more.*got: .*2, 3, 0, 4",
    ),
    "entries of a pool": ("F.avg_pool2d(x, [2, 2], [1, 1, 1])", [IMAGE], "wrong number of entries"),
    "adaptive maximum of integers": (
        "F.adaptive_max_pool2d(x, 2)", [of(1, 1, 4, 4, dtype=I64)], "max_pool2d: floats only"
    ),
    "unknown pad mode": ('F.pad(x, [1, 1], "mirror")', [of(1, 2, 3)], "unknown mode.*circular"),
    "number of a pad mode": (
        "torch.ops.aten._pad_enum(x, [1, 1], 4)", [of(1, 2, 3)], "unknown mode.*0 … 3.*4"
    ),
    "pad sizes": (
        "torch.ops.aten.reflection_pad1d(x, [1, 1, 1, 1])", [of(1, 2, 3)],
        "reflection_pad1d: 2 sizes, and 1 or 2 axes before",
    ),
    "reflection of bool": (
        'F.pad(x, [1, 1], "reflect")', [of(1, 2, 3, dtype=BOOL)], "'reflect' is not for bool"
    ),
    "nothing to repeat": (
        'F.pad(x, [-2, -1], "replicate")', [of(1, 2, 3)], "nothing to repeat, or nothing left"
    ),
    "too wide a reflection": ('F.pad(x, [3, 0], "reflect")', [of(1, 2, 3)], "needs more than 3"),
    "more than one turn": (
        'F.pad(x, [4, 0], "circular")', [of(1, 2, 3)], "adds an axis once at most.*at most 3"
    ),
    "nearest of integers": (NEAREST.format("[2, 2]"), [IMAGE.long()], "floats and uint8 only"),
    "bilinear of integers": (
        'F.interpolate(x, 2, mode="bilinear")', [IMAGE.long()], "2d: floats only"
    ),
    "bilinear of bytes": (
        'F.interpolate(x, 2, mode="bilinear")', [IMAGE.byte()],
        "'self' is not supported here: torch weighs uint8 in steps of its own",
    ),
    "resized rank": (NEAREST.format("[2, 2]"), [of(1, 2, 3)], "wrong rank.*4 axes"),
    "sizes and scales": (
        NEAREST.format("[2, 2], [2.0, 2.0]"), [IMAGE], "either output_size or scale_factors"
    ),
    "count of sizes": (NEAREST.format("[2]"), [IMAGE], "a size per spatial axis.*2.*2"),
    "count of scales": (NEAREST.format("None, [2.0]"), [IMAGE], "a scale per spatial axis.*2"),
    "no size": (NEAREST.format("[0, 2]"), [IMAGE], "sizes of 1 or more.*0, 2"),
    "mode of a grid": (
        "torch.grid_sampler(x, y, 3, 0, False)", [IMAGE, of(1, 1, 1, 2)],
        "unknown interpolation_mode.*0 … 2.*3",
    ),
    "padding of a grid": (
        "torch.grid_sampler(x, y, 0, 3, False)", [IMAGE, of(1, 1, 1, 2)], "unknown padding_mode"
    ),
    "cubic volume": (
        "torch.grid_sampler(x, y, 2, 0, False)", [of(1, 1, 2, 2, 2), of(1, 1, 1, 1, 3)],
        "cubic needs two spatial axes",
    ),
    "affine grid of integers": (
        "torch.affine_grid_generator(x, [1, 1, 2, 2], False)", [of(1, 2, 3, dtype=I64)],
        "affine_grid_generator: floats only",
    ),
    "affine grid": (
        "torch.affine_grid_generator(x, [1, 1, 2, 2], False)", [of(1, 3, 4)],
        r"theta does not fit the size.*\[N, 2, 3\] for 4 sizes",
    ),
    "pixel_shuffle": ("F.pixel_shuffle(x, 2)", [of(4, 4)], "pixel_shuffle: 3 axes or more"),
    "pixel_shuffle's factor": ("F.pixel_shuffle(x, 0)", [IMAGE], "factor must be positive.*0"),
    "channels": ("F.pixel_shuffle(x, 3)", [IMAGE], "channels must be a multiple of 9.*4"),
    "height": ("F.pixel_unshuffle(x, 3)", [IMAGE], "height must be a multiple of 3.*4"),
    "channel_shuffle": ("torch.channel_shuffle(x, 2)", [of(4, 4)], "shuffle: 3 axes or more"),
    "groups": ("torch.channel_shuffle(x, 0)", [IMAGE], "groups must be positive.*0"),
    "unfold": ("torch.ops.aten.im2col(x, [1, 1], [1, 1], [0, 0], [1, 1])", [of(4, 4)],
               "im2col: 3 or 4 axes"),
    "unfold of integers": ("F.unfold(x, 2)", [IMAGE.long()], "im2col: not for integers"),
    "unfold by no step": ("F.unfold(x, 2, stride=0)", [IMAGE], "stride must be positive"),
    "fold": (FOLD.format(1), [of(1)], "col2im: 2 or 3 axes"),
    "fold of bool": (FOLD.format(1), [of(1, 4, dtype=BOOL)], "'self' .* a sum of bool"),
    "fold's windows": (FOLD.format(1), [of(1, 5)], "another number of windows.*expected: 4"),
    "fold's rows": (FOLD.format(2), [of(3, 2)], "rows must be a multiple of 2.*3"),
}  # fmt: skip


def refusal(source: str, given: list[torch.Tensor], dynamic: DynamicDims | None = None) -> str:
    names = ["x", "y"][: len(given)]
    model = scripted(module_from_source(source, *names))
    with pytest.raises((ConversionError, UnsupportedModelError)) as caught:
        importing(model, given, dynamic)
    return str(caught.value)


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)


HEIGHT: Any = {"x": {2: ("height", 1, 2, 5000)}}
#: What cannot be decided for every height of an image.
UNDECIDED: dict[str, tuple[str, str]] = {
    "scale": (
        "torch.ops.aten.upsample_nearest2d(x, None, [0.1234567, 1.0])",
        r"'scale_factors' .*height \* 0.1234567 is rounded to sizes of no simple ratio",
    ),
    "antialiasing": (
        "torch.ops.aten._upsample_bilinear2d_aa(x, [3, 3], False)", "'self' .*dynamic size height"
    ),
    "parts": ("F.adaptive_max_pool2d(x, 3)", "'self' .*depends on dynamic size height"),
    "shuffled": ("F.pixel_unshuffle(x, 2)", "height must be a multiple of 2, whatever the sizes"),
    "grid": (
        "torch.affine_grid_generator(x[:, :2, 0, :3], [1, 1, x.shape[2], 2], False)",
        "'size' .*depends on dynamic size height",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "text"), UNDECIDED.values(), ids=UNDECIDED)
def test_undecided(source: str, text: str) -> None:
    assert re.search(text, refusal(source, [IMAGE], HEIGHT), re.DOTALL)


@pytest.mark.parametrize("transposed", ["", "_transpose"])
def test_groups_of_a_dynamic_size_are_refused(transposed: str) -> None:
    weight = "self.w.repeat(x.shape[0], 1, 1)"
    source = f"F.conv{transposed}1d(x.view(1, -1, 5), {weight}, groups=x.shape[0])"
    model = scripted(module_from_source(source, "x", w=torch.ones(2, 2, 3)))
    with pytest.raises(UnsupportedModelError) as caught:
        importing(model, [torch.ones(3, 2, 5)], {"x": {0: ("batch", 1, 3, 8)}})
    text = "'groups' is not supported here: it depends on dynamic size batch"
    assert text in str(caught.value)
    assert "one engine for each" in str(caught.value)
