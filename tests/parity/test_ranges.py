"""Numbers in order, and places made from them, against eager torch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("openvino")

from hypothesis import strategies as st
from parity_cases import ANY, FLOATS, QUICK, check, covers, number, operand

from fwd_core.ir import DType
from fwd_core.testing import EXACT, Tolerance
from fwd_core.testing import strategies as fwd

STEPS = Tolerance(1e-6, 1e-6, reason="start + i * step may be rounded once more")
#: torch.export takes no size for the number of steps, and makes constants of fixed ones.
UNEXPORTED = ("traced", "scripted")


def made(data: st.DataObject, call: str, forms: tuple[str, ...] = QUICK) -> None:
    """What is made is an output beside x, whose sizes it may follow: 2 or more, to be dynamic."""
    x = operand(data, "x", ANY, data.draw(fwd.shapes(1, 2, min_size=2), label="shape of x"))
    check(data, f"x, {call}", x=x, batch=["x"], tolerance=STEPS, may_raise=True, forms=forms)


def _quarters(number: int) -> float:
    return number / 4


@covers(
    "aten::arange",
    each={"bounds": ["sizes", "integers", "floats", "both"], "given": ["end", "both", "step"]},
    without={"start": "TorchScript resolves it to start_step"},
    examples=2,
)
def test_arange(bounds: str, given: str, data: st.DataObject) -> None:
    whole = st.integers(-6, 6)
    known = ["3"] * (given != "end")  # of a known end alone nothing is converted
    sizes_of_x = st.sampled_from(["x.shape[0]", *known, "x.shape[0] * 2 + 1"])
    ends, starts, steps = {
        "sizes": (sizes_of_x, st.just(0), st.sampled_from([1, 2, 3, "x.shape[0]"])),
        "integers": (whole, whole, st.sampled_from([1, 2, -1])),
        "floats": (whole.map(_quarters), whole.map(_quarters), st.sampled_from([0.5, -1.5])),
        "both": (sizes_of_x, st.sampled_from([0.5, -0.25]), st.sampled_from([0.75, 2.0, 1, 0.1])),
    }[bounds]
    end, start = data.draw(ends, label="end"), data.draw(starts, label="start")
    step = data.draw(steps, label="step")
    listed = {"end": [end], "both": [start, end], "step": [start, end, step]}[given]
    # torch.export fails for float bounds and integer dtypes.
    whole_too = (DType.INT64, DType.INT32) if bounds in ("sizes", "integers") else ()
    wanted = data.draw(st.none() | fwd.dtypes((DType.FLOAT32, *whole_too)), label="dtype")
    kind = "None" if wanted is None else f"torch.{wanted}"
    # torch.export may write down a size that it divides by a step.
    forms = UNEXPORTED if given == "step" and bounds in ("sizes", "both") else QUICK
    made(data, f"torch.arange({', '.join(map(str, listed))}, dtype={kind})", forms)


@pytest.mark.filterwarnings("ignore:torch.range is deprecated:UserWarning")
@covers("aten::range", without={"": "TorchScript resolves it to step"})
def test_range(data: st.DataObject) -> None:
    start, step = number(data, "start", (0, 1, -2, 0.5)), number(data, "step", (1, 2, 0.5))
    end = number(data, "end", ("x.shape[0]", "x.shape[0] + 3"))
    kind = data.draw(st.sampled_from(["None", "torch.float32", "torch.float16"]), label="dtype")
    x = operand(data, "x", ANY, data.draw(fwd.shapes(1, 3), label="shape of x"))
    # The tracer and torch.export write down the number that a size was.
    traced = data.draw(st.booleans(), label="traced")
    check(data, f"x, torch.range({start}, {end}, {step}, dtype={kind})", x=x, may_raise=True,
          batch=[] if traced else ["x"], forms=QUICK if traced else ("scripted",),
          tolerance=STEPS)  # fmt: skip


@pytest.mark.filterwarnings("ignore::fwd_core.rewrite.precision.PrecisionWarning")
@covers("aten::{name}", name=["linspace", "logspace"], each={
    "start": ["-1.5", "a"], "end": ["2", "b"], "steps": ["x.shape[0]", "fixed"],
})  # fmt: skip
def test_between(name: str, start: str, end: str, steps: str, data: st.DataObject) -> None:
    x = operand(data, "x", FLOATS, data.draw(fwd.shapes(1, 2), label="shape of x"))
    a, b = (operand(data, one, (DType.FLOAT32, DType.INT64), (), low=-2, high=2) for one in "ab")
    more = f", {number(data, 'base', (10.0, 2.0, 0.5))}" if name == "logspace" else ""
    kind = data.draw(st.sampled_from(["None", "torch.float32", "torch.float16"]), label="dtype")
    fixed = steps == "fixed"
    steps = str(number(data, "steps", (5, 1, 2))) if fixed else steps
    half = Tolerance(2e-2, 4e-3, reason="torch computes steps of float16 in float16")
    single = Tolerance(2e-5, 1e-6, reason="a power multiplies the rounding of its exponent")
    check(data, f"x, torch.{name}({start}, {end}, {steps}{more}, dtype={kind})", x=x, a=a, b=b,
          batch=[] if fixed else ["x"], tolerance=half if "16" in kind else single,
          forms=QUICK if fixed else UNEXPORTED)  # fmt: skip


@covers("aten::eye", each={
    "sizes": ["x.shape[0]", "x.shape[0], 3", "2, x.shape[0]", "0, x.shape[0] + 1"],
})  # fmt: skip
def test_eye(sizes: str, data: st.DataObject) -> None:
    kind = data.draw(st.none() | fwd.dtypes(ANY), label="dtype")
    call = f"torch.eye({sizes}, dtype={'None' if kind is None else f'torch.{kind}'})"
    made(data, call)


@covers("aten::{name}", "aten::{name}_", name=["tril", "triu"])
def test_triangles(name: str, data: st.DataObject) -> None:
    x = operand(data, "x", ANY, data.draw(fwd.shapes(1, 4), label="shape"))
    diagonal = number(data, "diagonal", (0, 1, -2, 9, "x.shape[0] - 2"))
    call = data.draw(st.sampled_from([f"torch.{name}(x, {{}})", f"x.clone().{name}_({{}})"]))
    check(data, call.format(diagonal), x=x, batch=["x"], may_raise=True, tolerance=EXACT)


@covers("aten::one_hot")
def test_one_hot(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([DType.INT64, DType.INT64, DType.INT32]), label="dtype")
    x = operand(data, "x", (dtype,), data.draw(fwd.shapes(0, 3), label="shape"), low=0, high=3)
    classes = number(data, "num_classes", (4, 7, 0))
    check(data, f"F.one_hot(x, {classes})", x=x, batch=["x"], may_raise=True)


@pytest.mark.filterwarnings("ignore:torch.meshgrid. in an upcoming release:UserWarning")
@covers("aten::meshgrid", each={"indexing": ["", ", indexing='ij'", ", indexing='xy'"]})
def test_meshgrid(indexing: str, data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(ANY), label="dtype")
    x, y, z = (operand(data, one, (dtype,), data.draw(fwd.shapes(0, 1), label=f"shape of {one}"))
               for one in "xyz")  # fmt: skip
    given = data.draw(st.sampled_from(["x", "x, y", "x, y, z"]), label="tensors")
    call = f"torch.meshgrid([{given}]{indexing})"
    check(data, f"a = {call}\nreturn a[0], a[-1], x, y, z", x=x, y=y, z=z, batch=["x"])


@pytest.mark.filterwarnings("ignore:torch.meshgrid. in an upcoming release:UserWarning")
@covers("aten::cartesian_prod")
def test_cartesian_prod(data: st.DataObject) -> None:
    dtype = data.draw(fwd.dtypes(ANY), label="dtype")
    x, y = (operand(data, one, (dtype,), data.draw(fwd.shapes(1, 1), label=f"shape of {one}"))
            for one in "xy")  # fmt: skip
    given = data.draw(st.sampled_from(["x", "x, y", "x, y, x"]), label="tensors")
    check(data, f"torch.cartesian_prod({given}), y", x=x, y=y, batch=["x"])
