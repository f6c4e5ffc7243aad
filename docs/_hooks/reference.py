"""Reference pages that are made from the program itself when the site is built.

Operators, hooks and commands are read from their registries, so these pages cannot go stale.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from fwd_core import Plugins, cli, hookspecs
from fwd_core.backends.tensorrt import network
from fwd_core.backends.tensorrt.features import ROWS
from fwd_core.backends.tensorrt.library import Library
from fwd_core.backends.tensorrt.types import HELD, compute_type
from fwd_core.cli.codes import MEANINGS
from fwd_core.cli.main import application
from fwd_core.cli.session import Session
from fwd_core.ir import DType, Graph, Operator, TensorType, ops
from fwd_core.plugins.markers import lowering_mark
from fwd_core.plugins.registers import lowering_key
from fwd_ops_torch.converting import schemas
from fwd_ops_torch.converting.decorator import converter_mark

if TYPE_CHECKING:
    import click
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files


#: What parity tests have proved, by operator: `nox -s operator-table` writes it.
PROVED = Path(__file__).with_name("operators.json")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages. Called by mkdocs once per build.

    Raises:
        RuntimeError: A pack does not load, so its rows would be missing.
    """
    from mkdocs.structure.files import File

    plugins = Plugins.discover()
    for name, make in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make(plugins)))
    if failures := plugins.failures():
        raise RuntimeError("the reference would lack rows: " + "; ".join(failures))
    return files


def operators_page(plugins: Plugins) -> str:
    """What is converted, and what backends do with it."""
    lines = [
        "# Operators",
        "",
        "## What is converted",
        "",
        f"{len(plugins.converters)} operators of source frameworks have a converter.",
        "",
        "*Proved with* are the backends and the dtypes of tensors that tests have drawn, with",
        "random shapes and arguments, and compared with the framework: OpenVINO computed them,",
        "TensorRT-RTX compiled them. float64 computes in float32, with a warning.",
        "",
        "| operator | schema and limits | proved with | pack |",
        "|---|---|---|---|",
    ]
    proved = json.loads(PROVED.read_text(encoding="utf-8"))
    for key in sorted(plugins.converters):
        converter = plugins.converters[key]
        words = [*_sentence(_summary(converter)), *_limits(converter)]
        shown = [_code(one) for one in _schemas(key, _summary(converter))]
        said = "<br>".join([*shown, " ".join(words)] if words else shown)
        row = proved.get(key, {"dtypes": [], "backends": []})
        tested = "; ".join(", ".join(row[kind]) for kind in ("backends", "dtypes") if row[kind])
        lines.append(f"| `{key}` | {said} | {tested} | {plugins.converters.owner(key)} |")
    backends = list(plugins.backends)
    lines += [
        "",
        "## Operators of the graph",
        "",
        "What a converter emits. *decomposed* means that the backend gets it as simpler operators.",
        "*yes, with limits* means that the backend takes it as it is within them; what is beyond",
        "them is decomposed or refused by name, before anything is built.",
        "",
        f"| operator | meaning | {' | '.join(backends)} |",
        f"|---|---|{'---|' * len(backends)}",
    ]
    older = tensorrt_8_differs(plugins)
    for kind in sorted(plugins.operators):
        operator = plugins.operators[kind]
        cells = [_support(plugins, backend, operator) for backend in backends]
        if kind in older:
            cells[backends.index("tensorrt")] += f" On TensorRT 8.6 {older[kind]}."
        lines.append(f"| `{kind}` | {_cell(_summary(operator))} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_types()]) + "\n"


def hooks_page(_plugins: Plugins) -> str:
    """Every hook: signature and documentation."""
    lines = ["# Hooks", "", *_text(hookspecs.__doc__ or ""), ""]
    for name, spec in hooks():
        parameters = ", ".join(
            f"{one.name}: {one.annotation}" for one in inspect.signature(spec).parameters.values()
        )
        lines += [f"## {name}", "", "```python", f"def {name}({parameters}) -> None", "```", ""]
        lines += [*_text(inspect.getdoc(spec) or ""), ""]
    return "\n".join(lines)


def cli_page(plugins: Plugins) -> str:
    """Every subcommand with its arguments and options."""
    import typer

    group: click.Group = typer.main.get_command(application(Session(plugins)))  # type: ignore[assignment]
    lines = ["# Command line", "", group.help or "", "", *_text(cli.__doc__ or "")[2:], ""]
    lines += ["| exit code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {_cell(meaning)} |" for code, meaning in MEANINGS.items()]
    lines += ["", "`fwd --debug …` or `FORWARD_DEBUG=1` shows tracebacks of failures.", ""]
    for name in group.commands:
        command = group.commands[name]
        described = inspect.cleandoc(command.help or "")
        lines += [f"## fwd {name}", "", *_examples(described), ""]
        lines += ["| | |", "|---|---|"]
        for parameter in command.params:
            shown = ", ".join(f"`{one}`" for one in (*parameter.opts, *parameter.secondary_opts))
            meaning = getattr(parameter, "help", None) or ""
            if parameter.default not in (None, False, ...):
                meaning += f" Default: {parameter.default}."
            lines.append(f"| {shown} | {_cell(meaning)} |")
        lines.append("")
    return "\n".join(lines)


PAGES: dict[str, Callable[[Plugins], str]] = {
    "operators": operators_page,
    "hooks": hooks_page,
    "cli": cli_page,
}


def hooks() -> Iterator[tuple[str, Callable[..., None]]]:
    """All hooks in the order of their file."""
    for name, spec in vars(hookspecs).items():
        if name.startswith("fwd_") and inspect.isfunction(spec):
            yield name, spec


def _support(plugins: Plugins, backend: str, operator: type[Operator]) -> str:
    decomposes = operator.decompose is not Operator.decompose
    lowering = plugins.lowerings.get(lowering_key(backend, operator))
    if lowering is None:
        return "decomposed" if decomposes else "no"
    mark = lowering_mark(lowering)
    if mark is None or mark.unless is None:
        return "yes"
    rest = "decomposed" if decomposes else "refused"
    limits = _cell(_summary(mark.unless))
    return f"yes, with limits, else {rest}" + (f": {limits}" if limits else ".")


#: The version that was executed, as Forward knows it: what it lacks, lowerings ask.
TENSORRT_8 = ROWS["tensorrt", "8.6.0"]


def tensorrt_8_differs(plugins: Plugins) -> dict[str, str]:
    """What becomes there of operators that a newer TensorRT takes as they are, by kind."""
    library = Library(ModuleType("tensorrt"), TENSORRT_8, "8.6.0")
    found = {}
    for graph in _examples_on_8():
        (node,) = graph
        kind, given = node.op.kind(), next(iter(node.op.operands())).type.dtype
        problems = network.unsupported(graph, library, plugins.lowerings)
        if problems:
            found[kind] = f'{given} is refused: "{problems[0].reason}"'
        elif all(left.op.kind() != kind for left in graph):
            found[kind] = f"{given} is decomposed"
    return found


def _examples_on_8() -> Iterator[Graph]:
    """Graphs of one node, of each operator whose lowering asks for what TensorRT 8 lacks."""
    for make, dtype in (
        (lambda x: ops.CumSum(x, 0), DType.FLOAT32),
        (lambda x: ops.Pow(x, x), DType.INT64),
        (lambda x: ops.TopK(x, 2, 0), DType.INT64),
    ):
        graph = Graph()
        made = list(graph.add_all(make(graph.add_input("x", TensorType(dtype, (3,))))))
        graph.set_outputs(made, [f"y{index}" for index in range(len(made))])
        yield graph


def _types() -> Iterator[str]:
    """Which types TensorRT computes in, on the version with the fewest and on the newest."""
    newest = ROWS["tensorrt", "11.4.0.106"]
    yield "## Types on TensorRT"
    yield ""
    yield "Narrow integers wrap as PyTorch's do. A constant that does not fit is refused by name."
    yield ""
    yield "| dtype | computed on 8.6 as | on 11 and RTX as |"
    yield "|---|---|---|"
    for dtype in DType:
        old, new = (HELD[compute_type(dtype, one)] for one in (TENSORRT_8, newest))
        yield f"| {dtype} | {old} | {new} |"


def _limits(converter: Callable[..., object]) -> Iterator[str]:
    """What follows a converter's first paragraph, and the arguments that it does not take."""
    rest = (inspect.getdoc(converter) or "").split("\n\n")[1:]
    yield from (_cell(part) for part in rest if not part.startswith(("Args:", "Raises:")))
    mark = converter_mark(converter)
    for name, why in mark.unsupported.items():
        yield f"`{name}` only at its default: {_cell(why)}."


def _summary(item: object) -> str:
    return (inspect.getdoc(item) or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")


_STATED = re.compile(r"(\w+::\w+(?:\.\w+)?\(.*?\) -> [^.]+)\.?\s*")


def _schemas(key: str, summary: str) -> list[str]:
    """The overloads that a converter serves, the one that its docstring states first."""
    stated = _STATED.match(summary)
    first = "" if stated is None else stated[1]
    found = [one.text for one in schemas.overloads(key) if _is_served(one)]
    if not found:
        return [first] if first else []
    name = first.partition("(")[0]
    return sorted(dict.fromkeys(found), key=lambda text: text.partition("(")[0] != name)


def _is_served(one: schemas.Schema) -> bool:
    """Whether a converter takes an overload: not those on numbers, lists and names, and out=."""
    changes_list = one.written is not None and one.written.is_list
    on_list = changes_list or one.overload == "list_Tensor"
    return one.takes_tensors and not (one.has_out or one.has_names or on_list)


def _sentence(summary: str) -> Iterator[str]:
    """What a converter's first paragraph says after the schema."""
    stated = _STATED.match(summary)
    rest = summary if stated is None else summary[stated.end() :]
    if rest:
        yield _cell(rest)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`").replace("\n", " ")


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _text(docstring: str) -> list[str]:
    """The little of reStructuredText that docstrings use, as Markdown."""
    text = inspect.cleandoc(docstring)
    text = _BLOCK.sub(_fenced, text)
    text = re.sub(r":(?:class|func|data|mod|meth):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"(?<!`)``(?!`)", "`", text)
    return re.sub(r":param (\w+): ", r"- **\1**: ", text).splitlines()


_BLOCK = re.compile(
    r"^(?:Example::|\.\. code-block:: (\w+))\n\n((?: {4}.*(?:\n|$)|\n)+)", re.MULTILINE
)


def _fenced(found: re.Match[str]) -> str:
    code = textwrap.dedent(found[2]).strip()
    lead = "" if found[1] else "Example:\n\n"
    return f"{lead}```{found[1] or 'python'}\n{code}\n```\n\n"


def _examples(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f"    {line}" if line.startswith("fwd ") else line
