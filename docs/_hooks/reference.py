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
from typing import TYPE_CHECKING

from fwd_core import Plugins, cli, hookspecs
from fwd_core.cli.codes import MEANINGS
from fwd_core.cli.main import application
from fwd_core.cli.session import Session
from fwd_core.ir import Operator
from fwd_core.plugins.registers import lowering_key
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
        said = " ".join([_code(_schema(key, _summary(converter))), *_limits(converter)])
        row = proved.get(key, {"dtypes": [], "backends": []})
        tested = "; ".join(", ".join(row[kind]) for kind in ("backends", "dtypes") if row[kind])
        lines.append(f"| `{key}` | {said} | {tested} | {plugins.converters.owner(key)} |")
    backends = list(plugins.backends)
    lines += [
        "",
        "## Operators of the graph",
        "",
        "What a converter emits. *decomposed* means that the backend gets it as simpler operators.",
        "",
        f"| operator | meaning | {' | '.join(backends)} |",
        f"|---|---|{'---|' * len(backends)}",
    ]
    for kind in sorted(plugins.operators):
        operator = plugins.operators[kind]
        cells = [_support(plugins, backend, operator) for backend in backends]
        lines.append(f"| `{kind}` | {_cell(_summary(operator))} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


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
    if lowering_key(backend, operator) in plugins.lowerings:
        return "yes"
    return "decomposed" if operator.decompose is not Operator.decompose else "no"


def _limits(converter: Callable[..., object]) -> Iterator[str]:
    """What follows a converter's first paragraph, and the arguments that it does not take."""
    rest = (inspect.getdoc(converter) or "").split("\n\n")[1:]
    yield from (_cell(part) for part in rest if not part.startswith(("Args:", "Raises:")))
    mark = converter_mark(converter)
    for name, why in mark.unsupported.items():
        yield f"`{name}` only at its default: {_cell(why)}."


def _summary(item: object) -> str:
    return (inspect.getdoc(item) or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")


def _schema(key: str, summary: str) -> str:
    """What a converter says of itself, with the operator's own schema in place of a sibling's."""
    sibling = re.match(r"\w+::\w+(\.\w+)?\(.*?\) -> [^.]+", summary)
    if sibling is None or summary.partition("(")[0].partition(".")[0] == key:
        return summary
    import torch

    found = [str(one) for one in torch._C._jit_get_schemas_for_operator(key)]
    found.sort(key=lambda text: (not text.startswith(f"{key}("), "Scalar other" in text))
    own = found[0] if found else ""
    plain = re.sub(r"^(\w+::\w+)\.\w+\(", r"\1(", own)
    return (plain or sibling[0]) + summary[sibling.end() :]


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
