"""The generated pages name everything that is registered."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from fwd_core import Plugins
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.cli.codes import MEANINGS
from fwd_core.ir import DType
from fwd_core.plugins.markers import lowering_mark

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The module that makes the pages."""
    return _hook("reference")


def _hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/_hooks/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    """All installed packs."""
    return Plugins.discover()


def test_operators(reference: ModuleType, plugins: Plugins) -> None:
    rows = [
        line for line in reference.operators_page(plugins).splitlines() if line.startswith("| `")
    ]
    shown = {row.split("`")[1] for row in rows}
    assert len(shown) > 150
    assert shown == set(plugins.converters) | set(plugins.operators)
    for row in rows:
        assert row.replace("\\|", "").count("|") == 5, row


def test_operators_show_their_own_schemas(reference: ModuleType, plugins: Plugins) -> None:
    page = reference.operators_page(plugins)
    row = "| `aten::relu` | `aten::relu(Tensor self) -> Tensor`<br>Any dtype but bool. |"
    assert row in page
    assert "| `aten::std` | `aten::std.correction(" in page, (
        "the overload of the docstring is first"
    )
    rows = [line for line in page.splitlines() if line.startswith("| `aten::")]
    assert len(rows) > 150
    for line in rows:
        key, *listed = re.findall(
            "`([^`]*)`", line.replace("<br>", " ").partition(" | openvino")[0]
        )
        stated = [one for one in listed if "->" in one]
        assert stated, line
        for schema in stated:
            assert re.fullmatch(rf"{re.escape(key)}(\.\w+)?\(.*\) -> [^.]+", schema), line


def test_operators_show_all_overloads(reference: ModuleType, plugins: Plugins) -> None:
    (row,) = [
        line
        for line in reference.operators_page(plugins).splitlines()
        if line.startswith("| `aten::sum` ")
    ]
    for overload in ("sum(Tensor self, *, ", "sum.dim_IntList(Tensor self, int[1]? dim, "):
        assert f"`aten::{overload}" in row
    (sort,) = [
        line
        for line in reference.operators_page(plugins).splitlines()
        if line.startswith("| `aten::sort` ")
    ]
    assert "Tensor[](a!)" not in sort, "lists are no tensors"


def _row(page: str, kind: str) -> str:
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{kind}` ")]
    return row


def test_limits_of_lowerings_are_told(reference: ModuleType, plugins: Plugins) -> None:
    page = reference.operators_page(plugins)
    assert _row(page, "fwd.ScatterND").endswith(
        "| yes | yes, with limits, else decomposed: Scatter layers only replace. |"
    )
    assert _row(page, "fwd.AveragePool").endswith(
        "| yes | yes, with limits, else refused: How far windows of `ceil_mode` run over the end "
        "must be fixed. |"
    )
    assert _row(page, "fwd.Relu").endswith("| yes | yes |")
    limited = 0
    for key, lowering in plugins.lowerings.items():
        mark = lowering_mark(lowering)
        if mark is None or mark.unless is None:
            continue
        backend, _, kind = key.partition(":")
        cell = _row(page, kind).split(" | ")[list(plugins.backends).index(backend) + 2]
        assert cell.startswith("yes, with limits, else "), key
        if mark.unless.__module__.startswith("fwd_core."):
            assert re.search(r": [A-Z].*\.", cell), f"{key}: its predicate says nothing of limits"
            limited += 1
    assert limited >= 20


def test_what_tensorrt_8_lacks_is_told(reference: ModuleType, plugins: Plugins) -> None:
    page = reference.operators_page(plugins)
    assert _row(page, "fwd.Pow").endswith(
        "TensorRT 8 raises floats to a power, not integers. On TensorRT 8.6 int64 is refused: "
        '"tensorrt here raises floats to a power, not integers (of int64[3], int64[3])". |'
    )
    assert "On TensorRT 8.6 float32 is decomposed. |" in _row(page, "fwd.CumSum")
    assert "| bfloat16 | float32 | bfloat16 |\n" in page
    assert "| int64 | int32 | int64 |\n" in page


def test_no_operator_that_tensorrt_8_lacks_is_forgotten(
    reference: ModuleType, plugins: Plugins
) -> None:
    older, newest = reference.TENSORRT_8, ROWS["tensorrt", "11.4.0.106"]
    asking = set()
    for key, lowering in plugins.lowerings.items():
        mark = lowering_mark(lowering)
        if key.startswith("tensorrt:fwd.") and mark is not None and mark.unless is not None:
            asked = re.findall(r"features\.(\w+)", inspect.getsource(mark.unless))
            if any(
                getattr(older, name) != getattr(newest, name) for name in set(asked) - {"flavour"}
            ):
                asking.add(key.partition(":")[2])
    assert asking == set(reference.tensorrt_8_differs(plugins))


def test_docstrings_for_the_site() -> None:
    pytest.importorskip("griffe")
    docstrings = _hook("docstrings")
    text = "Makes :class:`~a.b.Graph`, see :meth:`run`.\n\nExample:\n    >>> f()  # doctest: +SKIP"
    text = text.replace("a.b.", "fwd_core.ir.")
    assert docstrings.rewritten(text, "fwd_core.x.Thing.build") == (
        'Makes <autoref optional identifier="fwd_core.ir.Graph"><code>Graph</code></autoref>, see '
        '<autoref optional identifier="fwd_core.x.Thing.run"><code>run</code></autoref>.\n\n'
        "Examples:\n    >>> f()"
    )


def test_hooks(reference: ModuleType, plugins: Plugins) -> None:
    page = reference.hooks_page(plugins)
    names = [name for name, _ in reference.hooks()]
    assert len(names) >= 9
    for name in names:
        assert f"## {name}\n" in page
    assert page.count("```") == 2 * (2 * len(names) + 1), "a signature and an example for each"
    for leftover in (":param", "::\n", ":class:", "code-block"):
        assert leftover not in page


def test_commands(reference: ModuleType, plugins: Plugins) -> None:
    page = reference.cli_page(plugins)
    assert page.startswith("# Command line\n")
    for name in plugins.commands:
        assert f"## fwd {name}\n" in page
    for code, meaning in MEANINGS.items():
        assert f"| {int(code)} | {meaning} |" in page
    sections = page.split("## fwd ")[1:]
    assert len(sections) == len(plugins.commands)
    for section in sections:
        assert re.search(r"^    fwd \w+", section, re.MULTILINE), "an example"
        assert "| `--json` |" in section
    for dtype in DType:
        assert re.search(rf"\b{dtype}\b", page)
    assert (
        "| `--mode`, `-m` | Precision: float32, float16 or int8; int8_calib calibrates and builds "
        "in float32. Default: float32. |"
    ) in page
    assert "| `--input`, `-i` | Example input, [NAME=]SHAPE[:DTYPE]" in page
