"""Cases of the operators that quantize and dequantize, which are read as integers here."""

from __future__ import annotations

from operator_case import FLOATS, Case, Typed

from fwd_core.ir import DType, ops

CASES = [
    Case(
        ops.Quantize,
        lambda x, s: ops.Quantize(x, s),
        lambda b: [(b, 3), Typed("float32", ())],
        FLOATS,
    ),
    Case(
        ops.Quantize,
        lambda x, s, z: ops.Quantize(x, s, z, 1, 0, 255, DType.UINT8),
        lambda b: [(b, 3, 2), Typed("float32", (3,)), Typed("int32", (3,))],
        FLOATS,
        "several, unsigned",
    ),
    *(
        Case(
            ops.Dequantize,
            lambda x, s, z, dtype=dtype: ops.Dequantize(x, s, z, 1, DType.of(dtype)),
            lambda b: [(b, 3), Typed("float32", (3,)), Typed("int32", (3,))],
            ("int8", "uint8"),
            f"several to {dtype}",
        )
        for dtype in ("float32", "float16", "bfloat16")
    ),
    Case(
        ops.Dequantize,
        lambda x, s: ops.Dequantize(x, s),
        lambda b: [(b, 3), Typed("float32", ())],
        ("int8", "uint8"),
    ),
]
