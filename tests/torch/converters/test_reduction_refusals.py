"""What converters of reductions, sorting and normalizations refuse, and in what words."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from refused_models import of, refusal

BOOL, F16, I64 = torch.bool, torch.float16, torch.int64
INF = "float('inf')"
NORM = "torch.linalg.matrix_norm"
#: Expression, inputs, the error's text.
REFUSED: dict[str, tuple[str, list[torch.Tensor], str]] = {
    "max of nothing": ("torch.max(x)", [of(0)], "amax|max: nothing has no extremes"),
    "argmax of bool": ("torch.argmax(x)", [of(2, dtype=BOOL)], "argmax: not for bool"),
    "argmin of nothing": ("torch.argmin(x)", [of(0)], "argmin: nothing has no extremes"),
    "nanmean of integers": ("torch.nanmean(x)", [of(2, dtype=I64)], "nanmean: floats only"),
    "nanmean in integers": (
        "torch.nanmean(x, dtype=torch.int64)", [of(2)], "nanmean: the result must be of a float"
    ),
    "logsumexp": ("torch.logsumexp(x, [])", [of(2, 2)], "no dims need keepdim"),
    "trace": ("torch.trace(x)", [of(2)], "trace: expected a matrix.*2 axes"),
    "trace of bool": ("torch.trace(x)", [of(2, 2, dtype=BOOL)], "trace: not for bool"),
    "var of integers": ("torch.var(x)", [of(2, dtype=I64)], "var: floats only"),
    "norm of integers": ("torch.linalg.vector_norm(x)", [of(2, dtype=I64)], "floats only.*int64"),
    "norm in less": (
        "torch.linalg.vector_norm(x, dtype=torch.float16)", [of(2)],
        "dtype is narrower.*float32.*float16",
    ),
    "norm of nothing": (f"torch.linalg.vector_norm(x, {INF})", [of(0)], "no norm of this order"),
    "matrix norm of a vector": (f"{NORM}(x, 1)", [of(2)], "a matrix has 2 axes"),
    "spectral norm": (
        f"{NORM}(x, 2)", [of(2, 2)],
        "argument 'ord' .*made of singular values.*Hint: take the norm \"fro\", or another",
    ),
    "nuclear norm": (f"{NORM}(x, 'nuc')", [of(2, 2)], "argument 'ord' .*'nuc' is made of singular"),
    "order of a matrix norm": (f"{NORM}(x, 3)", [of(2, 2)], "no such order of a matrix norm"),
    "matrix norm of nothing": (f"{NORM}(x, -1)", [of(2, 0)], "nothing has no norm of this order"),
    "linalg.norm": ("torch.linalg.norm(x, 1)", [of(2, 2, 2)], "with ord and no dim, 1 or 2 axes"),
    "frobenius norm": (
        "torch.frobenius_norm(x, [0, 1, 2])", [of(2, 2, 2)], "at most 2 axes"
    ),
    "renorm": ("torch.renorm(x, 2, 0, 1)", [of(2)], "renorm: not for this tensor.*2 axes or more"),
    "dist": ("torch.dist(x, x)", [of(2, dtype=I64)], "dist: floats only"),
    "cdist": ("torch.cdist(x, x)", [of(2)], "cdist: expected rows of vectors"),
    "cdist of two lengths": ("torch.cdist(x, y)", [of(2, 2), of(2, 3)], "vectors of two lengths"),
    "log_softmax": ("torch.log_softmax(x, 0)", [of(2, dtype=I64)], "log_softmax: floats only"),
    "topk of bool": ("torch.topk(x, 1)[0]", [of(2, dtype=BOOL)], "topk: not for bool"),
    "topk": ("torch.topk(x, 3)[0]", [of(2)], "topk: k is out of range.*0 … 2.*3"),
    "kthvalue of bool": ("torch.kthvalue(x, 1)[0]", [of(2, dtype=BOOL)], "kthvalue: not for bool"),
    "kthvalue": ("torch.kthvalue(x, 0)[0]", [of(2)], "kthvalue: k is out of range.*1 … 2.*0"),
    "median of bool": ("torch.median(x)", [of(2, dtype=BOOL)], "median: not for bool"),
    "median of nothing": ("torch.median(x)", [of(0)], "median: nothing has no median"),
    "nanmedian of nothing": ("torch.nanmedian(x)", [of(0)], "nanmedian: nothing has no median"),
    "mode of nothing": ("torch.mode(x)[0]", [of(0)], "mode: nothing has no mode"),
    "nuclear_norm": ("torch.nuclear_norm(x)", [of(2, 2)], "nuclear_norm.*factors or inverts"),
    "pdist of a vector": ("torch.pdist(x)", [of(2)], "pdist: expected 2 axes and p of 0 or more"),
    "histc of no bins": ("torch.histc(x, 0)", [of(2)], "histc: expected a bin or more"),
    "histc of integers": ("torch.histc(x)", [of(2, dtype=I64)], "histc: floats only"),
    "nonzero_static": (
        "torch.nonzero_static(x, size=-1)", [of(2)], "nonzero_static: size is negative"
    ),
    "combinations": ("torch.combinations(x)", [of(2, 2)], "expected one axis and r of 0 or more"),
    "trapezoid of a number": ("torch.trapezoid(x)", [of()], "trapezoid: a number has no axis"),
    "trapezoid of bool": (
        "torch.trapezoid(x)", [of(2, dtype=BOOL)], "trapezoid: not for bool"
    ),
    "trapezoid at other points": (
        "torch.trapezoid(x, y)", [of(2), of(3)], "trapezoid: one x for each point.*expected: 2"
    ),
    "trapezoid at points of more axes": (
        "torch.trapezoid(x, y)", [of(2), of(2, 2)], "argument 'x' .*2 axes for 1 of y"
    ),
    "searchsorted side": (
        'torch.searchsorted(x, y, right=True, side="left")', [of(2), of(2)], "side and right differ"
    ),
    "searchsorted in a number": (
        "torch.searchsorted(x, y)", [of(), of()], "searchsorted: a sequence has an axis"
    ),
    "searchsorted sorter": (
        "torch.searchsorted(x, x, sorter=y)", [of(2), of(2)], "sorter is not an order"
    ),
    "searchsorted rows": (
        "torch.searchsorted(x, y)", [of(2, 2), of(3, 2)], "one sequence, or one per row"
    ),
    "bucketize": ("torch.bucketize(x, y)", [of(2), of(2, 2)], "boundaries have one axis"),
    "quantile": ("torch.quantile(x, 0.5)", [of(2, dtype=F16)], "quantile: float32 or float64"),
    "quantile kind": (
        'torch.quantile(x, 0.5, interpolation="up")', [of(2)], "unknown interpolation.*linear, low"
    ),
    "quantile q": ("torch.quantile(x, 1.5)", [of(2)], "q is out of range.*0 … 1.*1.5"),
    "quantile q's axes": ("torch.quantile(x, y)", [of(2), of(1, 1)], "q is of the same dtype"),
    "cumsum in bool": (
        "torch.cumsum(x, 0, dtype=torch.bool)", [of(2)], "aten::cumsum: not in bool"
    ),
    "logcumsumexp": ("torch.logcumsumexp(x, 0)", [of(2, dtype=I64)], "logcumsumexp: floats only"),
    "diff": ("torch.diff(x)", [of()], "diff: an axis at least, and n of 0 or more"),
    "diff with parts": ("torch.diff(x, prepend=y)", [of(2), of(1, 1)], "of the input's rank"),
    "group_norm": ("torch.group_norm(x, 2)", [of(2, 3)], "channels are a multiple of num_groups"),
    "instance_norm": (
        "torch.instance_norm(x, None, None, None, None, False, 0.1, 1e-5, False)", [of(1, 2, 3)],
        "without use_input_stats, running statistics are needed",
    ),
    "instance_norm of a vector": (
        "torch.instance_norm(x, None, None, None, None, True, 0.1, 1e-5, False)", [of(2)],
        "instance_norm: at least 2 axes",
    ),
    "rms_norm": ("F.rms_norm(x, [3])", [of(2, 2)], "rms_norm: normalized_shape is not the end"),
    "rms_norm of integers": ("F.rms_norm(x, [2])", [of(2, dtype=I64)], "rms_norm: floats only"),
    "batch_norm in training": (
        "torch.batch_norm(x, None, None, y, y, True, 0.1, 1e-5, False)", [of(2, 2), of(2)],
        "argument 'training' .*running statistics change",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("source", "given", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(source: str, given: list[torch.Tensor], text: str) -> None:
    assert re.search(text, refusal(source, given), re.DOTALL)


def test_differences_that_may_run_out() -> None:
    told = refusal("torch.diff(x, 2)", [of(4)], {"x": {0: ("batch", 1, 2, 4)}})
    assert re.search("argument 'n' .*size batch - 1 may be 0", told, re.DOTALL)
