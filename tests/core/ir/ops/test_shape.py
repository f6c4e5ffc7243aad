"""Types of operators that move elements."""

from __future__ import annotations

import pytest
from values import B, H, kind, value

from fwd_core.errors import GraphError
from fwd_core.ir import Dim, ops


class TestReshape:
    @pytest.mark.parametrize(
        ("shape", "wanted"),
        [
            ((2, 6), (12,)),
            ((), (1, 1)),
            ((1,), ()),
            ((0, 3), (5, 0)),
            ((B, 4, 3), (B, 12)),
            ((B, H, 12), (B * H, 3, 4)),
            ((B * 4,), (B, 4)),
        ],
    )
    def test_shapes(self, shape: tuple[Dim, ...], wanted: tuple[Dim, ...]) -> None:
        assert ops.Reshape(value(*shape), wanted).infer() == kind(*wanted)

    def test_static_mismatch(self) -> None:
        with pytest.raises(
            GraphError,
            match=r"reshape: element counts differ\n  expected: 6 elements as in float32\[2, 3\]\n"
            r"  got:      5 elements as in \[5\]$",
        ):
            ops.Reshape(value(2, 3), (5,)).infer()

    def test_a_literal_against_a_dynamic_size(self) -> None:
        with pytest.raises(
            GraphError,
            match=r"counts differ, or may[\s\S]*12\*batch elements as in float32\[batch, "
            r"12\][\s\S]*24 elements as in \[2, 12\]\n  Hint: a size that the model fixed cont",
        ):
            ops.Reshape(value(B, 12), (2, 12)).infer()

    def test_negative_sizes(self) -> None:
        for op in (ops.Reshape(value(2, 3), (-2, -3)), ops.Expand(value(1), (-1,))):
            with pytest.raises(GraphError, match=f"{op.kind()}: a size is negative\n  got:      -"):
                op.infer()


class TestAxes:
    def test_unsqueeze(self) -> None:
        assert ops.Unsqueeze(value(B, 3), (0, 3)).infer() == kind(1, B, 3, 1)
        assert ops.Unsqueeze(value(), (0,)).infer() == kind(1)
        with pytest.raises(
            GraphError, match="fwd.Unsqueeze: no such axis\n  expected: 0 <= axis < 3"
        ):
            ops.Unsqueeze(value(B, 3), (3,)).infer()
        with pytest.raises(GraphError, match="fwd.Unsqueeze: an axis repeats"):
            ops.Unsqueeze(value(B, 3), (1, 1)).infer()

    def test_squeeze(self) -> None:
        assert ops.Squeeze(value(1, B, 1), (0, 2)).infer() == kind(B)
        with pytest.raises(
            GraphError, match="fwd.Squeeze axis 1: sizes differ(, or may)?\n  expected: 1\n"
        ):
            ops.Squeeze(value(1, B), (1,)).infer()
        with pytest.raises(GraphError, match="fwd.Squeeze: no such axis"):
            ops.Squeeze(value(1), (-1,)).infer()

    def test_transpose(self) -> None:
        assert ops.Transpose(value(2, B, 4), (2, 0, 1)).infer() == kind(4, 2, B)
        assert ops.Transpose(value(), ()).infer() == kind()
        for order in ((0,), (0, 0), (0, 2), (-1, 0)):
            with pytest.raises(GraphError, match="fwd.Transpose: not an order of the axes"):
                ops.Transpose(value(2, 3), order).infer()


class TestExpand:
    @pytest.mark.parametrize(
        ("shape", "wanted"),
        [((1, 3), (B, 3)), ((3,), (2, B, 3)), ((), (2,)), ((B, 1), (B, 0)), ((B,), (B,))],
    )
    def test_shapes(self, shape: tuple[Dim, ...], wanted: tuple[Dim, ...]) -> None:
        assert ops.Expand(value(*shape), wanted).infer() == kind(*wanted)

    def test_errors(self) -> None:
        with pytest.raises(
            GraphError, match=r"fwd.Expand: rank shrinks\n  got:      float32\[1, 2\] to"
        ):
            ops.Expand(value(1, 2), (2,)).infer()
        with pytest.raises(
            GraphError, match=r"fwd.Expand float32\[2\] to float32\[3\]: sizes differ"
        ):
            ops.Expand(value(2), (3,)).infer()
        with pytest.raises(
            GraphError, match="sizes differ(, or may)?\n  expected: batch\n  got:      4"
        ):
            ops.Expand(value(B), (4,)).infer()


class TestConcat:
    def test_shapes(self) -> None:
        assert ops.Concat((value(B, 2), value(B, H)), 1).infer() == kind(B, H + 2)
        assert ops.Concat((value(3),), 0).infer() == kind(3)
        assert ops.Concat((value(0), value(3)), 0).infer() == kind(3)

    def test_errors(self) -> None:
        with pytest.raises(GraphError, match="fwd.Concat: nothing to join"):
            ops.Concat((), 0).infer()
        with pytest.raises(GraphError, match="fwd.Concat axis 0: sizes differ(, or may)?"):
            ops.Concat((value(2, 3), value(4, 3)), 1).infer()
        with pytest.raises(GraphError, match="fwd.Concat: wrong rank"):
            ops.Concat((value(2), value(2, 1)), 0).infer()
        with pytest.raises(GraphError, match="fwd.Concat: no such axis"):
            ops.Concat((value(2),), 1).infer()
        with pytest.raises(GraphError, match="fwd.Concat: operands need one element type"):
            ops.Concat((value(2), value(2, dtype="int32")), 0).infer()


class TestSlice:
    @pytest.mark.parametrize(
        ("start", "length", "step", "wanted"),
        [
            (0, 8, 1, 8),
            (2, 3, 2, 3),
            (7, 8, -1, 8),
            (3, 0, 1, 0),
            (8, 0, 1, 0),
            (B, 4, 1, 4),
        ],
    )
    def test_shapes(self, start: Dim, length: Dim, step: int, wanted: Dim) -> None:
        assert ops.Slice(value(2, 8), 1, start, length, step).infer() == kind(2, wanted)

    def test_dynamic(self) -> None:
        assert ops.Slice(value(H), 0, 1, H - 1).infer() == kind(H - 1)
        assert ops.Slice(value(H), 0, 0, H // 2).infer() == kind(H // 2)

    @pytest.mark.parametrize(
        ("start", "length", "step", "got"),
        [(0, 9, 1, 8), (8, 1, 1, 8), (-1, 1, 1, -1), (0, 2, -1, -1), (0, 3, 4, 8)],
    )
    def test_out_of_range(self, start: int, length: int, step: int, got: int) -> None:
        with pytest.raises(
            GraphError, match=f"fwd.Slice: out of range\n  expected: 0 … 7\n  got:      {got}$"
        ):
            ops.Slice(value(8), 0, start, length, step).infer()

    def test_errors(self) -> None:
        with pytest.raises(GraphError, match="fwd.Slice: the step is zero"):
            ops.Slice(value(8), 0, 0, 1, 0).infer()
        with pytest.raises(GraphError, match="fwd.Slice: no such axis"):
            ops.Slice(value(8), 1, 0, 1).infer()
        with pytest.raises(GraphError, match="fwd.Slice: a negative length\n  got:      -1"):
            ops.Slice(value(8), 0, 0, -1).infer()


class TestPad:
    def test_shapes(self) -> None:
        assert ops.Pad(value(B, 3), (0, 1), (0, 2)).infer() == kind(B, 6)
        assert ops.Pad(value(5), (-1,), (-2,)).infer() == kind(2)
        assert ops.Pad(value(B), (H,), (0,), "edge").infer() == kind(B + H)

    def test_errors(self) -> None:
        with pytest.raises(GraphError, match=r"fwd.Pad: one entry per axis of float32\[2, 3\]"):
            ops.Pad(value(2, 3), (1,), (1,)).infer()
        with pytest.raises(
            GraphError, match=r"fwd.Pad: a size becomes negative\n  got:      \[-1\]"
        ):
            ops.Pad(value(2), (-2,), (-1,)).infer()

    @pytest.mark.parametrize("pads", [(4, 0), (0, 4)])
    def test_reflection_needs_what_it_mirrors(self, pads: tuple[int, int]) -> None:
        assert ops.Pad(value(4), (3,), (3,), "reflect").infer() == kind(10)
        with pytest.raises(GraphError, match="fwd.Pad: reflection of 4 elements needs more than 4"):
            ops.Pad(value(4), pads[:1], pads[1:], "reflect").infer()
