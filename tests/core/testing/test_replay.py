"""Replaying a corpus, on a small real backend, in other processes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_backend
from installed import install
from values import kind

from fwd_core.errors import InputError
from fwd_core.ir import Graph, Tensor, ops
from fwd_core.testing import Corpus, approximations
from fwd_core.testing.approximations import APPROXIMATIONS
from fwd_core.testing.compare import Tolerance
from fwd_core.testing.corpus import Entry
from fwd_core.testing.replay import (
    FAILED,
    PASSED,
    UNFINISHED,
    USAGE,
    Replay,
    Result,
    Settings,
    main,
    replay,
    report,
    results_in,
    shard,
)

#: The small backend, one that fails in the ways that a library can, and one without a device.
BACKENDS = """
import os, signal, time
from fwd_core import hookimpl
import toy_backend

class Breaking(toy_backend.ToyBackend):
    name = "breaking"

    def build(self, graph, config):
        kinds = [type(node.op).__name__ for node in graph]
        if kinds == ["Relu"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        if kinds == ["Add"]:
            time.sleep(60)
        return super().build(graph, config)

class BuildsOnly(toy_backend.ToyBackend):
    name = "builds-only"

    def availability(self):
        from fwd_core.backends import Availability
        return Availability(True, False, "no device")

class SlowAtFirst(toy_backend.ToyBackend):
    name = "slow-at-first"
    built = 0

    def build(self, graph, config):
        if not self.built:
            time.sleep(3)
        type(self).built += 1
        return super().build(graph, config)

class BadAtFirst(toy_backend.ToyBackend):
    name = "bad-at-first"
    built = 0

    def build(self, graph, config):
        type(self).built += 1
        if self.built == 1:
            raise RuntimeError("not yet")
        return super().build(graph, config)

fwd_register_lowerings = toy_backend.fwd_register_lowerings

@hookimpl
def fwd_register_backends(register):
    toy_backend.fwd_register_backends(register)
    register.add(Breaking())
    register.add(BuildsOnly())
    register.add(SlowAtFirst())
    register.add(BadAtFirst())
"""


@pytest.fixture(autouse=True)
def packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backends, in this process and those that it starts."""
    install(tmp_path / "site", monkeypatch, "replay-test", "replay_backends", BACKENDS)
    monkeypatch.setenv("FWD_PACKS", "replay-test")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A relu, an addition and a product; the addition expects too much."""
    made = Corpus(tmp_path / "corpus")
    x = np.array([[-1.0, 2.0], [3.0, -4.0]], np.float32)
    for op, expected in (
        (ops.Relu, np.maximum(x, 0)),
        (lambda v: ops.Add(v, v), x * 2 + 1),
        (lambda v: ops.MatMul(v, v), x @ x),
    ):
        graph = Graph()
        graph.set_outputs([graph.add(op(graph.add_input("x", kind(2, 2))))], ["y"])
        title = f"check({next(iter(graph)).op.kind()})"
        made.add(graph, [Tensor(x)], [Tensor(expected)], title=title)
    return made


def run(corpus: Corpus, *arguments: str, backend: str = "toy") -> tuple[int, str]:
    out = io.StringIO()
    code = main([str(corpus.folder), "--backend", backend, *arguments], out)
    return code, out.getvalue()


def titles(results: list[Result]) -> dict[str, str]:
    return {result.title: result.outcome for result in results}


def test_failures_are_listed(corpus: Corpus) -> None:
    code, text = run(corpus)
    assert code == FAILED
    assert "\n1 failures\n" in text
    assert "differs  output 'y': values differ\n    check(fwd.Add)\n" in text
    assert text.splitlines()[-1].startswith("1 differs, 2 passed in ")
    results = results_in(corpus.folder / "results" / "toy-float32-1of1.jsonl")
    assert titles(results) == {
        "check(fwd.Relu)": "passed",
        "check(fwd.Add)": "differs",
        "check(fwd.MatMul)": "passed",
    }
    (failure,) = [result for result in results if result.failed]
    assert "expected: -1.0 at [0, 0] of float32[2, 2]" in failure.reason


def test_a_process_that_dies_or_hangs_is_one_failure(corpus: Corpus) -> None:
    code, text = run(corpus, "--case-seconds", "3", "--jobs", "2", backend="breaking")
    assert code == FAILED
    assert "crashed  the process ended: signal 11\n    check(fwd.Relu)" in text
    assert "timeout  no answer in 3 s\n    check(fwd.Add)" in text
    assert "1 crashed, 1 passed, 1 timeout in " in text


def test_what_a_backend_loads_at_first_is_no_case(corpus: Corpus) -> None:
    code, text = run(corpus, "--case-seconds", "2", backend="slow-at-first")
    assert code == FAILED
    assert "1 differs, 2 passed in " in text


def test_a_first_build_that_fails_is_no_case(corpus: Corpus) -> None:
    assert "1 differs, 2 passed in " in run(corpus, backend="bad-at-first")[1]


def test_building_only(corpus: Corpus) -> None:
    code, text = run(corpus, backend="builds-only")
    assert (code, text.splitlines()[-1].split(" in ")[0]) == (PASSED, "3 built")


def test_shards_are_all_of_it_once(corpus: Corpus, tmp_path: Path) -> None:
    seen: list[str] = []
    for part in ("1/2", "2/2"):
        output = tmp_path / f"{part[0]}.jsonl"
        run(corpus, "--shard", part, "--output", str(output))
        seen += [result.id for result in results_in(output)]
    assert sorted(seen) == [entry.id for entry in corpus.entries()]


def test_resuming(corpus: Corpus) -> None:
    path = corpus.folder / "results" / "toy-float32-1of1.jsonl"
    run(corpus)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1]) + lines[1][:20])  # cut off while it was written
    code, text = run(corpus, "--resume")
    assert code == FAILED
    assert "1 differs, 2 passed" in text
    assert len({result.id for result in results_in(path)}) == len(results_in(path)) == 3


def test_without_resuming_results_are_new(corpus: Corpus) -> None:
    run(corpus)
    run(corpus)
    assert len(results_in(corpus.folder / "results" / "toy-float32-1of1.jsonl")) == 3


def test_the_budget(corpus: Corpus) -> None:
    code, text = run(corpus, "--budget-seconds", "0")
    assert code == UNFINISHED
    assert text.startswith("nothing, 3 left in 0.0 s; ")


def test_results_come_one_by_one(corpus: Corpus) -> None:
    settings = Settings(str(corpus.folder), "toy", "float32", (("parallel", 1),))
    first = next(replay(settings, corpus.entries()))
    assert first.id == corpus.entries()[0].id


def test_in_this_process(corpus: Corpus) -> None:
    player = Replay(Settings(str(corpus.folder), "toy", "float32"), toy_backend.plugins())
    assert titles([player.run(entry) for entry in corpus.entries()])["check(fwd.Add)"] == "differs"
    missing = Entry("0" * 16, "none", "gone", [])
    result = player.run(missing)
    assert (result.outcome, result.title) == ("error", "gone")
    assert result.reason.startswith("EngineFileError: there is no file")


def test_approximations_of_the_backend_count(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = Tolerance(0.0, 1.5, reason="this backend adds coarsely")
    monkeypatch.setitem(APPROXIMATIONS, "toy", {"fwd.Add": coarse})  # type: ignore[arg-type]
    player = Replay(Settings(str(corpus.folder), "toy", "float32"), toy_backend.plugins())
    assert titles([player.run(entry) for entry in corpus.entries()])["check(fwd.Add)"] == "passed"


def test_usage(corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(corpus, backend="toi")[0] == USAGE
    assert "there is no backend 'toi'" in capsys.readouterr().err
    assert run(corpus, backend="absent")[0] == USAGE
    assert run(corpus, "--mode", "float8")[0] == USAGE
    assert run(Corpus(tmp_path))[0] == USAGE
    assert run(corpus, "--option", "paralel=1")[0] == USAGE
    assert "did you mean 'parallel'?" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "-1/2"])
def test_bad_shards(text: str) -> None:
    with pytest.raises(InputError, match=r"a shard is i/n with i in 1 … n"):
        shard([], text)


def test_results_are_json(corpus: Corpus) -> None:
    run(corpus)
    path = corpus.folder / "results" / "toy-float32-1of1.jsonl"
    documents: list[Any] = [json.loads(line) for line in path.read_text().splitlines()]
    names = {"id", "outcome", "seconds", "reason", "title", "compared", "left_out"}
    assert set(documents[0]) == names
    older = {name: documents[0][name] for name in names - {"compared", "left_out"}}
    path.write_text(json.dumps(older))
    (read,) = results_in(path)
    assert (read.id, read.compared) == (documents[0]["id"], 0)


def test_a_case_of_which_nothing_is_compared_has_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Corpus(tmp_path / "large")
    for numbers in ([1e6, 2e6], [1e6, 3.0]):
        graph = Graph()
        graph.set_outputs([graph.add(ops.Relu(graph.add_input("x", kind(2))))], ["y"])
        x = np.array(numbers, np.float32)
        wrong = np.where(x > 1e5, np.nan, x).astype(np.float32)
        made.add(graph, [Tensor(x)], [Tensor(wrong)], title=f"of {numbers}")
    angles: Any = approximations._ANGLES
    monkeypatch.setitem(angles, "toy", (frozenset({"fwd.Relu"}), 1e5))
    player = Replay(Settings(str(made.folder), "toy", "float32"), toy_backend.plugins())
    results = {result.title: result for result in map(player.run, made.entries())}
    nothing, some = results["of [1000000.0, 2000000.0]"], results["of [1000000.0, 3.0]"]
    assert (nothing.outcome, nothing.compared, nothing.left_out) == ("uncompared", 0, 2)
    assert (some.outcome, some.compared, some.left_out) == ("passed", 1, 1)
    assert not nothing.failed
    out = io.StringIO()
    assert report([nothing, some], 2, made.folder, out) == PASSED
    lines = out.getvalue().splitlines()
    assert lines[0] == f"uncompared {nothing.id}  of [1000000.0, 2000000.0]"
    assert lines[1] == "1 elements compared, 3 not"
    assert lines[2].startswith("1 passed, 1 uncompared in ")


def test_an_output_without_elements_is_compared(corpus: Corpus, tmp_path: Path) -> None:
    made = Corpus(tmp_path / "empty")
    graph = Graph()
    graph.set_outputs([graph.add_input("x", kind(0, 2))], ["y"])  # an empty result is folded
    empty = Tensor(np.zeros((0, 2), np.float32))
    made.add(graph, [empty], [empty], title="empty")
    player = Replay(Settings(str(made.folder), "toy", "float32"), toy_backend.plugins())
    assert titles([player.run(entry) for entry in made.entries()]) == {"empty": "passed"}
