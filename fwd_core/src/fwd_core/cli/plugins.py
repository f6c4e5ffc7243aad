"""``fwd plugins``: installed packs and what they bring."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from fwd_core.cli import options, output
from fwd_core.cli.codes import ExitCode
from fwd_core.cli.progress import loading
from fwd_core.cli.session import Session, session_of
from fwd_core.errors import PluginError
from fwd_core.plugins import Pack, Plugins, Registry
from fwd_core.plugins.manager import DISABLE, ONLY

#: Registries in the order of the road of a model.
KINDS = (
    "importers",
    "converters",
    "operators",
    "rewrites",
    "algorithms",
    "build_options",
    "input_makers",
    "lowerings",
    "backends",
    "commands",
)
#: What stands between group and name in the keys of kinds with many entries.
_GROUPS = {"converters": "::", "lowerings": ":", "operators": "."}


#: Columns of lists of names.
_WIDTH = 100


def plugins(
    ctx: typer.Context,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name everything that packs register.")
    ] = False,
    json: options.Json = False,
) -> None:
    """List packs: version, hooks, what they register, and why one is not used.

    fwd plugins --verbose

    Ends with code 1 if two packs register the same thing, which stops every build.
    """
    session = session_of(ctx, json=json)
    found = session.plugins
    with loading(session):
        clashes = collect_clashes(found)
        registered = {name: held(found, name, clashes) for name in found.packs}
    if session.json:
        packs = [
            asdict(pack) | {"registers": registered[name]} for name, pack in found.packs.items()
        ]
        session.emit({"packs": packs, "clashes": list(clashes.values())})
    else:
        for name, pack in found.packs.items():
            _print(session, pack, registered[name], verbose)
        for text in clashes.values():
            output.print_text(session.out, text, style="red")
    if clashes:
        raise typer.Exit(ExitCode.FAILED)


def collect_clashes(found: Plugins) -> dict[str, str]:
    """Kinds of which two packs register the same key, with the text that says which."""
    clashes: dict[str, str] = {}
    for kind in KINDS:
        try:
            getattr(found, kind)
        except PluginError as error:
            clashes[kind] = str(error)
    return clashes


def held(found: Plugins, pack: str, clashes: Container[str]) -> dict[str, list[str]]:
    """Keys of what a pack registers, by kind; lowerings as ``backend:operator``."""
    from fwd_core.importing import hidden

    result: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind in clashes:
            continue
        registry: Registry[Any] = getattr(found, kind)
        keys = [
            entry.key
            for entry in registry.entries()
            if entry.owner == pack and not (kind == "importers" and hidden(entry.item))
        ]
        if keys:
            result[kind] = sorted(keys) if kind in _GROUPS else keys
    return result


def _print(session: Session, pack: Pack, registered: dict[str, list[str]], verbose: bool) -> None:
    origin = f" ({pack.distribution} {pack.version})" if pack.distribution else ""
    session.out.print(pack.name, style="bold", markup=False, end="")
    output.print_text(session.out, origin)
    facts: dict[str, str] = {}
    if pack.failure:
        facts["failed"] = pack.failure
    if pack.disabled:
        facts["disabled"] = f"by {ONLY} or {DISABLE}"
    facts["hooks"] = ", ".join(hook.removeprefix("fwd_") for hook in pack.hooks) or "none"
    for kind, keys in registered.items():
        facts[kind] = "\n".join(_counted(kind, keys, verbose))
    output.print_facts(session.out, facts)


def _counted(kind: str, keys: Sequence[str], verbose: bool) -> list[str]:
    """``190 aten`` for each group, with names if they are asked for or few."""
    mark = _GROUPS.get(kind)
    if mark is None:
        return [f"{len(keys)}: {', '.join(keys)}"]
    groups: dict[str, list[str]] = {}
    for key in keys:
        group, _, name = key.partition(mark)
        groups.setdefault(group, []).append(name)
    if not verbose:
        return [", ".join(f"{len(names)} {group}" for group, names in groups.items())]
    return [
        textwrap.fill(f"{len(names)} {group}: {', '.join(_short(names))}", _WIDTH)
        for group, names in groups.items()
    ]


def _short(names: Sequence[str]) -> list[str]:
    """Names in order, ``relu[_]`` for an operator and its form that writes in place."""
    held = set(names)
    return [
        f"{name}[_]" if f"{name}_" in held else name
        for name in sorted(names)
        if not (name.endswith("_") and name[:-1] in held)
    ]
