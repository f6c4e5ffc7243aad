"""Replaying a corpus on a backend: ``python -m fwd_core.testing.replay DIR --backend NAME``.

Needs neither the framework that made the cases nor pytest. Every case is built and run in a
process of its own kind, so a crash of a backend's library is one failed case. Results are written
at once, a JSON line per case, so that a run that was cut off can go on with ``--resume``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from fwd_core.builder import Builder
from fwd_core.errors import ForwardError, InputError
from fwd_core.files import atomic_path
from fwd_core.ir import ops
from fwd_core.ir.dtypes import DType
from fwd_core.ir.graph import Graph
from fwd_core.ir.types import TensorType
from fwd_core.plugins import Plugins
from fwd_core.testing.approximations import approximated, uncompared, without
from fwd_core.testing.compare import assert_equal
from fwd_core.testing.corpus import Case, Corpus, Entry
from fwd_core.testing.parity import as_words, from_words
from fwd_core.testing.workers import Lost, Workers

#: Exit codes.
PASSED, FAILED, USAGE, UNFINISHED = range(4)
#: A case that takes longer than this, in seconds, is given up.
CASE_SECONDS = 120.0


@dataclass(frozen=True)
class Result:
    """What became of one case.

    Attributes:
        id: The case.
        outcome: ``passed``, ``uncompared`` (it ran, and no element of its outputs is one that
            this backend can be held to), ``built`` (the backend cannot run here), ``differs``,
            ``error``, ``crashed`` or ``timeout``.
        seconds: How long it took.
        reason: Of a failure, its whole text.
        title: What was tested.
        compared: Elements of outputs that were compared.
        left_out: Elements of outputs that were not.
    """

    id: str
    outcome: str
    seconds: float
    reason: str = ""
    title: str = ""
    compared: int = 0
    left_out: int = 0

    @property
    def failed(self) -> bool:
        """Whether anything went wrong."""
        return self.outcome not in ("passed", "uncompared", "built")


@dataclass(frozen=True)
class Settings:
    """What is replayed, and how.

    Attributes:
        folder: The corpus.
        backend: Name of the backend.
        mode: Numeric mode.
        options: Options of the backend.
    """

    folder: str
    backend: str
    mode: str
    options: tuple[tuple[str, object], ...] = ()


class Replay:
    """Builds and runs cases in this process.

    Args:
        settings: What to replay.
        plugins: Packs to use; by default all that are installed.
    """

    def __init__(self, settings: Settings, plugins: Plugins | None = None) -> None:
        self._settings = settings
        self._corpus = Corpus(settings.folder)
        self._plugins = plugins if plugins is not None else Plugins.discover()
        self._builder = Builder(
            backend=settings.backend,
            mode=settings.mode,
            options=dict(settings.options),
            plugins=self._plugins,
        )
        self._runs = self._builder.backend().availability().run

    def warm(self) -> None:
        """Build and run a product, so that what a backend loads at first is no case's time."""
        graph = Graph("warm")
        x = graph.add_input("x", TensorType(DType.FLOAT32, (2, 2)))
        graph.set_outputs([graph.add(ops.MatMul(x, x))], ["y"])
        try:
            with self._builder.compile(graph) as engine:
                if self._runs:
                    engine.run_list([np.ones((2, 2), np.float32)])
        except Exception:  # noqa: BLE001 - the cases will tell
            return

    def run(self, entry: Entry) -> Result:
        """Replay one case. Never raises for what the case itself does."""
        start = time.perf_counter()
        reason, compared, left_out = "", 0, 0
        try:
            case = self._corpus.case(entry, self._plugins.operators)
            compared, left_out = self._check(case)
            ran = "uncompared" if left_out and not compared else "passed"
            outcome = ran if self._runs else "built"
        except AssertionError as error:
            outcome, reason = "differs", str(error)
        except Exception as error:  # noqa: BLE001 - one case must not end the others
            outcome, reason = "error", f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        return Result(entry.id, outcome, seconds, reason, entry.title, compared, left_out)

    def _check(self, case: Case) -> tuple[int, int]:
        """How many elements were compared, and how many were not."""
        mode = self._settings.mode
        with self._builder.compile(case.graph) as engine:
            if not self._runs:
                return 0, 0
            ports = {port.name: port for port in engine.inputs}
            feeds = {name: as_words(tensor) for name, tensor in case.inputs.items()}
            results = engine.run_list([feeds[name] for name in ports])
            got = [from_words(p, array) for p, array in zip(engine.outputs, results, strict=True)]
            backend, kinds = self._settings.backend, case.entry.operators
            given = case.inputs.values()
            places = [uncompared(backend, kinds, given, one, mode) for one in case.expected]
            expected = [
                without(tensor, one, where)
                for tensor, one, where in zip(case.expected, got, places, strict=True)
            ]
            assert_equal(
                tuple(got),
                tuple(expected),
                tolerance=approximated(case.tolerances_in(mode), backend, kinds),
                mode=mode,
                names=[port.name for port in engine.outputs],
                call=case.entry.title,
            )
        left_out = sum(int(where.sum()) for where in places)
        return sum(where.size for where in places) - left_out, left_out


def shard(entries: Sequence[Entry], text: str) -> list[Entry]:
    """Every n-th case, for ``"i/n"`` with i in 1 … n.

    Raises:
        InputError: The text has another form.
    """
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise InputError("a shard is i/n with i in 1 … n", got=text)
    return list(entries)[int(index) - 1 :: int(count)]


def results_in(path: Path) -> list[Result]:
    """Results that are in a file; a last line that was cut off is left out."""
    found = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(Result(**json.loads(line)))
            except (ValueError, TypeError):
                continue
    return found


def replay(
    settings: Settings,
    entries: Sequence[Entry],
    *,
    jobs: int = 1,
    seconds: float | None = None,
    case_seconds: float = CASE_SECONDS,
) -> Iterator[Result]:
    """Replay cases in other processes and give results as they come.

    Args:
        settings: What to replay.
        entries: The cases.
        jobs: Processes.
        seconds: No case is begun after that long; by default all are.
        case_seconds: A case that takes longer is given up.
    """
    end = None if seconds is None else time.monotonic() + seconds
    workers: Workers[Entry] = Workers(asdict(settings), jobs, case_seconds)
    with workers:
        for entry, answer in workers.run(entries, asdict, end):
            if isinstance(answer, Lost):
                yield Result(entry.id, answer.outcome, answer.seconds, answer.reason, entry.title)
            else:
                yield Result(**answer)


def main(arguments: Sequence[str] | None = None, out: TextIO | None = None) -> int:
    """Run the program once.

    Returns:
        0 if all cases passed, 1 if any failed, 2 for a malformed command line or corpus, 3 if the
        budget ended before the cases did.
    """
    out = out if out is not None else sys.stdout
    asked = _parser().parse_args(arguments)
    options = tuple(_option(text) for text in asked.option)
    settings = Settings(str(asked.folder), asked.backend, asked.mode, options)
    try:
        chosen = shard(Corpus(asked.folder).entries(), asked.shard)
        chosen_backend = Builder(backend=asked.backend, mode=asked.mode).backend()
        chosen_backend.options.parse(chosen_backend.name, dict(options))
    except ForwardError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    name = f"{asked.backend}-{asked.mode}-{asked.shard.replace('/', 'of')}.jsonl"
    path = Path(asked.output) if asked.output else Path(asked.folder) / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {result.id: result for result in results_in(path)} if asked.resume else {}
    results = [known[entry.id] for entry in chosen if entry.id in known]
    rest = [entry for entry in chosen if entry.id not in known]
    with atomic_path(path) as fresh:  # without a line that was cut off
        fresh.write_text("".join(map(_line, known.values())), encoding="utf-8")
    with path.open("a", encoding="utf-8") as stream:
        running = replay(
            settings, rest, jobs=asked.jobs, seconds=asked.budget_seconds,
            case_seconds=asked.case_seconds,
        )  # fmt: skip
        for result in running:
            stream.write(_line(result))
            stream.flush()
            os.fsync(stream.fileno())
            results.append(result)
            if result.failed:
                out.write(f"{result.outcome:8} {result.id}  {_first_line(result.reason)}\n")
    return report(results, len(chosen), path, out)


def report(results: Sequence[Result], total: int, path: Path, out: TextIO) -> int:
    """Tell what became of cases; returns the exit code.

    Args:
        results: Of the cases that were replayed.
        total: How many there are.
        path: Where the results are kept.
        out: Where to write.
    """
    failures = [result for result in results if result.failed]
    if failures:
        out.write(f"\n{len(failures)} failures\n")
        for result in failures:
            out.write(f"  {result.id}  {result.outcome:8} {_first_line(result.reason)}\n")
            out.write(f"    {result.title}\n")
    for result in results:
        if result.outcome == "uncompared":
            out.write(f"{result.outcome} {result.id}  {result.title}\n")
    counts: dict[str, int] = {}
    for result in results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())) or "nothing"
    left = total - len(results)
    seconds = sum(result.seconds for result in results)
    skipped = sum(result.left_out for result in results)
    if skipped:
        held = sum(result.compared for result in results)
        out.write(f"{held} elements compared, {skipped} not\n")
    out.write(f"{told}" + f", {left} left" * bool(left) + f" in {seconds:.1f} s; {path}\n")
    if failures:
        return FAILED
    return UNFINISHED if left else PASSED


def _line(result: Result) -> str:
    return json.dumps(asdict(result)) + "\n"


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def _option(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fwd_core.testing.replay",
        description="Replay a corpus of graphs, inputs and expected outputs on a backend.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the corpus")
    parser.add_argument("--backend", required=True, help="name of the backend")
    parser.add_argument("--mode", default="float32", help="numeric mode (float32)")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="every N-th case, from I on")
    parser.add_argument("--resume", action="store_true", help="leave out cases that have a result")
    parser.add_argument("--budget-seconds", type=float, help="begin no case after that long")
    parser.add_argument("--case-seconds", type=float, default=CASE_SECONDS,
                        help="give up a case after that long")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                        help="an option of the backend; repeatable")  # fmt: skip
    parser.add_argument("--output", help="where results go (DIR/results/…jsonl)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
