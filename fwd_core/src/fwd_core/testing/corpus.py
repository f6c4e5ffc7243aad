"""Cases kept in a folder: graphs with inputs and expected outputs, to replay where no framework is.

A corpus is a folder with ``index.jsonl`` (a line per case), ``graphs/`` (graph files, shared by
cases) and ``cases/`` (a safetensors container per case). Names are hashes of the contents, so a
case that is added twice is there once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fwd_core import files
from fwd_core.errors import EngineFileError
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.operator import Operator
from fwd_core.ir.printer import text
from fwd_core.ir.serialize import load, save
from fwd_core.ir.tensor import Tensor
from fwd_core.testing.compare import Tolerance, Tolerances, tolerance_for

FORMAT, VERSION = "forward-case", 1
_INDEX, _GRAPHS, _CASES = "index.jsonl", "graphs", "cases"


@dataclass(frozen=True)
class Entry:
    """One line of the index.

    Attributes:
        id: Hash of graph and inputs.
        graph: Name of the graph's file.
        title: What was tested, for a person: a call to paste.
        operators: Kinds of operators in the graph.
    """

    id: str
    graph: str
    title: str
    operators: Sequence[str]


@dataclass(frozen=True)
class Case:
    """One case, read.

    Attributes:
        entry: Its line of the index.
        graph: The graph, after clean-up, before fusions and precision.
        inputs: By name.
        expected: Outputs in the graph's order.
        tolerances: By dtype, for mode float32.
    """

    entry: Entry
    graph: Graph
    inputs: Mapping[str, Tensor]
    expected: Sequence[Tensor]
    tolerances: Mapping[DType, Tolerance]

    def tolerances_in(self, mode: str) -> Mapping[DType, Tolerance]:
        """The tolerances of a mode: at least what its compute type needs."""
        return {
            dtype: _wider(kept, tolerance_for(dtype, mode)) if mode != "float32" else kept
            for dtype, kept in self.tolerances.items()
        }


#: The corpus that :func:`~fwd_core.testing.assert_parity` adds to, unless it is handed one.
_KEEPING: ContextVar[Corpus | None] = ContextVar("keeping", default=None)


@contextmanager
def keeping(corpus: Corpus) -> Iterator[None]:
    """Let every check within the block add its cases to a corpus."""
    token = _KEEPING.set(corpus)
    try:
        yield
    finally:
        _KEEPING.reset(token)


def kept() -> Corpus | None:
    """The corpus of the block under way, if there is one."""
    return _KEEPING.get()


class Corpus:
    """A folder of cases; it is made when the first is added.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def add(
        self,
        graph: Graph,
        inputs: Sequence[Tensor],
        expected: Sequence[Tensor],
        *,
        title: str,
        tolerance: Tolerances = None,
    ) -> str:
        """Keep a case and return its id. The graph is not changed.

        Args:
            graph: What to build.
            inputs: In the order of the graph's inputs.
            expected: In the order of its outputs.
            title: What was tested.
            tolerance: As for :func:`~fwd_core.testing.assert_equal`.

        Raises:
            EngineFileError: The folder cannot be written.
        """
        name = _digest(text(graph), *sorted(graph.constants), *map(repr, _symbols(graph)))
        case = _digest(name, *(tensor.digest for tensor in inputs))
        path = self._case(case)
        if path.exists():
            return case
        self._make_folders()
        if not self._graph(name).exists():
            save(graph, self._graph(name))
        kinds = {tensor.dtype for tensor in expected if tensor.dtype.is_float}
        header = {
            "inputs": [[value.name, str(tensor.dtype)] for value, tensor in
                       zip(graph.inputs, inputs, strict=True)],
            "outputs": [str(tensor.dtype) for tensor in expected],
            "tolerances": {
                str(kind): [kept.rtol, kept.atol, kept.reason]
                for kind in sorted(kinds, key=str)
                for kept in [tolerance_for(kind, "float32", tolerance)]
            },
        }  # fmt: skip
        tensors = {f"in.{i}": tensor.data for i, tensor in enumerate(inputs)}
        tensors |= {f"out.{i}": tensor.data for i, tensor in enumerate(expected)}
        files.write(path, header, tensors, format=FORMAT, version=VERSION)
        operators = sorted({node.op.kind() for node in graph.walk()})
        line = json.dumps(asdict(Entry(case, name, title, operators)))
        # One write to a file opened for appending: processes may add to one corpus at once.
        with (self.folder / _INDEX).open("ab", buffering=0) as stream:
            stream.write(line.encode() + b"\n")
        return case

    def _make_folders(self) -> None:
        try:
            for part in (_GRAPHS, _CASES):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EngineFileError(f"cannot write {self.folder}: {error.strerror}") from None

    def entries(self) -> list[Entry]:
        """All cases, each once, in the order of their ids.

        Raises:
            EngineFileError: The folder is no corpus, or its index is damaged.
        """
        path = self.folder / _INDEX
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            listed = [Entry(**json.loads(line)) for line in lines]
        except FileNotFoundError:
            raise EngineFileError(
                f"{self.folder} is no corpus: it has no {_INDEX}",
                hint="pytest --forward-corpus DIR writes one",
            ) from None
        except (ValueError, TypeError) as error:
            raise EngineFileError(f"{path} is damaged", details=[str(error)]) from None
        return sorted({entry.id: entry for entry in listed}.values(), key=lambda one: one.id)

    def case(self, entry: Entry, operators: Mapping[str, type[Operator]] | None = None) -> Case:
        """Read a case.

        Args:
            entry: From :meth:`entries`.
            operators: As for :func:`fwd_core.ir.load`.

        Raises:
            EngineFileError: A file is missing or damaged, or needs operators that are not there.
        """
        header, arrays = files.read(self._case(entry.id), format=FORMAT, version=VERSION)
        return Case(
            entry,
            load(self._graph(entry.graph), operators),
            {
                name: Tensor(arrays[f"in.{i}"], DType.of(dtype))
                for i, (name, dtype) in enumerate(header["inputs"])
            },
            [
                Tensor(arrays[f"out.{i}"], DType.of(dtype))
                for i, dtype in enumerate(header["outputs"])
            ],
            {DType.of(dtype): _tolerance(*kept) for dtype, kept in header["tolerances"].items()},
        )

    def _graph(self, name: str) -> Path:
        return self.folder / _GRAPHS / f"{name}.graph"

    def _case(self, name: str) -> Path:
        return self.folder / _CASES / f"{name}.case"


def _tolerance(rtol: float, atol: float, reason: str) -> Tolerance:
    return Tolerance(rtol, atol, reason=reason)


def _wider(a: Tolerance, b: Tolerance) -> Tolerance:
    reason = a.reason if a.reason == b.reason else f"{a.reason}; {b.reason}"
    return Tolerance(max(a.rtol, b.rtol), max(a.atol, b.atol), reason=reason)


def _symbols(graph: Graph) -> list[Any]:
    return [symbol for value in graph.inputs for symbol in value.type.symbols]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
