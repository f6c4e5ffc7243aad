"""Graphs and engines as JSON, for ``fwd inspect``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fwd_core.cli.build import port
from fwd_core.errors import EngineFileError

if TYPE_CHECKING:
    from fwd_core.backends import Port
    from fwd_core.ir import Derived, Graph, Value

_MANY = 8


def ports(given: Sequence[Port], returned: Sequence[Port]) -> dict[str, Any]:
    """Inputs, outputs, and the sizes that change from run to run."""
    symbols = {symbol.name: symbol for one in given for symbol in one.type.symbols}
    return {
        "inputs": [port(one) for one in given],
        "outputs": [port(one) for one in returned],
        "dims": {
            name: {"min": symbol.min, "opt": symbol.opt, "max": symbol.max}
            for name, symbol in symbols.items()
        },
    }


def of_graph(graph: Graph) -> dict[str, Any]:
    """What :func:`ports` says of an engine, of a graph."""
    from fwd_core.backends import Port

    returned = zip(graph.output_names, graph.outputs, strict=True)
    return with_made(
        [Port(value.name, value.type) for value in graph.inputs],
        [Port(name, value.type) for name, value in returned],
        graph.derived,
    )


def with_made(
    every: Sequence[Port], returned: Sequence[Port], derived: Iterable[Derived]
) -> dict[str, Any]:
    """What :func:`ports` says, and which inputs nobody gives, with what they are made of."""
    of = {name: list(one.reads) for one in derived for name in one.gives}
    given = ports([one for one in every if one.name not in of], returned)
    made = [port(one) | {"of": of[one.name]} for one in every if one.name in of]
    return given | {"made": made}


def operators(graph: Graph) -> dict[str, Any]:
    """Operators with counts, the most frequent first, also of the graphs inside others."""
    from fwd_core.ir import ops

    counts: Counter[str] = Counter()
    constants = dict(graph.constants)
    for node in graph.walk():
        if not isinstance(node.op, ops.Constant):
            counts[node.op.kind().removeprefix("fwd.")] += 1
        for inner in node.op.graphs():
            constants |= inner.constants
    return {
        "name": graph.name,
        "operators": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        "constants": len(constants),
        "constant_bytes": sum(tensor.data.nbytes for tensor in constants.values()),
    }


def tensors(
    graph: Graph | None, file: str, skip: Sequence[str] = (), attention: bool = False
) -> list[dict[str, Any]]:
    """Values of a graph in order: inputs, then what is computed. Constants are left out.

    Those of a graph inside an operator follow the operator's results, its inputs left out.
    ``range`` says whether int8 needs a range of one: caches and scale files hold those.

    Args:
        graph: The graph, or ``None`` where the file keeps none.
        file: Where it is from.
        skip: What stays in float.
        attention: Whether the products of attention are in int8 too.

    Raises:
        EngineFileError: There is no graph.
        OptionError: A pattern of ``skip`` matches nothing.
    """
    if graph is None:
        raise EngineFileError(
            f"{file} holds no graph whose tensors could be listed",
            hint="build it with --embed-graph, or inspect the model",
        )
    computed = [value for node in graph.walk() for value in node.outputs]
    ranged = _ranged(graph, skip, attention)
    return [
        port(value) | {"range": value in ranged}
        for value in (*graph.inputs, *computed)
        if value.constant is None
    ]


def tensor_rows(found: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What :func:`tensors` says, as cells of a table."""
    return [
        [one["name"], type_text(one), "int8 needs its range" if one["range"] else ""]
        for one in found
    ]


def _ranged(graph: Graph, skip: Sequence[str], attention: bool) -> frozenset[Value | None]:
    from fwd_core.errors import CalibrationError
    from fwd_core.quantize.placement import quantizable

    try:
        names = quantizable(graph, skip=skip, attention=attention)
        return frozenset(map(graph.find, names))
    except CalibrationError:  # it is in int8 already
        return frozenset()


def layer_rows(manifest: Mapping[str, Any]) -> list[list[str]]:
    """Kernel, type and what it computes of each compiled layer that an engine's build kept.

    Layers that only keep streams in step are left out.
    """
    from fwd_core.backends.tensorrt.layers import CompiledLayer

    rows = []
    for entry in manifest.get("layers", ()):
        layer = CompiledLayer.from_json(entry)
        if not layer.computes:
            continue
        rows.append([layer.kind, layer.dtype, computes(layer.nodes) or layer.name])
    return rows


def computes(nodes: Sequence[str]) -> str:
    """Nodes that a compiled layer computes; of many, the first."""
    more = [f"and {len(nodes) - _MANY} more"] if len(nodes) > _MANY else []
    return ", ".join([*nodes[:_MANY], *more])


def profile_rows(manifest: Mapping[str, Any]) -> list[list[str]]:
    """Ranges of each optimization profile of an engine that has several."""
    from fwd_core.backends.tensorrt.profiles import shown

    profiles = manifest.get("profiles", ())
    if len(profiles) < 2:
        return []
    return [[str(index), shown(profile)] for index, profile in enumerate(profiles)]


def type_text(one: Mapping[str, Any]) -> str:
    """The type of a port, as ``float32[batch, 3]``."""
    return f"{one['dtype']}[{', '.join(map(str, one['shape']))}]"


def value_text(value: Any) -> str:
    """An entry of a manifest in a few words."""
    if isinstance(value, dict):
        said = {name: item for name, item in value.items() if item is not None}
        return ", ".join(f"{name}={value_text(item)}" for name, item in said.items()) or "none"
    if isinstance(value, list):
        if len(value) > _MANY or any(isinstance(item, (dict, list)) for item in value):
            return f"{len(value)} entr{'y' if len(value) == 1 else 'ies'}"
        return ", ".join(map(str, value)) or "none"
    return str(value)
