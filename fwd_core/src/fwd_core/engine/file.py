"""Engine files: one safetensors container with the plan's bytes and a manifest."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fwd_core import files
from fwd_core.backends.base import Backend, Port
from fwd_core.engine.derived import makers_of
from fwd_core.engine.pool import check_limit
from fwd_core.errors import BuildError, EngineFileError, ForwardError
from fwd_core.ir.attribute_json import Decoder, Encoder
from fwd_core.ir.derived import Derived
from fwd_core.ir.fixed import FixedArgument

if TYPE_CHECKING:
    from fwd_core.engine.engine import Engine
    from fwd_core.ir.graph import Graph
    from fwd_core.plugins import Plugins

FORMAT, VERSION = "forward-engine", 1
_PLAN, _GRAPH = "plan", "graph/"
EngineType = TypeVar("EngineType", bound="Engine")


def save(engine: Engine, path: str | os.PathLike[str]) -> None:
    """Write an engine. See :meth:`Engine.save`."""
    payload = np.frombuffer(engine.plan.payload(), np.uint8)
    tensors: dict[str, NDArray[Any]] = {_PLAN: payload}
    encoder = Encoder()
    document: dict[str, Any] = {
        "manifest": engine.manifest,
        "plan": dict(engine.plan.manifest),
        "inputs": [[port.name, encoder.type(port.type)] for port in engine.all_inputs],
        "outputs": [[port.name, encoder.type(port.type)] for port in engine.outputs],
        "structures": list(engine.structures),
        "fixed": [[one.position, one.name, one.text] for one in engine.fixed],
        "derived": [one.to_json() for one in engine.derived],
        "symbols": encoder.symbols(),
    }
    if engine.graph is not None:
        from fwd_core.ir.serialize import to_parts

        document["graph"], constants = to_parts(engine.graph)
        tensors.update({_GRAPH + key: tensor.data for key, tensor in constants.items()})
    files.write(path, document, tensors, format=FORMAT, version=VERSION)


def load(
    cls: type[EngineType],
    path: str | os.PathLike[str],
    plugins: Plugins | None,
    rebuild: bool,
    contexts: int | None = None,
) -> EngineType:
    """Read an engine. See :meth:`Engine.load`."""
    from fwd_core.plugins import Plugins

    check_limit(contexts)
    plugins = plugins if plugins is not None else Plugins.discover()
    try:
        document, tensors = read(path)
    except EngineFileError as error:
        raise _model_instead(path, plugins) or error from None
    manifest = document["manifest"]
    backend = _backend(path, manifest, plugins)
    inputs, outputs = ports_of(document)
    structures = document["structures"]
    fixed = [FixedArgument(*one) for one in document.get("fixed", ())]
    derived = [Derived.from_json(one) for one in document.get("derived", ())]
    makers = makers_of(derived, plugins, manifest["packs"])
    try:
        plan = backend.read_plan(document["plan"], tensors[_PLAN].data)
        engine = cls(
            backend,
            plan,
            inputs,
            outputs,
            manifest,
            (structures[0], structures[1]),
            contexts,
            fixed=fixed,
            derived=derived,
            makers=makers,
        )
    except (EngineFileError, BuildError) as error:
        # A plan that does not fit can be made again; a device that is not there cannot.
        fits_not = isinstance(error, EngineFileError) or backend.availability().run
        if rebuild and fits_not and "graph" in document:
            return _rebuilt(cls, document, tensors, plugins, contexts)
        raise _not_here(error).located(path) from None
    if "graph" in document:
        engine.graph = partial(graph_of, document, tensors, plugins)
    return engine


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The checked document and tensors of an engine file, without making an engine.

    Raises:
        EngineFileError: The file is missing, damaged, altered, or of another format or version.
    """
    return files.read(path, format=FORMAT, version=VERSION)


def _model_instead(path: str | os.PathLike[str], plugins: Plugins) -> EngineFileError | None:
    """The error for a path that is a model's, which some importer reads; else ``None``."""
    from fwd_core.importing import hidden

    if not zipfile.is_zipfile(path):  # as frameworks save models; importers may be slow to load
        return None
    for importer in plugins.importers.values():
        if not hidden(importer) and importer.accepts(os.fspath(path)):
            return EngineFileError(
                f"{path} is a model, not an engine",
                expected="an engine file, which a build writes",
                got=f"a file that importer {importer.name!r} reads",
                hint=f"`fwd build {path} --input SHAPE -o FILE.engine` makes an engine of it, "
                "and so does forward.build",
            )
    return None


def ports_of(document: dict[str, Any]) -> tuple[list[Port], list[Port]]:
    """Inputs and outputs in a document that :func:`read` returns."""
    decoder = Decoder()
    decoder.declare(document["symbols"])
    inputs, outputs = (
        [Port(name, decoder.type(kind)) for name, kind in document[side]]
        for side in ("inputs", "outputs")
    )
    return inputs, outputs


def _backend(path: object, manifest: Mapping[str, Any], plugins: Plugins) -> Backend:
    name = manifest["backend"]
    backend = plugins.backends.get(name)
    if backend is None:
        raise EngineFileError(
            f"{path} needs backend {name!r}, which no loaded pack has",
            expected=name,
            got=", ".join(plugins.backends) or "no backend",
            hint=f"install what made it: {', '.join(manifest.get('packs', [])) or name}",
        )
    return backend


def _not_here(error: ForwardError) -> EngineFileError:
    """The error of loading for one of a backend that cannot run its plan here."""
    if isinstance(error, EngineFileError):
        return error
    return EngineFileError(
        f"the engine cannot run here, because {error.what}",
        where=error.where,
        expected=error.expected,
        got=error.got,
        details=error.details,
        hint="load it on a machine like the one that it was built for, or build the model for this",
    )


def _rebuilt(
    cls: type[EngineType],
    document: dict[str, Any],
    tensors: dict[str, Any],
    plugins: Plugins,
    contexts: int | None,
) -> EngineType:
    from fwd_core.builder import Builder

    manifest = document["manifest"]
    builder = Builder(
        backend=manifest["backend"],
        mode=manifest["mode"],
        options={**manifest["options"], **manifest.get("build options", {})},
        embed_graph=True,
        plugins=plugins,
        contexts=contexts,
    )
    return builder.compile(graph_of(document, tensors, plugins), engine_type=cls)


def graph_of(document: dict[str, Any], tensors: dict[str, Any], plugins: Plugins) -> Graph:
    """The graph in the parts that :func:`read` returns, whose document has ``graph``.

    Raises:
        EngineFileError: It uses operators that no loaded pack defines.
    """
    from fwd_core.ir.serialize import from_parts

    arrays = {
        name[len(_GRAPH) :]: array for name, array in tensors.items() if name.startswith(_GRAPH)
    }
    return from_parts(document["graph"], arrays, plugins.operators)
