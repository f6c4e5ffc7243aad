"""Random programs with branches on data: one engine, run on several inputs.

The programs compute on small whole numbers in float32, exactly, so that an engine takes the
branches that PyTorch takes and gives the very same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from parity_cases import plugins

from fwd_core import Builder
from fwd_core.ir import ops
from fwd_core.testing.compare import Tolerance, assert_equal
from fwd_ops_torch.testing import TorchReference, module_from_source

EXACT = Tolerance(0.0, 0.0, reason="whole numbers that float32 holds")
#: How many different programs, in this profile.
PROGRAMS = max(10, settings().max_examples // 2)
TENSORS = ("a", "b")
_UNARY = ("{0}.relu()", "-{0}", "{0}.abs()", "{0} + 1", "{0} * n", "{0} - 2 * n")
_BINARY = ("{0} + {1}", "{0} - {1}", "torch.maximum({0}, {1})", "torch.where({0} > {1}, {0}, n)")
_WRITES = (
    "{0}[0] += {1}[-1]",
    "{0}[:, 1] = {1}[:, 2]",
    "{0}.t()[2].neg_()",
    "{0}.add_({1})",
    "{0}[0, 1] = 3",
    "{0}.mul_(n)",
)
_CONDITIONS = (
    "{0}.sum() > {2}",
    "{0}[0, 1] < {1}[0, 0]",
    "bool({0}.sum() > {2}) and n > 1",
    "not bool({0}[0, 2] > {2}) or {1}.sum().item() < 3",
    "n > 2",
    "int({0}.sum()) % 3 == n",
    "torch.is_nonzero({0}[0, 0])",
    "x.size(0) > 2",
    "x.size(0) * n > {1}[0, 1].item()",
)


@st.composite
def blocks(draw: st.DrawFn, depth: int, loop: bool = False) -> list[str]:
    """Statements on the tensors ``a`` and ``b`` and the number ``n``; in a loop it may end."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        one, other = draw(st.permutations(TENSORS))
        kinds = ["assign", "combine", "write", "number"] + ["if", "if", "loop"] * bool(depth)
        kind = draw(st.sampled_from(kinds))
        if kind == "assign":
            lines.append(f"{one} = {draw(st.sampled_from(_UNARY)).format(one)}")
        elif kind == "combine":
            lines.append(f"{one} = {draw(st.sampled_from(_BINARY)).format(one, other)}")
        elif kind == "write":
            lines.append(draw(st.sampled_from(_WRITES)).format(one, other))
        elif kind == "number":
            lines.append(draw(st.sampled_from(["n = 2", "n = n + 1", "n = 3 - n"])))
        elif kind == "loop":
            lines.append(f"for i in range({draw(st.integers(2, 3))}):")
            lines += _indented(draw(blocks(depth - 1, loop=True)))
        else:
            bound = draw(st.integers(-6, 6))
            condition = draw(st.sampled_from(_CONDITIONS)).format(one, other, bound)
            lines.append(f"if {condition}:")
            lines += _indented(draw(blocks(depth - 1, loop=loop)))
            if loop and draw(st.booleans()):
                lines.append(f"    {draw(st.sampled_from(['break', 'continue']))}")
            if draw(st.booleans()):
                lines.append("else:")
                lines += _indented(draw(blocks(depth - 1, loop=loop)))
        # Nothing grows beyond what is exact, however often a loop comes by.
        lines += [f"{name} = {name}.clamp(-99, 99)" for name in TENSORS if kind in ("loop", "if")]
    return lines


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def arrays(rows: int) -> st.SearchStrategy[Any]:
    numbers = st.lists(st.integers(-5, 5), min_size=rows * 3, max_size=rows * 3)
    return numbers.map(lambda drawn: np.array(drawn, np.float32).reshape(rows, 3))


def agree(data: st.DataObject, source: str, form: str, *, choices: bool = True) -> None:
    """Check that an engine of the program gives what PyTorch gives, for all of some inputs."""
    module = module_from_source(source, "x: torch.Tensor")
    dynamic = {"x": {0: ("rows", 1, 3, 4)}} if data.draw(st.booleans(), label="dynamic") else None
    sizes = st.integers(1, 4) if dynamic else st.just(3)
    runs = [data.draw(arrays(data.draw(sizes)), label="x") for _ in range(6)]
    reference = TorchReference()
    first = data.draw(arrays(3), label="example")
    made = reference.forms(module, (first,), dynamic, plugins())[form]()
    builder = Builder(backend="openvino", plugins=plugins())
    graph = builder.import_model(made, (first,), dynamic=dynamic).verify()
    if choices:
        assert any(isinstance(node.op, ops.If) for node in graph)
    with builder.compile(graph) as engine:
        for x in runs:
            expected = reference.run(module, (x,))
            assert_equal(engine(x), expected, tolerance=EXACT, mode="float32", call=source)
    tensorrt = Builder(backend="tensorrt", plugins=plugins())
    if tensorrt.backend().availability().build and data.draw(st.booleans(), label="on TensorRT"):
        tensorrt.compile(tensorrt.import_model(made, (first,), dynamic=dynamic))


@settings(max_examples=PROGRAMS)
@given(data=st.data())
def test_scripted_programs(data: st.DataObject) -> None:
    lines = [
        "n = 1",
        "a, b = x + 0, x * 2",
        "row = a[0]",
        *data.draw(blocks(3), label="program"),
        "return a, [b + n], {'row': row + 0}, torch.tensor(n)",
    ]
    agree(data, "\n".join(lines), "scripted", choices=False)


@settings(max_examples=PROGRAMS)
@given(data=st.data())
def test_early_returns(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 2), label="n")
    lines = [f"n = {n}", "a, b = x + 0, x * 2"]
    for _ in range(data.draw(st.integers(1, 3), label="returns")):
        bound = data.draw(st.integers(-6, 6))
        lines += [
            f"if a.sum() > {bound}:",
            *_indented(data.draw(blocks(1))),
            "    return a + n",
            *data.draw(blocks(0)),
        ]
    lines.append("return b * n")
    agree(data, "\n".join(lines), "scripted")


@st.composite
def conditions(draw: st.DrawFn, depth: int) -> list[str]:
    """The body of a function of ``a`` and ``b`` that returns a tensor and a number."""
    if not depth or draw(st.booleans()):
        made = [draw(st.sampled_from(_UNARY + _BINARY)).format(*draw(st.permutations(TENSORS)))]
        made.append(draw(st.sampled_from(["a.sum()", "b[0, 0] * n", "torch.zeros(())"])))
        return [f"n = {draw(st.integers(1, 3))}", f"return {', '.join(made)}"]
    bound = draw(st.integers(-6, 6))
    tests = ["a.sum() > {0}", "(a > b).any()", "b[0, 1] < {0}", "(a.sum() > {0}) & (b[0, 0] > 0)"]
    return [
        "def then(a, b):",
        *_indented(draw(conditions(depth - 1))),
        "def otherwise(a, b):",
        *_indented(draw(conditions(depth - 1))),
        f"return torch.cond({draw(st.sampled_from(tests)).format(bound)}, then, otherwise, (a, b))",
    ]


@settings(max_examples=max(4, PROGRAMS // 3))  # torch takes seconds to export one
@given(data=st.data())
def test_exported_programs(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["exported", "exported", "decomposed"]), label="form")
    body = data.draw(conditions(2).filter(lambda lines: "def then(a, b):" in lines), label="body")
    lines = ["def outer(a, b):", *_indented(body), "y, z = outer(x + 1, x * 2)", "return y, z + 1"]
    agree(data, "\n".join(lines), form)
