"""Looking at every tensor of a model, a piece of it at a time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import toy_backend
from numpy.typing import NDArray
from values import kind

from fwd_core import Builder
from fwd_core.backends import Port
from fwd_core.errors import CalibrationError, InputError
from fwd_core.ir import Graph, Value, ops, symbol
from fwd_core.quantize import collect as looks
from fwd_core.quantize.batches import batches_of
from fwd_core.quantize.collect import Collector
from fwd_core.quantize.segments import cut, nbytes

NUMBERS = np.random.default_rng(3)
WEIGHT = NUMBERS.standard_normal((3, 3), np.float32)
N = symbol("n", 1, 4, 64)


def _chain(length: int = 4) -> Graph:
    """``y = relu(relu(x W) W …) + first``: the first result is read again at the end."""
    graph = Graph("chain")
    x = graph.add_input("x", kind(N, 3))
    weight = graph.constant(WEIGHT, name="weight")
    first: Value | None = None
    y = x
    for index in range(length):
        y = graph.add(ops.Linear(y, weight), name=f"linear{index}")
        y = graph.add(ops.Relu(y), name=f"relu{index}")
        first = first or y
    assert first is not None
    y = graph.add(ops.Add(y, first), name="sum")
    graph.set_outputs([y], ["y"])
    return graph.verify()


def _wanted(x: NDArray[Any], length: int = 4) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {"x": x}
    y = x
    for index in range(length):
        y = found[f"linear{index}"] = y @ WEIGHT.T
        y = found[f"relu{index}"] = np.maximum(y, 0)
    found["sum"] = y + found["relu0"]
    return found


def _builder() -> Builder:
    return Builder(backend="toy", plugins=toy_backend.plugins())


def _x(rows: int) -> NDArray[np.float32]:
    return NUMBERS.standard_normal((rows, 3), np.float32)


@pytest.mark.parametrize(("budget", "pieces"), [(None, 1), (200, 5), (1, 9)])
def test_every_tensor_is_shown_once_whatever_the_pieces(budget: int | None, pieces: int) -> None:
    graph = _chain()
    before = str(graph)
    names = list(_wanted(_x(1)))
    collector = Collector(graph, names, _builder(), budget)
    for rows in (8, 3, 8):
        x, seen = _x(rows), {}

        def look(name: str, array: NDArray[Any], seen: dict[str, Any] = seen) -> None:
            assert name not in seen
            seen[name] = array.copy()

        collector.run({"x": x}, look)
        wanted = _wanted(x)
        assert set(seen) == set(wanted)
        for name, array in seen.items():
            np.testing.assert_allclose(array, wanted[name], rtol=1e-6, atol=1e-6)
    assert collector.pieces == pieces
    assert collector.batches == 3
    assert str(graph) == before
    collector.close()
    assert collector.pieces == 0


def test_a_larger_batch_is_cut_anew() -> None:
    collector = Collector(_chain(), ["relu1", "relu3"], _builder(), 400)
    shapes: list[tuple[int, ...]] = []
    for rows in (2, 60, 2):
        collector.run({"x": _x(rows)}, lambda _, array: shapes.append(array.shape))
    assert shapes == [(2, 3)] * 2 + [(60, 3)] * 2 + [(2, 3)] * 2
    assert collector.pieces == 2


def test_few_tensors_are_held_at_once_beside_those_that_are_read_again() -> None:
    length, rows = 12, 64
    size = rows * 3 * 4
    graph, names = _chain(length), list(_wanted(_x(1), length))
    collector = Collector(graph, names, _builder(), budget=2 * size)
    seen: list[str] = []
    collector.run({"x": _x(rows)}, lambda name, _: seen.append(name))
    assert sorted(seen) == sorted(names)
    # What is looked at, the input, the skip from first to last, and what the piece before gave.
    bound = (2 + 3) * size
    assert bound - size <= collector.peak <= bound
    assert len(names) * size > 5 * bound, "all at once would be far more"
    whole = Collector(graph, names, _builder(), budget=1 << 20)
    whole.run({"x": _x(rows)}, lambda *_: None)
    assert whole.peak == len(names) * size


def test_what_no_watched_tensor_needs_is_not_run() -> None:
    (piece,) = cut(_chain(), ["relu1"], {"n": 4}, 1 << 20)
    assert [node.outputs[0].name for node in piece.graph if node.op.kind() != "fwd.Constant"] == [
        "linear0",
        "relu0",
        "linear1",
        "relu1",
    ]
    assert piece.outputs == piece.watched == ["relu1"]
    assert piece.inputs == ["x"]
    assert cut(_chain(), [], {"n": 4}, 1) == []


def test_tensors_stay_until_the_last_piece_that_reads_them() -> None:
    pieces = cut(_chain(), ["relu0", "relu1", "sum"], {"n": 4}, 1)
    assert [piece.watched for piece in pieces] == [["relu0"], ["relu1"], ["sum"]]
    assert "relu0" not in pieces[0].done + pieces[1].done
    assert "relu0" in pieces[2].done
    assert nbytes(kind(N, 3), {"n": 4}) == 48


def test_a_tensor_that_there_is_not() -> None:
    with pytest.raises(CalibrationError, match="the graph has no tensor 'nothing' to look at"):
        Collector(_chain(), ["nothing"], _builder())


def test_inputs_that_do_not_fit() -> None:
    collector = Collector(_chain(), ["relu0"], _builder())
    with pytest.raises(InputError, match="missing 'x'"):
        collector.run({}, lambda *_: None)
    with pytest.raises(InputError, match="the size of axis 1"):
        collector.run({"x": np.zeros((2, 4), np.float32)}, lambda *_: None)


def test_batches_of_any_kind() -> None:
    a, b = Port("a", kind(2)), Port("b", kind(2))
    one, two = np.zeros(2, np.float32), np.ones(2, np.float32)
    given = [{"a": one, "b": two}, (one, two), [two, one]]
    assert [list(batch) for batch in batches_of(given, [a, b])] == [["a", "b"]] * 3
    assert next(iter(batches_of([one], [a])))["a"] is one
    with pytest.raises(InputError, match=r"another number .*\n  at batch 1 (.|\n)*leave labels"):
        list(batches_of([(one,), (one, two)], [a]))
    with pytest.raises(InputError, match=r"and the model has 2 inputs\n  at batch 0 "):
        list(batches_of([one], [a, b]))


def test_what_is_seen_ahead_is_what_was_given() -> None:
    """Batches may come in one array, and what a look raises is not lost."""
    seen: dict[str, list[NDArray[Any]]] = {}

    def look(name: str, array: NDArray[Any]) -> None:
        seen.setdefault(name, []).append(array.copy())

    collector = Collector(_chain(), ["x", "relu0", "sum"], _builder(), ahead=True)
    same, given = _x(4), [_x(4) for _ in range(3)]
    for one in given:
        same[...] = one
        collector.run({"x": same}, look)
    collector.settle()
    assert set(seen) == {"x", "relu0", "sum"}
    for index, one in enumerate(given):
        wanted = _wanted(one)
        for name, arrays in seen.items():
            np.testing.assert_allclose(arrays[index], wanted[name], rtol=1e-4, atol=1e-6)

    def refuse(name: str, array: NDArray[Any]) -> None:
        raise CalibrationError(f"{name} is refused")

    collector.run({"x": same}, refuse)
    with pytest.raises(CalibrationError, match="x is refused$"):
        collector.settle()
    collector.run({"x": same}, refuse, "batch 7")
    with pytest.raises(CalibrationError, match="x is refused\n  at batch 7$"):
        collector.run({"x": same}, refuse, "batch 8")
    collector.close()


def test_tensors_are_dealt_out_evenly_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that of several that are refused, as all behind a NaN, the first is named."""
    monkeypatch.setattr(looks, "_LOOKING", 2)
    given = {f"t{size}": np.zeros(size, np.float32) for size in (1, 5, 2, 4, 3)}
    parts = looks._dealt(given)
    assert [[name for _, (name, _) in part] for part in parts] == [["t1", "t5", "t2"], ["t4", "t3"]]
    assert [[index for index, _ in part] for part in parts] == [[0, 1, 2], [3, 4]]
    collector = Collector(_chain(), ["relu0", "sum"], _builder(), ahead=True)

    def refuse(name: str, array: NDArray[Any]) -> None:
        time.sleep(0.05 if name == "relu0" else 0)
        raise CalibrationError(f"{name} is refused")

    collector.run({"x": _x(4)}, refuse)
    with pytest.raises(CalibrationError, match="relu0 is refused$"):
        collector.settle()
    collector.close()
