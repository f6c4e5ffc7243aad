"""What converters of losses refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from refused_models import of, refusal

I64, I32, F16, BOOL = torch.int64, torch.int32, torch.float16, torch.bool
#: Call, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "reduction": ("mse_loss(x, y, 3)", [of(2), of(2)], "unknown reduction.*0 .none., 1 .mean., 2"),
    "reduction of nll": ("nll_loss(x, y, None, 3)", [of(2), of(dtype=I64)], "unknown reduction"),
    "mse of integers": ("mse_loss(x, y)", [of(2, dtype=I64)] * 2, "self or target is of floats"),
    "beta": ("smooth_l1_loss(x, y, 1, -1.0)", [of(2), of(2)], "beta must not be negative.*-1"),
    "delta": ("huber_loss(x, y, 1, 0.0)", [of(2), of(2)], "delta must be above 0"),
    "huber": ("huber_loss(x, y)", [of(2, dtype=I64), of(2)], "huber_loss: self is of floats"),
    "soft margin": ("soft_margin_loss(x, y)", [of(2, dtype=I64), of(2)], "self is of floats"),
    "wide target": ("soft_margin_loss(x, y)", [of(2), of(3, 2)],
                    "target does not broadcast to self"),
    "kl_div": ("kl_div(x, y)", [of(2, dtype=I64), of(2)], "kl_div: floats only"),
    "rates of bool": ("poisson_nll_loss(x, y, False, False, 0.01, 1)", [of(2, dtype=BOOL), of(2)],
                      "torch subtracts no bool tensor"),
    "bool counts": ("poisson_nll_loss(x, y, True, True, 0.01, 1)", [of(2), of(2, dtype=BOOL)],
                    "torch subtracts no bool tensor"),
    "bool products": ("poisson_nll_loss(x, y, True, False, 0.01, 1)", [of(2, dtype=BOOL)] * 2,
                      "torch subtracts no bool tensor"),
    "bce of two dtypes": ("binary_cross_entropy(x, y)", [of(2), of(2, dtype=F16)],
                          "self and target are of one float dtype"),
    "bce of two shapes": ("binary_cross_entropy(x, y)", [of(2, 3), of(2, 1)],
                          "target is of another shape"),
    "logits of integers": ("binary_cross_entropy_with_logits(x, y)", [of(2), of(2, dtype=I64)],
                           "with_logits: floats only"),
    "wide logits": ("binary_cross_entropy_with_logits(x, y)", [of(3, 2), of(2)],
                    "self and pos_weight do not broadcast to target"),
    "hinge of bool": ("hinge_embedding_loss(x, y)", [of(2, dtype=BOOL)] * 2,
                      "hinge_embedding_loss: not for bool"),
    "cosine of more axes": ("cosine_embedding_loss(x, x, y)", [of(2, 3, 4), of(2)],
                            "vectors and one target, or rows and a target for each"),
    "cosine of integers": ("cosine_embedding_loss(x, x, y)", [of(2, 3, dtype=I64), of(2)],
                           "cosine_embedding_loss: floats only"),
    "triplets of ranks": ("triplet_margin_loss(x, x, y)", [of(2, 3), of(3)],
                          "as many axes in each"),
    "triplets of integers": ("triplet_margin_loss(x, x, y)", [of(2, dtype=I64)] * 2,
                             "triplet_margin_loss: floats only"),
    "p": ("multi_margin_loss(x, y, 3)", [of(1, 3), of(1, dtype=I64)], "p is 1 or 2"),
    "multi margin of half": ("multi_margin_loss(x, y)", [of(1, 3, dtype=F16), of(1, dtype=I64)],
                             "multi_margin_loss: float32 or float64"),
    "multi margin of rows": ("multi_margin_loss(x, y)", [of(2, 3), of(3, dtype=I64)],
                             "not empty, against int64 classes of"),
    "nll of a vector": ("nll_loss_forward(x, y, None, 1, -100)", [of(2, 3, 4), of(2, 4, dtype=I64)],
                        "nll_loss_forward: 1 or 2 axes"),
    "nll2d": ("nll_loss2d(x, y)", [of(2, 3), of(2, dtype=I64)], "nll_loss2d.*: 4 axes"),
    "nll of integers": ("nll_loss(x, y)", [of(2, 3, dtype=I64), of(2, dtype=I64)],
                        "nll_loss: floats only"),
    "classes of int32": ("nll_loss(x, y)", [of(2, 3), of(2, dtype=I32)],
                         "classes are int64 or uint8"),
    "classes of other rows": ("nll_loss(x, y)", [of(2, 3), of(3, dtype=I64)],
                              "a class for each of .N, C"),
    "long weight": ("nll_loss(x, y, torch.ones(4))", [of(2, 3), of(2, dtype=I64)],
                    "weight has one number for each class.*3 classes"),
    "half weight": ("nll_loss(x, y, torch.ones(3))", [of(2, 3, dtype=F16), of(2, dtype=I64)],
                    "weight is of another dtype.*float16.*float32"),
    "half weight of margins": ("multi_margin_loss(x, y, 1, 1, torch.ones(3).half())",
                               [of(2, 3), of(2, dtype=I64)], "weight is of another dtype"),
    "smoothing": ("cross_entropy_loss(x, y, None, 1, -100, 1.5)", [of(2, 3), of(2, dtype=I64)],
                  "label_smoothing is out of range"),
    "smoothing of a vector": ("cross_entropy_loss(x, y, None, 1, -100, 0.1)",
                              [of(3), of(1, dtype=I64)], "target has one axis less than self"),
    "no classes": ("cross_entropy_loss(x, y)", [of(), of(dtype=I64)], "no axis of classes"),
    "probabilities": ("cross_entropy_loss(x, y)", [of(2, 3), of(2, 3, dtype=I64)],
                      "probabilities are floats"),
    "ignored probabilities": ("cross_entropy_loss(x, y, None, 1, 0)", [of(2, 3), of(2, 3)],
                              "argument 'ignore_index' .*ignores classes only"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(call: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(f"torch.ops.aten.{call}", given), re.DOTALL)
