"""What converters of quantized models refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch.ao.quantization.fx._decomposed")

from refused_models import of, refusal
from torch_models import importing

from fwd_core.errors import ConversionError

I8, I16, I32, F64 = torch.int8, torch.int16, torch.int32, torch.float64
FAKE = "torch.fake_quantize_per_tensor_affine"
EACH = "torch.fake_quantize_per_channel_affine"
OPS = "torch.ops.quantized_decomposed"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "16 bits": (f"{FAKE}(x, 0.1, 0, -32768, 32767)", [of(2)],
                "integers -32768 … 32767 are not several of int8 or of uint8"),
    "9 bits": (f"{FAKE}(x, 0.1, 0, -128, 255)", [of(2)], "integers -128 … 255 are not several"),
    "one integer": (f"{FAKE}(x, 0.1, 3, 3, 3)", [of(2)], "integers 3 … 3 are not several"),
    "no integers": (f"{FAKE}(x, 0.1, 0, 5, 3)", [of(2)], "quant_min is greater than quant_max"),
    "zero point": (f"{FAKE}(x, 0.1, 9, 0, 5)", [of(2)],
                   "the zero point is not among the integers.*0 … 5.*9"),
    "no scale": (f"{FAKE}(x, 0.0, 0, 0, 5)", [of(2)], "scales are finite and greater than 0"),
    "negative scale": (f"{FAKE}(x, -1.0, 0, 0, 5)", [of(2)], "greater than 0.*-1.0"),
    "fake integers": (f"{FAKE}(x, 0.1, 0, 0, 5)", [of(2, dtype=I32)], "floats only"),
    "several scales": (f"{FAKE}(x, y, torch.zeros(2), 0, 5)", [of(2), of(2)],
                       "scale holds one number.*1 element.*float32.2"),
    "axis": (f"{EACH}(x, y, torch.zeros(2).int(), -1, 0, 5)", [of(2), of(2)],
             "no such axis, counted from the front.*0 … 0.*-1"),
    "zero points": (f"{EACH}(x, y, torch.tensor([9, 0]).int(), 0, 0, 5)", [of(2), of(2)],
                    "the zero point is not among the integers.*0 … 5.*0 … 9"),
    "scales of double": (f"{EACH}(x, y, torch.zeros(2).int(), 0, 0, 5)", [of(2), of(2, dtype=F64)],
                         "scales are float32.*float64"),
    "long zero points": (f"{EACH}(x, y, torch.zeros(2).long(), 0, 0, 5)", [of(2), of(2)],
                         "zero points are int32, float32 or float16.*int64"),
    "parts of zero points": (f"{EACH}(x, y, torch.zeros(2) + 0.5, 0, 0, 5)", [of(2), of(2)],
                             "it must hold whole numbers"),
    "sizes": (f"{EACH}(x, y, torch.zeros(3).int(), 0, 0, 5)", [of(2), of(3)], "sizes differ"),
    "int16": (f"{OPS}.quantize_per_tensor(x, 0.1, 0, -9, 9, torch.int16)", [of(2)],
              "'dtype' is not supported here: int16 is not of 8 bits"),
    "dequantized int32": (f"{OPS}.dequantize_per_tensor(x, 0.1, 0, -9, 9, torch.int32)",
                          [of(2, dtype=I32)], "int32 is not of 8 bits"),
    "beyond": (f"{OPS}.quantize_per_tensor(x, 0.1, 0, -129, 9, torch.int8)", [of(2)],
               "quant_min or quant_max is out of bounds for int8.*-128 … 127.*-129 … 9"),
    "turned": (f"{OPS}.quantize_per_tensor(x, 0.1, 0, 9, -9, torch.int8)", [of(2)],
               "no several integers are from 9 to -9"),
    "of double": (f"{OPS}.quantize_per_tensor(x, 0.1, 0, -9, 9, torch.int8)", [of(2, dtype=F64)],
                  "quantizes float32, float16 and bfloat16.*float64"),
    "another type": (f"{OPS}.dequantize_per_tensor(x, 0.1, 0, -9, 9, torch.uint8)",
                     [of(2, dtype=I8)], "not of the type that dtype says.*uint8.*int8"),
    "to integers": (
        f"{OPS}.dequantize_per_channel(x, y, None, 0, -9, 9, torch.int8, out_dtype=torch.int32)",
        [of(2, dtype=I8), of(2)], "'out_dtype' is not supported here: int32 is no float"),
    "bounds from outside": (
        f"{OPS}.quantize_per_tensor(x, torch.ones(1), torch.zeros(1).int(), y, y, torch.int8)",
        [of(2), of(1, dtype=I32)], "it must be one constant number"),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)


def test_what_torch_asserts_of_constants_is_told() -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("b", torch.ones(2, dtype=torch.int32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            op = torch.ops.quantized_decomposed.dequantize_per_tensor.default
            return x + op(self.b, 0.1, 0, 0, 9, torch.int16)

    program = torch.export.export(Broken(), (of(2),))
    with pytest.raises(ConversionError, match=r"(?s)fails in torch itself.*Expecting input"):
        importing(program, (of(2),))
