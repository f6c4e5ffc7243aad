"""The program ``fwd`` on the toy packs alone: models are lists of layers in JSON files."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import toy_backend
from toy_ops import Halves

from fwd_core import Plugins, core_pack, hookimpl
from fwd_core.cli.main import run
from fwd_core.cli.session import Session
from fwd_core.errors import ConversionError, Problem, UnsupportedModelError
from fwd_core.events import Event
from fwd_core.importing import ImportRequest, resolve_dynamic
from fwd_core.ir import DType, Frame, Graph, Location, TensorType, ops
from fwd_core.plugins import registers as reg


class FileImporter:
    """Reads files such as ``[["linear", 4], ["relu"]]``."""

    name = "layers-file"
    priority = 1

    def accepts(self, source: object) -> bool:
        return isinstance(source, str) and source.endswith(".layers")

    def load(self, source: object, request: ImportRequest) -> Graph:
        assert isinstance(source, str)
        layers = json.loads(Path(source).read_text())
        if isinstance(request.inputs, dict):
            ((name, example),) = request.inputs.items()
        else:
            name, (example,) = "x", request.inputs
        dtype = DType.of(example.dtype)
        shapes = resolve_dynamic(request.dynamic, {name: tuple(example.shape)})
        graph = Graph(Path(source).stem)
        value = graph.add_input(name, TensorType(dtype, shapes[name]))
        unknown: Counter[str] = Counter()
        places: dict[str, list[str]] = {}
        for ordinal, (layer, *arguments) in enumerate(layers):
            place = Location(f"layer{ordinal}", layer, Frame("model.py", ordinal + 1, "forward"))
            made = _layer(graph, layer, value, arguments, place)
            if made is None:
                unknown[layer] += 1
                places.setdefault(layer, []).append(str(Location(place.module, "", place.user)))
                continue
            value = made
            request.events.send(Event("import", "step", ordinal + 1, None, layer))
        if unknown:
            problems = [
                Problem(f"toy::{layer}", "no pack converts it", count, tuple(places[layer]), "wait")
                for layer, count in unknown.items()
            ]
            raise UnsupportedModelError("it cannot be converted", problems=problems)
        graph.set_outputs([value], ["y"])
        return graph


def _layer(graph: Graph, layer: str, x: Any, arguments: list[Any], place: Location) -> Any:
    name = f"{place.module}.{layer}"
    if layer == "linear":
        shape = (arguments[0], x.type.shape[-1])
        weight = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
        weight_value = graph.constant(weight, name=f"{name}.weight")
        return graph.add(ops.Linear(x, weight_value), name=name, location=place)
    if layer == "reshape":
        raise ConversionError(
            "reshape: element counts differ", where=place, expected=6, got=7, hint="give 6"
        )
    if layer == "crash":
        raise RuntimeError("the toy importer is broken")
    if layer == "fake":  # what training with quantization leaves
        scale = graph.constant(np.float32(arguments[0]), name=f"{name}.scale")
        small = graph.add(ops.Quantize(x, scale), name=f"{name}.small", location=place)
        return graph.add(ops.Dequantize(small, scale), name=name, location=place)
    if layer == "attention":
        scores = graph.add(ops.MatMul(x, x, transpose_b=True), name=f"{name}.scores")
        weights = graph.add(ops.Softmax(scores, 1), name=f"{name}.weights", location=place)
        return graph.add(ops.MatMul(weights, x), name=name, location=place)
    made = {"relu": ops.Relu, "wave": ops.Tanh}.get(layer)
    return None if made is None else graph.add(made(x), name=name, location=place)


class Pack:
    """Registers the importer."""

    @hookimpl
    def fwd_register_importers(self, register: reg.ImporterRegister) -> None:
        register.add(FileImporter())


class Commands:
    """Registers the core's commands and nothing else."""

    fwd_register_commands = staticmethod(core_pack.fwd_register_commands)


class Broken:
    """Fails while it registers."""

    @hookimpl
    def fwd_register_rewrites(self, register: reg.RewriteRegister) -> None:
        raise OSError("no such thing")


class Clash:
    """Registers what another pack has."""

    @hookimpl
    def fwd_register_operators(self, register: reg.OperatorRegister) -> None:
        register.add(Halves)


#: What is said of :class:`Clash` beside the toy pack.
CLASH = (
    "both register operator 'toy.Halves': packs 'toy' and 'clash'\n"
    "  Hint: disable one with FWD_DISABLE_PACKS=clash, or let one register with override=True"
)


def plugins(**more: object) -> Plugins:
    """The core's commands, the toy packs, and packs of a test."""
    return Plugins({"core": Commands(), "toy": toy_backend, "files": Pack(), **more})


@dataclass(frozen=True)
class Result:
    """What one run of the program did.

    Attributes:
        code: Exit code.
        out: Standard output, with times as ``T s`` and sizes as ``SIZE``.
        err: Standard error, likewise.
        raw: Standard output as it was.
    """

    code: int
    out: str
    err: str
    raw: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.raw)


def fwd(*arguments: object, packs: Plugins | None = None) -> Result:
    """Run the program in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(one) for one in arguments], Session(packs or plugins()))
    raw = out.getvalue()
    return Result(code, normalized(raw), normalized(err.getvalue()), raw)


def normalized(text: str) -> str:
    """Text without what differs from run to run: times, rates and sizes."""
    text = re.sub(r"\b\d+\.\d+ (m?s)\b", r"T \1", text)
    text = re.sub(r"\b\d[\d,]*(\.\d+)? runs/s", "N runs/s", text)
    return re.sub(r"\b\d+(\.\d)? (B|kB|MB)\b", "SIZE", text)


def model(folder: Path, layers: Sequence[Sequence[object]], name: str = "model.layers") -> str:
    """A file of layers."""
    path = folder / name
    path.write_text(json.dumps(layers))
    return str(path)
